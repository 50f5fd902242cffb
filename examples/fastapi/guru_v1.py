"""The server's half of guru.v1: frames go in, frames come out. Here: who gets in, and what becomes of whom.

No clock, no socket and no event loop: `now` is an argument (ms, monotonic), a `Connection` is a pair of queues that
somebody else empties, and the app is told through the three callbacks of `Sessions`. `guru_asgi.py` is that somebody else
for Starlette and FastAPI. Sessions are kept in memory: they outlive every connection, not the process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter
from typing import Any, Callable, Optional

from guru_frames import Data, Message, ProtocolError, parse, size_of
from guru_session import Account, Connection, Limits, Outgoing, Session

HELLO_BYTES, HELLO_MS = 4096, 10_000


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
