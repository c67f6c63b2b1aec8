"""The work queue: which Stack is reconciled, and when.

It has the semantics of client-go's queues, on one event loop. A key is *dirty* from an event until its next run starts,
and *active* while its handler runs. A key that is both runs again right after. So a key never runs twice at the same
time, a burst of events costs one run, and no event is lost. A key that is dirty and not active is *ready* and waits for
a slot. Namespaces take turns, and the slots of each are bounded, so a namespace with a thousand failing Stacks does not
delay another one.

A run gives its slot back while it only waits for the cloud (:class:`reconcilers.engine.control.Control` decides that),
and takes one again before it continues. So there can be many more runs than slots, and waiting Stacks delay nobody.

Handlers are coroutines, so there are no workers: each run is a task. The queue cancels no handler while the operator
runs. When new intent arrives for an active key, the queue sets the run's ``superseded`` event; the handler ends at its
next safe point, and the key runs again.
"""

import asyncio
import contextvars
import heapq
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hot_translator.budget import tenant
from kiln import metrics
from kiln.api.v1alpha1 import Key
from kiln.stack.requeue import SETTLED, PassEnd, Requeue
from reconcilers.backoff import Backoff

__all__ = ["Handler", "Key", "Run", "WorkQueue"]

Handler = Callable[[Key, "Run"], Awaitable[Requeue]]
"""Reconciles one Stack once. The queue logs exceptions and retries with backoff."""

log = logging.getLogger(__name__)

PASS: Final = "pass "
"""Prefix of the names of the tasks that run reconciliations; the Stack's name follows."""
UNEXPECTED: Final = Backoff(first=1.0, longest=300.0)
"""After unexpected exceptions."""


metrics.start_at_zero(metrics.PASSES, PassEnd)


class Run:
    """One run of a handler. ``superseded`` is set when new intent arrives for its key.

    A run holds a slot of the queue from its start. It can give the slot back and take one again.
    """

    def __init__(self, queue: "WorkQueue | None" = None, key: Key | None = None) -> None:
        self.superseded = asyncio.Event()
        self.held = True
        self._queue = queue
        self._key = key

    async def acquire(self) -> None:
        """Wait for a slot. Returns without one if the run is superseded, because it only has to end."""
        if self._queue is not None and self._key is not None and not self.held:
            await self._queue.resume(self, self._key.namespace)

    def release(self) -> None:
        """Give the slot back."""
        if self._queue is not None and self._key is not None and self.held:
            self._queue.park(self, self._key.namespace)


@dataclass(slots=True)
class _Active:
    started: float
    run: Run
    task: asyncio.Task[Requeue]


@dataclass(slots=True)
class _Namespace:
    """One namespace: its ready keys in order of arrival, runs that wait for a slot, numbers of slots and runs."""

    ready: OrderedDict[Key, None] = field(default_factory=OrderedDict)
    resuming: deque[tuple[Run, asyncio.Future[None]]] = field(default_factory=deque)
    slots: int = 0
    runs: int = 0


class WorkQueue:
    """All methods belong to the event loop's thread; times are the loop's, in seconds.

    ``max_active`` and ``max_active_per_namespace`` are numbers of slots.
    """

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
        self._runs: dict[Key, _Active] = {}
        self._slots = 0
        self._namespaces: dict[str, _Namespace] = {}
        self._turns: deque[str] = deque()
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running = False

    @property
    def depth(self) -> int:
        """Number of keys that wait for a slot. Keys that are due later do not count."""
        return sum(len(namespace.ready) for namespace in self._namespaces.values())

    @property
    def active(self) -> int:
        """Number of keys whose handler runs, with a slot or without one."""
        return len(self._runs)

    @property
    def waiting(self) -> int:
        """Number of runs that only wait for the cloud and hold no slot."""
        return len(self._runs) - self._slots

    def oldest(self) -> float:
        """Seconds since the start of the oldest unfinished run; 0 if there is none."""
        if not self._runs:
            return 0.0
        return asyncio.get_running_loop().time() - min(active.started for active in self._runs.values())

    def start(self) -> None:
        """Start to run handlers. Before that, the queue only collects keys."""
        self._running = True
        self._dispatch()
        self._wake()

    def add(self, key: Key) -> None:
        """Queue a key."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._runs:
            self._enqueue(key)

    def add_after(self, key: Key, delay: float) -> None:
        """Queue a key in ``delay`` seconds.

        The earliest of several times counts, and a run before it cancels all of them.
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
        """New intent: supersede the current run of this key, reset its backoff, and queue it."""
        self._failures.pop(key, None)
        active = self._runs.get(key)
        if active is not None:
            active.run.superseded.set()
        self.add(key)

    async def stop(self, grace: float = 25.0) -> bool:
        """Start no more runs, and supersede running ones, which have ``grace`` seconds to reach a safe point.

        Returns whether all ended in time; the others are cancelled.
        """
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        tasks = {active.task for active in self._runs.values()}
        for active in self._runs.values():
            active.run.superseded.set()
        if not tasks:
            return True
        _, late = await asyncio.wait(tasks, timeout=grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1.0)
        return not late

    # Slots.

    def park(self, run: Run, namespace: str) -> None:
        """Take the slot of a run back."""
        run.held = False
        self._slots -= 1
        self._namespaces[namespace].slots -= 1
        self._dispatch()

    async def resume(self, run: Run, namespace: str) -> None:
        """Wait until the run has a slot again, or is superseded."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._namespaces[namespace].resuming
        waiting.append((run, granted))
        self._dispatch()
        if granted.done():
            return
        end = asyncio.ensure_future(run.superseded.wait())
        first: set[asyncio.Future[Any]] = {granted, end}
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            end.cancel()
            if not granted.done():
                waiting.remove((run, granted))

    def _take(self, namespace: _Namespace) -> None:
        namespace.slots += 1
        self._slots += 1

    def _enqueue(self, key: Key) -> None:
        namespace = self._namespaces.get(key.namespace)
        if namespace is None:
            namespace = self._namespaces[key.namespace] = _Namespace()
            self._turns.append(key.namespace)
        namespace.ready[key] = None
        self._dispatch()

    def _dispatch(self) -> None:
        """Assign free slots: namespaces take turns, and within one, runs that resume come first."""
        skipped = 0
        while self._running and self._slots < self._max_active and skipped < len(self._turns):
            name = self._turns[0]
            self._turns.rotate(-1)
            namespace = self._namespaces[name]
            if namespace.slots >= self._max_active_per_namespace or not (namespace.resuming or namespace.ready):
                skipped += 1
                continue
            skipped = 0
            self._take(namespace)
            if namespace.resuming:
                run, granted = namespace.resuming.popleft()
                run.held = True
                granted.set_result(None)
            else:
                self._begin(namespace.ready.popitem(last=False)[0], namespace)
        metrics.QUEUE_DEPTH.set(self.depth)
        metrics.PASSES_ACTIVE.set(self._slots)
        metrics.PASSES_WAITING.set(self.waiting)

    def _begin(self, key: Key, namespace: _Namespace) -> None:
        self._dirty.discard(key)
        # This run replaces those that were due later. Its Requeue says when the next one is due.
        self._due.pop(key, None)
        namespace.runs += 1
        run = Run(self, key)
        context = contextvars.copy_context()
        context.run(tenant.set, key.namespace)
        task = context.run(asyncio.ensure_future, self._handler(key, run))
        task.set_name(f"{PASS}{key}")
        self._runs[key] = _Active(asyncio.get_running_loop().time(), run, task)
        task.add_done_callback(lambda done: self._finish(key, done))

    def _finish(self, key: Key, task: asyncio.Task[Requeue]) -> None:
        active = self._runs.pop(key)
        namespace = self._namespaces[key.namespace]
        namespace.runs -= 1
        if active.run.held:
            active.run.held = False
            namespace.slots -= 1
            self._slots -= 1
        metrics.PASS_SECONDS.observe(asyncio.get_running_loop().time() - active.started)
        metrics.PASSES.labels(str(self._conclude(key, active.run, task))).inc()
        if key in self._dirty:
            namespace.ready[key] = None
        elif not namespace.runs and not namespace.ready:
            del self._namespaces[key.namespace]
            self._turns.remove(key.namespace)
        self._dispatch()

    def _conclude(self, key: Key, run: Run, task: asyncio.Task[Requeue]) -> PassEnd:
        """Schedule the key's next run. Returns how this run ended."""
        if task.cancelled():
            return PassEnd.SUPERSEDED
        error = task.exception()
        requeue = Requeue(PassEnd.BROKEN, backoff=UNEXPECTED) if error is not None else task.result()
        if requeue.end in SETTLED:
            self._failures.pop(key, None)
        elif requeue.backoff is not None and not run.superseded.is_set():
            self._failures[key] = self._failures.get(key, 0) + 1
        delay = requeue.delay(self._failures.get(key, 1), self._jitter(0.5, 1.0))
        if error is not None:
            log.error(
                "Reconciliation of %s failed unexpectedly; retrying in %.0f s", key, delay or 0.0,
                exc_info=error, extra={"stack": str(key)},
            )  # fmt: skip
        if delay is not None:
            self.add_after(key, delay)
        return requeue.end

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
