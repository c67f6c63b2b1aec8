"""The context of one reconciliation: its policy, store, transports, and what it has learned so far."""

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from hot_translator import UNKNOWN
from reconcilers import secret_values
from reconcilers.cloud.calls import Caller
from reconcilers.cloud.dispatch import Dispatch
from reconcilers.cloud.lookup import Lookup
from reconcilers.cloud.observer import Snapshot
from reconcilers.cloud.session import Answer
from reconcilers.cloud.transports import Observing, Transports, named
from reconcilers.cloud.unconfirmed_creates import UnconfirmedCreates
from reconcilers.digests import Digester
from reconcilers.engine.control import Control, EndReason, ReconciliationEnded
from reconcilers.engine.policy import READ_ONLY, Policy
from reconcilers.engine.progress import BackgroundWrites, ProgressTracker, ReadyResource
from reconcilers.errors import CloudError
from reconcilers.model import POSSIBLE_DUPLICATE, Fault, Intent, Recorded, Request
from reconcilers.resource_type import ResourceType

T = TypeVar("T")


class ResourceStore(Protocol):
    """The stored records of a Stack's resources (in Kiln: its StackResources).

    Each method raises ReconciliationEnded if somebody else changed the record, or this process may no longer write.
    """

    async def create(self, intent: Intent) -> Recorded:
        """Store the intent before the first request. If the token is already stored, that record is returned."""

    async def save(self, recorded: Recorded) -> Recorded:
        """Store a changed record. The returned record has the new version."""

    async def replace(self, recorded: Recorded, intent: Intent) -> Recorded:
        """Store a new record for the resource of one whose object is being deleted.

        The old record stays if no new one can be created.
        """

    async def delete(self, recorded: Recorded) -> None:
        """Remove the record. Its resource is gone, or is kept without a record."""


def _ignore(_values: Iterable[str]) -> None:
    """Nobody reports anything."""


def _ignore_note(_reason: str, _message: str) -> None:
    """Nobody reports anything."""


async def inline(work: Callable[[], T]) -> T:
    """Evaluate at once, on the caller's thread: for tests and tools."""
    return work()


class Evaluate(Protocol):
    """Runs template functions without blocking the event loop."""

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
    """The context of one reconciliation. ``started`` is loop time; older answers of the cloud are too old."""

    policy: Policy
    control: Control
    transports: Transports
    lookup: Lookup
    store: ResourceStore
    progress: ProgressTracker
    started: float = 0.0
    unconfirmed: UnconfirmedCreates = field(default_factory=UnconfirmedCreates)
    evaluate: Evaluate = inline
    add_secrets: Callable[[Iterable[str]], None] = _ignore
    """Called with the secret texts of a resource before they are used."""
    note: Callable[[str, str], None] = _ignore_note
    """Called with the reason and message of what people have to know: of a copy that was kept."""
    spent: dict[str, set[int]] = field(default_factory=dict)
    """Serial numbers of a logical name that resources have which were renamed since."""
    ready: dict[str, ReadyResource] = field(default_factory=dict)
    snapshots: dict[tuple[Any, ...], Snapshot] = field(default_factory=dict)
    unreadable: dict[tuple[Any, ...], CloudError] = field(default_factory=dict)
    """Kinds whose first bulk list failed. Only resources of these kinds have to wait."""
    written: dict[str, Recorded] = field(default_factory=dict)
    """Records that this reconciliation wrote, by key."""
    deleted: set[str] = field(default_factory=set)
    """Keys of records that this reconciliation removed."""
    background: BackgroundWrites = field(default_factory=BackgroundWrites)
    local: dict[tuple[str, str], str] = field(default_factory=dict)
    """Values inside the Stack by kind of look-up and id, such as the text of a software configuration."""
    waking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a suspended resource is resumed for another one that needs it."""
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
        if self.policy.adoption.read_only and request.method not in {"GET", "HEAD"}:
            raise CloudError(Fault.INVALID, READ_ONLY)
        return await named(self.transports, request.transport).channel.send(request, self.caller)

    async def list(self, request: Request, plural: str) -> list[dict[str, Any]]:
        """All items of a collection. Raises the same errors."""
        return await named(self.transports, request.transport).channel.list(request, plural, self.caller)

    def observer_of(self, rtype: ResourceType) -> Observing:
        """What reads resources of a type. Raises CloudError if they cannot be reached from here."""
        return named(self.transports, rtype.transport).observer

    def check(self) -> None:
        """Raise ReconciliationEnded or TimedOut if no more work may start."""
        if self.background.error is not None:
            raise ReconciliationEnded(EndReason.WRITE_FAILED)
        self.control.check()

    def seen(self, rtype: ResourceType, physical_id: str) -> Any:
        """The resource in the first bulk list; None if it is not in the list."""
        snapshot = self.snapshots.get(rtype.list_key)
        return snapshot.find(rtype, physical_id) if snapshot else None

    def settle(self, name: str, ready: ReadyResource) -> None:
        """Note a resource that is ready."""
        self.ready[name] = ready
        for kind, attribute in ready.rtype.provides.items():
            if ready.recorded.physical_id:
                self.local[kind, ready.recorded.physical_id] = str(ready.attributes().get(attribute) or "")

    def add_secrets_of(self, ready: ReadyResource) -> None:
        """Keep the secrets among a resource's attributes out of messages."""
        if ready.rtype.schema.sensitive_attributes or ready.rtype.secret_attributes:
            self.add_secrets(list(secret_values.of_attributes(ready.rtype, ready.attributes())))

    @property
    def has_possible_duplicates(self) -> bool:
        """Whether a resource may have a duplicate, so that another reconciliation has to look a little later."""
        return any(POSSIBLE_DUPLICATE in one.recorded.data for one in self.ready.values())

    # The Scope of hot_translator: definitions evaluate with these.

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
