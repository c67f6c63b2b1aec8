"""The values that types, planner and engine pass to each other.

A resource type is a pure function from what is desired, recorded and observed to one outcome::

    step(desired, recorded, observed) -> Send | Wait | Pause | Ready | Gone | Failed | Replace

The engine executes the outcome, observes again and calls ``step`` again, until it returns Ready, Gone, Failed or
Replace. So create, update, drift repair, resumption after a crash and deletion are one path.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

OPENSTACK: Final = "openstack"
"""The transport of resources that are in OpenStack."""
POSSIBLE_DUPLICATE: Final = "doubt"
"""In a record's data: an earlier creation had an unknown outcome, so a duplicate may appear."""
HOOK: Final = "hook"
"""In a record's data: the hook at which the resource waits once it is ready."""
HOOKS: Final = "hooks"
"""In a record's data: the hooks of its deletion, separated by commas."""
UNHEALTHY: Final = "unhealthy"
"""In a record's data: somebody asked to replace the resource. The value says why."""
IMPORTED: Final = "imported"
"""In a record's data: the resource existed before the Stack and was taken over; see :class:`ImportState`."""
IMPORTED_ID: Final = "imported id"
"""In a record's data: the id under which a resource was taken over."""


class ImportState(StrEnum):
    """How far an existing resource has been taken over. Only what is TAKEN is changed or deleted."""

    PENDING = "pending"
    """Its record exists. Nothing was sent yet, or the answer is not recorded."""
    READ_ONLY = "read-only"
    """It was found and compared. It does not carry the Stack's token, because nothing may be written."""
    TAKEN = "taken"
    """It belongs to the Stack."""


class DriftPolicy(StrEnum):
    """How to treat resources that others changed (``spec.drift`` of a Stack)."""

    CORRECT = "Correct"
    REPORT = "Report"
    IGNORE = "Ignore"


class Power(StrEnum):
    """Whether the Stack has suspended a resource. One that others suspended or stopped is not the Stack's to resume."""

    RUNNING = "Running"
    SUSPENDING = "Suspending"
    """A request to suspend it may have been sent."""
    SUSPENDED = "Suspended"
    RESUMING = "Resuming"
    """A request to resume it may have been sent."""


class Fault(StrEnum):
    """Classes of errors. The class decides what is done next."""

    TRANSIENT = "CloudUnavailable"
    """5xx, time-outs, resets: retried with backoff."""
    RATE_LIMITED = "RateLimited"
    """429 or 503 with Retry-After: retried when the service says so."""
    CONFLICT = "Conflict"
    """409: something else holds the resource now (a port in use): retried with backoff."""
    QUOTA = "QuotaExceeded"
    """The project's quota is exceeded: retried slowly, because quotas are raised and resources freed."""
    INVALID = "InvalidProperty"
    """400, 403 of one call, 404 of something referred to: persists until the template changes."""
    AUTH = "AuthenticationFailed"
    """Refused credentials, no role in the project, no such cloud: persists until the credentials change."""
    RESOURCE = "ResourceFailed"
    """The resource itself went to ERROR: recreated, a bounded number of times."""
    EVALUATION = "EvaluationFailed"
    """A function of the template got no answer from its worker process: retried with backoff."""
    PROTECTED = "Protected"
    """``spec.protectedResources`` forbids it: persists until the template or the spec changes."""
    UNAPPROVED = "AwaitingApproval"
    """``spec.updateApproval`` is Manual: persists until somebody approves."""


@dataclass(frozen=True, slots=True)
class Lane(ABC):
    """A resource that takes one change at a time, with all that is below it: a load balancer.

    Requests of one lane leave one after another, each once that resource is at rest again. ``path`` is the nearest
    resource that is known when the request is made (a pool); the lane's own one lies above it.
    """

    path: str
    shown: str = ""
    """Envelope of the changed resource: it is read again when the change is done, and that answer is given."""

    @property
    @abstractmethod
    def service(self) -> str:
        """The SDK's name of the service."""

    @abstractmethod
    def locks(self, path: str) -> bool:
        """Whether the resource at this path is the one that takes one change at a time."""

    @abstractmethod
    def above(self, body: Any) -> str:
        """The path of the resource above the one that the answer shows."""

    @abstractmethod
    def condition(self, body: Any) -> "Ready | Wait | Failed":
        """Whether the resource that the answer shows takes a change now, will later, or cannot at all."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One call that makes several, where its answer does not show them (members of a pool).

    It goes to the same path as the single ones, which also lists them; ``told_by`` are the fields of a body by which
    an item of that list is known. What is in the list already is never part of a batch: it would be overwritten.
    """

    method: str
    params: tuple[tuple[str, str], ...]
    envelopes: tuple[str, str]
    told_by: tuple[str, ...]
    most: int = 100


@dataclass(frozen=True, slots=True)
class Request:
    """One call to OpenStack, or through another transport, as a value. Only the engine sends it.

    ``service`` is the SDK's name for the service (compute, network, block_storage, image, identity), ``path`` lies
    below its endpoint and starts with a slash. ``done`` are error statuses which mean that nothing is left to do (404
    of a DELETE, 409 of adding something that exists). ``bulk_envelope`` are the envelopes of one and of several
    resources (``("network", "networks")``) if one call can create several; such a request has neither ``params`` nor
    ``headers``.
    """

    service: str
    method: str
    path: str
    body: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    microversion: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    done: frozenset[int] = frozenset()
    bulk_envelope: tuple[str, str] | None = None
    lane: Lane | None = None
    """What the request locks; None: nothing."""
    batch: Batch | None = None
    """How it can go together with others of its lane and path."""
    transport: str = OPENSTACK
    """Through what it goes; see :mod:`reconcilers.cloud.transports`."""


@dataclass(frozen=True, slots=True)
class Desired:
    """The desired state of one resource.

    ``properties`` has every property of the type's schema (None where nothing is given and there is no default),
    coerced, with old names moved to today's, and with names of flavors, networks, ... turned into ids. ``given`` are
    the names of those that are not None. ``changed`` are the properties whose value differs from the one last
    applied, or drifted from it: all given ones before the resource exists. ``wanted`` are the attributes that
    something refers to. ``key`` makes ``seed``.
    """

    name: str
    physical_name: str
    properties: Mapping[str, Any]
    changed: frozenset[str] = frozenset()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    anew: frozenset[str] = frozenset()
    """Those of ``changed`` that are applied again even if the resource shows them: it is restored from a copy."""
    kept: Mapping[str, str] | None = None
    """Secrets that were taken over with the resource, by attribute; None for a resource that the Stack created."""
    key: Callable[[], bytes] = field(default=bytes, compare=False, repr=False)
    retain: bool = False
    """The resource stays in the cloud when it leaves the Stack (``deletion_policy: Retain``)."""
    hidden: frozenset[str] = frozenset()
    """Properties that are made of something hidden; of a map the keys, where they are known (``parameters.password``).
    All: "*"."""

    @property
    def seed(self) -> bytes:
        """A secret key of this resource alone (32 bytes), the same for its whole life.

        Derived values (random strings) come from it and need not be stored.
        """
        return self.key()

    @property
    def given(self) -> frozenset[str]:
        """Names of the properties that have a value."""
        return frozenset(name for name, value in self.properties.items() if value is not None)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The record of one resource, from its StackResource. It is all that survives between reconciliations.

    ``token`` follows from the Stack's uid, the name and the serial (:func:`reconcilers.identifiers.token`): it goes
    into the cloud with the resource and proves that it belongs to the Stack. ``physical_id`` is None until the resource
    is known to exist; types whose id follows from ``data`` have it from the start. ``data`` holds what later calls need
    besides the id (the server of an attachment). It is written before the first call.
    ``digests`` map each applied property to the keyed digest of its value. ``requires`` are the logical names that it
    depends on. ``created_at`` is the object's creation time, RFC 3339.
    """

    key: str
    name: str
    type: str
    token: str
    physical_name: str
    physical_id: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    requires: frozenset[str] = frozenset()
    confirmed: bool = False
    """The cloud has confirmed that the resource exists."""
    state: str = "Creating"
    message: str = ""
    retain: bool = False
    copied: bool = False
    """A copy is made before it is deleted (``deletion_policy: Snapshot``)."""
    external: bool = False
    created_at: str = ""
    version: str = ""
    serial: int = 0
    """Number of the resource among those of its logical name. A replacement has the next one."""
    fault: str = ""
    request_id: str = ""
    deleting: bool = False
    """The StackResource is being deleted."""
    attempts: int = 0
    """How often in a row this resource was recreated after it went to ERROR."""
    references: Mapping[str, str] = field(default_factory=dict)
    """The ids that names in the properties had when the properties were applied, by kind and digest of the name."""
    stack: str = ""
    """Uid of the Stack that it belongs to."""
    power: Power = Power.RUNNING
    seal: str = ""
    """Proof that the operator wrote type, token, id and data: see :mod:`reconcilers.engine.seals`."""
    origin: str = ""
    """The logical name that the token was made from, if ``spec.moves`` renamed the resource since; else empty."""
    found: bool = False
    """The intent existed when this process stored it: another process may be creating the resource right now."""

    @property
    def first_name(self) -> str:
        """The logical name that the token was made from."""
        return self.origin or self.name


@dataclass(frozen=True, slots=True)
class Intent:
    """A resource that is about to be created; stored before the first call. Fields as in :class:`Recorded`.

    ``digests`` are those of the properties that the create request carries. They describe the resource if it is found
    after a lost answer.
    """

    name: str
    type: str
    serial: int
    token: str
    physical_name: str
    requires: frozenset[str]
    data: Mapping[str, str]
    digests: Mapping[str, str]
    retain: bool = False
    copied: bool = False
    external: bool = False
    attempts: int = 0
    seal: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request, then observe again.

    ``applies`` are the properties that hold once it succeeds; their digests are recorded then. ``creates`` says that
    the answer is the new resource. ``into`` puts the answer under this key of the observed mapping (an empty one if
    there is no resource yet) instead of taking it as the resource's new state: for reads that only some resources need,
    and for objects beside the resource. It is dropped after the next write or look. ``remember`` goes into the record's
    ``data`` before the request leaves: what a deletion has to know because of it.
    """

    request: Request
    applies: frozenset[str] = frozenset()
    creates: bool = False
    into: str = ""
    remember: Mapping[str, str] = field(default_factory=dict)
    forget: frozenset[str] = frozenset()
    """Keys of the record's ``data`` to remove once the request has succeeded."""
    deletes: bool = False
    """Nothing is left of the resource once the request succeeds, so no further look is needed."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The cloud is working; look again at the observer's next tick. ``reason`` is shown to users."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Let this many seconds pass, then call ``step`` again with ``remember`` in the record's ``data``.

    A newer spec ends the pause. After a restart of the process the pause starts from its beginning.
    """

    seconds: float
    reason: str = ""
    remember: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ready:
    """The resource is as desired."""

    applies: frozenset[str] = frozenset()
    """Properties that hold without a call."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing of the resource is left in the cloud."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The resource cannot be brought to what is desired.

    ``property`` names the cause if it is known (``networks[0].port``).
    """

    reason: str
    fault: Fault = Fault.RESOURCE
    property: str = ""
    kept: bool = False
    """It is not created anew, though it failed: what it holds would be lost."""


@dataclass(frozen=True, slots=True)
class Replace:
    """The resource cannot be changed: create a new one. ``delete_first``: both cannot exist at the same time.

    ``release`` is carried out first, and then the type decides again: the old resource gives up what its successor
    claims, or what holds it lets it go.
    """

    why: str
    delete_first: bool = False
    release: Send | Wait | None = None


Outcome = Send | Wait | Pause | Ready | Gone | Failed | Replace
