"""The names of the API (kiln.dev/v1alpha1), and a Stack's spec as typed values.

The CRDs in crds/ are the API's definition; this module is how the operator spells it.
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
"""On a Stack: its OpenStack resources are not gone yet."""
RESOURCE_FINALIZER = "kiln.dev/resource"
"""On a StackResource: its OpenStack resource is not gone yet, or the record is still needed."""
LABEL_STACK = "kiln.dev/stack"
"""On everything that a Stack owns: the Stack's name."""
LABEL_GONE = "kiln.dev/gone"
"""On a StackResource of a Stack that is being deleted: nothing is left of it in OpenStack, and it will be deleted."""
ANNOTATION_RECONCILE_AT = "kiln.dev/reconcile-at"
"""On a Stack: any new value asks for a reconciliation now, and failures are forgotten."""

_LONGEST_NAME: Final = 253
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class Key(NamedTuple):
    """Which Stack."""

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


class OnFailure(StrEnum):
    """What follows when an operation fails for good or takes too long."""

    RETRY = "Retry"
    ROLLBACK = "Rollback"
    HALT = "Halt"


class DeletionPolicy(StrEnum):
    """What becomes of the OpenStack resources when their Stack is deleted."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


class Operation(StrEnum):
    """What is being done with a Stack (status.lastOperation.type)."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"
    ROLLBACK = "Rollback"
    REPAIR = "Repair"


class Result(StrEnum):
    """How that went (status.lastOperation.result)."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    NAME_TAKEN = "NameTaken"
    TIMED_OUT = "TimedOut"


class Reason(StrEnum):
    """Reasons of conditions and events that arise in the operator; OpenStack's are ``reconcilers.model.Fault``."""

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
    ROLLBACK_IMPOSSIBLE = "RollbackImpossible"
    INVALID_SPEC = "InvalidSpec"
    BLOCKED = "Blocked"
    KUBERNETES_REFUSED = "KubernetesRefused"
    INTERNAL_ERROR = "InternalError"


def parse_duration(text: str) -> float:
    """Seconds of a Go duration such as ``1h30m``.

    Raises ``ValueError`` for anything else. The CRD's rules have refused such a value already; objects stored before a
    rule existed may still hold one.
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
    """The policies of a Stack's spec, defaults filled in. Durations are seconds; ``resync_interval`` 0 means never.

    Template, environments, files and parameters are read by ``kiln.stack.inputs``.
    """

    secret_name: str
    cloud_name: str
    on_failure: OnFailure = OnFailure.RETRY
    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    drift: DriftPolicy = DriftPolicy.CORRECT
    resync_interval: float = 600.0
    timeout: float = 3600.0
    max_concurrency: int = 16
    revision_history_limit: int = 10


def stack_spec(stack: Mapping[str, Any]) -> StackSpec:
    """The typed spec of a Stack object as the API server returns it, defaults included."""
    spec: Mapping[str, Any] = stack.get("spec") or {}
    credentials = spec.get("cloudCredentialsRef") or {}
    return StackSpec(
        secret_name=credentials.get("secretName", ""),
        cloud_name=credentials.get("cloudName", ""),
        on_failure=OnFailure(spec.get("onFailure", OnFailure.RETRY)),
        deletion_policy=DeletionPolicy(spec.get("deletionPolicy", DeletionPolicy.DELETE)),
        drift=DriftPolicy(spec.get("drift", DriftPolicy.CORRECT)),
        resync_interval=parse_duration(spec.get("resyncInterval", "10m")),
        timeout=parse_duration(spec.get("timeout", "60m")),
        max_concurrency=int(spec.get("maxConcurrency", 16)),
        revision_history_limit=int(spec.get("revisionHistoryLimit", 10)),
    )


def namespaced_name(obj: Mapping[str, Any]) -> Key:
    """Namespace and name of any object."""
    metadata = obj["metadata"]
    return Key(metadata["namespace"], metadata["name"])


def is_object_name(name: str) -> bool:
    """Whether Kubernetes allows this name for an object. Other names could change the path of an API call."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def owner_uids(obj: Mapping[str, Any], kind: str = "") -> frozenset[str]:
    """The uids of an object's owners, or of those of one kind."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return frozenset(owner.get("uid", "") for owner in owners if kind in {"", owner.get("kind")})


def owner_reference(stack: Mapping[str, Any]) -> dict[str, Any]:
    """The ownerReference that makes an object go with its Stack.

    ``blockOwnerDeletion`` is not set: it would let a foreground deletion wait for StackResources that the Stack's own
    finalizer already waits for, and needs a right on stacks/finalizers in some clusters.
    """
    metadata = stack["metadata"]
    return {
        "apiVersion": API_VERSION,
        "kind": "Stack",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
