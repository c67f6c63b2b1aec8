"""Says whether a reconciliation may continue, and takes and releases its slot of the work queue."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class EndReason(StrEnum):
    """Why a reconciliation ended without a result. Nothing is wrong with the Stack."""

    SUPERSEDED = "Superseded"
    """There is a newer spec, or the process stops."""
    LEASE_LOST = "LeaseLost"
    """This replica no longer leads."""
    OBJECT_CHANGED = "ObjectChanged"
    """Somebody else changed an object that was about to be written. It has to be read again."""
    WRITE_FAILED = "WriteFailed"
    """A background write failed. Its own error is raised at the end."""


class ReconciliationEnded(Exception):  # noqa: N818 - not an error
    """Ends the reconciliation. What happens next follows from ``reason`` alone."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class TimedOut(Exception):  # noqa: N818
    """The operation took longer than the Stack's timeout."""


class Slot(Protocol):
    """One of the places for reconciliations that work at the same time."""

    async def acquire(self) -> None:
        """Wait for a place. Returns at once if the reconciliation is superseded, because it only has to end."""

    def release(self) -> None:
        """Release the place."""


class Unlimited:
    """A slot that is always free, for tools and tests without a work queue."""

    async def acquire(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


class Control:
    """Controls one reconciliation: whether it may continue, and its slot.

    ``superseded`` is set when there is newer intent. ``fence`` says whether this process may still act. ``deadline`` is
    loop time in seconds. A task that only waits for the cloud is *parked*. When all tasks are parked, the slot is
    released; it is taken again before the first task continues.
    """

    def __init__(
        self,
        superseded: asyncio.Event | None = None,
        fence: Callable[[], bool] = lambda: True,
        slot: Slot | None = None,
        deadline: float = float("inf"),
    ) -> None:
        self.superseded = superseded or asyncio.Event()
        self.fence = fence
        self.deadline = deadline
        self._slot: Slot = slot or Unlimited()
        self._working = 0
        self._parked = 0
        self._held = True
        self._taking: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raise :class:`ReconciliationEnded` or :class:`TimedOut` if no more work may start."""
        if self.superseded.is_set():
            raise ReconciliationEnded(EndReason.SUPERSEDED)
        if not self.fence():
            raise ReconciliationEnded(EndReason.LEASE_LOST)
        if asyncio.get_running_loop().time() >= self.deadline:
            raise TimedOut

    async def pause(self, seconds: float) -> None:
        """Sleep without a slot, at most until the reconciliation has to end."""
        self.check()
        left = min(seconds, self.deadline - asyncio.get_running_loop().time())
        async with self.parked():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.superseded.wait(), max(left, 0.0))
        self.check()

    async def wait_for(self, read: Coroutine[Any, Any, T]) -> T:
        """Await a read without a slot. If the reconciliation ends first, the read is abandoned.

        Raises ReconciliationEnded, TimedOut, and what the read raises.
        """
        async with self.parked():
            task = asyncio.ensure_future(read)
            end = asyncio.ensure_future(self.superseded.wait())
            left = self.deadline - asyncio.get_running_loop().time()
            timeout = None if left == float("inf") else max(left, 0.0)
            try:
                await asyncio.wait({task, end}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            finally:
                end.cancel()
                if not task.done():
                    task.add_done_callback(lambda done: done.cancelled() or done.exception())
        if not task.done():
            self.check()
            raise TimedOut
        return task.result()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Count the caller as a task that may send requests."""
        self._working += 1
        try:
            await self._take_slot()
            yield
        finally:
            self._working -= 1
            self._give_back()

    @asynccontextmanager
    async def parked(self) -> AsyncIterator[None]:
        """Count the caller as a task that only waits. Outside of :meth:`working` the reconciliation keeps its slot."""
        if not self._working:
            yield
            return
        self._working -= 1
        self._parked += 1
        self._give_back()
        try:
            yield
        finally:
            self._parked -= 1
            self._working += 1
            await self._take_slot()

    def _give_back(self) -> None:
        if self._held and self._parked and not self._working and self._taking is None:
            self._held = False
            self._slot.release()

    async def _take_slot(self) -> None:
        if self._held or self.superseded.is_set():
            return
        if self._taking is None:
            self._taking = asyncio.ensure_future(self._slot.acquire())
            self._taking.add_done_callback(self._taken)
        await asyncio.shield(self._taking)

    def _taken(self, _task: asyncio.Task[None]) -> None:
        self._taking = None
        self._held = True
