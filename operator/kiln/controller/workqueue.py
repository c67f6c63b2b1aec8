"""The work queue: which Stack gets a pass, and when.

It has the semantics of client-go's queues, on one event loop. A key is *dirty* while something about it has not been
looked at, and *active* while its handler runs; it can be both, and then runs once more right after. So a key never runs
twice at one time, a burst of events costs one run, and no event is lost. A key that is dirty and not active is *ready*
and waits for its turn: namespaces take turns, and each may have only so many active keys, so that a namespace with a
thousand failing Stacks does not hold up another with one.

Handlers are coroutines that mostly wait, so there are no workers: a run is a task. A handler is never cancelled while
the operator runs. When new intent arrives for an active key, its ``superseded`` event is set; the handler ends at its
next safe point and the key runs again.
"""

import asyncio
import contextvars
import heapq
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kiln import metrics
from kiln.api.v1alpha1 import Key
from kiln.clouds.fair_executor import tenant
from kiln.process.debug import PASS

__all__ = ["Handler", "Key", "WorkQueue"]

Handler = Callable[[Key, asyncio.Event], Awaitable[float | None]]
"""One pass over one Stack.

Returns the seconds until the next one, or None for a Stack that needs none before something happens. What it raises is
logged and answered with backoff.
"""

log = logging.getLogger(__name__)

_FIRST_BACKOFF = 1.0
_LONGEST_BACKOFF = 300.0
_BOUND = 20
"""Doublings after which the backoff is certainly at its longest."""


@dataclass(slots=True)
class _Run:
    started: float
    superseded: asyncio.Event
    task: "asyncio.Task[float | None]"


@dataclass(slots=True)
class _Namespace:
    """The ready keys of one namespace in order of arrival, and how many of its keys are active."""

    ready: "OrderedDict[Key, None]" = field(default_factory=OrderedDict)
    active: int = 0


class WorkQueue:
    """See the module. All methods belong to the event loop's thread; times are the loop's."""

    def __init__(
        self,
        handler: Handler,
        *,
        max_active: int = 512,
        max_active_per_namespace: int = 64,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._handler = handler
        self._max_active = max_active
        self._max_active_per_namespace = max_active_per_namespace
        self._jitter = jitter
        self._dirty: set[Key] = set()
        self._runs: dict[Key, _Run] = {}
        self._namespaces: dict[str, _Namespace] = {}
        self._turns: deque[str] = deque()
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running = False

    @property
    def depth(self) -> int:
        """Keys that wait for their turn. Keys that are due later do not count."""
        return sum(len(namespace.ready) for namespace in self._namespaces.values())

    @property
    def active(self) -> int:
        """Keys whose handler runs."""
        return len(self._runs)

    def oldest(self) -> float:
        """Seconds since the start of the oldest run that has not ended; 0 where none is under way."""
        if not self._runs:
            return 0.0
        return asyncio.get_running_loop().time() - min(run.started for run in self._runs.values())

    def start(self) -> None:
        """Begin to run handlers. Until then keys only gather."""
        self._running = True
        self._dispatch()
        self._wake()

    def add(self, key: Key) -> None:
        """Something about this key needs a look."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._runs:
            self._enqueue(key)

    def add_after(self, key: Key, delay: float) -> None:
        """The same, ``delay`` seconds from now.

        The earliest of several counts, and any run in between answers them all.
        """
        if delay <= 0:
            self.add(key)
            return
        when = asyncio.get_running_loop().time() + delay
        if when < self._due.get(key, float("inf")):
            self._due[key] = when
            heapq.heappush(self._heap, (when, key))
            self._wake()

    def interrupt(self, key: Key) -> None:
        """New intent: what runs for this key is superseded, its backoff is forgotten, and it runs again."""
        self._failures.pop(key, None)
        run = self._runs.get(key)
        if run is not None:
            run.superseded.set()
        self.add(key)

    async def stop(self, grace: float = 25.0) -> bool:
        """End: nothing new starts, what runs is superseded and has ``grace`` seconds to come to a safe point.

        Returns whether all of it did; the rest is cancelled.
        """
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        tasks = {run.task for run in self._runs.values()}
        for run in self._runs.values():
            run.superseded.set()
        if not tasks:
            return True
        _, late = await asyncio.wait(tasks, timeout=grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1.0)
        return not late

    def _enqueue(self, key: Key) -> None:
        namespace = self._namespaces.get(key.namespace)
        if namespace is None:
            namespace = self._namespaces[key.namespace] = _Namespace()
            self._turns.append(key.namespace)
        namespace.ready[key] = None
        self._dispatch()

    def _dispatch(self) -> None:
        """Start ready keys, one namespace after the other, as far as the limits allow."""
        skipped = 0
        while self._running and len(self._runs) < self._max_active and skipped < len(self._turns):
            name = self._turns[0]
            self._turns.rotate(-1)
            namespace = self._namespaces[name]
            if namespace.ready and namespace.active < self._max_active_per_namespace:
                skipped = 0
                self._begin(namespace.ready.popitem(last=False)[0], namespace)
            else:
                skipped += 1
        metrics.QUEUE_DEPTH.set(self.depth)
        metrics.PASSES_ACTIVE.set(len(self._runs))

    def _begin(self, key: Key, namespace: _Namespace) -> None:
        self._dirty.discard(key)
        # This run answers for all that was to come later; what the handler returns says when the next one is due.
        self._due.pop(key, None)
        namespace.active += 1
        superseded = asyncio.Event()
        context = contextvars.copy_context()
        context.run(tenant.set, key.namespace)
        task = context.run(asyncio.ensure_future, self._handler(key, superseded))
        task.set_name(f"{PASS}{key}")
        self._runs[key] = _Run(asyncio.get_running_loop().time(), superseded, task)
        task.add_done_callback(lambda done: self._finish(key, done))

    def _finish(self, key: Key, task: "asyncio.Task[float | None]") -> None:
        run = self._runs.pop(key)
        namespace = self._namespaces[key.namespace]
        namespace.active -= 1
        metrics.PASS_SECONDS.observe(asyncio.get_running_loop().time() - run.started)
        metrics.PASSES.labels(self._conclude(key, run, task)).inc()
        if key in self._dirty:
            namespace.ready[key] = None
        elif not namespace.active and not namespace.ready:
            del self._namespaces[key.namespace]
            self._turns.remove(key.namespace)
        self._dispatch()

    def _conclude(self, key: Key, run: _Run, task: "asyncio.Task[float | None]") -> str:
        """When the key runs next; returns how this run ended, in a word for the metrics."""
        if task.cancelled():
            return "cancelled"
        error = task.exception()
        if error is not None:
            failures = self._failures.get(key, 0) + 1
            self._failures[key] = failures
            delay = self._backoff(failures)
            log.error(
                "The pass over %s ended in an error that nobody expected; the next one is in %.0f s", key, delay,
                exc_info=error, extra={"stack": str(key)},
            )  # fmt: skip
            self.add_after(key, delay)
            return "error"
        self._failures.pop(key, None)
        again = task.result()
        if again is not None:
            self.add_after(key, again)
        if run.superseded.is_set():
            return "superseded"
        return "done" if again is None else "again"

    def _backoff(self, failures: int) -> float:
        longest = min(_FIRST_BACKOFF * 2.0 ** min(failures - 1, _BOUND), _LONGEST_BACKOFF)
        return self._jitter(longest / 2, longest)

    def _wake(self) -> None:
        """Set the timer to the earliest due key."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap and self._running:
            self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._ring)

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._heap and self._heap[0][0] <= now:
            when, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
        self._timer = None
        self._wake()
