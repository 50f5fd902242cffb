"""One session of guru.v1 and one connection that carries it: numbers, windows, acknowledgements."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from guru_frames import LAST_NUMBER, Data, Message, ProtocolError, size_of

if TYPE_CHECKING:
    from guru_v1 import Sessions

ACK_MESSAGES, ACK_BYTES, ACK_MS = 32, 65536, 150  # 200 ms are allowed; the rest is for a busy event loop
LIVE_BYTES = 262_144  # volatile frames that a slow socket may hold up; beyond, the oldest go
OVERHEAD = 64  # counted for each waiting message, so that a bound on bytes bounds empty messages too


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
        while self.live_bytes > LIVE_BYTES and len(self.live) > 1:
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
