"""How much one translation may make, match and compare.

Each single function is bounded, but thousands of calls of it are not: a template of a hundred kilobytes could ask for
gigabytes of text, or minutes of matching. What is used up is refused with the path of the call that asked for more.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_MADE: Final = 64_000_000
"""Characters of text and items of lists that all functions of one translation may make."""


@dataclass(slots=True)
class Allowance:
    """What is left: of things to make, of seconds for patterns, of names to compare for hints."""

    made: int = MAX_MADE
    matching: float = 5.0
    compared: int = 50_000


_current: contextvars.ContextVar[Allowance | None] = contextvars.ContextVar("allowance", default=None)


@contextlib.contextmanager
def limited(made: int = MAX_MADE) -> Iterator[None]:
    """Within it an allowance holds: the one that holds already, or a new one."""
    if _current.get() is not None:
        yield
        return
    token = _current.set(Allowance(made))
    try:
        yield
    finally:
        _current.reset(token)


def left() -> Allowance:
    """What is left; where nothing is limited, a new allowance each time."""
    return _current.get() or Allowance()


def spend(amount: int) -> None:
    """Make so much. Raises ValueError where that is too much."""
    allowance = _current.get()
    if allowance is not None:
        allowance.made -= amount
        if allowance.made < 0:
            msg = "the functions of the template make too much text in all"
            raise ValueError(msg)
