"""The states of a Stack's resources during a reconciliation, and the ready resources."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconcilers.model import Desired, Fault, Recorded
from reconcilers.resource_type import ResourceType


class ResourceError(Exception):
    """One resource cannot reach its desired state.

    ``path`` is the dotted path in the template, ``name`` the logical name (which may hold dots itself).
    """

    def __init__(self, name: str, rtype: str, reason: str, fault: Fault, *, at: str = "", request_id: str = "") -> None:
        self.path = f"resources.{name}" + (f".{at}" if at else "")
        super().__init__(f"{self.path}: {reason}")
        self.name = name
        self.rtype = rtype
        self.reason = reason
        self.fault = fault
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class ResourceProgress:
    """The state of one resource, for the status and Events. ``state`` is ``status.state`` of a StackResource."""

    type: str
    state: str
    message: str = ""
    fault: Fault | None = None
    request_id: str = ""
    physical_id: str = ""
    """The resource's id in the cloud, as far as it is known."""

    @classmethod
    def ready(cls, recorded: Recorded) -> "ResourceProgress":
        """The resource is as desired."""
        return cls(recorded.type, "Ready", physical_id=recorded.physical_id or "")


class ProgressTracker:
    """The states of all resources. Calls ``changed`` at each change."""

    def __init__(self, changed: Callable[[str, ResourceProgress], None] = lambda _name, _progress: None) -> None:
        self.resources: dict[str, ResourceProgress] = {}
        self.nested: dict[str, str] = {}
        """Groups and nested templates by name, with their types."""
        self.drifted: dict[str, str] = {}
        """Drift that is not repaired, or not yet, by resource."""
        self.repaired: dict[str, str] = {}
        self.imported: dict[str, str] = {}
        """Resources that were taken over, each with what differs from the template."""
        self._changed = changed

    def move(self, name: str, progress: ResourceProgress) -> None:
        """Note the state of a resource."""
        if self.resources.get(name) != progress:
            self.resources[name] = progress
            self._changed(name, progress)

    def leave(self, name: str) -> None:
        """Note that the resource does not exist any more."""
        self.resources.pop(name, None)
        self._changed(name, ResourceProgress("", "Deleted"))


@dataclass(frozen=True, slots=True)
class ReadyResource:
    """A ready resource, for resources that refer to it. ``read`` are attributes that cost a call each."""

    rtype: ResourceType
    desired: Desired | None
    recorded: Recorded
    observed: Any
    read: Mapping[str, Any] = field(default_factory=dict)
    _cache: list[dict[str, Any]] = field(default_factory=list)

    def attributes(self) -> dict[str, Any]:
        """All attributes. They are computed at the first call."""
        if not self._cache:
            self._cache.append({**self.rtype.attributes(self.desired, self.recorded, self.observed), **self.read})
        return self._cache[0]

    def reference(self) -> Any:
        """The value of get_resource."""
        return self.rtype.reference(self.recorded, self.attributes())


class BackgroundWrites:
    """Writes in the background of a reconciliation.

    It is an asynchronous context: its exit waits for all writes, and raises the first error.
    """

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()
        self.error: BaseException | None = None
        """The first error. No more work may start then."""

    def begin(self, write: Coroutine[Any, Any, None]) -> None:
        """Start a write."""
        task = asyncio.ensure_future(write)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self.error = self.error or (None if task.cancelled() else task.exception())

    async def __aenter__(self) -> None:
        """Do nothing."""

    async def __aexit__(self, *_: object) -> None:
        """Wait for all writes."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        if self.error is not None:
            raise self.error
