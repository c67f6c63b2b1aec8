"""A thread pool that tenants share fairly. A tenant is a namespace.

A call to a cloud that does not answer blocks its thread until the timeout, and a template may take seconds of CPU. So
each tenant can use only a part of the threads, and tenants take turns in the queue: a thousand calls of one tenant do
not delay the first call of another.
"""

import functools
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from hot_translator.budget import tenant


class _Work(NamedTuple):
    tenant: str
    future: Future[Any]
    call: Callable[[], Any]


class FairThreadPoolExecutor(ThreadPoolExecutor):
    """Runs at most ``threads`` calls at the same time, at most ``share`` of one tenant."""

    def __init__(self, threads: int, share: int, name: str) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self._guard = threading.Lock()
        self._free = threads
        self._share = share
        self._busy: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[_Work]] = OrderedDict()
        """Waiting calls by tenant. The tenant whose turn is next comes first."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue a call of the current tenant."""
        work = _Work(tenant.get(), Future(), functools.partial(fn, *args, **kwargs))
        with self._guard:
            self._queues.setdefault(work.tenant, deque()).append(work)
        self._begin()
        return work.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as inherited
        """Waiting calls are cancelled in any case."""
        with self._guard:
            waiting = [work for queue in self._queues.values() for work in queue]
            self._queues.clear()
        for work in waiting:
            work.future.cancel()
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _begin(self) -> None:
        """Pass calls to threads as far as the limits allow."""
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
        for name, queue in self._queues.items():
            if self._busy[name] < self._share:
                work = queue.popleft()
                self._queues.move_to_end(name)
                if not queue:
                    del self._queues[name]
                return work
        return None

    def _run(self, work: _Work) -> None:
        try:
            if work.future.set_running_or_notify_cancel():
                try:
                    result = work.call()
                except BaseException as error:  # noqa: BLE001 - the waiting caller gets it, whatever it is
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
