"""The frames of guru.v1, as far as a server reads them."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

PROTOCOL = "guru.v1"
LAST_NUMBER = 4294967295

MAX_DEPTH = 64  # arrays and objects within each other
CONTROL_BYTES = 65_536
STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
BRACKET = re.compile(r"[\[\]{}]")

NUMBERED = re.compile(r"([1-9][0-9]{0,9})?:", re.ASCII)
Data = Union[str, bytes]


class ProtocolError(Exception):
    """What the client sent is not guru.v1; its connection is closed 4400."""


@dataclass(frozen=True)
class Message:
    """A message from the client. Volatile ones have no `number` and no `id`; text has no `stream`."""

    data: Data
    number: Optional[int] = None
    stream: Optional[int] = None
    id: Optional[str] = None


def size_of(data: Data) -> int:
    return len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode("utf-8", "surrogatepass"))


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def loads(text: Data) -> Any:
    """Reads JSON from outside. Raises ValueError, also for what is nested too deeply, which is found out before it is parsed."""
    if isinstance(text, bytes):
        text = text.decode()
    depth = 0
    for bracket in BRACKET.finditer(STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
    return json.loads(text, parse_constant=_refuse_constant)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 2**53 - 1  # `type`, because True is an int


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _finite(value: Any) -> bool:
    return _count(value) or (type(value) in (int, float) and math.isfinite(value))


def _amount(value: Any) -> bool:
    return _finite(value) and value >= 0


def _stream(value: Any) -> bool:
    return _count(value) and value <= 255


CONTROLS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "open": {"ttl?": _amount, "auth?": _text},
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
        if len(frame) > CONTROL_BYTES:
            raise ValueError("too long")
        control = loads(frame)
    except ValueError:
        raise ProtocolError("a control that is not JSON") from None
    if not isinstance(control.get("t"), str):
        raise ProtocolError("a control without t")
    for name, valid in CONTROLS.get(control["t"], {}).items():
        key = name.rstrip("?")
        if not (valid(control[key]) if key in control else name.endswith("?")):
            raise ProtocolError(f"{key} of {control['t']}")
    return control
