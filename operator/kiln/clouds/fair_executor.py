"""Threads for what blocks, shared fairly between tenants.

A tenant is a namespace. Calls to a cloud that does not answer hold their threads for as long as they may wait, and a
template may take seconds of CPU, so no tenant gets more than its share of a pool, and what waits for a thread takes
turns: one tenant's thousand calls do not stand before another's first one.
"""

import contextvars
import functools
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="")
"""For whom work is done; whoever begins a pass sets it."""


class _Work(NamedTuple):
    tenant: str
    future: Future[Any]
    call: Callable[[], Any]


class FairThreadPoolExecutor(ThreadPoolExecutor):
    """At most ``threads`` pieces of work at one time, ``share`` of one tenant."""

    def __init__(self, threads: int, share: int, name: str) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self._guard = threading.Lock()
        self._free = threads
        self._share = share
        self._busy: Counter[str] = Counter()
        self._lines: OrderedDict[str, deque[_Work]] = OrderedDict()
        """What waits, by tenant; the tenant whose turn is next comes first."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See the base class."""
        work = _Work(tenant.get(), Future(), functools.partial(fn, *args, **kwargs))
        with self._guard:
            self._lines.setdefault(work.tenant, deque()).append(work)
        self._begin()
        return work.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as inherited
        """See the base class. What waits for its turn is cancelled in any case."""
        with self._guard:
            waiting = [work for line in self._lines.values() for work in line]
            self._lines.clear()
        for work in waiting:
            work.future.cancel()
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _begin(self) -> None:
        """Hand over to threads what may begin now."""
        while True:
            with self._guard:
                work = self._next()
                if work is None:
                    return
                self._free -= 1
                self._busy[work.tenant] += 1
            try:
                super().submit(self._run, work)
            except RuntimeError as error:  # the pool was shut down
                self._ended(work)
                work.future.set_exception(error)

    def _next(self) -> _Work | None:
        if not self._free:
            return None
        for name, line in self._lines.items():
            if self._busy[name] < self._share:
                work = line.popleft()
                self._lines.move_to_end(name)
                if not line:
                    del self._lines[name]
                return work
        return None

    def _run(self, work: _Work) -> None:
        try:
            if work.future.set_running_or_notify_cancel():
                try:
                    result = work.call()
                except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the one who waits
                    work.future.set_exception(error)
                else:
                    work.future.set_result(result)
        finally:
            self._ended(work)
            self._begin()

    def _ended(self, work: _Work) -> None:
        with self._guard:
            self._free += 1
            self._busy[work.tenant] -= 1
            if not self._busy[work.tenant]:
                del self._busy[work.tenant]
