"""python3 test_guru_v1.py: the rules on virtual time, then the app in a process of its own, spoken to frame by frame."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import subprocess
import sys
import unittest
import urllib.request
from types import SimpleNamespace
from typing import Any, Optional

import websockets

from guru_asgi import GuruEndpoint
from guru_frames import LAST_NUMBER, Message, ProtocolError, loads, parse
from guru_session import Connection, Limits, SessionLost
from guru_v1 import Sessions

STUCK = 30  # seconds after which a test that would wait for ever fails
HERE = os.path.dirname(os.path.abspath(__file__))


class Peer:
    """As much of a client as the tests need: it numbers, keeps, counts and acknowledges, and owns no socket."""

    def __init__(self, auth: Optional[str] = None) -> None:
        self.auth = auth
        self.sid = self.key = ""
        self.epoch = self.sent = self.acked = self.taken = 0
        self.limits: dict[str, Any] = {}
        self.outbox: list[tuple[int, str]] = []
        self.got: list[str] = []
        self.controls: list[dict[str, Any]] = []

    def hello(self) -> str:
        auth = {"auth": self.auth} if self.auth else {}
        if not self.sid:
            return json.dumps({"t": "open", **auth})
        self.epoch += 1
        names = {"sid": self.sid, "key": self.key, "epoch": self.epoch}
        return json.dumps({"t": "resume", "rx": self.taken, **names, **auth})

    def say(self, data: Any) -> str:
        self.sent += 1
        self.outbox.append((self.sent, f"{self.sent}:{json.dumps(data)}"))
        return self.outbox[-1][1]

    def has_room(self) -> bool:
        """For one more number of two digits."""
        held = sum(len(frame.partition(":")[2]) for _, frame in self.outbox)
        return len(self.outbox) < self.limits["maxMessages"] and held + 2 <= self.limits["maxBytes"]

    def again(self) -> list[str]:
        return [frame for _, frame in self.outbox]

    def hear(self, frame: str) -> bool:
        """True for a message that is new."""
        if frame.startswith("{"):
            control = json.loads(frame)
            self.controls.append(control)
            if control["t"] == "opened":
                self.limits = control
                self.sid, self.key = control.get("sid", self.sid), control.get("key", self.key)
            if "rx" in control:
                assert self.acked <= control["rx"] <= self.sent, (self.acked, control, self.sent)
                self.acked = control["rx"]
                self.outbox = [item for item in self.outbox if item[0] > self.acked]
            return False
        number, _, data = frame.partition(":")
        if int(number) <= self.taken:
            return False
        assert int(number) == self.taken + 1, (number, self.taken)
        self.taken += 1
        self.got.append(data)
        return True

    def ack(self) -> str:
        return json.dumps({"t": "ack", "rx": self.taken})


class Bench:
    """Sessions with handlers that settle when told to, and a clock that stands."""

    def __init__(self, **limits: int) -> None:
        self.now = 0
        self.handled: list[Message] = []
        self.volatile: list[Message] = []
        self.undelivered: list[tuple[str, list[Any]]] = []
        self.sessions = Sessions(
            Limits(**limits),
            lambda session, message: self.handled.append(message),
            lambda session, message: self.volatile.append(message),
            lambda session, reason, messages: self.undelivered.append((reason, [m.data for m in messages])),
        )

    def connect(self, peer: Peer, principal: Any = None, address: str = "::1") -> Connection:
        connection = self.sessions.connect(address, self.now, lambda: None)
        hello = self.sessions.hello(connection, peer.hello())
        if hello:
            self.sessions.begin(connection, hello, principal, self.now)
        return connection

    def open(self, peer: Optional[Peer] = None, **more: Any) -> tuple[Peer, Connection]:
        peer = peer or Peer()
        connection = self.connect(peer, **more)
        self.read(peer, connection)
        return peer, connection

    def read(self, peer: Peer, connection: Connection) -> list[Any]:
        frames = []
        while (frame := connection.next()) is not None:
            frames.append(frame)
            if isinstance(frame, str) and frame[0] != ":":
                peer.hear(frame)
        return frames

    def receive(self, connection: Connection, *frames: Any) -> None:
        for frame in frames:
            self.sessions.receive(connection, frame, self.now)

    def settle(self, session: Any, *numbers: int) -> None:
        for number in numbers:
            session.settle(number, self.now)


class Rules(unittest.TestCase):
    def test_every_kind_of_frame_is_told_by_its_beginning(self) -> None:
        self.assertEqual(parse("17:a:b"), Message("a:b", 17))
        self.assertEqual(parse("17:"), Message("", 17))
        self.assertEqual(parse(":x"), Message("x"))
        self.assertEqual(parse(b"\x01\x07\x00\x00\x01\x00hi"), Message(b"hi", 256, 7))
        self.assertEqual(parse(b"\x01\x07\x00\x00\x01\x00"), Message(b"", 256, 7))
        self.assertEqual(parse(b"\x00\xffhi"), Message(b"hi", None, 255))
        self.assertEqual(parse('{"t":"ack","rx":3,"more":[]}')["rx"], 3)
        self.assertEqual(parse('{"t":"news","rx":"anything"}')["t"], "news")
        self.assertEqual(parse(f"{LAST_NUMBER}:x"), Message("x", LAST_NUMBER))

    def test_what_is_no_frame_is_a_protocol_error(self) -> None:
        bad: list[Any] = ["", "x", "0:x", "017:x", "-1:x", "1.0:x", " 1:x", "\u0661:x", f"{LAST_NUMBER + 1}:x", "99999999999:x"]
        bad += ["{", "{}", '{"t":1}', "{" * 100_000, '{"t":"x","y":' + "[" * 100_000, '{"t":"ack"}', '{"t":"ack","rx":true}']
        bad += ['{"t":"ack","rx":-1}', '{"t":"ack","rx":1.5}', '{"t":"ack","rx":"1"}', '{"t":"ping","at":1e999}']
        bad += ['{"t":"ping","at":NaN}', '{"t":"flush","stream":256}', b"", b"\x00", b"\x02xx", b"\x01\x00\x00\x00\x00"]
        bad += [b"\x01\x00\x00\x00\x00\x00x"]
        for frame in bad:
            with self.subTest(frame=frame[:40]), self.assertRaises(ProtocolError):
                parse(frame)

    def test_acknowledges_the_settled_prefix_and_nothing_else(self) -> None:
        bench = Bench()
        peer, connection = bench.open()
        bench.receive(connection, *(peer.say(n) for n in (1, 2, 3)))
        bench.settle(connection.session, 2, 3, 3)
        self.assertEqual(connection.session.rx, 0)
        bench.settle(connection.session, 1)
        self.assertEqual(connection.session.rx, 3)
        self.assertEqual(bench.read(peer, connection), [])
        due = bench.sessions.tick(connection, 0)
        self.assertLessEqual(due, 200)
        bench.sessions.tick(connection, due)
        self.assertEqual(bench.read(peer, connection), ['{"t":"ack","rx":3}'])

    def test_acknowledges_at_32_messages_64_KiB_or_half_a_limit(self) -> None:
        for limits, size, expected in (({}, 1, 32), ({"max_messages": 10}, 1, 5), ({}, 30_000, 3)):
            bench = Bench(**limits)
            _, connection = bench.open()
            for number in range(1, expected + 1):
                self.assertEqual(len(connection.out), 0)
                bench.receive(connection, f"{number}:{'x' * size}")
                bench.settle(connection.session, number)
            self.assertEqual(list(connection.out), [f'{{"t":"ack","rx":{expected}}}'])
        bench = Bench(max_bytes=100, max_frame=100)
        _, connection = bench.open()
        bench.receive(connection, "1:" + "x" * 50)
        bench.settle(connection.session, 1)
        self.assertEqual(len(connection.out), 1)

    def test_drops_doubles_and_refuses_gaps(self) -> None:
        bench = Bench()
        _, connection = bench.open()
        bench.receive(connection, "1:a", "1:a", "2:b", "1:a")
        self.assertEqual([m.id for m in bench.handled], [f"{connection.session.sid}/{n}" for n in (1, 2)])
        bench.receive(connection, "4:d")
        self.assertEqual(connection.closed[0], 4400)
        bench.receive(connection, "3:c")
        self.assertEqual(len(bench.handled), 2)

    def test_a_void_counts_and_is_not_handed_over(self) -> None:
        bench = Bench()
        _, connection = bench.open()
        bench.receive(connection, "1:", "2:b", b"\x01\x00\x00\x00\x00\x03")
        self.assertEqual([m.data for m in bench.handled], ["b", b""])
        self.assertEqual(connection.session.rx, 1)

    def test_sends_no_more_than_the_window_holds(self) -> None:
        bench = Bench(max_messages=3, max_bytes=10, max_frame=10)
        peer, connection = bench.open()
        for data in ("1", "2", "3", "4", "56789", "abcdefghij"):
            connection.session.send(data)
        self.assertEqual(bench.read(peer, connection), ["1:1", "2:2", "3:3"])
        bench.receive(connection, '{"t":"ack","rx":2}')
        self.assertEqual(bench.read(peer, connection), ["4:4", "5:56789"])
        bench.receive(connection, '{"t":"ack","rx":4}')
        self.assertEqual(bench.read(peer, connection), [])
        bench.receive(connection, '{"t":"ack","rx":3}', '{"t":"ack","rx":5}')
        self.assertEqual(bench.read(peer, connection), ["6:abcdefghij"])
        bench.receive(connection, '{"t":"ack","rx":7}')
        self.assertEqual(connection.closed[0], 4400)

    def test_a_client_that_overruns_the_window_is_stopped(self) -> None:
        bench = Bench(max_messages=2)
        _, connection = bench.open()
        bench.receive(connection, "1:a", "2:b", "3:c")
        self.assertEqual(connection.closed[0], 4400)

    def test_the_window_moves_with_what_was_acknowledged(self) -> None:
        bench = Bench(max_messages=4, max_bytes=100, max_frame=100)
        peer, connection = bench.open()
        for n in range(1, 50):
            bench.receive(connection, peer.say("x" * 40))
            bench.settle(connection.session, n)
            bench.now += 200
            bench.sessions.tick(connection, bench.now)
            bench.read(peer, connection)
            self.assertIsNone(connection.closed)
        self.assertEqual(connection.session.sizes, {})

    def test_after_a_resume_sends_exactly_what_the_client_has_not_taken(self) -> None:
        bench = Bench(max_messages=3)
        peer, connection = bench.open()
        for data in "abcde":
            connection.session.send(data)
        bench.sessions.disconnected(connection, 1006, 0)
        peer.taken = 2
        frames = bench.read(peer, bench.connect(peer))
        self.assertEqual(frames[1:], ["3:c", "4:d", "5:e"])

    def test_send_refuses_what_can_never_be_sent(self) -> None:
        bench = Bench(max_frame=3)
        _, connection = bench.open()
        for data in ("abcd", "\u00e4\u00e4", b"abcd", ""):
            with self.assertRaises(ValueError):
                connection.session.send(data)
        connection.session.send(b"")
        self.assertEqual(connection.next(), b"\x01\x00\x00\x00\x00\x01")

    def test_a_session_whose_queue_overflows_is_lost_and_reported(self) -> None:
        bench = Bench(max_messages=1, queue_bytes=190)
        _, connection = bench.open()
        receipts: list[bool] = []
        for data in "abcd":
            connection.session.send(data, 0, receipts.append)
        self.assertEqual(connection.closed, (4410, "overflowed"))
        self.assertEqual(bench.undelivered, [("overflowed", ["a", "b", "c", "d"])])
        self.assertEqual(receipts, [False] * 4)
        bench.sessions.disconnected(connection, 4410, 0)
        self.assertEqual((bench.sessions.sessions, bench.sessions.accounts), ({}, {}))

    def test_what_waits_is_bounded_over_all_sessions_of_a_principal_and_given_back(self) -> None:
        bench = Bench(max_messages=1, account_bytes=300)
        _, greedy = bench.open(principal="alice")
        _, modest = bench.open(principal="alice")
        modest.session.send("in the window")
        modest.session.send("a")
        for n in range(5):
            greedy.session.send(str(n))
        self.assertEqual(greedy.closed, (4410, "overflowed"))
        self.assertEqual(modest.session.account.queued, modest.session.waiting_bytes)
        modest.session.send("b")
        self.assertIsNone(modest.closed)

    def test_a_receipt_is_given_when_an_ack_or_rx_covers_the_message(self) -> None:
        bench = Bench()
        peer, connection = bench.open()
        receipts: list[Any] = []
        for name in "ab":
            connection.session.send(name, 0, lambda handled, name=name: receipts.append((name, handled)))
        bench.receive(connection, '{"t":"ack","rx":1}')
        self.assertEqual(receipts, [("a", True)])
        bench.read(peer, connection)
        bench.sessions.disconnected(connection, 1006, 0)
        bench.connect(peer)
        self.assertEqual(receipts, [("a", True), ("b", True)])

    def test_4413_or_a_second_1009_makes_the_largest_message_a_void(self) -> None:
        for codes in ((4413,), (1009, 1009)):
            bench = Bench()
            peer, connection = bench.open()
            for data in ("a", "much too large", b"b"):
                connection.session.send(data)
            for code in codes:
                self.assertEqual(bench.undelivered, [])
                bench.sessions.disconnected(connection, code, 0)
                connection = bench.connect(peer)
            self.assertEqual(bench.undelivered, [("too large", ["much too large"])])
            self.assertEqual(bench.read(Peer(), connection)[1:], ["1:a", "2:", b"\x01\x00\x00\x00\x00\x03b"])

    def test_a_newer_epoch_owns_the_session(self) -> None:
        bench = Bench()
        peer, old = bench.open()
        peer.epoch = 4
        new = bench.connect(peer)
        self.assertEqual((old.closed[0], new.closed), (4409, None))
        bench.receive(old, "1:ghost")
        bench.sessions.disconnected(old, 1006, 0)
        self.assertEqual((bench.handled, new.session.connection), ([], new))
        for epoch in (5, 3, 0):
            peer.epoch = epoch - 1
            self.assertEqual(bench.connect(peer).closed[0], 4409)
        self.assertIsNone(new.closed)

    def test_an_rx_that_cannot_be_placed_ends_the_session(self) -> None:
        for rx in (0, 3):
            bench = Bench()
            peer, connection = bench.open()
            connection.session.send("a")
            connection.session.send("b")
            bench.receive(connection, '{"t":"ack","rx":1}')
            peer.taken = rx
            self.assertEqual(bench.connect(peer).closed[0], 4410)
            self.assertEqual(bench.undelivered, [("rx cannot be placed", ["b"])])

    def test_unknown_wrong_key_wrong_principal_and_expired_look_alike(self) -> None:
        bench = Bench(ttl=100)
        peer, connection = bench.open(principal="alice")
        refused = []
        for change in ({"sid": "nobody"}, {"key": "wrong"}, {"key": "\ud800"}, {}):
            other = Peer()
            other.sid, other.key = change.get("sid", peer.sid), change.get("key", peer.key)
            refused.append(bench.connect(other, principal="alice" if change else "bob").closed)
        bench.sessions.disconnected(connection, 1006, 0)
        bench.now = 100
        refused.append(bench.connect(peer, principal="alice").closed)
        self.assertEqual(set(refused), {(4410, "no such session")})

    def test_a_detached_session_expires_after_its_ttl_and_not_before(self) -> None:
        bench = Bench(ttl=100)
        peer, connection = bench.open()
        connection.session.send("a")
        bench.sessions.expire(1000)
        bench.sessions.disconnected(connection, 1006, 1000)
        bench.sessions.expire(1099)
        self.assertEqual(bench.undelivered, [])
        bench.sessions.expire(1100)
        self.assertEqual(bench.undelivered, [("expired", ["a"])])

    def test_the_first_frame_is_open_or_resume_small_and_in_time(self) -> None:
        bench = Bench()
        for frame in ("1:a", '{"t":"ping","at":1}', '{"t":"open","x":"' + "x" * 4096 + '"}', b"\x00\x00"):
            connection = bench.sessions.connect("::1", 0, lambda: None)
            self.assertIsNone(bench.sessions.hello(connection, frame))
            self.assertEqual(connection.closed[0], 4400)
        connection = bench.sessions.connect("::1", 0, lambda: None)
        self.assertEqual(bench.sessions.tick(connection, 9_999), 10_000)
        bench.sessions.tick(connection, 10_000)
        self.assertEqual(connection.closed[0], 4408)

    def test_caps_count_per_principal_and_what_was_never_heard_from_goes_first(self) -> None:
        bench = Bench(account_sessions=2)
        heard, first = bench.open(principal="alice")
        bench.receive(first, '{"t":"pong","at":1}')
        bench.sessions.disconnected(first, 1006, 0)
        _, second = bench.open(principal="alice")
        self.assertEqual(bench.connect(Peer(), principal="alice").closed[0], 4429)
        self.assertIsNone(bench.connect(Peer(), principal="bob").closed)
        bench.sessions.disconnected(second, 1006, 0)
        self.assertIsNone(bench.connect(Peer(), principal="alice").closed)
        self.assertIsNone(bench.connect(heard, principal="alice").closed)

    def test_connections_of_one_principal_are_capped_with_those_still_closing(self) -> None:
        bench = Bench(account_sessions=2)
        peer, _ = bench.open()
        connections = [bench.connect(peer) for _ in range(4)]
        self.assertEqual([c.closed and c.closed[0] for c in connections], [4409, 4409, None, 4429])
        bench.sessions.disconnected(connections[0], 4409, 0)
        self.assertIsNone(bench.connect(peer).closed)

    def test_a_session_that_was_resumed_is_one_that_was_heard_from(self) -> None:
        bench = Bench(account_sessions=1)
        peer, connection = bench.open()
        bench.sessions.disconnected(connection, 1006, 0)
        bench.sessions.disconnected(bench.connect(peer), 1006, 0)
        self.assertEqual(bench.connect(Peer()).closed[0], 4429)
        self.assertIsNone(bench.connect(peer).closed)

    def test_connections_that_say_nothing_are_capped_per_address(self) -> None:
        bench = Bench(address_pending=2)
        quiet = [bench.sessions.connect("::1", 0, lambda: None) for _ in range(3)]
        self.assertEqual([c.closed and c.closed[0] for c in quiet], [None, None, 4429])
        self.assertIsNone(bench.sessions.connect("::2", 0, lambda: None).closed)
        for connection in quiet:
            bench.sessions.disconnected(connection, 1006, 0)
        for _ in range(5):
            self.assertIsNone(bench.connect(Peer()).closed)
        bench.sessions.disconnected(bench.sessions.connect("::2", 0, lambda: None), 1006, 0)
        self.assertEqual(dict(bench.sessions.pending), {"::2": 1})

    def test_pings_who_is_silent_and_then_gives_up_the_connection(self) -> None:
        bench = Bench(ping=1000)
        peer, connection = bench.open()
        self.assertEqual(bench.sessions.tick(connection, 0), 1000)
        self.assertEqual(bench.sessions.tick(connection, 1000), 2000)
        self.assertEqual(bench.read(peer, connection), ['{"t":"ping","at":1000}'])
        bench.now = 1500
        bench.receive(connection, ":life")
        self.assertEqual(bench.sessions.tick(connection, 2000), 2500)
        bench.sessions.tick(connection, 3500)
        self.assertEqual(connection.closed[0], 1001)
        self.assertIsNone(bench.connect(peer).closed)

    def test_a_flush_drops_the_volatile_frames_of_its_stream_then_answers(self) -> None:
        bench = Bench()
        peer, connection = bench.open()
        session = connection.session
        for stream, data in ((1, b"a"), (2, b"b"), (1, b"c")):
            session.send_volatile(data, stream)
        session.send("kept")
        bench.receive(connection, '{"t":"flush","stream":1}')
        self.assertEqual(bench.read(peer, connection), ["1:kept", '{"t":"flushed","stream":1}', b"\x00\x02b"])

    def test_ignores_a_stream_until_as_many_flushed_as_flush_have_passed(self) -> None:
        bench = Bench()
        _, connection = bench.open()
        connection.session.flush(1)
        connection.session.flush(1)
        bench.receive(connection, b"\x00\x01a", '{"t":"flushed","stream":1}', b"\x00\x01b", b"\x00\x02c")
        bench.receive(connection, '{"t":"flushed","stream":1}', b"\x00\x01d", ":e")
        self.assertEqual([m.data for m in bench.volatile], [b"c", b"d", "e"])

    def test_a_slow_socket_loses_the_oldest_volatile_frames(self) -> None:
        bench = Bench()
        _, connection = bench.open()
        for i in range(400):
            connection.session.send_volatile(bytes([i % 256]) * 1000, 1)
        self.assertLessEqual(connection.live_bytes, 262_144)
        self.assertEqual(len(connection.live) + connection.live_dropped, 400)
        self.assertEqual(connection.live[-1][1][2], 399 % 256)
        connection.session.send_volatile(bytes(262_144), 2)
        self.assertEqual([stream for stream, _ in connection.live], [2])

    def test_the_last_number_ends_the_session_once_it_is_acknowledged(self) -> None:
        bench = Bench()
        _, connection = bench.open()
        session = connection.session
        session.sent = session.acked = LAST_NUMBER - 1
        session.send("last")
        session.send("one too many")
        self.assertEqual(list(connection.out), [f"{LAST_NUMBER}:last"])
        bench.receive(connection, json.dumps({"t": "ack", "rx": LAST_NUMBER}))
        self.assertEqual(connection.closed, (4410, "numbers used up"))
        self.assertEqual(bench.undelivered, [("numbers used up", ["one too many"])])

    def test_close_frees_the_session_and_a_close_code_does_not(self) -> None:
        bench = Bench()
        peer, connection = bench.open()
        bench.sessions.disconnected(connection, 1000, 0)
        connection = bench.connect(peer)
        self.assertIsNone(connection.closed)
        session = connection.session
        session.send("a")
        bench.receive(connection, '{"t":"close"}')
        self.assertEqual(connection.closed[0], 1000)
        self.assertEqual(bench.undelivered, [("closed by the client", ["a"])])
        with self.assertRaises(SessionLost):
            session.send("b")
        self.assertEqual(bench.connect(peer).closed[0], 4410)

    def test_loses_doubles_and_reorders_nothing_over_random_cuts(self) -> None:
        for seed in range(300):
            with self.subTest(seed=seed):
                self.simulate(random.Random(seed))

    def simulate(self, chance: random.Random, each: int = 40) -> None:
        bench = Bench(max_messages=chance.choice((2, 5, 40)), max_bytes=chance.choice((20, 1000)), max_frame=20)
        peer = Peer()
        current: Any = None  # connection, what is under way to the server, what is under way to the client
        ghosts: list[Any] = []  # old lines, whose frames still arrive at the server
        spoken = pushed = 0
        session: Any = None
        for step in range(20_000):
            calm = step > 3_000
            bench.now += chance.randrange(30)
            session = bench.sessions.sessions.get(peer.sid)
            if current is None or (not calm and chance.random() < 0.03):
                ghosts = [*ghosts, current][-3:] if current else ghosts
                connection = bench.sessions.connect("::1", bench.now, lambda: None)
                current = (connection, [peer.hello(), *peer.again()], [])
            deed = chance.randrange(7)
            if deed == 0:
                connection, up, _ = chance.choice([current, current, *ghosts])
                if up and connection.hello:
                    bench.sessions.receive(connection, up.pop(0), bench.now)
                elif up and (hello := bench.sessions.hello(connection, up.pop(0))):
                    bench.sessions.begin(connection, hello, None, bench.now)
            elif deed == 1:
                while (frame := current[0].next()) is not None:
                    current[2].append(frame)
            elif deed == 2 and current[2]:
                peer.hear(current[2].pop(0))
            elif deed == 3 and peer.sid and spoken < each and peer.has_room():
                spoken += 1
                current[1].append(peer.say(spoken))
            elif deed == 4 and session and pushed < each:
                pushed += 1
                session.send(str(pushed))
            elif deed == 5 and session and session.rx < len(bench.handled):
                session.settle(chance.randint(session.rx + 1, len(bench.handled)), bench.now)
            elif deed == 6:
                bench.sessions.tick(current[0], bench.now)
                if peer.sid and not current[1]:
                    current[1].append(peer.ack())
            if current[0].closed:
                self.assertEqual(current[0].closed, (1001, "silent"))
                current = None
            elif not calm and chance.random() < 0.02:
                bench.sessions.disconnected(current[0], 1006, bench.now)  # what was under way is gone
                current = None
            if peer.acked == peer.taken == each and session and session.acked == each:
                break
        numbers = list(range(1, each + 1))
        self.assertEqual([int(m.data) for m in bench.handled], numbers)
        self.assertEqual([int(data) for data in peer.got], numbers)
        self.assertEqual((peer.acked, session.acked), (each, each))


class Server:
    """main.py in a process of its own, on a free port."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, os.path.join(HERE, "main.py"), "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().split()[-1]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    async def http(self, path: str, body: Any = None) -> Any:
        def call() -> Any:
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(f"http://{self.address}{path}", data, {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=STUCK) as answer:
                return json.load(answer)

        return await asyncio.to_thread(call)

    async def handled(self, peer: Peer) -> list[int]:
        return [entry["n"] for entry in await self.http("/v1/history") if str(entry["id"]).startswith(peer.sid + "/")]


class OnSockets(unittest.IsolatedAsyncioTestCase):
    """Tests of one class share a server; each has sessions of its own."""

    options: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(*cls.options)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # unittest turns it on: slow, and it speaks of every slow step

    async def connect(self, peer: Optional[Peer] = None, *frames: str, **headers: str) -> Any:
        """A WebSocket; with a peer it has said hello, and `frames` right behind."""
        url = f"ws://{self.server.address}/ws"
        socket = await websockets.connect(
            url,
            subprotocols=["guru.v1"],
            compression=None,
            max_queue=None,  # else `close` waits for us to read
            extra_headers=headers,
        )
        self.addAsyncCleanup(self.cut, socket)
        for frame in ([peer.hello(), *peer.again()] if peer else []) + list(frames):
            await socket.send(frame)
        return socket

    async def cut(self, socket: Any) -> None:
        if socket.transport:
            socket.transport.abort()

    async def hear(self, peer: Peer, socket: Any, until: Any) -> None:
        while not until():
            peer.hear(await asyncio.wait_for(socket.recv(), STUCK))

    async def open(self, **headers: str) -> tuple[Peer, Any]:
        peer = Peer()
        socket = await self.connect(peer, **headers)
        await self.hear(peer, socket, lambda: peer.sid)
        return peer, socket

    async def closed(self, socket: Any) -> tuple[int, str]:
        """How the server closed a connection."""
        try:
            while True:
                await asyncio.wait_for(socket.recv(), STUCK)
        except websockets.ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")


class Talks(OnSockets):
    async def test_selects_guru_v1_and_says_opened_before_anything_else(self) -> None:
        socket = await self.connect()
        self.assertEqual(socket.subprotocol, "guru.v1")
        self.assertEqual(socket.extensions, [])
        await socket.send('{"t":"open","ttl":1234}')
        opened = json.loads(await socket.recv())
        self.assertEqual((opened["t"], opened["rx"], opened["ttl"]), ("opened", 0, 1234))
        self.assertGreaterEqual(len(opened["key"]), 43)
        self.assertGreaterEqual(len(opened["sid"]), 22)

    async def test_a_client_that_offers_nothing_is_served_plainly(self) -> None:
        async with websockets.connect(f"ws://{self.server.address}/ws") as socket:
            await socket.send('{"n":7}')
            self.assertEqual((socket.subprotocol, json.loads(await socket.recv())), (None, {"re": 7}))

    async def test_answers_acknowledges_and_answers_pings(self) -> None:
        peer, socket = await self.open()
        await socket.send(peer.say({"n": 1}))
        await socket.send('{"t":"ping","at":5}')
        await socket.send('{"t":"news"}')
        await self.hear(peer, socket, lambda: peer.acked == 1 and {"t": "pong", "at": 5} in peer.controls)
        self.assertEqual(peer.got, ['{"re": 1}'])

    async def test_a_lost_ack_is_made_good_by_resuming(self) -> None:
        peer, socket = await self.open()
        for n in range(1, 6):
            await socket.send(peer.say({"n": n}))
        while len(await self.server.handled(peer)) < 5:
            await asyncio.sleep(0.01)
        await self.cut(socket)
        socket = await self.connect(peer)
        await self.hear(peer, socket, lambda: peer.acked == peer.taken == 5)
        self.assertEqual(await self.server.handled(peer), [1, 2, 3, 4, 5])
        self.assertEqual(peer.got, [f'{{"re": {n}}}' for n in range(1, 6)])

    async def test_a_double_is_dropped_and_a_gap_closes_4400(self) -> None:
        peer, socket = await self.open()
        first = peer.say({"n": 1})
        for frame in (first, first, peer.say({"n": 2}), first, '9:{"n":9}'):
            await socket.send(frame)
        self.assertEqual((await self.closed(socket))[0], 4400)
        self.assertEqual(await self.server.handled(peer), [1, 2])

    async def test_what_is_no_frame_closes_4400(self) -> None:
        for frame in ("hello", "01:x", b"\x05", '{"t":"ack","rx":"1"}', '{"t":"open"}'):
            _, socket = await self.open()
            await socket.send(frame)
            self.assertEqual((await self.closed(socket))[0], 4400, frame)

    async def test_nothing_is_lost_doubled_or_reordered_by_a_cut_after_every_message(self) -> None:
        each, cuts = 50, 0
        peer, socket = await self.open()
        pushes = 0
        while not (peer.acked == each and peer.taken == 2 * each):
            if pushes < each:
                pushes += 1
                await self.server.http("/v1/push", {"count": 1})
            if peer.sent < each:
                await socket.send(peer.say({"n": peer.sent + 1}))
            else:
                before = peer.taken, peer.acked
                await self.hear(peer, socket, lambda: (peer.taken, peer.acked) != before)
            cuts += 1
            # In turn: at once and rudely; with a close frame; after something was heard.
            if cuts % 3 == 0:
                await self.cut(socket)
            elif cuts % 3 == 1:
                await socket.close()
            else:
                before = peer.taken
                await self.hear(peer, socket, lambda: peer.taken > before or peer.taken == 2 * each)
                await self.cut(socket)
            socket = await self.connect(peer)
            await self.hear(peer, socket, lambda: peer.controls[-1]["t"] == "opened")
            if peer.sent == each:
                await socket.send(peer.ack())
        numbers = list(range(1, each + 1))
        self.assertEqual(await self.server.handled(peer), numbers)
        got = [json.loads(data) for data in peer.got]
        self.assertEqual([m["re"] for m in got if "re" in m], numbers)
        self.assertEqual([m["push"] for m in got if "push" in m], numbers)
        self.assertGreater(cuts, each)

    async def test_of_two_connections_the_newer_epoch_stays(self) -> None:
        peer, oldest = await self.open()
        older, newer = await asyncio.gather(self.connect(), self.connect())
        resume, latest = peer.hello(), peer.hello()
        await newer.send(latest)
        self.assertEqual((await self.closed(oldest))[0], 4409)
        await self.hear(peer, newer, lambda: len(peer.controls) == 2)
        await older.send(resume)  # a ghost: sent first, arrived last
        self.assertEqual((await self.closed(older))[0], 4409)
        await newer.send(peer.say({"n": 1}))
        await self.hear(peer, newer, lambda: peer.acked == 1)

    async def test_many_connections_at_once_leave_exactly_the_highest_epoch(self) -> None:
        peer, _ = await self.open()
        hellos = [peer.hello() for _ in range(10)]
        sockets = [await self.connect() for _ in hellos]
        order = list(range(10))
        random.Random(1).shuffle(order)
        await asyncio.gather(*(sockets[i].send(hellos[i]) for i in order))
        codes = await asyncio.gather(*(self.closed(socket) for socket in sockets[:9]))
        self.assertEqual({code for code, _ in codes}, {4409})
        await sockets[9].send(peer.say({"n": 1}))
        await self.hear(peer, sockets[9], lambda: peer.acked == 1)

    async def test_a_wrong_key_and_an_unknown_session_look_alike(self) -> None:
        peer, socket = await self.open()
        ends = []
        for sid, key in ((peer.sid, "wrong"), ("nobody", peer.key)):
            thief = Peer()
            thief.sid, thief.key, thief.epoch = sid, key, 100
            ends.append(await self.closed(await self.connect(thief)))
        self.assertEqual(set(ends), {(4410, "no such session")})
        await socket.send(peer.say({"n": 1}))
        await self.hear(peer, socket, lambda: peer.acked == 1)

    async def test_acks_wait_for_the_slowest_handler_and_a_failure_counts_as_handled(self) -> None:
        peer, socket = await self.open()
        await socket.send(peer.say({"n": 1, "wait": 1500}))
        await socket.send(peer.say({"n": 2, "fail": True}))
        await socket.send(peer.say("no object"))
        await self.hear(peer, socket, lambda: peer.taken == 2)
        self.assertEqual(peer.got, ['{"re": 2}', '{"re": 1}'])
        await self.hear(peer, socket, lambda: peer.acked)
        self.assertEqual(peer.acked, 3)

    async def test_volatile_messages_are_echoed_and_flushed_away(self) -> None:
        _, socket = await self.open()
        await socket.send(':{"v":1}')
        self.assertEqual(await socket.recv(), ':{"v":1}')
        await socket.send(b"\x00\x07" + b'{"v":2}')
        self.assertEqual(await socket.recv(), b"\x00\x07" + b'{"v":2}')
        await socket.send('{"t":"flush","stream":7}')
        self.assertEqual(json.loads(await socket.recv()), {"t": "flushed", "stream": 7})

    async def test_close_frees_the_session_with_1000(self) -> None:
        peer, socket = await self.open()
        await socket.send('{"t":"close"}')
        self.assertEqual((await self.closed(socket))[0], 1000)
        self.assertEqual((await self.closed(await self.connect(peer)))[0], 4410)


class HasLimits(OnSockets):
    options = ("--max-messages=8", "--max-bytes=4000", "--max-frame=1000", "--ttl=300", "--handler-timeout=2")

    async def test_the_window_is_kept_both_ways(self) -> None:
        peer, socket = await self.open()
        self.assertEqual([peer.limits[name] for name in ("maxMessages", "maxBytes", "maxFrame")], [8, 4000, 1000])
        await self.server.http("/v1/push", {"count": 100})
        await socket.send('{"t":"ping","at":1}')
        await self.hear(peer, socket, lambda: peer.controls[-1]["t"] == "pong")
        self.assertEqual(peer.taken, 8)
        while peer.taken < 100:
            before = peer.taken
            await socket.send(peer.ack())
            await self.hear(peer, socket, lambda: peer.taken == min(100, before + 8))
        for n in range(1, 10):
            await socket.send(peer.say({"n": n, "wait": 60_000}))
        self.assertEqual((await self.closed(socket))[0], 4400)
        self.assertEqual(await self.server.handled(peer), list(range(1, 9)))

    async def test_a_message_larger_than_max_frame_closes_4413_and_a_huge_one_1009(self) -> None:
        for size, code in ((1001, 4413), (20_000, 1009)):
            _, socket = await self.open()
            await socket.send("1:" + "x" * size)
            self.assertEqual((await self.closed(socket))[0], code)

    async def test_an_expired_session_is_reported_and_gone(self) -> None:
        peer, socket = await self.open()
        await self.server.http("/v1/push", {"count": 10})
        await self.hear(peer, socket, lambda: peer.taken == 8)
        await self.cut(socket)
        report: list[Any] = []
        while not report:
            await asyncio.sleep(0.05)
            report = [r for r in await self.server.http("/v1/undelivered") if r["sid"] == peer.sid]
        self.assertEqual({r["reason"] for r in report}, {"expired"})
        self.assertEqual([r["number"] for r in report], [*range(1, 9), None, None])
        self.assertEqual((await self.closed(await self.connect(peer)))[0], 4410)

    async def test_a_handler_that_takes_too_long_counts_as_settled(self) -> None:
        peer, socket = await self.open()
        await socket.send(peer.say({"n": 1, "wait": 60_000}))
        await self.hear(peer, socket, lambda: peer.acked == 1)
        self.assertEqual(peer.taken, 0)


class KnowsUsers(OnSockets):
    options = ("--token=a-token=alice", "--token=another=alice", "--token=b-token=bob", "--origin=https://friend.example")

    async def opened(self, peer: Peer, **headers: str) -> Optional[int]:
        """None when the peer was admitted, else the close code."""
        socket = await self.connect(peer, **headers)
        try:
            peer.hear(await asyncio.wait_for(socket.recv(), STUCK))
            return None
        except websockets.ConnectionClosed as end:
            return end.rcvd.code

    async def test_admits_by_token_or_cookie_and_closes_strangers_4401(self) -> None:
        self.assertIsNone(await self.opened(Peer("a-token")))
        self.assertIsNone(await self.opened(Peer(), cookie="token=b-token"))
        self.assertEqual(await self.opened(Peer("wrong")), 4401)
        self.assertEqual(await self.opened(Peer()), 4401)

    async def test_believes_a_cookie_only_from_its_own_pages_and_named_ones(self) -> None:
        for origin, code in (
            (f"http://{self.server.address}", None),
            ("https://friend.example", None),
            ("https://elsewhere.example", 4401),
            ("null", 4401),
        ):
            self.assertEqual(await self.opened(Peer(), cookie="token=a-token", origin=origin), code, origin)

    async def test_a_session_belongs_to_who_opened_it(self) -> None:
        peer = Peer("a-token")
        self.assertIsNone(await self.opened(peer))
        peer.auth = "b-token"
        self.assertEqual(await self.opened(peer), 4410)
        peer.auth = "another"
        self.assertIsNone(await self.opened(peer))

    async def test_frames_behind_the_first_wait_for_authentication(self) -> None:
        peer = Peer("a-token")
        self.assertIsNone(await self.opened(peer))
        frames = [peer.say({"n": n}) for n in range(1, 21)]
        socket = await self.connect(peer, *frames)  # once as `again`, once more: doubles
        await self.hear(peer, socket, lambda: peer.acked == 20)
        self.assertEqual(await self.server.handled(peer), list(range(1, 21)))


class Doors(unittest.IsolatedAsyncioTestCase):
    """Who gets in, without a socket."""

    async def closed_with(self, principal: Any) -> Optional[int]:
        async def authenticate(websocket: Any, token: Optional[str]) -> Any:
            if isinstance(principal, Exception):
                raise principal
            return principal

        async def handle(session: Any, message: Message) -> None:
            pass

        guru = GuruEndpoint(handle, authenticate=authenticate)
        connection = guru.sessions.connect("::1", 0, lambda: None)
        with self.assertLogs("guru.v1", "WARNING"):
            logging.getLogger("guru.v1").warning("there is at least this line")
            await guru._begin(SimpleNamespace(headers={}), connection, '{"t":"open"}')
        return connection.closed[0] if connection.closed else None

    async def test_only_a_str_that_is_not_empty_is_somebody(self) -> None:
        self.assertIsNone(await self.closed_with("alice"))
        for nobody in (None, "", False, True, 0, 1, float("nan"), b"alice", [], ["alice"], {}, {"name": "alice"}, object()):
            self.assertEqual(await self.closed_with(nobody), 4401, nobody)
        self.assertEqual(await self.closed_with(RuntimeError("the users are gone")), 1011)

    def test_a_name_that_somebody_points_here_is_not_ours(self) -> None:
        def ours(host: str, hosts: Any = None, listens: str = "127.0.0.1") -> bool:
            guru = GuruEndpoint(lambda session, message: None, hosts=hosts)  # type: ignore[arg-type]
            return guru._is_ours(SimpleNamespace(scope={"server": (listens, 80)}), host)  # type: ignore[arg-type]

        for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"):
            self.assertTrue(ours(host), host)
        for host in ("", "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost:x"):
            self.assertFalse(ours(host), host)
        self.assertTrue(ours("any.example", listens="10.0.0.1"))
        self.assertFalse(ours("any.example", hosts=["Mine.example"], listens="10.0.0.1"))
        self.assertTrue(ours("mine.EXAMPLE:443", hosts=["Mine.example"]))

    def test_json_is_bounded_before_it_is_parsed(self) -> None:
        deep = "[" * 64 + "]" * 64
        self.assertIsInstance(loads(deep), list)
        for text in (f"[{deep}]", '{"a":' * 65 + "1" + "}" * 65, "[" * 100_000, "NaN", "{", ""):
            with self.assertRaises(ValueError):
                loads(text)
        brackets = json.dumps(['"' + "[" * 100, "\\" * 99 + "[" * 100])
        self.assertEqual(loads(brackets), json.loads(brackets))
        with self.assertRaises(ProtocolError):
            parse('{"t":"ping","at":1,"more":' + "[" * 65 + "]" * 65 + "}")
        with self.assertRaises(ProtocolError):
            parse('{"t":"ping","at":1,"more":"' + "x" * 65_536 + '"}')


class Leaves(OnSockets):
    options = ("--drain=3",)

    async def test_sends_its_clients_away_evenly_serves_them_till_then_and_ends(self) -> None:
        peers = [await self.open() for _ in range(4)]
        self.server.process.send_signal(signal.SIGTERM)
        for peer, socket in peers:
            await self.hear(peer, socket, lambda: peer.controls[-1]["t"] == "goaway")
        self.assertEqual([peer.controls[-1]["after"] for peer, _ in peers], [0, 750, 1500, 2250])
        peer, socket = peers[-1]
        await socket.send(peer.say({"n": 1}))
        await self.hear(peer, socket, lambda: peer.acked == 1)
        with self.assertRaises(websockets.InvalidStatusCode):
            await self.connect(Peer())
        self.assertEqual((await self.closed(socket))[0], 1012)
        self.assertEqual(await asyncio.to_thread(self.server.process.wait, STUCK), 0)


if __name__ == "__main__":
    unittest.main()
