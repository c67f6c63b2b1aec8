"""What goes between the processes: requests to the server, and plain data as JSON after a header.

JSON and not pickle: what comes from a worker that evaluated a stranger's expression is read as data and nothing else.
JSON knows only text as keys, so maps with other keys go as pairs.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any, Final

MAX_FRAME: Final = 32 << 20
"""Bytes of one message: a result of the largest size, whatever its characters are."""

REQUEST: Final = struct.Struct(">BI")
"""What the server is asked: to FORK, or to END the process of this id."""
ANSWER: Final = struct.Struct(">i")
"""The new process's id, or the exit status of the ended one as os.waitstatus_to_exitcode gives it."""
READY: Final = b"+"
FORK: Final = 1
END: Final = 2
MEMORY: Final = 128 << 20
"""Bytes that a worker may use beyond what it has when it begins."""

_HEADER: Final = struct.Struct(">Id")
_PAIRS: Final = "\0pairs"
_SCALARS: Final = (str, int, float, type(None))


class FrameError(Exception):
    """A message that is too long."""


def dump(value: Any) -> bytes:
    """Plain data as bytes. Raises TypeError for other data, ValueError for a number that is too long."""
    return json.dumps(_packed(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def load(data: bytes) -> Any:
    """The plain data of ``dump``."""
    return json.loads(data.decode("utf-8", "surrogatepass"), object_hook=_unpacked)


def send(peer: socket.socket, data: bytes, number: float = 0.0) -> None:
    """Send a message and a number beside it."""
    if len(data) > MAX_FRAME:
        raise FrameError
    peer.sendall(_HEADER.pack(len(data), number))
    peer.sendall(data)


def receive(peer: socket.socket, deadline: float | None = None) -> tuple[bytes, float]:
    """The next message and its number. ``deadline`` is a moment of time.monotonic().

    Raises EOFError when the other side is gone, TimeoutError at the deadline, ``FrameError``.
    """
    length, number = _HEADER.unpack(_exactly(peer, _HEADER.size, deadline))
    if length > MAX_FRAME:
        raise FrameError
    return _exactly(peer, length, deadline), number


def _exactly(peer: socket.socket, length: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < length:
        if deadline is not None:
            peer.settimeout(max(deadline - time.monotonic(), 0.001))
        part = peer.recv(min(length - len(data), 1 << 20))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _packed(value: Any) -> Any:
    if isinstance(value, dict):
        packed = {key: _packed(item) for key, item in value.items()}
        if all(isinstance(key, str) for key in packed) and _PAIRS not in packed:
            return packed
        return {_PAIRS: [[_packed(key), item] for key, item in packed.items()]}
    if isinstance(value, list | tuple):
        return [_packed(item) for item in value]
    if isinstance(value, _SCALARS):
        return value
    msg = f"a {type(value).__name__} is no plain data"
    raise TypeError(msg)


def _unpacked(value: dict[str, Any]) -> dict[Any, Any]:
    pairs = value.get(_PAIRS)
    return value if pairs is None else dict(pairs)
