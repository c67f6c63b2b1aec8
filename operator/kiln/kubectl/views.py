"""What commands know of a Stack: its objects as they were read, and a few questions to them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import Condition
from kiln.kubectl.output import Cell, Style

Json = Mapping[str, Any]

SETTLED: Final = "Ready"
FAILED: Final = "Failed"


@dataclass(frozen=True, slots=True)
class ResourceView:
    """A StackResource. ``needs`` are logical names; ``since`` is when its state last changed."""

    name: str
    type: str
    state: str
    physical_id: str = ""
    message: str = ""
    fault: str = ""
    request_id: str = ""
    needs: frozenset[str] = frozenset()
    serial: int = 0
    attempts: int = 0
    created: str = ""
    since: str = ""
    deleting: bool = False

    @property
    def ready(self) -> bool:
        """Whether nothing is to be done about it."""
        return self.state == SETTLED and not self.fault and not self.deleting


def resource_view(obj: Json) -> ResourceView:
    """Parse a StackResource. Missing fields are empty."""
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    status: Json = obj.get("status") or {}
    deleting = "deletionTimestamp" in metadata
    state = str(status.get("state") or "Creating")
    return ResourceView(
        name=str(spec.get("logicalName", metadata["name"])),
        type=str(spec.get("type", "")),
        state="Deleting" if deleting and state == SETTLED else state,
        physical_id=str(status.get("physicalID") or ""),
        message=str(status.get("message") or ""),
        fault=str(status.get("fault") or ""),
        request_id=str(status.get("requestID") or ""),
        needs=frozenset((status if "requires" in status else spec).get("requires") or ()),
        serial=int(spec.get("serial") or 0),
        attempts=int(status.get("attempts") or 0),
        created=str(metadata.get("creationTimestamp", "")),
        since=str(status.get("lastTransitionTime") or metadata.get("creationTimestamp", "")),
        deleting=deleting,
    )


@dataclass(frozen=True, slots=True)
class Graph:
    """The resources that a revision asks for: types, and names of the resources that each needs. In order."""

    types: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class StackView:
    """A Stack with its StackResources.

    ``graph`` is None if the template cannot be read or translated with the reader's rights; then only resources that
    were begun are known.
    """

    stack: Json
    objects: Sequence[Json] = ()
    graph: Graph | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.stack["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.stack["metadata"]["namespace"])

    @property
    def generation(self) -> int:
        """The generation of its spec."""
        return int(self.stack["metadata"].get("generation", 0))

    @cached_property
    def status(self) -> StackStatus:
        """Its status, parsed."""
        return StackStatus.parse(self.stack)

    @property
    def raw_status(self) -> Json:
        """Its status as it is stored."""
        status: Json = self.stack.get("status") or {}
        return status

    @property
    def deleting(self) -> bool:
        """Whether it is being deleted."""
        return "deletionTimestamp" in self.stack["metadata"]

    @property
    def observed(self) -> bool:
        """Whether the status is about the present spec."""
        return self.status.observed_generation == self.generation

    @cached_property
    def resources(self) -> list[ResourceView]:
        """Its resources; of a resource that is being replaced the old one first."""
        return sorted(map(resource_view, self.objects), key=lambda one: (one.name, one.serial))

    @cached_property
    def newest(self) -> dict[str, ResourceView]:
        """The newest resource of each logical name."""
        return {one.name: one for one in self.resources}

    @cached_property
    def pending(self) -> dict[str, frozenset[str]]:
        """The resources that are not begun, with those that they wait for."""
        if self.graph is None or self.deleting:
            return {}
        there = self.newest
        ready = {name for name, one in there.items() if one.ready}
        return {name: needs - ready for name, needs in self.graph.needs.items() if name not in there}

    def needs_of(self, name: str) -> frozenset[str]:
        """The resources that a resource needs, by the graph or else by its record."""
        if self.graph is not None and name in self.graph.needs:
            return self.graph.needs[name]
        found = self.newest.get(name)
        return found.needs if found else frozenset()

    def type_of(self, name: str) -> str:
        """A resource's type, empty if it is unknown."""
        found = self.newest.get(name)
        return found.type if found else (self.graph.types.get(name, "") if self.graph else "")


_STYLES: Final = {
    "Ready": Style.GOOD,
    "Failed": Style.BAD,
    "Pending": Style.DIM,
    "True": Style.GOOD,
    "False": Style.BAD,
}
_STYLES_OF_RESULTS: Final = {"Succeeded": Style.GOOD, "Failed": Style.BAD, "TimedOut": Style.BAD, "Running": Style.BUSY}


def state_cell(one: ResourceView) -> Cell:
    """A resource's state."""
    return Cell(one.state, Style.BAD if one.fault else _STYLES.get(one.state, Style.BUSY))


def ready_cell(status: StackStatus) -> Cell:
    """Whether a Stack is ready: True, False, or Unknown before anything looked at it."""
    if Condition.READY not in status.conditions:
        return Cell("Unknown", Style.BUSY)
    value = str(status.conditions[Condition.READY].get("status"))
    busy = value == "False" and status.is_true(Condition.RECONCILING)
    return Cell(value, Style.BUSY if busy else _STYLES.get(value, Style.PLAIN))


def result_cell(result: str) -> Cell:
    """The result of an operation."""
    return Cell(result, _STYLES_OF_RESULTS.get(result, Style.PLAIN))
