"""Bounds on what a cloud may answer, and the reading of JSON within them.

A tenant chooses the cloud, so an answer is input from a stranger. All functions here raise :class:`AnswerRefused` for
what exceeds a bound; its message names the bound and the setting.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds on one call and its answer. Sizes are bytes, times are seconds."""

    deadline: float = 60.0
    """Time of one call from the moment a thread works on it: connecting, authenticating, sending, and the whole body of
    the answer.
    """
    connect: float = 10.0
    """Time to reach one address."""
    wire: int = 32 << 20
    """An answer's body as it is received."""
    body: int = 32 << 20
    """The same after decompression."""
    values: int = 2_000_000
    """JSON values (items, members) in one answer: what a small text can hold of them decides its size in memory."""
    depth: int = 64
    """Levels of JSON."""
    header: int = 16 << 10
    """One header's value."""
    error: int = 64 << 10
    """An error's body: what follows is not read."""
    message: int = 500
    """Characters of a message for people."""
    items: int = 100_000
    """Items of one list, over all its pages."""
    pages: int = 1_000
    """Pages of one list."""
    list_body: int = 64 << 20
    """Bytes of one list, over all its pages."""
    list_deadline: float = 300.0
    """Time of one list, over all its pages and repetitions."""


DEFAULT: Final = Limits()


class AnswerRefused(Exception):  # noqa: N818
    """An answer exceeds a bound, or is not what its kind of answer must be. The message says which and how."""


_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_NO_BRACKET: Final = bytes(set(range(256)) - set(b"[]{},"))
_SURROGATE: Final = re.compile(rb"\\u[dD][89abAB]")


def decode_json(content: bytes, limits: Limits) -> Any:
    """The JSON value of a body.

    It is counted before it is built: 3 bytes of text can become 80 bytes of memory. Raises :class:`AnswerRefused`;
    ValueError where the body is not JSON. NaN, infinities and numbers that Python reads as such are not JSON. Halves
    of surrogate pairs, which no UTF-8 text can hold, become question marks.
    """
    text = content.decode("utf-8-sig")
    structure = _STRING.sub(b"", content).translate(None, _NO_BRACKET)
    if len(structure) > limits.values + limits.values // 2:
        raise AnswerRefused(f"has more than {limits.values} values (limit: values)")
    if _deeper_than(structure.replace(b",", b""), limits.depth):
        raise AnswerRefused(f"is nested more than {limits.depth} levels deep (limit: depth)")
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise AnswerRefused(f"is nested more than {limits.depth} levels deep (limit: depth)") from None
    if _SURROGATE.search(content):
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def _deeper_than(brackets: bytes, depth: int) -> bool:
    """Whether brackets are nested deeper: each round takes away the innermost level."""
    for _ in range(depth):
        fewer = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(fewer) == len(brackets):
            # Nothing, or not JSON: the parser refuses it, and it may still be deep.
            return len(fewer) > depth
        brackets = fewer
    return bool(brackets)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def printable(text: str) -> str:
    """One line of text that is safe in a log and at a terminal: runs of control characters become one blank."""
    return _CONTROL.sub(" ", text)
