"""The policies of a reconciliation: what the spec of a Stack allows and forbids the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from reconcilers.engine.guard import UNGUARDED, Guard
from reconcilers.engine.hooks import NO_HOOKS, Hooks
from reconcilers.engine.restore import Restore
from reconcilers.model import DriftPolicy

READ_ONLY: Final = "spec.adopt.readOnly is set, so nothing is written to OpenStack"


class OnObstacle(StrEnum):
    """What a reconciliation does beside a resource that cannot be brought to what is desired."""

    HOLD = "Hold"
    """Nothing is removed, and the resource keeps all its properties: a corrected template may go on from there."""
    GO_ON = "GoOn"
    """What can be changed is changed, and what nothing needs is removed: a rollback, after which nothing follows."""


@dataclass(frozen=True, slots=True)
class Import:
    """A resource that exists and is to be taken over instead of creating one.

    ``physical_id`` is the id that the user or Heat's file gives, ``path`` the place where it is given, for messages.
    ``data`` is what Heat kept beside the id (``resource_data``). Some of it is secret, so the repr omits it.
    """

    physical_id: str
    path: str
    data: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Adoption:
    """Which resources to take over, and under which rules (``spec.adopt`` of a Stack). ``imports`` are by logical name.

    ``read_only``: nothing is written to OpenStack at all. ``holds``: what differs between the template and a resource
    that was taken over is only reported. ``takes_from_others``: a resource with the token of another Stack is taken
    over. ``returns``: a rollback, which leaves resources alone that were taken over.
    """

    imports: Mapping[str, Import] = field(default_factory=dict)
    read_only: bool = False
    holds: bool = False
    takes_from_others: bool = False
    returns: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The policies of a reconciliation. ``key`` is the key of the digests (32 bytes)."""

    stack: str
    stack_uid: str
    key: bytes
    drift: DriftPolicy = DriftPolicy.CORRECT
    concurrency: int = 16
    rekeyed: bool = False
    """The key of the digests was lost. Ready records count as unchanged and get new digests."""
    deployed: frozenset[str] = frozenset()
    """Names of the resources of the revision that was reached last."""
    on_obstacle: OnObstacle = OnObstacle.HOLD
    guard: Guard = UNGUARDED
    adoption: Adoption = field(default_factory=Adoption)
    kept: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Secrets that were taken over with resources, by ownership token."""
    known: frozenset[str] = frozenset()
    """Names that may have resources without records. They are looked for before new ones are created."""
    hooks: Hooks = NO_HOOKS
    suspended: frozenset[str] = frozenset()
    """Names of resources that are to be suspended, with all below them (``group`` for ``group/0``)."""
    all_suspended: bool = False
    restores: Mapping[str, Restore] = field(default_factory=dict)
    """What was restored from copies, by resource."""

    def suspends(self, name: str) -> bool:
        """Whether the resource of this name is to be suspended."""
        return self.all_suspended or any(name == one or name.startswith(f"{one}/") for one in self.suspended)
