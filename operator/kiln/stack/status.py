"""A Stack's status, as pure functions build it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kiln.api.stack_status import RollbackTarget
from kiln.api.v1alpha1 import Condition, Operation, Reason, Result
from kiln.stack import operation_log
from reconcilers.engine.progress import ProgressTracker

MOST_FAILURES = 10
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReadyState:
    """The Ready, Reconciling and Stalled conditions. ``stalled``: nothing changes until somebody changes something.

    ``ready`` is None if it is unknown, because nothing is compared.
    """

    ready: bool | None
    reconciling: bool
    reason: str
    message: str
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """The content of a status. None leaves a field unchanged."""

    generation: int
    state: ReadyState
    template_valid: tuple[bool, str, str] | None = None
    cloud_reachable: tuple[bool, str, str] | None = None
    paused: bool = False
    suspended: tuple[bool | None, str, str] | None = None
    """The condition Suspended. A status of None removes it."""
    drifted: Mapping[str, str] = field(default_factory=dict)
    operation: Operation | None = None
    result: Result = Result.RUNNING
    operation_message: str = ""
    requested_by: str = ""
    """Who asked for the operation, if it begins."""
    current_revision: str | None = None
    target_revision: str | None = None
    failed_revision: str | None = None
    rollback: RollbackTarget | None = None
    cancelled_revision: str | None = None
    handled_update_request: str | None = None
    handled_operation: str | None = None
    pending_hooks: tuple[str, ...] | None = None
    cleared_hooks: tuple[str, ...] | None = None
    suspended_resources: tuple[str, ...] | None = None
    restored: tuple[Mapping[str, Any], ...] | None = None
    counts: Mapping[str, Any] | None = None
    nested: tuple[Mapping[str, Any], ...] | None = None
    """Groups and nested templates."""
    failed: tuple[Mapping[str, str], ...] | None = None
    outputs: Mapping[str, Any] | None = None
    output_errors: Mapping[str, str] | None = None
    hidden_outputs: tuple[str, ...] | None = None
    output_objects: tuple[str, ...] | None = None
    groups: Mapping[str, Any] | None = None
    synced: bool = False
    """The Stack was compared with OpenStack completely."""
    resync_interval: float = 0.0
    """Seconds between such comparisons; 0 for none."""
    pass_id: str = ""
    handled_request: str = ""
    """The value of the annotation that asked for this reconciliation, when it has ended."""


def counts_of(progress: ProgressTracker) -> Json:
    """The resource counts."""
    states = [one.state for one in progress.resources.values()]
    ready, failed = states.count("Ready"), states.count("Failed")
    return {
        "total": len(states),
        "ready": ready,
        "failed": failed,
        "changing": len(states) - ready - failed,
        "drifted": len(progress.drifted),
        "summary": f"{ready}/{len(states)}",
    }


def failures_of(progress: ProgressTracker) -> tuple[Json, ...]:
    """At most ten resources with faults: first those that failed, then those that wait for a retry."""
    faults = [(name, one) for name, one in progress.resources.items() if one.fault is not None]
    faults.sort(key=lambda item: (item[1].state != "Failed", item[0]))
    return tuple(
        {
            "name": name,
            "type": standing.type,
            "reason": str(standing.fault),
            "message": standing.message,
            **({"requestID": standing.request_id} if standing.request_id else {}),
        }
        for name, standing in faults[:MOST_FAILURES]
    )


def build_status(old: Mapping[str, Any], report: StatusUpdate, now: str) -> Json:
    """The new status. Conditions whose status did not change keep their transition time."""
    state = report.state
    status: Json = {key: value for key, value in old.items() if key != "conditions"}
    status["observedGeneration"] = report.generation
    held = {condition["type"]: condition for condition in old.get("conditions") or ()}

    def put(kind: Condition, value: bool | None, reason: str, message: str) -> None:  # noqa: FBT001
        text = "Unknown" if value is None else "True" if value else "False"
        before = held.get(kind)
        since = before["lastTransitionTime"] if before and before["status"] == text else now
        held[kind] = {
            "type": str(kind),
            "status": text,
            "observedGeneration": report.generation,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message[:32768],
        }

    put(Condition.READY, state.ready, state.reason, state.message)
    put(Condition.RECONCILING, state.reconciling and not state.stalled, state.reason, state.message)
    put(Condition.STALLED, state.stalled, state.reason, state.message)
    if report.paused:
        put(Condition.PAUSED, report.paused, state.reason, state.message)
    else:
        held.pop(Condition.PAUSED, None)
    if report.suspended is not None and report.suspended[0] is not None:
        put(Condition.SUSPENDED, *report.suspended)
    elif report.suspended is not None:
        held.pop(Condition.SUSPENDED, None)
    if report.template_valid is not None:
        put(Condition.TEMPLATE_VALID, *report.template_valid)
    if report.cloud_reachable is not None:
        put(Condition.CLOUD_REACHABLE, *report.cloud_reachable)
    if report.synced or report.drifted:
        what = "; ".join(f"{name}: {how}" for name, how in sorted(report.drifted.items())[:MOST_FAILURES])
        put(Condition.DRIFT_DETECTED, bool(report.drifted), "Drifted" if report.drifted else "InSync", what)
    order = [str(kind) for kind in Condition]
    status["conditions"] = sorted(held.values(), key=lambda condition: order.index(condition["type"]))
    if report.operation is not None:
        status["lastOperation"] = _operation(old.get("lastOperation") or {}, report, now)
        status["operations"] = operation_log.followed(
            old.get("operations") or (), status["lastOperation"], report.target_revision or ""
        )
    for key, value in (
        ("currentRevision", report.current_revision),
        ("targetRevision", report.target_revision),
        ("failedRevision", report.failed_revision),
        ("rollback", report.rollback.as_json() if report.rollback is not None else None),
        ("cancelledRevision", report.cancelled_revision),
        ("handledUpdateRequest", report.handled_update_request),
        ("handledOperation", report.handled_operation),
        ("pendingHooks", report.pending_hooks),
        ("clearedHooks", report.cleared_hooks),
        ("suspendedResources", report.suspended_resources),
        ("restored", report.restored),
        ("resources", report.counts),
        ("nested", report.nested),
        ("failedResources", report.failed),
        ("outputs", report.outputs),
        ("outputErrors", report.output_errors),
        ("hiddenOutputs", report.hidden_outputs),
        ("outputObjects", report.output_objects),
        ("groups", report.groups),
        ("passID", report.pass_id or None),
        ("lastHandledReconcileAt", report.handled_request or None),
    ):
        if value is not None:
            status[key] = list(value) if isinstance(value, tuple) else value
    if report.synced:
        status["lastSyncTime"] = now
    return {key: value for key, value in status.items() if value not in ("", [], {}, None)}


def _operation(old: Mapping[str, Any], report: StatusUpdate, now: str) -> Json:
    running = report.result is Result.RUNNING
    same = old.get("type") == report.operation and old.get("result") == Result.RUNNING
    requested_by = old.get("requestedBy", "") if same else report.requested_by
    return {
        "type": str(report.operation),
        "result": str(report.result),
        "startTime": old.get("startTime", now) if same else now,
        **({} if running else {"completionTime": now}),
        **({"requestedBy": requested_by} if requested_by else {}),
        **({"message": report.operation_message} if report.operation_message else {}),
    }


def invalid(generation: int, reason: str, message: str) -> StatusUpdate:
    """The spec is unusable until somebody changes it."""
    state = ReadyState(ready=False, reconciling=False, reason=reason, message=message, stalled=True)
    about_template = reason in {
        Reason.INVALID_TEMPLATE,
        Reason.INVALID_PARAMETER,
        Reason.INVALID_FILE,
    }
    return StatusUpdate(generation, state, template_valid=(False, reason, message) if about_template else None)


def unreachable(report: StatusUpdate) -> StatusUpdate:
    """The update of a Stack whose credentials do not give access to a cloud."""
    return replace(report, template_valid=None, cloud_reachable=(False, report.state.reason, report.state.message))
