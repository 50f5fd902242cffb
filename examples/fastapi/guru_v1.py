"""The server's half of guru.v1: frames go in, frames come out.

No clock, no socket and no event loop in here: `now` is an argument (ms, monotonic), a `Connection` is a pair of queues that
somebody else empties, and the app is told through the three callbacks of `Sessions`. `guru_asgi.py` is that somebody else
for Starlette and FastAPI. Sessions are kept in memory: they outlive every connection, not the process.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
import secrets
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Union

PROTOCOL = "guru.v1"
LAST_NUMBER = 4294967295
HELLO_BYTES, HELLO_MS = 4096, 10_000
ACK_MESSAGES, ACK_BYTES, ACK_MS = 32, 65536, 150  # 200 ms are allowed; the rest is for a busy event loop
LIVE_BYTES = 262_144  # volatile frames that a slow socket may hold up; beyond, the oldest go
OVERHEAD = 64  # counted for each waiting message, so that a bound on bytes bounds empty messages too

NUMBERED = re.compile(r"([1-9][0-9]{0,9})?:", re.ASCII)
Data = Union[str, bytes]


class ProtocolError(Exception):
    """What the client sent is not guru.v1; its connection is closed 4400."""


class SessionLost(Exception):
    """The session is over, so nothing can be sent in it any more."""


@dataclass(frozen=True)
class Limits:
    """Told to every client in `opened` (the first five) or kept to by the server alone. Bytes, and ms."""

    max_messages: int = 256
    max_bytes: int = 1_048_576
    max_frame: int = 262_144  # payload of one message, at most max_bytes
    ping: int = 20_000
    ttl: int = 300_000  # how long a session waits for its client to come back; a client may ask for less
    queue_bytes: int = 4_194_304  # what may wait behind one session's window
    account_bytes: int = 67_108_864  # what may wait for one principal (or address) altogether
    account_sessions: int = 256
    address_pending: int = 64  # connections of one address that have not opened or resumed yet


@dataclass(frozen=True)
class Message:
    """A message from the client. Volatile ones have no `number` and no `id`; text has no `stream`."""

    data: Data
    number: Optional[int] = None
    stream: Optional[int] = None
    id: Optional[str] = None


@dataclass(eq=False)
class Outgoing:
    """A message to the client. `number` is None while it waits behind the window; `receipt(handled)` is called once."""

    data: Data
    stream: int
    size: int
    receipt: Optional[Callable[[bool], None]] = None
    number: Optional[int] = None
    void: bool = False

    def frame(self) -> Data:
        if self.void:
            return f"{self.number}:"
        if isinstance(self.data, str):
            return f"{self.number}:{self.data}"
        return b"\x01" + bytes([self.stream]) + self.number.to_bytes(4, "big") + self.data

    def settle(self, handled: bool) -> None:
        receipt, self.receipt = self.receipt, None
        if receipt:
            receipt(handled)


def size_of(data: Data) -> int:
    return len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode("utf-8", "surrogatepass"))


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 2**53 - 1  # `type`, because True is an int


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _finite(value: Any) -> bool:
    return _count(value) or (type(value) in (int, float) and math.isfinite(value))


def _stream(value: Any) -> bool:
    return _count(value) and value <= 255


CONTROLS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "open": {"ttl?": _count, "auth?": _text},
    "resume": {"sid": _text, "key": _text, "epoch": _count, "rx": _count, "auth?": _text},
    "ack": {"rx": _count},
    "ping": {"at": _finite},
    "pong": {"at": _finite},
    "flush": {"stream": _stream},
    "flushed": {"stream": _stream},
    "close": {},
}


def parse(frame: Data) -> Union[dict[str, Any], Message]:
    """A control as its object, anything else as a Message without id. Raises ProtocolError."""
    if isinstance(frame, bytes):
        if len(frame) >= 2 and frame[0] == 0:
            return Message(frame[2:], None, frame[1])
        number = int.from_bytes(frame[2:6], "big")
        if len(frame) >= 6 and frame[0] == 1 and number > 0:
            return Message(frame[6:], number, frame[1])
        raise ProtocolError("no such binary frame")
    if not frame.startswith("{"):
        head = NUMBERED.match(frame)
        if head is None or int(head[1] or 0) > LAST_NUMBER:
            raise ProtocolError("no such text frame")
        return Message(frame[head.end() :], int(head[1]) if head[1] else None)
    try:
        control = json.loads(frame, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # RecursionError: brackets nested some thousand times
        raise ProtocolError("a control that is not JSON") from None
    if not isinstance(control.get("t"), str):
        raise ProtocolError("a control without t")
    for name, valid in CONTROLS.get(control["t"], {}).items():
        key = name.rstrip("?")
        if not (valid(control[key]) if key in control else name.endswith("?")):
            raise ProtocolError(f"{key} of {control['t']}")
    return control


class Connection:
    """One WebSocket. Its owner takes `next()` until None and then closes the socket if `closed` holds (code, reason).

    `wake` is called whenever there is something new to do.
    """

    def __init__(self, address: str, now: int, wake: Callable[[], None]) -> None:
        self.address, self.wake = address, wake
        self.since = self.heard = now
        self.hello = self.pinged = False
        self.pending = True  # counted for its address until it has a session
        self.session: Optional[Session] = None
        self.account: Optional[Account] = None
        self.closed: Optional[tuple[int, str]] = None
        self.out: deque[Data] = deque()
        self.live: deque[tuple[Optional[int], Data]] = deque()
        self.live_bytes = self.live_dropped = 0
        self.flushing: Counter[int] = Counter()

    def next(self) -> Optional[Data]:
        if self.out:
            return self.out.popleft()
        if self.live:
            _, frame = self.live.popleft()
            self.live_bytes -= size_of(frame)
            return frame
        return None

    def put(self, frame: Union[Data, dict[str, Any]]) -> None:
        if self.closed is None:
            self.out.append(json.dumps(frame, separators=(",", ":")) if isinstance(frame, dict) else frame)
            self.wake()

    def put_live(self, stream: Optional[int], frame: Data) -> None:
        self.live.append((stream, frame))
        self.live_bytes += size_of(frame)
        while self.live_bytes > LIVE_BYTES:
            self.live_bytes -= size_of(self.live.popleft()[1])
            self.live_dropped += 1
        self.wake()

    def drop_live(self, stream: int) -> None:
        self.live = deque(item for item in self.live if item[0] != stream)
        self.live_bytes = sum(size_of(frame) for _, frame in self.live)

    def close(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = (code, reason)
            self.out.clear()
            self.live.clear()
            self.wake()


@dataclass(eq=False)
class Account:
    """What one principal (or, without authentication, one address) holds. A dict keeps its sessions oldest first."""

    name: Any
    sessions: dict[str, Session] = field(default_factory=dict)
    queued: int = 0  # bytes waiting
    connections: int = 0  # those that have been replaced and are still closing too


class Session:
    """What outlives a connection: both counts, the window and what waits behind it."""

    def __init__(self, owner: Sessions, sid: str, key_hash: bytes, principal: Any, account: Account, ttl: int) -> None:
        self.owner, self.sid, self.key_hash, self.principal, self.account = owner, sid, key_hash, principal, account
        self.ttl, self.limits = ttl, owner.limits
        self.epoch = 0
        self.connection: Optional[Connection] = None
        self.expires: Optional[int] = None  # set while detached
        self.heard = False  # anything since `opened`
        self.lost: Optional[str] = None
        # As a receiver. `told` is the last rx that the client may know of.
        self.taken = self.rx = self.told = 0
        self.settled: set[int] = set()
        self.sizes: dict[int, int] = {}  # payload of each of (rx, taken]
        self.owed_bytes = self.moved_bytes = 0  # payload of (told, taken] and of (told, rx]
        self.ack_due: Optional[int] = None
        # As a sender.
        self.sent = self.acked = 0
        self.window: deque[Outgoing] = deque()
        self.window_bytes = self.waiting_bytes = 0
        self.waiting: deque[Outgoing] = deque()
        self.choked_at: Optional[int] = None

    def send(self, data: Data, stream: int = 0, receipt: Optional[Callable[[bool], None]] = None) -> None:
        """Sends a reliable message, now or when there is room and a connection.

        `receipt(True)` once the client's handler has settled, `receipt(False)` if the session is lost before that is known.
        Raises ValueError for what can never be sent, SessionLost when the session is over.
        """
        if self.lost:
            raise SessionLost(self.lost)
        size = size_of(data)
        if size > self.limits.max_frame:
            raise ValueError(f"{size} bytes are more than max_frame, {self.limits.max_frame}")
        if data == "":
            raise ValueError("an empty text says nothing in guru.v1: it is how a number is left out")
        self.waiting.append(Outgoing(data, stream, size, receipt))
        self._queued(size + OVERHEAD)
        self._fill()
        if self.waiting_bytes > self.limits.queue_bytes or self.account.queued > self.limits.account_bytes:
            self.owner.lose(self, "overflowed")

    def send_volatile(self, data: Data, stream: int = 0) -> bool:
        """Sends what is worthless later. False, and nothing is sent, when the client is away."""
        if self.connection is None or size_of(data) > self.limits.max_frame:
            return False
        text = isinstance(data, str)
        self.connection.put_live(None if text else stream, ":" + data if text else bytes([0, stream]) + data)
        return True

    def flush(self, stream: int) -> None:
        """Asks the client to drop what it still holds of a stream; until it has, what arrives of it is ignored."""
        if self.connection is not None:
            self.connection.flushing[stream] += 1
            self.connection.put({"t": "flush", "stream": stream})

    def settle(self, number: int, now: int) -> None:
        """The handler of message `number` is done, well or badly. A second call for the same number does nothing."""
        if number <= self.rx or self.lost:
            return
        self.settled.add(number)
        before = self.rx
        while self.rx + 1 in self.settled:
            self.rx += 1
            self.settled.remove(self.rx)
            self.moved_bytes += self.sizes.pop(self.rx)
        if self.rx == before or self.connection is None:
            return
        many = self.rx - self.told >= min(ACK_MESSAGES, max(1, self.limits.max_messages // 2))
        if many or self.moved_bytes >= min(ACK_BYTES, self.limits.max_bytes // 2):
            self.tell({"t": "ack"})
        elif self.ack_due is None:
            self.ack_due = now + ACK_MS
            self.connection.wake()

    def tell(self, control: dict[str, Any]) -> None:
        self.owed_bytes -= self.moved_bytes
        self.moved_bytes, self.told, self.ack_due = 0, self.rx, None
        self.connection.put({**control, "rx": self.rx})

    def take(self, message: Message, now: int) -> None:
        if message.number <= self.taken:
            return
        if message.number != self.taken + 1:
            raise ProtocolError(f"{message.number} after {self.taken}")
        size = size_of(message.data)
        if self.taken - self.told >= self.limits.max_messages or self.owed_bytes + size > self.limits.max_bytes:
            raise ProtocolError("more than the window holds")  # else a client decides how much we remember
        self.taken = message.number
        self.sizes[self.taken] = size
        self.owed_bytes += size
        if message.data == "":
            self.settle(self.taken, now)
        else:
            self.owner.on_message(self, Message(message.data, message.number, message.stream, f"{self.sid}/{self.taken}"))

    def acknowledge(self, rx: int) -> None:
        while self.window and self.window[0].number <= rx:
            done = self.window.popleft()
            self.window_bytes -= done.size
            self.acked = done.number
            done.settle(True)
        if self.acked == LAST_NUMBER:
            self.owner.lose(self, "numbers used up")
        elif not self.lost:
            self._fill()

    def void_largest(self) -> None:
        largest = max(self.window, key=lambda out: out.size, default=None)
        if largest and largest.size:
            doubtful = Outgoing(largest.data, largest.stream, largest.size, largest.receipt, largest.number)
            self.window_bytes -= largest.size
            largest.void, largest.data, largest.size, largest.receipt = True, "", 0, None
            self.owner.report(self, "too large", [doubtful])

    def _fill(self) -> None:
        while self.waiting and self.sent < LAST_NUMBER:
            out = self.waiting[0]
            if len(self.window) >= self.limits.max_messages or self.window_bytes + out.size > self.limits.max_bytes:
                return
            self.waiting.popleft()
            self._queued(-out.size - OVERHEAD)
            self.sent += 1
            out.number = self.sent
            self.window.append(out)
            self.window_bytes += out.size
            if self.connection is not None:
                self.connection.put(out.frame())

    def _queued(self, size: int) -> None:
        self.waiting_bytes += size
        self.account.queued += size


class Sessions:
    """All sessions of this process.

    `on_message(session, message)` must lead to `session.settle(message.number, now)`; `on_volatile(session, message)` need
    not. `on_undelivered(session, reason, messages)` is told what nobody can know to have been handled.
    """

    def __init__(
        self,
        limits: Limits,
        on_message: Callable[[Session, Message], None],
        on_volatile: Callable[[Session, Message], None] = lambda session, message: None,
        on_undelivered: Callable[[Session, str, list[Outgoing]], None] = lambda session, reason, messages: None,
    ) -> None:
        if not 0 < limits.max_frame <= limits.max_bytes or limits.max_messages < 1:
            raise ValueError("expected 0 < max_frame <= max_bytes and max_messages >= 1")
        self.limits = limits
        self.on_message, self.on_volatile, self.on_undelivered = on_message, on_volatile, on_undelivered
        self.sessions: dict[str, Session] = {}
        self.accounts: dict[Any, Account] = {}
        self.pending: Counter[str] = Counter()

    def connect(self, address: str, now: int, wake: Callable[[], None]) -> Connection:
        """A new connection; it may be closed already (4429)."""
        connection = Connection(address, now, wake)
        self.pending[address] += 1
        if self.pending[address] > self.limits.address_pending:
            connection.close(4429, "too many connections")
        return connection

    def hello(self, connection: Connection, frame: Data) -> Optional[dict[str, Any]]:
        """Reads the first frame. The caller authenticates with its `auth` and then calls `begin`; None: it was refused."""
        if connection.closed:
            return None
        connection.hello = True
        try:
            hello = parse(frame) if size_of(frame) <= HELLO_BYTES else None
            if not isinstance(hello, dict) or hello["t"] not in ("open", "resume"):
                raise ProtocolError("the first frame is open or resume")
            return hello
        except ProtocolError as error:
            connection.close(4400, str(error))
            return None

    def begin(self, connection: Connection, hello: dict[str, Any], principal: Any, now: int) -> None:
        """Opens or resumes for an authenticated principal; None as a principal is anybody, counted by address."""
        if connection.closed:
            return
        opening = hello["t"] == "open"
        if opening:
            hello = {**hello, "key": secrets.token_urlsafe(32), "rx": 0}
        session = (self._new if opening else self._find)(connection, hello, principal, now)
        if session is None:
            return
        connection.session, connection.account, connection.heard = session, session.account, now
        connection.account.connections += 1
        session.connection, session.expires = connection, None
        self._no_longer_pending(connection)
        names = {"sid": session.sid, "key": hello["key"]} if opening else {}
        limits = {
            "maxMessages": self.limits.max_messages,
            "maxBytes": self.limits.max_bytes,
            "maxFrame": self.limits.max_frame,
        }
        session.tell({"t": "opened", "ttl": session.ttl, "ping": self.limits.ping, **limits, **names})
        for out in session.window:
            if out.number > hello["rx"]:
                connection.put(out.frame())
        session.acknowledge(hello["rx"])

    def receive(self, connection: Connection, frame: Data, now: int) -> None:
        """A frame after the first one."""
        session = connection.session
        if connection.closed or session is None:
            return  # an older connection still delivers
        connection.heard, connection.pinged, session.heard = now, False, True
        try:
            parsed = parse(frame)
            if isinstance(parsed, Message):
                self._message(connection, session, parsed, now)
            else:
                self._control(connection, session, parsed)
        except ProtocolError as error:
            connection.close(4400, str(error))
            self._detach(connection, now)

    def disconnected(self, connection: Connection, code: int, now: int) -> None:
        """The socket is gone. `code` is what the other side closed it with."""
        self._no_longer_pending(connection)
        session = connection.session
        if session and session.connection is connection and connection.closed is None:
            # A 1009 may be the echo of our own library's. A client that keeps to the rules then voids its own message, so
            # only a second one without progress says that it is ours that is too large.
            if code == 4413 or (code == 1009 and session.choked_at == session.acked):
                session.void_largest()
            elif code == 1009:
                session.choked_at = session.acked
        connection.close(code, "")
        self._detach(connection, now)
        if connection.account:
            connection.account.connections -= 1
            self._forget(connection.account)
            connection.account = None

    def tick(self, connection: Connection, now: int) -> Optional[int]:
        """Does what is due on a connection; answers when to be called again at the latest (or None)."""
        session = connection.session
        if connection.closed or (session is None and connection.hello):
            return None
        if session is None:
            if now >= connection.since + HELLO_MS:
                connection.close(4408, "no first frame")
            return connection.since + HELLO_MS
        if session.ack_due is not None and now >= session.ack_due:
            session.tell({"t": "ack"})
        silent = now - connection.heard
        if silent >= 2 * self.limits.ping:
            connection.close(1001, "silent")
            self._detach(connection, now)
            return None
        if silent >= self.limits.ping and not connection.pinged:
            connection.pinged = True
            connection.put({"t": "ping", "at": now})
        alive = connection.heard + self.limits.ping * (2 if connection.pinged else 1)
        return alive if session.ack_due is None else min(alive, session.ack_due)

    def expire(self, now: int) -> None:
        """Ends the sessions whose client stayed away too long. Call it about once a second."""
        for session in [s for s in self.sessions.values() if s.expires is not None and now >= s.expires]:
            self.lose(session, "expired")

    def goaway(self, span: int, why: str) -> None:
        """Asks all clients to go, evenly over `span` ms."""
        attached = [s.connection for s in self.sessions.values() if s.connection]
        for i, connection in enumerate(attached):
            connection.put({"t": "goaway", "after": span * i // len(attached), "why": why})

    def lose(self, session: Session, reason: str, code: int = 4410) -> None:
        """Ends a session and reports what it still held."""
        if session.lost:
            return
        session.lost = reason
        del self.sessions[session.sid], session.account.sessions[session.sid]
        session.account.queued -= session.waiting_bytes
        self._forget(session.account)
        if session.connection:
            session.connection.close(code, reason)
        session.connection, left = None, [out for out in (*session.window, *session.waiting) if not out.void]
        session.window.clear()
        session.waiting.clear()
        self.report(session, reason, left)

    def report(self, session: Session, reason: str, messages: list[Outgoing]) -> None:
        if messages:
            self.on_undelivered(session, reason, messages)
        for out in messages:
            out.settle(False)

    def _message(self, connection: Connection, session: Session, message: Message, now: int) -> None:
        if size_of(message.data) > self.limits.max_frame:
            connection.close(4413, "larger than maxFrame")
            self._detach(connection, now)
        elif message.number is not None:
            session.take(message, now)
        elif message.stream is None or not connection.flushing[message.stream]:
            self.on_volatile(session, message)

    def _control(self, connection: Connection, session: Session, control: dict[str, Any]) -> None:
        kind = control["t"]
        if kind in ("open", "resume"):
            raise ProtocolError(f"a second {kind}")
        if kind == "ack":
            if control["rx"] > session.sent:
                raise ProtocolError("an ack of what was not sent")
            session.acknowledge(control["rx"])
        elif kind == "ping":
            connection.put({"t": "pong", "at": control["at"]})
        elif kind == "flush":
            connection.drop_live(control["stream"])
            connection.put({"t": "flushed", "stream": control["stream"]})
        elif kind == "flushed":
            connection.flushing[control["stream"]] = max(0, connection.flushing[control["stream"]] - 1)
        elif kind == "close":
            self.lose(session, "closed by the client", 1000)

    def _new(self, connection: Connection, hello: dict[str, Any], principal: Any, now: int) -> Optional[Session]:
        name = ("address", connection.address) if principal is None else ("principal", principal)
        account = self.accounts.get(name) or Account(name)
        if len(account.sessions) >= self.limits.account_sessions:
            unheard = (s for s in account.sessions.values() if s.connection is None and not s.heard)
            oldest = next(unheard, None)
            if oldest:
                self.lose(oldest, "made room")
        if len(account.sessions) >= self.limits.account_sessions or account.queued >= self.limits.account_bytes:
            connection.close(4429, "too many sessions")
            return None
        if self._too_many(connection, account):
            return None
        ttl = min(hello.get("ttl", self.limits.ttl), self.limits.ttl)
        session = Session(self, secrets.token_urlsafe(16), _hash(hello["key"]), principal, account, ttl)
        self.accounts[name] = account
        self.sessions[session.sid] = account.sessions[session.sid] = session
        return session

    def _find(self, connection: Connection, hello: dict[str, Any], principal: Any, now: int) -> Optional[Session]:
        session = self.sessions.get(hello["sid"])
        if session and session.expires is not None and now >= session.expires:
            self.lose(session, "expired")
            session = None
        known = hmac.compare_digest(session.key_hash if session else _NOBODY, _hash(hello["key"]))
        if not (session and known and session.principal == principal):
            connection.close(4410, "no such session")
            return None
        if hello["epoch"] <= session.epoch:
            connection.close(4409, "a newer epoch owns the session")
            return None
        if self._too_many(connection, session.account):
            return None
        session.epoch, session.heard = hello["epoch"], True
        if session.connection:
            session.connection.close(4409, "a newer epoch owns the session")
        session.connection = connection
        if not session.acked <= hello["rx"] <= session.sent:
            self.lose(session, "rx cannot be placed")
            return None
        return session

    def _too_many(self, connection: Connection, account: Account) -> bool:
        if account.connections >= 2 * self.limits.account_sessions:  # twice: nobody is refused for his own ghosts
            connection.close(4429, "too many connections")
            return True
        return False

    def _forget(self, account: Account) -> None:
        if not account.sessions and not account.connections:
            self.accounts.pop(account.name, None)

    def _detach(self, connection: Connection, now: int) -> None:
        session = connection.session
        if session and session.connection is connection:
            session.connection, session.ack_due, session.expires = None, None, now + session.ttl

    def _no_longer_pending(self, connection: Connection) -> None:
        if connection.pending:
            connection.pending = False
            self.pending[connection.address] -= 1
            if not self.pending[connection.address]:
                del self.pending[connection.address]


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()  # 256 random bits need no slow hash


_NOBODY = _hash(secrets.token_urlsafe(32))
