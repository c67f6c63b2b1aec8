"""What the evaluation of a template may cost: one budget for a translation, one for a reconciliation.

Each single value is bounded (``MAX_RESULT``), but thousands of them are not: a template of a hundred kilobytes could
ask for gigabytes of text, or for minutes of matching. Whoever evaluates takes from the budget that holds where it runs:
characters of what is made, seconds of CPU, calls of functions. What exceeds it is refused with ``BudgetExceeded``, and
its caller adds the path.

A budget holds within ``limited``, by a context variable: a thread that works for the same reconciliation enters the
same ``Budget`` (``with limited(budget):``) or runs in a copy of the context.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from hot_translator.errors import ResolutionError
from hot_translator.sizes import ITEM, size_of

MAX_RESULT: Final = 4_000_000
"""Size of one value (see ``sizes``): of a function's arguments or result, of a resource's properties, of an output."""
MAX_SIZE: Final = 64_000_000
"""Size of all values that one translation makes."""
MAX_CPU: Final = 10.0
"""Seconds of CPU that the functions of one translation may use."""
MAX_CALLS: Final = 1_000_000
"""Calls of functions in one translation."""
MAX_COMPARISONS: Final = 50_000
"""Names that may be compared to find the one that was meant."""
_UNREAD: Final = 0.002
"""Seconds of functions after which the CPU time of the thread is read: that takes longer than most functions do."""
_STEPS: Final = 32
"""Steps of a loop between two readings."""


class BudgetExceeded(ValueError):  # noqa: N818 - what happened, as the message says it
    """More was asked for than the budget holds. The message names the limit."""


@dataclass(slots=True)
class Budget:
    """Limits, and what of them is spent.

    ``size`` is in characters (see ``sizes``), ``cpu`` in seconds, ``calls`` counts functions, ``comparisons``
    names that were compared for a hint. Threads that share one may lose a few units: it is a limit, not an invoice.
    """

    size: int = MAX_SIZE
    cpu: float = MAX_CPU
    calls: int = MAX_CALLS
    comparisons: int = MAX_COMPARISONS
    size_spent: int = field(default=0, init=False)
    cpu_spent: float = field(default=0.0, init=False)
    calls_made: int = field(default=0, init=False)

    def spend(self, size: int) -> None:
        """Take the size of a value that was made. Raises ``BudgetExceeded``."""
        self.afford(size)
        self.size_spent += size

    def afford(self, size: int) -> None:
        """Refuse a size that one value must not have, or that is not left. Raises ``BudgetExceeded``."""
        if size > MAX_RESULT:
            msg = f"the value is larger than {MAX_RESULT} characters, the limit of one value"
            raise BudgetExceeded(msg)
        if self.size_spent + size > self.size:
            msg = f"the functions of the template make more than {self.size} characters in all"
            raise BudgetExceeded(msg)

    def spend_cpu(self, seconds: float) -> None:
        """Take CPU time that was used. Raises ``BudgetExceeded`` when it was more than is left."""
        self.cpu_spent += seconds
        if self.cpu_spent > self.cpu:
            raise BudgetExceeded(self._out_of_cpu())

    def spend_time(self, seconds: float) -> None:
        """Take the CPU time of a function that took so many seconds of the clock. Raises ``BudgetExceeded``.

        Short ones are taken together: never more than the clock says, nor than the thread worked since the last time.
        """
        _thread.unread += seconds
        if _thread.unread >= _UNREAD:
            self.spend_cpu(_thread.begin())

    def spend_call(self) -> None:
        """Count a call, and refuse it when nothing is left for it. Raises ``BudgetExceeded``."""
        self.calls_made += 1
        if self.calls_made > self.calls:
            msg = f"the template calls functions more than {self.calls} times"
            raise BudgetExceeded(msg)
        if self.cpu_spent >= self.cpu:
            raise BudgetExceeded(self._out_of_cpu())

    def cpu_limit(self, most: float = math.inf) -> float:
        """Seconds of CPU that one call may use: what is left, at most so many. Raises ``BudgetExceeded`` for none."""
        if not self.cpu_left:
            raise BudgetExceeded(self._out_of_cpu())
        return min(most, self.cpu_left)

    @property
    def cpu_left(self) -> float:
        """Seconds of CPU that are left."""
        return max(self.cpu - self.cpu_spent, 0.0)

    def _out_of_cpu(self) -> str:
        return f"the functions of the template take more than {self.cpu:g} s of CPU time in all"


class _Thread(threading.local):
    """How much this thread worked when that was last read, and how long functions took since by the clock."""

    read = 0.0
    unread = 0.0

    def begin(self) -> float:
        """Begin anew. Returns the seconds of CPU that the functions took at the most since the last time."""
        now = time.thread_time()
        worked = min(self.unread, now - self.read)
        self.read, self.unread = now, 0.0
        return worked


_thread = _Thread()


class Meter:
    """Watches one function at work, so that it ends before it has made too much or has worked for too long.

    What it counts is not spent yet: the result is, as a whole, when it is there.
    """

    __slots__ = ("_budget", "_deadline", "_made", "_steps")

    def __init__(self) -> None:
        self._budget = remaining()
        self._deadline: float | None = None
        self._made = 0
        self._steps = 0

    def made(self, size: int) -> None:
        """Count a part of the result. Raises ``BudgetExceeded``."""
        self._made += size
        self._budget.afford(self._made)

    def step(self) -> None:
        """One more step of a loop that may be long. Raises ``BudgetExceeded`` when the CPU time is used up."""
        self._steps += 1
        if self._steps % _STEPS:
            return
        now = time.thread_time()
        if self._deadline is None:
            self._deadline = now + self._budget.cpu_left
        elif now > self._deadline:
            self._budget.spend_cpu(self._budget.cpu_left + 1e-9)


_current: contextvars.ContextVar[Budget | None] = contextvars.ContextVar("budget", default=None)

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="")
"""For whom work is done (a namespace): tenants get equal shares of what all use. Whoever begins the work sets it."""


@contextlib.contextmanager
def limited(budget: Budget | None = None) -> Iterator[Budget]:
    """Within it a budget holds, and is given: this one; without one, that which holds already, or a new one."""
    outer = _current.get()
    _settle(outer)
    budget = budget or outer or Budget()
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _settle(budget)
        _current.reset(token)


def _settle(budget: Budget | None) -> None:
    """Take what the functions of this thread took and was not taken yet."""
    worked = _thread.begin()
    if budget is not None:
        budget.cpu_spent += worked


class refusing:  # noqa: N801 - it is used like contextlib.suppress; a generator would take four times as long
    """Within it, what is too large or nested too deep is a ``ResolutionError`` of this path."""

    __slots__ = ("_path",)

    def __init__(self, path: object) -> None:
        """``path`` becomes text when it is needed."""
        self._path = path

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        """Raise what the error means."""
        if isinstance(error, BudgetExceeded):
            raise ResolutionError(str(self._path), str(error)) from None
        if isinstance(error, RecursionError):
            raise ResolutionError(str(self._path), "the value is nested too deep") from None


def remaining() -> Budget:
    """The budget that holds; where none does, a new one each time."""
    return _current.get() or Budget()


def measure(value: Any) -> int:
    """Spend the size of a value, before anything copies, compares or serialises it. Returns the size.

    Takes time linear in the distinct parts of the value, however often they appear. Raises ``BudgetExceeded``, for what
    is nested too deep as well.
    """
    if type(value) is str:  # most results of functions are
        size = ITEM + len(value)
    else:
        try:
            size = size_of(value)
        except ValueError as error:
            raise BudgetExceeded(str(error)) from None
    remaining().spend(size)
    return size
