"""Calls under way, and who waits for them.

A call blocks a thread. Only the end of its socket ends it early, so whoever opens a socket for it says so
(:meth:`Call.attach`), and whoever has had enough ends the call (:meth:`Call.end`).
"""

import asyncio
import contextvars
import math
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from reconcilers.errors import CloudError
from reconcilers.model import Fault

T = TypeVar("T")


class CallEnded(OSError):  # noqa: N818
    """The call's time is over, or nobody wants its answer any more."""


class Transport(Protocol):
    """A connection that a call waits at. ``sock`` is None while it is being made."""

    sock: Any


class Call:
    """One call: at most ``seconds`` long from its beginning, whatever it does. Safe to use from any thread."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.reason = ""
        """Why it was ended, empty where it was not."""
        self._lock = threading.Lock()
        self._until = math.inf
        self._transport: Transport | None = None

    def begin(self) -> None:
        """Time runs from here on."""
        self._until = time.monotonic() + self.seconds

    def left(self) -> float:
        """Seconds that are left; all of them before it has begun."""
        return min(self.seconds, self._until - time.monotonic())

    def check(self) -> float:
        """Seconds that are left, more than 0. Raises :class:`CallEnded`."""
        left = self.left()
        if not self.reason and left <= 0:
            self.end(_too_long(self.seconds))
        if self.reason:
            raise CallEnded(self.reason)
        return left

    def attach(self, transport: Transport) -> None:
        """The call waits at this connection now. Raises :class:`CallEnded`."""
        with self._lock:
            self._transport = transport
        self.check()

    def detach(self) -> None:
        """It waits nowhere."""
        with self._lock:
            self._transport = None

    def end(self, reason: str) -> None:
        """End it: whatever waits at its socket hears that the other side has closed it."""
        with self._lock:
            self.reason = self.reason or reason
            held = self._transport.sock if self._transport is not None else None
            if isinstance(held, socket.socket):
                try:
                    # Not the method of an SSLSocket: it takes the TLS state away from the thread that reads.
                    socket.socket.shutdown(held, socket.SHUT_RDWR)
                except OSError:
                    return

    def supervise(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """End the call when its time is over; what is returned stops that."""
        handle: asyncio.TimerHandle

        def look() -> None:
            nonlocal handle
            if (left := self.left()) <= 0:
                self.end(_too_long(self.seconds))
            else:
                handle = loop.call_later(left, look)

        def stop() -> None:
            handle.cancel()

        handle = loop.call_later(self.seconds, look)
        return stop


def _too_long(seconds: float) -> str:
    return f"no complete answer within {seconds:g} s (limit: deadline)"


current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("call", default=None)
"""The call that this thread works on."""


def _always() -> None:
    """Anything may be begun."""


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """Who wants a call, and for how long.

    ``check`` raises where nothing more shall leave for it. ``superseded`` is set when it wants nothing any more,
    ``deadline`` is when (loop time): from then on ``check`` raises.
    """

    check: Callable[[], None] = _always
    superseded: asyncio.Event | None = None
    deadline: float = math.inf

    async def patience(self, work: "asyncio.Future[T]") -> bool:
        """Wait until the work ends or the caller has had enough; whether the work has ended. It goes on otherwise."""
        waits: set[asyncio.Future[Any]] = {work}
        end = asyncio.ensure_future(self.superseded.wait()) if self.superseded is not None else None
        if end is not None:
            waits.add(end)
        rest = None if self.deadline == math.inf else max(self.deadline - asyncio.get_running_loop().time(), 0.0)
        try:
            await asyncio.wait(waits, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if end is not None:
                end.cancel()
        return work.done()

    async def wait(self, work: Awaitable[T]) -> T:
        """What the work gives; it may be shared, and goes on when this caller has had enough.

        Raises what the work raises, and what ``check`` raises.
        """
        future = asyncio.ensure_future(work)
        future.add_done_callback(_noticed)
        if await self.patience(future):
            return future.result()
        raise self.giving_up()

    async def sleep(self, seconds: float) -> None:
        """Let time pass. Raises what ``check`` raises, as soon as it does."""
        over = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(seconds, _ring, over)
        try:
            if not await self.patience(over):
                raise self.giving_up()
        finally:
            timer.cancel()

    def giving_up(self) -> CloudError:
        """The error of a caller that has had enough. Raises what ``check`` raises, which says why, where it does."""
        self.check()
        return CloudError(Fault.TRANSIENT, "nobody waits for the answer any more")


ANYBODY = Caller()
"""A caller that waits to the end."""


def _ring(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)


def _noticed(work: "asyncio.Future[Any]") -> None:
    """Somebody has taken notice of its error, so asyncio need not report it."""
    if not work.cancelled():
        work.exception()
