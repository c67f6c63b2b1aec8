"""The kinds that the operator reads, watches or writes: one row each.

The client, the informer and the event filter read these rows; tests hold the CRDs and the chart's RBAC rules against
them. A new kind of kiln.dev is a CRD in crds/ and a row here; a new way in which objects concern Stacks is a
:class:`Relation` with a method of :class:`kiln.controller.event_filter.EventFilter`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from kiln.api.v1alpha1 import GROUP, LABEL_STACK, VERSION


class Relation(StrEnum):
    """Which Stacks an object concerns, and which of its events count as news for them."""

    STACK = "Stack"
    """The object is the Stack: a new generation, its deletion, a new ``kiln.dev/reconcile-at``."""
    REQUEST = "Request"
    """``spec.stackName`` names the Stack, of which the object asks something: a new spec, its deletion."""
    OWNED = "Owned"
    """``spec.stackName`` names the Stack: a deletion by anybody but the operator."""
    INPUT = "Input"
    """Specs of Stacks refer to it: a change of its content."""


class Scope(StrEnum):
    """Where the operator needs its rights on a kind."""

    STACKS = "Stacks"
    """In the namespaces that it serves."""
    OPERATOR = "Operator"
    """In its own namespace."""
    CLUSTER = "Cluster"
    """In the whole cluster. It works without these rights, and has none if it serves some namespaces only."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How objects of a kind are watched. The selectors are applied by the API server."""

    relation: Relation
    labels: str = ""
    fields: str = ""
    deletions_only: bool = False
    """:class:`kiln.controller.deletion_watcher.DeletionWatcher` watches it instead of the informer."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind with its collection in the API.

    ``verbs`` and ``status_verbs`` are what the operator may do with objects and with their status (RBAC).
    """

    group: str
    version: str
    plural: str
    kind: str
    verbs: frozenset[str] = frozenset()
    status_verbs: frozenset[str] = frozenset()
    watch: Watch | None = None
    scope: Scope = Scope.STACKS

    @property
    def api_version(self) -> str:
        """``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """The URL path of the collection (in all namespaces where ``namespace`` is empty) or of one object."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)


_READ: Final = frozenset({"get", "list", "watch"})
_WRITE: Final = frozenset({"create", "patch", "delete"})
_PATCH: Final = frozenset({"patch"})

STACKS: Final = Resource(
    GROUP, VERSION, "stacks", "Stack", verbs=_READ | _WRITE, status_verbs=_PATCH, watch=Watch(Relation.STACK)
)
STACK_RESOURCES: Final = Resource(
    GROUP,
    VERSION,
    "stackresources",
    "StackResource",
    verbs=_READ | _WRITE | {"deletecollection"},
    status_verbs=_PATCH,
    watch=Watch(Relation.OWNED, deletions_only=True),
)
STACK_REVISIONS: Final = Resource(
    GROUP, VERSION, "stackrevisions", "StackRevision", verbs=_READ | _WRITE, status_verbs=_PATCH
)
STACK_OPERATIONS: Final = Resource(
    GROUP,
    VERSION,
    "stackoperations",
    "StackOperation",
    verbs=_READ | {"delete"},
    status_verbs=_PATCH,
    watch=Watch(Relation.REQUEST),
)
STACK_CHANGE_SETS: Final = Resource(
    GROUP,
    VERSION,
    "stackchangesets",
    "StackChangeSet",
    verbs=_READ | {"create", "delete"},
    status_verbs=_PATCH,
    watch=Watch(Relation.REQUEST),
)
STACK_HISTORIES: Final = Resource(GROUP, VERSION, "stackhistories", "StackHistory", verbs=_WRITE | {"get", "list"})
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap", verbs=_READ | _WRITE, watch=Watch(Relation.INPUT))
STACK_SNAPSHOTS: Final = Resource(
    GROUP,
    VERSION,
    "stacksnapshots",
    "StackSnapshot",
    verbs=_READ | {"patch", "delete"},
    status_verbs=_PATCH,
    watch=Watch(Relation.REQUEST),
)
SECRETS: Final = Resource(
    "",
    "v1",
    "secrets",
    "Secret",
    verbs=_READ | _WRITE,
    # Helm releases and ServiceAccount tokens are many, large, and never inputs. Neither are Stacks' own Secrets.
    watch=Watch(
        Relation.INPUT,
        labels=f"!{LABEL_STACK}",
        fields="type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token",
    ),
)
EVENTS: Final = Resource("", "v1", "events", "Event", verbs=frozenset({"create", "patch"}))
LEASES: Final = Resource(
    "coordination.k8s.io",
    "v1",
    "leases",
    "Lease",
    verbs=frozenset({"create", "get", "list", "patch"}),
    scope=Scope.OPERATOR,
)
# The networks of the cluster, where no cloud may be (kiln.clouds.address_guard).
_LIST: Final = frozenset({"list"})
ENDPOINT_SLICES: Final = Resource(
    "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", verbs=_LIST, scope=Scope.CLUSTER
)
NODES: Final = Resource("", "v1", "nodes", "Node", verbs=_LIST, scope=Scope.CLUSTER)
SERVICE_CIDRS: Final = Resource(
    "networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", verbs=_LIST, scope=Scope.CLUSTER
)

KINDS: Final = (
    *(STACKS, STACK_RESOURCES, STACK_REVISIONS, STACK_OPERATIONS, STACK_CHANGE_SETS, STACK_SNAPSHOTS),
    *(STACK_HISTORIES, CONFIG_MAPS, SECRETS, EVENTS, LEASES, ENDPOINT_SLICES, NODES, SERVICE_CIDRS),
)
OWN_KINDS: Final = tuple(one for one in KINDS if one.group == GROUP)
"""The kinds of kiln.dev. Each has a CRD in crds/, in a file named by its plural."""
BY_PLURAL: Final = {one.plural: one for one in KINDS}
