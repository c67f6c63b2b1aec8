"""The names of the API (kiln.dev/v1alpha1), and a Stack's spec as typed values.

The CRDs in crds/ define the API. This module has its names and parses its values.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

import durationpy

from reconcilers.model import DriftPolicy

GROUP = "kiln.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FINALIZER = "kiln.dev/stack"
"""On a Stack: OpenStack resources of the Stack may still exist."""
RESOURCE_FINALIZER = "kiln.dev/resource"
"""On a StackResource: its OpenStack resource may still exist, or the record is still needed."""
SNAPSHOT_FINALIZER = "kiln.dev/snapshot"
"""On a StackSnapshot: images, backups or snapshots that it made may still exist in OpenStack."""
LABEL_STACK = "kiln.dev/stack"
"""On everything that a Stack owns: the Stack's name."""
LABEL_GONE = "kiln.dev/gone"
"""On a StackResource of a Stack that is being deleted: its OpenStack resource is gone, the record can be deleted."""
LABEL_OUTPUTS = "kiln.dev/outputs-of"
"""On Secrets and ConfigMaps with outputs of a Stack: its name. They lack ``LABEL_STACK``, since others may use them."""
ANNOTATION_OUTPUTS_METADATA = "kiln.dev/outputs-metadata"
"""On the same: which of their labels and annotations come from ``spec.outputsTo``, as JSON."""
LABEL_INPUTS = "kiln.dev/inputs-of"
"""On the Secret with the hidden inputs of a child Stack: the child's name."""
ANNOTATION_TOKEN = "kiln.dev/token"
"""On a child Stack: the ownership token of the resource that it is."""
ANNOTATION_CHILD = "kiln.dev/child"
"""On a child Stack: keyed digests of what its parent wrote into its spec, as JSON."""
ANNOTATION_DEPTH = "kiln.dev/depth"
"""On a child Stack: 1, on a child of it 2, and so on."""
ANNOTATION_FORCE_DELETE = "kiln.dev/force-delete"
"""On a Stack, with the value ``true``: its deletion does not wait for Stacks that use its outputs."""
ANNOTATION_RECONCILE_AT = "kiln.dev/reconcile-at"
"""On a Stack: a new value starts a reconciliation now and resets the backoff."""
ANNOTATION_REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"
"""The same in Flux's words; ``status.lastHandledReconcileAt`` repeats the value when the reconciliation has ended."""

_HEAT_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,254}")
_LONGEST_NAME: Final = 253
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class Key(NamedTuple):
    """Namespace and name of a Stack."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Condition(StrEnum):
    """Types of a Stack's conditions."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    TEMPLATE_VALID = "TemplateValid"
    CLOUD_REACHABLE = "CloudReachable"
    DRIFT_DETECTED = "DriftDetected"
    PAUSED = "Paused"
    """Only while ``spec.paused`` is set."""
    SUSPENDED = "Suspended"
    """Only while ``spec.powerState`` is Suspended, or the Stack is being resumed."""


class OnFailure(StrEnum):
    """What to do when an operation fails permanently or times out."""

    RETRY = "Retry"
    ROLLBACK = "Rollback"
    HALT = "Halt"


class PowerState(StrEnum):
    """Whether resources that can be suspended run."""

    RUNNING = "Running"
    SUSPENDED = "Suspended"


class DeletionPolicy(StrEnum):
    """What happens to the OpenStack resources when their Stack is deleted."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


class UpdateApproval(StrEnum):
    """Whether creations and updates wait for an approved StackChangeSet."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


class Operation(StrEnum):
    """Types of operations on a Stack (status.lastOperation.type)."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"
    ROLLBACK = "Rollback"
    REPAIR = "Repair"
    SUSPEND = "Suspend"
    RESUME = "Resume"
    RESTORE = "Restore"


class Result(StrEnum):
    """Results of operations (status.lastOperation.result)."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"


class RequestPhase(StrEnum):
    """``status.phase`` of objects that ask something of a Stack once. A request that waits has none."""

    READY = "Ready"
    """A StackChangeSet whose plan is made, and not executed."""
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STALE = "Stale"
    """A StackChangeSet whose plan is out of date."""


FINISHED: Final = frozenset({RequestPhase.SUCCEEDED, RequestPhase.FAILED, RequestPhase.STALE})
"""Phases that never change."""


class Reason(StrEnum):
    """Reasons of conditions and Events that the operator finds; ``reconcilers.model.Fault`` has those of OpenStack."""

    SUCCEEDED = "Succeeded"
    PROGRESSING = "Progressing"
    DELETING = "Deleting"
    INVALID_TEMPLATE = "InvalidTemplate"
    INVALID_PARAMETER = "InvalidParameter"
    INVALID_FILE = "InvalidFile"
    INPUTS_TOO_LARGE = "InputsTooLarge"
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    SECRET_NOT_FOUND = "SecretNotFound"
    KEY_NOT_FOUND = "KeyNotFound"
    CREDENTIALS_NOT_FOUND = "CredentialsNotFound"
    INVALID_CREDENTIALS = "InvalidCredentials"
    NAME_TAKEN = "NameTaken"
    TIMED_OUT = "TimedOut"
    ROLLED_BACK = "RolledBack"
    ROLLBACK_INCOMPLETE = "RollbackIncomplete"
    ROLLBACK_IMPOSSIBLE = "RollbackImpossible"
    INVALID_SPEC = "InvalidSpec"
    PAUSED = "Paused"
    HOOK_PENDING = "HookPending"
    WAITING_FOR_STACK = "WaitingForStack"
    CIRCULAR_REFERENCE = "CircularReference"
    DELETION_BLOCKED = "DeletionBlocked"
    SUSPENDED = "Suspended"
    SUSPENDING = "Suspending"
    RESUMING = "Resuming"
    CANCELLED = "Cancelled"
    AWAITING_APPROVAL = "AwaitingApproval"
    PROTECTED = "Protected"
    BLOCKED = "Blocked"
    KUBERNETES_REFUSED = "KubernetesRefused"
    INTERNAL_ERROR = "InternalError"


def parse_duration(text: str) -> float:
    """Seconds of a Go duration such as ``1h30m``.

    Raises ``ValueError`` for anything else. The CRD refuses such values, but an object that was stored before the rule
    existed may hold one.
    """
    try:
        seconds = float(durationpy.from_str(text).total_seconds())
    except (durationpy.DurationError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a duration such as 30s, 10m or 1h30m") from error
    if seconds < 0:
        raise ValueError(f"{text!r} is not a duration: it is negative")
    return seconds


@dataclass(frozen=True, slots=True)
class StackSpec:
    """The policies of a Stack's spec with their defaults. Durations are seconds; ``resync_interval`` 0 means never.

    ``kiln.stack.inputs`` reads template, environments, files and parameters.
    """

    secret_name: str
    cloud_name: str
    region_name: str = ""
    ca_cert: str = ""
    insecure: bool = False
    on_failure: OnFailure = OnFailure.RETRY
    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    drift: DriftPolicy = DriftPolicy.CORRECT
    resync_interval: float = 600.0
    timeout: float = 3600.0
    max_concurrency: int = 16
    revision_history_limit: int = 10
    paused: bool = False
    update_request: str = ""
    hooks: tuple[tuple[str, str], ...] = ()
    """Shell patterns of resource names, each with a hook."""
    update_approval: UpdateApproval = UpdateApproval.AUTOMATIC
    protected_resources: tuple[str, ...] = ()
    power_state: PowerState = PowerState.RUNNING


def stack_spec(stack: Mapping[str, Any]) -> StackSpec:
    """Parse the spec of a Stack object.

    Raises ``ValueError``, ``TypeError`` or ``LookupError`` for a value that the CRD refuses today.
    """
    spec: Mapping[str, Any] = stack.get("spec") or {}
    credentials = spec.get("cloudCredentialsRef") or {}
    return StackSpec(
        secret_name=credentials.get("secretName", ""),
        cloud_name=credentials.get("cloudName", ""),
        region_name=str(credentials.get("regionName", "")),
        ca_cert=str(credentials.get("caCert", "")),
        insecure=bool(credentials.get("insecure", False)),
        on_failure=OnFailure(spec.get("onFailure", OnFailure.RETRY)),
        deletion_policy=DeletionPolicy(spec.get("deletionPolicy", DeletionPolicy.DELETE)),
        drift=DriftPolicy(spec.get("drift", DriftPolicy.CORRECT)),
        resync_interval=parse_duration(spec.get("resyncInterval", "10m")),
        timeout=parse_duration(spec.get("timeout", "60m")),
        max_concurrency=int(spec.get("maxConcurrency", 16)),
        revision_history_limit=int(spec.get("revisionHistoryLimit", 10)),
        paused=bool(spec.get("paused", False)),
        update_request=str(spec.get("updateRequest", "")),
        hooks=tuple((str(one["resource"]), str(hook)) for one in spec.get("hooks") or () for hook in one["events"]),
        update_approval=UpdateApproval(spec.get("updateApproval", UpdateApproval.AUTOMATIC)),
        protected_resources=tuple(map(str, spec.get("protectedResources") or ())),
        power_state=PowerState(spec.get("powerState", PowerState.RUNNING)),
    )


def namespaced_name(obj: Mapping[str, Any]) -> Key:
    """Namespace and name of any object."""
    metadata = obj["metadata"]
    return Key(metadata["namespace"], metadata["name"])


def heat_name(stack: Mapping[str, Any]) -> str:
    """The stack's name in Heat's sense: ``spec.stackName``, by default the object's name."""
    return str((stack.get("spec") or {}).get("stackName") or stack["metadata"]["name"])


def is_heat_name(name: str) -> bool:
    """Whether a stack may have this name in Heat's sense (``spec.stackName``)."""
    return _HEAT_NAME.fullmatch(name) is not None


def is_object_name(name: str) -> bool:
    """Whether Kubernetes allows this name for an object. Other names could change the path of an API call."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def owner_uids(obj: Mapping[str, Any], kind: str = "") -> frozenset[str]:
    """The uids of an object's owners, or of those of one kind."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return frozenset(owner.get("uid", "") for owner in owners if kind in {"", owner.get("kind")})


def owner_reference(stack: Mapping[str, Any]) -> dict[str, Any]:
    """The ownerReference that makes Kubernetes delete an object together with its Stack.

    ``blockOwnerDeletion`` is not set. A foreground deletion would wait for StackResources, for which the Stack's own
    finalizer already waits, and some clusters would require a right on stacks/finalizers.
    """
    metadata = stack["metadata"]
    return {
        "apiVersion": API_VERSION,
        "kind": "Stack",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
