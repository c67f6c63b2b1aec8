"""What one pass over one Stack works with: its goal, its memory, its cloud, and what it has learned so far."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hot_translator import UNKNOWN
from reconcilers.cloud.dispatch import Dispatch
from reconcilers.cloud.lookup import Lookup
from reconcilers.cloud.observer import Observer, Snapshot
from reconcilers.cloud.session import Cloud
from reconcilers.cloud.unconfirmed_creates import UnconfirmedCreates
from reconcilers.digests import Digester
from reconcilers.model import POSSIBLE_DUPLICATE, Desired, Fault, Intent, Recorded
from reconcilers.resource_type import ResourceType


class ResourceStore(Protocol):
    """The memory of a Stack's resources (in Kiln: its StackResources)."""

    async def intend(self, intent: Intent) -> Recorded:
        """Store the intent; when this returns it survives everything.

        One of the same token is given back as it stands.
        """

    async def save(self, recorded: Recorded) -> Recorded:
        """Store what changed. The answer carries the new version."""

    async def hand_over(self, recorded: Recorded, intent: Intent) -> Recorded:
        """Put a new record in the place of one that somebody wants to delete; it means the same resource.

        The old one stays where no new one can be.
        """

    async def forget(self, recorded: Recorded) -> None:
        """The resource is gone (or let go): remove its record."""


class Superseded(Exception):  # noqa: N818 - not an error
    """The pass shall end.

    A newer spec is there, the process stops, or this replica leads no longer. Nothing is wrong.
    """


class TimedOut(Exception):  # noqa: N818
    """The operation took longer than the Stack allows."""


class ResourceError(Exception):
    """One resource cannot be brought to what is desired. ``path`` is the dotted path in the template."""

    def __init__(self, path: str, rtype: str, reason: str, fault: Fault, request_id: str = "") -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.rtype = rtype
        self.reason = reason
        self.fault = fault
        self.request_id = request_id

    @property
    def name(self) -> str:
        """The logical name of the resource."""
        return self.path.split(".")[1] if "." in self.path else self.path


@dataclass(frozen=True, slots=True)
class Goal:
    """What the pass shall reach. ``drift`` is Correct, Report or Ignore; ``deadline`` is loop time in seconds."""

    stack: str
    stack_uid: str
    key: bytes
    drift: str = "Correct"
    concurrency: int = 16
    deadline: float = float("inf")
    rekeyed: bool = False
    """The key of the digests was lost: what is recorded as ready counts as unchanged, and is digested anew."""
    deployed: frozenset[str] = frozenset()
    """Names that the last revision that was reached has."""
    known: frozenset[str] = frozenset()
    """Names that may have been there before.

    If such a one has no record, its resource is looked for before a new one is made.
    """


@dataclass(slots=True)
class ResourceProgress:
    """How one resource stands, for status and events."""

    type: str
    state: str
    message: str = ""
    fault: Fault | None = None
    request_id: str = ""


class BackgroundWrites:
    """Writes that others need not wait for: the work goes on beside them.

    An asynchronous context: at its end all writes have ended, and what the first one that failed raised is raised.
    """

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()
        self.error: BaseException | None = None
        """What the first one that failed raised: nothing more shall be begun."""

    def begin(self, write: Coroutine[Any, Any, None]) -> None:
        """Begin a write."""
        task = asyncio.ensure_future(write)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self.error = self.error or (None if task.cancelled() else task.exception())

    async def __aenter__(self) -> None:
        """See the class."""

    async def __aexit__(self, *_: object) -> None:
        """See the class."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        if self.error is not None:
            raise self.error


class ProgressTracker:
    """How all resources stand; tells ``changed`` at each move."""

    def __init__(self, changed: Callable[[str, ResourceProgress], None] = lambda _name, _standing: None) -> None:
        self.standing: dict[str, ResourceProgress] = {}
        self.drifted: dict[str, str] = {}
        """What was found otherwise than desired and is not repaired (yet), by resource."""
        self.repaired: dict[str, str] = {}
        self._changed = changed

    def move(self, name: str, standing: ResourceProgress) -> None:
        """Note where a resource stands now."""
        if self.standing.get(name) != standing:
            self.standing[name] = standing
            self._changed(name, standing)

    def leave(self, name: str) -> None:
        """The resource is no more."""
        self.standing.pop(name, None)
        self._changed(name, ResourceProgress("", "Deleted"))


@dataclass(frozen=True, slots=True)
class ReadyResource:
    """A resource at rest, for those that refer to it. ``read`` are attributes that cost a call of their own."""

    rtype: ResourceType
    desired: Desired | None
    recorded: Recorded
    observed: Any
    read: Mapping[str, Any] = field(default_factory=dict)
    _cache: list[dict[str, Any]] = field(default_factory=list)

    def attributes(self) -> dict[str, Any]:
        """All attributes; worked out at the first question."""
        if not self._cache:
            self._cache.append({**self.rtype.attributes(self.desired, self.recorded, self.observed), **self.read})
        return self._cache[0]

    def reference(self) -> Any:
        """What get_resource gives."""
        return self.rtype.reference(self.recorded, self.attributes())


@dataclass(slots=True)
class ReconcileContext:
    """The pass's surroundings. ``fence`` says whether this process may still act."""

    goal: Goal
    cloud: Cloud
    observer: Observer
    lookup: Lookup
    records: ResourceStore
    progress: ProgressTracker
    superseded: asyncio.Event
    fence: Callable[[], bool] = lambda: True
    started: float = 0.0
    settled: dict[str, ReadyResource] = field(default_factory=dict)
    snapshots: dict[tuple[Any, ...], Snapshot] = field(default_factory=dict)
    written: dict[str, Recorded] = field(default_factory=dict)
    """Records as this pass wrote them, by their keys."""
    forgotten: set[str] = field(default_factory=set)
    """Keys of the records that this pass removed."""
    attempts: UnconfirmedCreates = field(default_factory=UnconfirmedCreates)
    trailing: BackgroundWrites = field(default_factory=BackgroundWrites)
    texts: dict[str, str] = field(default_factory=dict)
    """Texts of the Stack's software configurations by their ids."""
    dispatch: Dispatch = field(init=False)
    digester: Digester = field(init=False)

    def __post_init__(self) -> None:
        self.dispatch = Dispatch(self.cloud.send, self.check, self.goal.concurrency)
        self.digester = Digester(self.goal.key)

    def check(self) -> None:
        """Raise :class:`Superseded` or :class:`TimedOut` if nothing more shall be begun."""
        if self.superseded.is_set() or self.trailing.error is not None or not self.fence():
            raise Superseded
        if asyncio.get_running_loop().time() > self.goal.deadline:
            raise TimedOut

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than the pass has reason to go on."""
        self.check()
        left = min(seconds, self.goal.deadline - asyncio.get_running_loop().time())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.superseded.wait(), max(left, 0.0))
        self.check()

    def seen(self, rtype: ResourceType, physical_id: str) -> Any:
        """What the pass's first look showed of a resource; None if that list did not show it."""
        snapshot = self.snapshots.get(rtype.list_key)
        return snapshot.find(rtype, physical_id) if snapshot else None

    @property
    def doubtful(self) -> bool:
        """Whether something may have been made twice: another pass, a little later, shall look."""
        return any(POSSIBLE_DUPLICATE in one.recorded.data for one in self.settled.values())

    # What the translation asks (hot_translator's Scope).

    def reference(self, name: str) -> Any:
        """What get_resource gives."""
        settled = self.settled.get(name)
        return settled.reference() if settled else UNKNOWN

    def attribute(self, name: str, attribute: str) -> Any:
        """An attribute before any path into it; None where the resource has none of that name."""
        settled = self.settled.get(name)
        return settled.attributes().get(attribute) if settled else UNKNOWN

    def attributes(self, name: str) -> Any:
        """All attributes."""
        settled = self.settled.get(name)
        return settled.attributes() if settled else UNKNOWN
