"""A FastAPI app whose WebSocket survives its connections: it counts, so that what is lost or doubled can be seen.

`python3 main.py --port 8000`, or `uvicorn main:app --ws-per-message-deflate false`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections import Counter, deque
from dataclasses import replace
from typing import Any, Optional, Sequence

import uvicorn
from fastapi import FastAPI, WebSocket
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from guru_asgi import GuruEndpoint
from guru_frames import PROTOCOL, Message, loads
from guru_session import Limits, Outgoing, Session

KEPT = 100_000  # entries of the history


class Push(BaseModel):
    count: int = Field(1, ge=0, le=10_000)


def create_app(
    limits: Limits = Limits(),
    tokens: Optional[dict[str, str]] = None,
    origins: Sequence[str] = (),
    handler_timeout: float = 60.0,
) -> FastAPI:
    """`tokens` maps each accepted token to its user; without it there are no users."""
    seen: deque[dict[str, Any]] = deque(maxlen=KEPT)
    undelivered: deque[dict[str, Any]] = deque(maxlen=KEPT)
    pushed: Counter[str] = Counter()

    async def handle(session: Session, message: Message) -> None:
        body = loads(message.data)
        if message.number is None:
            session.send_volatile(message.data, message.stream or 0)  # an echo, as long as somebody is there
            return
        seen.append({"id": message.id, "n": body["n"]})
        await asyncio.sleep(body.get("wait", 0) / 1000)
        guru.send(session, json.dumps({"re": body["n"]}))
        if body.get("fail"):
            raise RuntimeError("as asked")

    async def user(websocket: WebSocket, token: Optional[str]) -> Optional[str]:
        return tokens.get(token or websocket.cookies.get("token", ""))

    def report(session: Session, reason: str, messages: list[Outgoing]) -> None:
        for out in messages:
            undelivered.append({"sid": session.sid, "reason": reason, "number": out.number, "data": str(out.data)})

    guru = GuruEndpoint(
        handle,
        limits=limits,
        authenticate=user if tokens is not None else None,
        origins=origins,
        handler_timeout=handler_timeout,
        on_undelivered=report,
    )
    app = FastAPI()
    app.state.guru = guru

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        if PROTOCOL in websocket.scope["subprotocols"]:
            await guru.serve(websocket)
        elif tokens is not None:
            await websocket.close(1008)  # a plain connection has no place for a token
        else:
            await websocket.accept()
            async for text in websocket.iter_text():
                try:
                    body = loads(text)
                except ValueError:
                    continue  # no reason to end the line
                if isinstance(body, dict) and "n" in body:  # and not a client's ping
                    seen.append({"id": None, "n": body["n"]})
                    await websocket.send_json({"re": body["n"]})

    @app.get("/v1/health")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "draining" if guru.draining else "ok"}, 503 if guru.draining else 200)

    @app.get("/v1/history")
    async def history() -> list[dict[str, Any]]:
        return list(seen)

    @app.get("/v1/undelivered")
    async def lost() -> list[dict[str, Any]]:
        return list(undelivered)

    @app.get("/v1/sessions")
    async def sessions() -> dict[str, int]:
        every = guru.sessions.sessions.values()
        return {
            "sessions": len(every),
            "attached": sum(s.connection is not None for s in every),
            "sockets": len(guru.connections),
            "unacknowledged": sum(len(s.window) for s in every),
            "waiting": sum(len(s.waiting) for s in every),
        }

    @app.post("/v1/push")
    async def push(order: Push) -> dict[str, int]:
        every = list(guru.sessions.sessions.values())
        for session in every:
            for _ in range(order.count):
                pushed[session.sid] += 1
                guru.send(session, json.dumps({"push": pushed[session.sid]}))
        return {"sessions": len(every)}

    return app


app = create_app()


class DrainingServer(uvicorn.Server):
    """Says goodbye before it goes: uvicorn cuts WebSockets before it tells the app that it is shutting down."""

    def __init__(self, config: uvicorn.Config, guru: GuruEndpoint, span: float) -> None:
        super().__init__(config)
        self.guru, self.span = guru, span

    def handle_exit(self, sig: int, frame: Any) -> None:
        if self.guru.draining:
            super().handle_exit(sig, frame)  # asked twice: now
            return
        self.guru.draining = True
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(lambda: setattr(self, "_leaving", loop.create_task(self._leave())))

    async def _leave(self) -> None:
        await self.guru.drain(self.span)
        self.should_exit = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one and prints it")
    parser.add_argument("--drain", type=float, default=5.0, help="seconds over which clients are sent away at the end")
    parser.add_argument("--handler-timeout", type=float, default=60.0, help="seconds")
    parser.add_argument("--token", action="append", metavar="TOKEN=USER", help="admit only these")
    parser.add_argument("--origin", action="append", default=[], help="a page that may use our cookie")
    for name, default in vars(Limits()).items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    args = parser.parse_args()
    limits = replace(Limits(), **{name: getattr(args, name) for name in vars(Limits())})
    tokens = dict(pair.split("=", 1) for pair in args.token) if args.token else None
    own = create_app(limits, tokens, args.origin, args.handler_timeout)
    config = uvicorn.Config(
        own,
        ws="websockets",
        # A compressor that had seen the key and then what an attacker chose would give the key away.
        ws_per_message_deflate=False,
        # Above max_frame, so that it is we who refuse, with 4413.
        ws_max_size=2 * limits.max_frame + 4096,
        log_level="warning",
    )
    listener = socket.socket(socket.AF_INET6 if ":" in args.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((args.host, args.port))
    listener.listen(2048)  # before anybody reads the line below and connects
    print(f"listening on {args.host}:{listener.getsockname()[1]}", flush=True)
    DrainingServer(config, own.state.guru, args.drain).run(sockets=[listener])


if __name__ == "__main__":
    main()
