"""What one reconciliation of a Stack works with: its policy, its store, its cloud, and what it has learned so far."""

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from hot_translator import UNKNOWN
from reconcilers.cloud.calls import Caller
from reconcilers.cloud.dispatch import Dispatch
from reconcilers.cloud.lookup import Lookup
from reconcilers.cloud.observer import Observer, Snapshot
from reconcilers.cloud.session import Answer, Cloud
from reconcilers.cloud.unconfirmed_creates import UnconfirmedCreates
from reconcilers.digests import Digester
from reconcilers.engine.control import Control, EndReason, ReconciliationEnded
from reconcilers.engine.progress import BackgroundWrites, ProgressTracker, ReadyResource
from reconcilers.errors import CloudError
from reconcilers.model import POSSIBLE_DUPLICATE, DriftPolicy, Intent, Recorded, Request
from reconcilers.resource_type import ResourceType

T = TypeVar("T")


class ResourceStore(Protocol):
    """The stored records of a Stack's resources (in Kiln: its StackResources).

    Each method raises ReconciliationEnded where somebody else changed the record, or this process may not write.
    """

    async def create(self, intent: Intent) -> Recorded:
        """Store the intent before the first request leaves. An intent of the same token is returned as it is stored."""

    async def save(self, recorded: Recorded) -> Recorded:
        """Store what changed. The returned record has the new version."""

    async def replace(self, recorded: Recorded, intent: Intent) -> Recorded:
        """Store a new record in place of one whose object is being deleted; both stand for the same resource.

        The old one stays where no new one can be created.
        """

    async def delete(self, recorded: Recorded) -> None:
        """Remove the record: its resource is gone, or left to others."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a reconciliation has to observe. ``key`` is the key of the digests (32 bytes)."""

    stack: str
    stack_uid: str
    key: bytes
    drift: DriftPolicy = DriftPolicy.CORRECT
    concurrency: int = 16
    rekeyed: bool = False
    """The key of the digests was lost: records that are Ready count as unchanged, and are digested anew."""
    deployed: frozenset[str] = frozenset()
    """Names of the last revision that was reached."""
    known: frozenset[str] = frozenset()
    """Names that may have had a resource before: without a record, it is looked for before a new one is made."""


async def inline(work: Callable[[], T]) -> T:
    """Evaluate at once, on the caller's own thread: for tests and tools, where nobody else waits."""
    return work()


class Evaluate(Protocol):
    """Runs functions of a template where they do not hold up the event loop."""

    async def __call__(self, work: Callable[[], T]) -> T:
        """The result of ``work``. Raises what it raises."""


def in_executor(executor: Executor) -> Evaluate:
    """Evaluate on the threads of an executor, in a copy of the caller's context (budget, log fields)."""

    async def evaluate(work: Callable[[], T]) -> T:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(executor, lambda: context.run(work))

    return evaluate


@dataclass(slots=True)
class ReconcileContext:
    """The surroundings of one reconciliation. ``started`` is loop time: what the cloud showed before it is too old."""

    policy: Policy
    control: Control
    cloud: Cloud
    observer: Observer
    lookup: Lookup
    store: ResourceStore
    progress: ProgressTracker
    started: float = 0.0
    unconfirmed: UnconfirmedCreates = field(default_factory=UnconfirmedCreates)
    evaluate: Evaluate = inline
    ready: dict[str, ReadyResource] = field(default_factory=dict)
    snapshots: dict[tuple[Any, ...], Snapshot] = field(default_factory=dict)
    unreadable: dict[tuple[Any, ...], CloudError] = field(default_factory=dict)
    """Kinds whose first bulk list failed: only what needs them waits."""
    written: dict[str, Recorded] = field(default_factory=dict)
    """Records as this reconciliation wrote them, by their keys."""
    deleted: set[str] = field(default_factory=set)
    """Keys of the records that this reconciliation removed."""
    background: BackgroundWrites = field(default_factory=BackgroundWrites)
    local: dict[tuple[str, str], str] = field(default_factory=dict)
    """What stands for a value inside the Stack, by kind of look-up and value: a software configuration's text."""
    caller: Caller = field(init=False)
    """Who waits for OpenStack: until it is superseded, or out of time."""
    dispatch: Dispatch = field(init=False)
    digester: Digester = field(init=False)

    def __post_init__(self) -> None:
        self.caller = Caller(self.check, self.control.superseded, self.control.deadline)
        self.dispatch = Dispatch(self.lookup.watch(self.send), self.check, self.policy.concurrency)
        self.digester = Digester(self.policy.key)

    async def send(self, request: Request) -> Answer:
        """Send a request for this reconciliation, past the dispatch. Raises CloudError and what ``check`` raises."""
        return await self.cloud.send(request, self.caller)

    def check(self) -> None:
        """Raise ReconciliationEnded or TimedOut if nothing more shall be begun."""
        if self.background.error is not None:
            raise ReconciliationEnded(EndReason.WRITE_FAILED)
        self.control.check()

    def seen(self, rtype: ResourceType, physical_id: str) -> Any:
        """What the first bulk list showed of a resource; None if it did not show it."""
        snapshot = self.snapshots.get(rtype.list_key)
        return snapshot.find(rtype, physical_id) if snapshot else None

    def settle(self, name: str, ready: ReadyResource) -> None:
        """Note a resource that is as desired."""
        self.ready[name] = ready
        for kind, attribute in ready.rtype.provides.items():
            if ready.recorded.physical_id:
                self.local[kind, ready.recorded.physical_id] = str(ready.attributes().get(attribute) or "")

    @property
    def has_possible_duplicates(self) -> bool:
        """Whether something may have been made twice: another reconciliation, a little later, shall look."""
        return any(POSSIBLE_DUPLICATE in one.recorded.data for one in self.ready.values())

    # What definitions ask (hot_translator's Scope).

    def reference(self, name: str) -> Any:
        """The value of get_resource."""
        ready = self.ready.get(name)
        return ready.reference() if ready else UNKNOWN

    def attribute(self, name: str, attribute: str) -> Any:
        """An attribute before any path into it; None where the resource has none of that name."""
        ready = self.ready.get(name)
        return ready.attributes().get(attribute) if ready else UNKNOWN

    def attributes(self, name: str) -> Mapping[str, Any] | Any:
        """All attributes."""
        ready = self.ready.get(name)
        return ready.attributes() if ready else UNKNOWN
