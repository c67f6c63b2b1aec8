"""A Stack's status as typed values, as the previous reconciliation wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kiln.api.v1alpha1 import Condition, Operation, Reason, Result


@dataclass(frozen=True, slots=True)
class LastOperation:
    """``status.lastOperation``. ``started`` is None if the time is missing or unreadable."""

    type: str
    result: str
    started: datetime | None = None
    message: str = ""

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.result == Result.RUNNING

    @property
    def failed(self) -> bool:
        """Whether it has ended, and not well."""
        return self.result in {Result.FAILED, Result.TIMED_OUT}


@dataclass(frozen=True, slots=True)
class RollbackTarget:
    """``status.rollback``: somebody asked to go back.

    It holds as long as the spec asks for the revision ``source``. ``target`` is the revision to go to; empty: delete
    what the creation made. Without ``source`` nobody asked.
    """

    source: str = ""
    target: str = ""

    def as_json(self) -> dict[str, str]:
        """As it is in the status; empty if nobody asked."""
        return {"from": self.source, "to": self.target} if self.source else {}


@dataclass(frozen=True, slots=True)
class StackStatus:
    """A Stack's status. The name of a revision is empty if there is no such revision."""

    observed_generation: int = -1
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    last_operation: LastOperation | None = None
    current_revision: str = ""
    """The revision that was reached last."""
    target_revision: str = ""
    failed_revision: str = ""
    """The revision that failed and is being, or was, rolled back."""
    rollback: RollbackTarget = RollbackTarget()
    cancelled_revision: str = ""
    """The revision whose creation or update was cancelled without a rollback."""
    handled_update_request: str = ""
    """The value of ``spec.updateRequest`` that was acted on last."""
    handled_operation: str = ""
    """The uid of the last StackOperation whose effects this status has."""
    pending_hooks: tuple[str, ...] = ()
    """Resources that wait at hooks: ``NAME:pre-update``."""
    cleared_hooks: tuple[str, ...] = ()
    """Hooks that were cleared since the operation began, in the same form."""
    restored: tuple[Mapping[str, Any], ...] = ()
    """Resources that were restored from snapshots."""
    suspended_resources: tuple[str, ...] = ()
    """Names of the resources that StackOperations suspended."""
    groups: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    hidden_outputs: tuple[str, ...] = ()
    output_objects: tuple[str, ...] = ()
    """Secrets and ConfigMaps with outputs: ``Secret/NAME``."""

    @classmethod
    def parse(cls, stack: Mapping[str, Any]) -> "StackStatus":
        """Parse the status of a Stack object. Missing fields are empty."""
        status: Mapping[str, Any] = stack.get("status") or {}
        return cls(
            observed_generation=int(status.get("observedGeneration", -1)),
            conditions={str(one.get("type")): one for one in status.get("conditions") or ()},
            last_operation=_operation(status.get("lastOperation")),
            current_revision=status.get("currentRevision") or "",
            target_revision=status.get("targetRevision") or "",
            failed_revision=status.get("failedRevision") or "",
            rollback=_rollback(status.get("rollback") or {}),
            cancelled_revision=status.get("cancelledRevision") or "",
            handled_update_request=status.get("handledUpdateRequest") or "",
            handled_operation=status.get("handledOperation") or "",
            pending_hooks=tuple(status.get("pendingHooks") or ()),
            cleared_hooks=tuple(status.get("clearedHooks") or ()),
            restored=tuple(status.get("restored") or ()),
            suspended_resources=tuple(status.get("suspendedResources") or ()),
            groups=status.get("groups") or {},
            outputs=status.get("outputs") or {},
            hidden_outputs=tuple(status.get("hiddenOutputs") or ()),
            output_objects=tuple(status.get("outputObjects") or ()),
        )

    def reason(self, kind: Condition) -> str:
        """The reason of a condition, empty if there is no such condition."""
        return str(self.conditions.get(kind, {}).get("reason", ""))

    def message(self, kind: Condition) -> str:
        """The message of a condition, empty if there is no such condition."""
        return str(self.conditions.get(kind, {}).get("message", ""))

    def is_true(self, kind: Condition) -> bool:
        """Whether a condition's status is True."""
        return bool(self.conditions.get(kind, {}).get("status") == "True")

    def reason_of_ready(self) -> str:
        """The reason of the Ready condition, for messages."""
        return self.reason(Condition.READY) or "the operator has not seen it yet"

    def rolls_back(self, wanted: str) -> bool:
        """Whether the revision that the spec asks for was given up for an earlier one."""
        return wanted in {self.failed_revision, self.rollback.source}

    def at_rest(self, generation: int) -> bool:
        """Whether this generation was reached, or its rollback completed."""
        if self.observed_generation != generation:
            return False
        return self.is_true(Condition.READY) or self.reason(Condition.READY) == Reason.ROLLED_BACK

    def running(self, operation: Operation) -> LastOperation | None:
        """The last operation, if it is of this type and has not ended."""
        last = self.last_operation
        return last if last is not None and last.type == operation and last.running else None


def _rollback(stored: Mapping[str, Any]) -> RollbackTarget:
    return RollbackTarget(str(stored.get("from", "")), str(stored.get("to", "")))


def _operation(stored: Mapping[str, Any] | None) -> LastOperation | None:
    if not stored:
        return None
    try:
        started = datetime.fromisoformat(stored.get("startTime") or "")
    except ValueError:
        started = None
    return LastOperation(
        str(stored.get("type", "")), str(stored.get("result", "")), started, str(stored.get("message", ""))
    )
