"""StackOperations: which one is next, what it changes, and what came of it.

An operation changes the Stack's status (which revision to go to, which one is cancelled), and the reconciliation then
does what follows from the status. ``status.handledOperation`` holds the uid of the last operation whose change the
status has, so a process that ends in between changes nothing twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from kiln.api.kinds import STACK_OPERATIONS
from kiln.api.stack_status import RollbackTarget, StackStatus
from kiln.api.v1alpha1 import Key, Operation, Reason, RequestPhase, Result
from kiln.kube.client import Kube
from kiln.kube.errors import NotFound
from kiln.stack import clock, requesters
from kiln.stack.requests import RequestIndex, is_finished
from kiln.stack.requeue import PassEnd
from kiln.stack.revisions import Revision
from kiln.stack.status import StatusUpdate
from reconcilers.digests import Digester
from reconcilers.engine import seals
from reconcilers.model import UNHEALTHY, Recorded

_UNENDED: Final = frozenset({PassEnd.RETRY, PassEnd.ROLLING_BACK, PassEnd.HOOK_PENDING})
"""Ends of a reconciliation after which the next one goes on with the same operation."""
_MOST_NAMED: Final = 5


class OperationType(StrEnum):
    """``spec.type``."""

    RETRY = "Retry"
    CANCEL_UPDATE = "CancelUpdate"
    ROLLBACK = "Rollback"
    CHECK = "Check"
    MARK_UNHEALTHY = "MarkUnhealthy"
    CLEAR_HOOK = "ClearHook"
    SUSPEND = "Suspend"
    RESUME = "Resume"
    RESTORE = "Restore"


SHOWN_AS: Final = {
    OperationType.SUSPEND: Operation.SUSPEND,
    OperationType.RESUME: Operation.RESUME,
    OperationType.RESTORE: Operation.RESTORE,
}
"""What ``status.lastOperation`` calls them if nothing else is to be done."""


_OVERTAKING: Final = frozenset({OperationType.CANCEL_UPDATE, OperationType.CLEAR_HOOK})
"""Types that do not wait for an operation that is running."""


@dataclass(frozen=True, slots=True)
class StackOperation:
    """A parsed StackOperation. ``revision`` 0 is the one before the current one."""

    name: str
    uid: str
    type: OperationType
    rollback: bool = True
    revision: int = 0
    resource: str = ""
    reason: str = ""
    hook: str = ""
    snapshot: str = ""
    running: bool = False
    physical_id: str = ""
    requester: str = ""
    """The field manager that created it."""

    @property
    def described(self) -> str:
        """As who asked for an operation of the Stack."""
        return f"StackOperation {self.name}" + (f" ({self.requester})" if self.requester else "")


@dataclass(frozen=True, slots=True)
class Rejection:
    """The operation cannot be done."""

    message: str


@dataclass(frozen=True, slots=True)
class Effects:
    """The fields of a Stack's status that an operation changes. None leaves a field unchanged."""

    handled_operation: str | None = None
    failed_revision: str | None = None
    cancelled_revision: str | None = None
    rollback: RollbackTarget | None = None
    cleared_hooks: tuple[str, ...] | None = None
    suspended_resources: tuple[str, ...] | None = None
    restored: tuple[Mapping[str, Any], ...] | None = None

    def of(self, status: StackStatus) -> StackStatus:
        """The status with these changes. An operation that is running begins again, with all its time."""
        last = status.last_operation
        if last is not None and last.running:
            last = replace(last, result=Result.FAILED)
        return replace(status, last_operation=last, **self.changes())

    def changes(self) -> dict[str, Any]:
        """The changed fields, by name. A StatusUpdate has fields of the same names."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended."""

    phase: RequestPhase
    message: str


def parse(obj: Mapping[str, Any]) -> StackOperation:
    """Parse a StackOperation. Raises ``ValueError`` for a type that the CRD refuses today."""
    spec, status = obj["spec"], obj.get("status") or {}
    unhealthy, cleared = spec.get("markUnhealthy") or {}, spec.get("clearHook") or {}
    about = unhealthy or cleared or spec.get("suspend") or spec.get("resume") or {}
    return StackOperation(
        name=obj["metadata"]["name"],
        uid=obj["metadata"]["uid"],
        type=OperationType(spec["type"]),
        rollback=bool((spec.get("cancelUpdate") or {}).get("rollback", True)),
        revision=int((spec.get("rollback") or {}).get("revision", 0)),
        resource=str(about.get("resource", "")),
        reason=str(unhealthy.get("reason", "")),
        hook=str(cleared.get("event", "")),
        snapshot=str((spec.get("restore") or {}).get("snapshot", "")),
        running=status.get("phase") == RequestPhase.RUNNING,
        physical_id=str(status.get("physicalID", "")),
        requester=requesters.manager_of_spec(obj),
    )


# Deciding.

AGAIN: Final = Effects(failed_revision="", cancelled_revision="", rollback=RollbackTarget())
"""What a new value of ``spec.updateRequest`` changes: whatever was given up is tried again."""


def effects(
    operation: StackOperation, status: StackStatus, generation: int, wanted: Revision, known: Sequence[Revision]
) -> Effects | Rejection:
    """What the operation changes in the status, or why it cannot be done. ``known`` are the Stack's revisions."""
    if status.handled_operation == operation.uid:
        return Effects(operation.uid)
    begin = replace(AGAIN, handled_operation=operation.uid)
    resting = status.at_rest(generation) and not status.cancelled_revision
    match operation.type:
        case OperationType.RETRY | OperationType.RESTORE:
            return begin
        case OperationType.CANCEL_UPDATE:
            return _cancellation(operation, status, wanted, begin, resting=resting)
        case OperationType.CLEAR_HOOK:
            return cleared(operation, status)
        case OperationType.ROLLBACK:
            return _rollback(operation, status, wanted, known, begin)
        case OperationType.CHECK | OperationType.MARK_UNHEALTHY | OperationType.SUSPEND | OperationType.RESUME:
            if not resting:
                return Rejection(f"the Stack is not at rest ({status.reason_of_ready()}); try again when it is")
            return Effects(None if operation.type is OperationType.CHECK else operation.uid)


def cleared(operation: StackOperation, status: StackStatus) -> Effects | Rejection:
    """What a ClearHook changes in the status, or why it cannot be done.

    It leaves ``handledOperation`` to the operation that waits at the hook. One that runs already has found its hook.
    """
    hook = f"{operation.resource}:{operation.hook}"
    if hook in status.cleared_hooks or (operation.running and hook not in status.pending_hooks):
        return Effects()
    if hook not in status.pending_hooks:
        there = ", ".join(status.pending_hooks[:_MOST_NAMED]) or "none"
        return Rejection(f"no resource waits at the hook {hook}; pending hooks: {there}")
    return Effects(cleared_hooks=(*status.cleared_hooks, hook))


def _cancellation(
    operation: StackOperation, status: StackStatus, wanted: Revision, begin: Effects, *, resting: bool
) -> Effects | Rejection:
    if resting or status.current_revision == wanted.name:
        return Rejection("no create or update is going on")
    if status.rolls_back(wanted.name):
        return Rejection("the create or update is being rolled back already")
    if operation.rollback:
        return replace(begin, rollback=RollbackTarget(wanted.name, status.current_revision))
    return replace(begin, cancelled_revision=wanted.name)


def _rollback(
    operation: StackOperation, status: StackStatus, wanted: Revision, known: Sequence[Revision], begin: Effects
) -> Effects | Rejection:
    if operation.revision:
        target = next((one for one in known if one.number == operation.revision), None)
        missing = f"there is no StackRevision with the number {operation.revision}"
    else:
        before = [one for one in known if one.deployed and one.name != status.current_revision]
        target = before[-1] if before else None
        missing = "there is no StackRevision that was reached before the current one"
    if target is None:
        numbers = ", ".join(map(str, sorted({one.number for one in known})))
        return Rejection(f"{missing}; the numbers: {numbers}")
    if target.name == wanted.name:
        return Rejection(f"the revision {target.number} is what the Stack's spec asks for; Retry goes there")
    return replace(begin, rollback=RollbackTarget(wanted.name, target.name))


def marked(operation: StackOperation, records: Sequence[Recorded], digester: Digester) -> Recorded | Rejection:
    """The record of the resource that is to be replaced, with the mark on it."""
    found = [one for one in records if one.name == operation.resource and one.confirmed]
    if not found:
        names = ", ".join(sorted({one.name for one in records})[:_MOST_NAMED]) or "none"
        return Rejection(f"there is no resource {operation.resource!r} that exists; the first of all: {names}")
    newest = max(found, key=lambda one: one.serial)
    if newest.external:
        return Rejection("the resource has an external_id, so Kiln never replaces it")
    why = f"marked unhealthy: {operation.reason}" if operation.reason else "marked unhealthy"
    with_mark = replace(newest, data={**newest.data, UNHEALTHY: why})
    sealed = seals.holds(digester, newest)
    return replace(with_mark, seal=seals.of(digester, with_mark)) if sealed else with_mark


def outcome(operation: StackOperation, final: StatusUpdate | None, end: PassEnd) -> Outcome | None:
    """How the operation ended with a reconciliation that wrote this final status; None if it has not."""
    if operation.type is OperationType.CLEAR_HOOK and operation.running:
        return Outcome(RequestPhase.SUCCEEDED, "the hook was cleared")
    if final is None:
        return None
    state = final.state
    settled = state.ready or (state.reason == Reason.ROLLED_BACK and end is PassEnd.AT_REST)
    if operation.type is OperationType.CHECK and settled:
        if not final.drifted:
            return Outcome(RequestPhase.SUCCEEDED, "all resources are as they were applied")
        what = "; ".join(f"{name}: {how}" for name, how in sorted(final.drifted.items())[:_MOST_NAMED])
        return Outcome(RequestPhase.FAILED, f"{len(final.drifted)} resources differ from what was applied: {what}")
    aims = {
        OperationType.ROLLBACK: {Reason.ROLLED_BACK},
        OperationType.RESTORE: {Reason.ROLLED_BACK, Reason.SUCCEEDED, Reason.SUSPENDED},
        OperationType.CANCEL_UPDATE: {Reason.ROLLED_BACK if operation.rollback else Reason.CANCELLED},
    }.get(operation.type)
    if operation.type is OperationType.MARK_UNHEALTHY and settled:
        return Outcome(RequestPhase.SUCCEEDED, state.message)
    if state.reason in aims if aims is not None else state.ready:
        return Outcome(RequestPhase.SUCCEEDED, state.message)
    if state.ready:
        return Outcome(RequestPhase.FAILED, f"overtaken: {state.message}")
    if end in _UNENDED and operation.type is not OperationType.RETRY:
        return None
    return Outcome(RequestPhase.FAILED, state.message)


# Reading and writing.


@dataclass(slots=True)
class Operations:
    """The StackOperations of one Stack."""

    kube: Kube
    index: RequestIndex
    key: Key

    async def current(self) -> StackOperation | None:
        """The oldest one that has not ended.

        A CancelUpdate ends one that is running, and a ClearHook passes it, since it may wait at the hook. Raises
        ``ValueError`` for an object that the CRD refuses today.
        """
        first: StackOperation | None = None
        for where in self.index.open(self.key, STACK_OPERATIONS):
            if first is not None and where.type not in _OVERTAKING:
                continue
            obj = await self.kube.get(STACK_OPERATIONS, self.key.namespace, where.name)
            if obj is None or is_finished(obj):
                continue
            operation = parse(obj)
            if first is not None:
                if operation.type is OperationType.CANCEL_UPDATE:
                    await self.finish(first, Outcome(RequestPhase.FAILED, f"ended by StackOperation {operation.name}"))
                return operation
            if not operation.running:
                return operation
            first = operation
        return first

    async def begin(self, operation: StackOperation, physical_id: str = "") -> StackOperation:
        """Say that the operation is running."""
        if operation.running:
            return operation
        status = {"phase": str(RequestPhase.RUNNING), "startTime": clock.stamp()}
        if physical_id:
            status["physicalID"] = physical_id
        await self._write(operation, status)
        return replace(operation, running=True, physical_id=physical_id)

    async def finish(self, operation: StackOperation, ended: Outcome) -> None:
        """Say how the operation ended. The message has to be free of secrets."""
        stamp = clock.stamp()
        status = {"phase": str(ended.phase), "message": ended.message[:8192], "completionTime": stamp}
        await self._write(operation, status if operation.running else {"startTime": stamp, **status})

    async def reject_all(self, message: str, *, but: frozenset[OperationType] = frozenset()) -> StackOperation | None:
        """End open operations that cannot be done. Returns the first one of a type that can (``but``)."""
        while (operation := await self.current()) is not None and operation.type not in but:
            await self.finish(operation, Outcome(RequestPhase.FAILED, message))
        return operation

    async def _write(self, operation: StackOperation, status: Mapping[str, Any]) -> None:
        body = {"metadata": {"uid": operation.uid}, "status": status}
        try:
            await self.kube.patch(STACK_OPERATIONS, self.key.namespace, operation.name, body, subresource="status")
        except NotFound:
            return
