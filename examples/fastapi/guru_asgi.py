"""Carries guru.v1 over the WebSockets of Starlette and FastAPI: sockets, timers and handlers; `guru_v1.py` decides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from typing import Any, Awaitable, Callable, Optional, Sequence
from urllib.parse import urlsplit

from starlette.websockets import WebSocket

from guru_frames import PROTOCOL, Data, Message
from guru_session import Connection, Limits, Outgoing, Session
from guru_v1 import Sessions

log = logging.getLogger("guru.v1")
MAX_OUT = 1024  # frames a socket may owe its client before we stop reading from it
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
PORT = re.compile(r":\d+\Z")
MAX_VOLATILE = 256  # handlers of volatile messages of one session that may run at once


def now_ms() -> int:
    return int(time.monotonic() * 1000)


class GuruEndpoint:
    """One WebSocket route.

    `handle(session, message)` is started for every message in order, without waiting for the one before; when it has
    returned or raised, the message counts as handled. `authenticate(websocket, token)` answers with the name of who it is, a
    `str` that is not empty; None, and whatever else it may give, is a stranger, who is closed 4401; without it everybody is
    welcome. `origins` are the pages, besides those of our own host, whose cookies are believed. `hosts` are the names that we
    answer to, without port; by default those of this machine where the socket is one of loopback, else any.
    `on_undelivered(session, reason, messages)` is told what the client may never have handled.
    """

    def __init__(
        self,
        handle: Callable[[Session, Message], Awaitable[None]],
        *,
        limits: Limits = Limits(),
        authenticate: Optional[Callable[[WebSocket, Optional[str]], Awaitable[Any]]] = None,
        origins: Sequence[str] = (),
        hosts: Optional[Sequence[str]] = None,
        handler_timeout: float = 60.0,
        on_undelivered: Callable[[Session, str, list[Outgoing]], None] = lambda session, reason, messages: None,
    ) -> None:
        self.handle, self.authenticate, self.origins, self.hosts = handle, authenticate, origins, hosts
        self._refused: dict[str, float] = {}
        self.handler_timeout = handler_timeout
        self.sessions = Sessions(limits, self._start, self._start_volatile, on_undelivered)
        self.connections: set[Connection] = set()
        self.draining = False
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself holds tasks weakly
        self._volatile: dict[str, int] = {}
        self._sweeper: Optional[asyncio.Task[None]] = None

    def send(self, session: Session, data: Data, stream: int = 0) -> asyncio.Future[bool]:
        """Sends reliably. The future holds True once the client's handler has settled, False if the session is lost."""
        delivered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        session.send(data, stream, lambda handled: delivered.done() or delivered.set_result(handled))
        return delivered

    async def serve(self, websocket: WebSocket) -> None:
        """Serves one WebSocket that offered guru.v1, until it is gone."""
        if self.draining:
            await websocket.close(1012)  # before accept: the upgrade is refused, and a balancer looks elsewhere
            return
        host = websocket.headers.get("host", "")
        if not self._is_ours(websocket, host):
            self._tell_refusal("hosts", f"this name is not served here: {host[:100]!r}")
            await websocket.close(1008)
            return
        await websocket.accept(subprotocol=PROTOCOL)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        work = asyncio.Event()
        room = asyncio.Event()
        address = websocket.client.host if websocket.client else ""
        connection = self.sessions.connect(address, now_ms(), work.set)
        self.connections.add(connection)
        writer = asyncio.create_task(self._write(websocket, connection, work, room))
        try:
            await self._read(websocket, connection, room)
        finally:
            self.sessions.disconnected(connection, 1006, now_ms())  # does nothing if `_read` has said so
            self.connections.discard(connection)
            connection.wake()
            await writer

    async def drain(self, span: float = 5.0, why: str = "restarting") -> None:
        """Sends every client away, evenly over `span` seconds, then closes what has stayed. Sessions are kept."""
        self.draining = True
        self.sessions.goaway(int(span * 1000), why)
        await self._gone(span + 0.5)
        for connection in list(self.connections):
            connection.close(1012, why)
        await self._gone(1.0)

    async def _gone(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self.connections and time.monotonic() < end:
            await asyncio.sleep(0.02)

    async def _read(self, websocket: WebSocket, connection: Connection, room: asyncio.Event) -> None:
        while True:
            while len(connection.out) > MAX_OUT and connection.closed is None:
                room.clear()
                await room.wait()
            event = await websocket.receive()
            if event["type"] == "websocket.disconnect":
                self.sessions.disconnected(connection, event.get("code") or 1006, now_ms())
                return
            frame = event.get("text")
            if frame is None:
                frame = event["bytes"]
            if connection.hello:
                self.sessions.receive(connection, frame, now_ms())
            else:
                # Awaited here, so the frames behind it wait in the socket.
                await self._begin(websocket, connection, frame)

    async def _begin(self, websocket: WebSocket, connection: Connection, frame: Data) -> None:
        hello = self.sessions.hello(connection, frame)
        if hello is None:
            return
        principal = None
        if self.authenticate:
            if self._cookies_of_strangers(websocket):
                self._tell_refusal("origins", f"a page of {websocket.headers['origin'][:100]!r} sent a cookie")
                connection.close(4401, "this page may not use the cookie")
                return
            try:
                principal = await self.authenticate(websocket, hello.get("auth"))
            except Exception:
                log.exception("authenticate failed")
                connection.close(1011, "authentication failed")
                return
            if not isinstance(principal, str) or not principal:
                what = "None" if principal is None else f"{type(principal).__name__}, not a str that is not empty"
                self._tell_refusal("authenticate", f"it gave {what}")
                connection.close(4401, "not authenticated")
                return
        self.sessions.begin(connection, hello, principal, now_ms())

    def _cookies_of_strangers(self, websocket: WebSocket) -> bool:
        origin = websocket.headers.get("origin")  # every browser sends it, and a page cannot forge it
        if origin is None or "cookie" not in websocket.headers:
            return False
        if origin in self.origins:
            return False
        try:
            page = urlsplit(origin)
        except ValueError:
            return True
        # A page that a network can forge is none of ours when we are asked over TLS.
        schemes = ("https",) if websocket.url.scheme == "wss" else ("http", "https")
        return page.scheme not in schemes or page.netloc != websocket.headers.get("host")

    def _is_ours(self, websocket: WebSocket, host: str) -> bool:
        hosts = self.hosts
        if hosts is None:
            listens = str((websocket.scope.get("server") or ("", 0))[0])
            if listens != "::1" and not listens.startswith("127."):
                return True
            hosts = LOOPBACK
        # A name that somebody points at 127.0.0.1 makes his page one of our own (DNS rebinding).
        return PORT.sub("", host).lower() in (name.lower() for name in hosts)

    def _tell_refusal(self, option: str, why: str) -> None:
        """One line for each option in ten seconds: a stranger who knocks all day must not fill the disk."""
        now = time.monotonic()
        if now >= self._refused.get(option, 0.0):
            self._refused[option] = now + 10.0
            log.warning("refused a connection: %s; see the option %r", why, option)

    async def _write(self, websocket: WebSocket, connection: Connection, work: asyncio.Event, room: asyncio.Event) -> None:
        try:
            while connection in self.connections:
                work.clear()
                due = self.sessions.tick(connection, now_ms())
                while (frame := connection.next()) is not None:
                    await (websocket.send_text(frame) if isinstance(frame, str) else websocket.send_bytes(frame))
                    room.set()
                if connection.closed:
                    await websocket.close(*connection.closed)
                    return
                timeout = None if due is None else max(0, due - now_ms()) / 1000
                try:
                    await asyncio.wait_for(work.wait(), timeout)
                except asyncio.TimeoutError:
                    pass
        except Exception as error:  # the socket went away under us: each server has an exception of its own for that
            log.debug("write: %r", error)
            connection.out.clear()
            room.set()
            with contextlib.suppress(Exception):
                await websocket.close(1011)  # if it is there all the same, it must not be left without a writer

    def _start(self, session: Session, message: Message) -> None:
        task = self._run(session, message)

        def too_late() -> None:
            log.error("handler of %s has not settled in %s s", message.id, self.handler_timeout)
            session.settle(message.number, now_ms())

        timer = asyncio.get_running_loop().call_later(self.handler_timeout, too_late)

        def done(_: asyncio.Task[None]) -> None:
            timer.cancel()
            session.settle(message.number, now_ms())

        task.add_done_callback(done)

    def _start_volatile(self, session: Session, message: Message) -> None:
        running = self._volatile.get(session.sid, 0)
        if running >= MAX_VOLATILE:
            return

        def done(_: asyncio.Task[None]) -> None:
            self._volatile[session.sid] -= 1
            if not self._volatile[session.sid]:
                del self._volatile[session.sid]

        self._volatile[session.sid] = running + 1
        self._run(session, message).add_done_callback(done)

    def _run(self, session: Session, message: Message) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self.handle(session, message))  # tasks begin in the order they are made
        self._tasks.add(task)

        def done(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception():
                log.error("handler of %s failed", message.id or "a volatile message", exc_info=task.exception())

        task.add_done_callback(done)
        return task

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.sessions.expire(now_ms())
