"""A Stack's status: pure functions that build it, and a writer that writes only changes."""

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final, Protocol

from hot_translator import TranslationError
from kiln.api.kinds import STACKS
from kiln.api.stack_status import RollbackTarget
from kiln.api.v1alpha1 import Condition, Operation, Reason, Result
from kiln.kube.client import Kube, KubeError, NotFound
from kiln.stack import operation_log
from reconcilers.cloud.limits import printable
from reconcilers.engine.progress import ProgressTracker

MOST_FAILURES = 10
_REQUEST_ID: Final = re.compile(r"( \[)?\breq-[0-9a-zA-Z-]+\]?")
COALESCED = 1.0
"""Seconds between two writes of a Stack in progress."""

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
    named = sorted(progress.resources.items(), key=lambda item: (item[1].state != "Failed", item[0]))
    return tuple(
        {
            "name": name,
            "type": standing.type,
            "reason": str(standing.fault),
            "message": standing.message,
            **({"requestID": standing.request_id} if standing.request_id else {}),
        }
        for name, standing in named
        if standing.fault is not None
    )[:MOST_FAILURES]


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


VOLATILE = ("lastSyncTime", "passID")
"""Fields whose change alone causes no write."""
SYNC_TIME_AGE = 3600.0
"""Seconds after which a newer ``lastSyncTime`` is worth a write by itself. A longer resync interval counts instead."""


class StatusWriter:
    """Writes one Stack's status by server-side apply.

    It writes at most once a second during an operation, and never if nothing changed.
    """

    def __init__(self, kube: Kube, stack: Mapping[str, Any], now: Callable[[], str], fence: Callable[[], bool]) -> None:
        self._kube = kube
        self._namespace: str = stack["metadata"]["namespace"]
        self._name: str = stack["metadata"]["name"]
        self._uid: str = stack["metadata"]["uid"]
        self.status: Json = dict(stack.get("status") or {})
        self._now = now
        self._fence = fence
        self._latest: Callable[[], StatusUpdate] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._written = asyncio.get_running_loop().time()
        """When the last write was sent (loop time). Progress is not written in the first second: so a failure that
        stays the same writes nothing."""

    def later(self, report: Callable[[], StatusUpdate]) -> None:
        """Write the result of ``report`` within a second. Calls in between share one write."""
        self._latest = report
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._soon())

    async def _soon(self) -> None:
        while not self._closing.is_set():
            rest = self._written + COALESCED - asyncio.get_running_loop().time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), max(rest, 0.0))
            report, self._latest = self._latest, None
            if report is None:
                return
            try:
                await self._write(report())
            except KubeError:
                # The final write contains the same and more, and its failure is reported.
                return

    async def now(self, report: StatusUpdate) -> None:
        """Write at once. Pending writes are dropped, because this one is newer."""
        await self.close()
        await self._write(report)

    async def close(self) -> None:
        """Drop pending writes. Nothing is written after this returns, until the next call.

        Every reconciliation has to end with it. A late write could hide the status of the next reconciliation.
        """
        self._latest = None
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task})
        self._closing.clear()

    async def _write(self, report: StatusUpdate) -> None:
        status = build_status(self.status, report, self._now())
        stale = report.synced and sync_time_is_stale(self.status, status, report.resync_interval)
        if not (stale or needs_write(self.status, status)) or not self._fence():
            return
        self._written = asyncio.get_running_loop().time()
        body = {"metadata": {"uid": self._uid}, "status": status}
        try:
            await self._kube.patch(STACKS, self._namespace, self._name, body, how="apply", subresource="status")
        except NotFound:
            return
        self.status = status


def without_request_ids(text: str) -> str:
    """The text without ids of requests, which differ in each try."""
    return _REQUEST_ID.sub("", text)


def needs_write(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a status has to be written: anything but times and ids changed.

    Another try that failed in the same way is no change.
    """

    def core(status: Mapping[str, Any]) -> str:
        lasting = {key: value for key, value in status.items() if key not in VOLATILE}
        if "lastOperation" in lasting:
            lasting["lastOperation"] = operation_log.without_tries(lasting["lastOperation"])
            lasting["operations"] = [operation_log.without_tries(one) for one in lasting.get("operations") or ()]
        return without_request_ids(json.dumps(lasting, sort_keys=True))

    return core(old) != core(new)


def sync_time_is_stale(old: Mapping[str, Any], new: Mapping[str, Any], interval: float) -> bool:
    """Whether the written ``lastSyncTime`` is so old that the new one has to be written.

    Comparisons that find nothing cost no write, so the written time may be older than the last comparison: by an hour,
    or by ``interval`` (seconds between comparisons) if that is longer.
    """
    written, now = (_seconds(status.get("lastSyncTime")) for status in (old, new))
    return now - written >= max(SYNC_TIME_AGE, interval)


def _seconds(stamp: object) -> float:
    try:
        return datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return 0.0


MOST_PROBLEMS = 20


def format_problems(error: TranslationError) -> str:
    """A translation's problems as text, each with its path and, if known, line and column."""
    lines = []
    for problem in error.problems[:MOST_PROBLEMS]:
        where = f" (line {problem.line}, column {problem.column})" if problem.line else ""
        lines.append(f"{problem}{where}")
    more = len(error.problems) - MOST_PROBLEMS
    return "; ".join([*lines, *([f"and {more} more"] if more > 0 else [])])


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


LONGEST_MESSAGE = 8192
"""Characters of a condition's message."""
LONGEST_DETAIL = 1024
"""Characters of a message about one resource or output."""
CUT = "..."


class Redacts(Protocol):
    """Cuts one Stack's secrets out of texts."""

    def __call__(self, text: str) -> str:
        """The text without them."""

    def holds(self, text: str) -> bool:
        """Whether one of them is in the text."""


def shown(text: str, redact: Callable[[str], str], limit: int = LONGEST_DETAIL) -> str:
    """A text for people: without secrets and control characters, and cut after that, since half of a secret is not
    recognised.
    """
    text = printable(redact(text))
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


_NAMES = frozenset(
    {
        *("generation", "current_revision", "target_revision", "failed_revision", "rollback", "cancelled_revision"),
        *("handled_update_request", "handled_operation", "pending_hooks", "cleared_hooks", "groups", "pass_id"),
        *("suspended_resources", "output_objects", "restored", "nested"),
    }
)
"""Fields of a StatusUpdate that are compared with later, and hold nothing but what the operator or the template's
author named.
"""
_LIMITS = {"state": LONGEST_MESSAGE, "operation_message": LONGEST_MESSAGE} | dict.fromkeys(
    ("template_valid", "cloud_reachable"), LONGEST_MESSAGE
)


def redacted(report: StatusUpdate, redact: Redacts, redact_outputs: Redacts | None = None) -> StatusUpdate:
    """The report without hidden values, in whichever of its fields they are.

    Outputs are what users compute with, so those with a secret in them are hidden and the others are left alone.
    """
    changes: dict[str, Any] = {}
    for one in fields(report):
        value = getattr(report, one.name)
        if one.name not in _NAMES and one.name not in {"outputs", "hidden_outputs"} and value is not None:
            changes[one.name] = _redacted(value, redact, _LIMITS.get(one.name, LONGEST_DETAIL))
    if report.outputs:
        holds = (redact_outputs or redact).holds
        secret = {name for name, value in report.outputs.items() if holds(json.dumps(value, default=str))}
        changes["outputs"] = {name: value for name, value in report.outputs.items() if name not in secret}
        if secret:
            changes["hidden_outputs"] = tuple(sorted({*(report.hidden_outputs or ()), *secret}))
    return replace(report, **changes)


def _redacted(value: Any, redact: Redacts, limit: int) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return shown(value, redact, limit)
    if isinstance(value, Mapping):
        return {key: _redacted(item, redact, limit) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_redacted(item, redact, limit) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _redacted(getattr(value, one.name), redact, limit) for one in fields(value)})
    return value
