"""Decides the objective of a reconciliation: which operation, towards which revision, until when. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kiln.api.stack_status import RollbackTarget, StackStatus
from kiln.api.v1alpha1 import Condition, DeletionPolicy, OnFailure, Operation, Reason, Result, StackSpec
from kiln.stack import power
from kiln.stack.power import NO_WISH, PowerWish
from kiln.stack.revisions import Revision
from reconcilers.engine.guard import Guard
from reconcilers.engine.progress import ResourceError
from reconcilers.model import Fault, Recorded

MOST_NAMED: Final = 10
"""How many resources a message names."""
LASTING: Final = frozenset({Fault.INVALID, Fault.PROTECTED, Fault.UNAPPROVED})
"""Faults that persist until somebody changes something."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The state to reach.

    ``wanted`` is the revision of the spec, ``target`` the one to converge to. None means no resources: a deletion, or
    the rollback of a creation. ``current`` is the revision that was reached last. ``message`` says why the operation
    started. ``time_left`` is in seconds. ``announced``: the Stack was at rest, so its status changes only if something
    has to be done.
    """

    operation: Operation
    wanted: Revision | None
    target: Revision | None
    current: Revision | None
    time_left: float
    message: str = ""
    announced: bool = True
    began_before: bool = False
    """An earlier operation may have left resources whose records are lost."""
    power: PowerWish = NO_WISH

    @property
    def rolling_back(self) -> bool:
        """Whether the operation is a rollback."""
        return self.operation is Operation.ROLLBACK

    @property
    def repeats(self) -> bool:
        """Whether the target is the revision that was reached last, so that a rollback would lead to it as well."""
        return self.target is not None and self.current is not None and self.target.name == self.current.name


@dataclass(frozen=True, slots=True)
class Refusal:
    """The objective cannot be determined. Nothing is done until somebody changes the Stack."""

    reason: Reason
    message: str


CANCELLED = "a StackOperation cancelled the operation; change the spec, or ask to go on with a StackOperation Retry"
GO_ON = "nothing is changed; change the spec, or ask to go on with a StackOperation Retry"
HOW_TO_GO_ON = (
    "nothing is changed; correct the spec to continue from the existing resources, or set spec.onFailure to Retry"
)


def decide(
    spec: StackSpec,
    status: StackStatus,
    generation: int,
    wanted: Revision,
    known: Sequence[Revision],
    now: datetime,
    asked_power: Operation | None = None,
) -> Objective | Refusal:
    """The objective of a Stack that is not being deleted. ``known`` are its revisions, ``wanted`` among them.

    ``asked_power``: a StackOperation suspends or resumes a resource.
    """
    wished = power.wish(spec, status)
    current = _named(known, status.current_revision)
    asked = status.rollback if status.rollback.source == wanted.name else RollbackTarget()
    if status.cancelled_revision == wanted.name != status.current_revision:
        return Refusal(Reason.CANCELLED, CANCELLED)
    if asked.source:
        operation, target = Operation.ROLLBACK, _named(known, asked.target)
        if target is None and asked.target:
            return Refusal(Reason.ROLLBACK_IMPOSSIBLE, f"StackRevision {asked.target} does not exist any more: {GO_ON}")
    elif spec.on_failure is OnFailure.ROLLBACK and status.failed_revision == wanted.name:
        if current is None and status.current_revision:
            missing = f"cannot roll back, because StackRevision {status.current_revision} does not exist any more"
            return Refusal(Reason.ROLLBACK_IMPOSSIBLE, f"{_why(status)}{missing}: {HOW_TO_GO_ON}")
        operation, target = Operation.ROLLBACK, current
    elif not status.current_revision:
        operation, target = Operation.CREATE, wanted
    else:
        same = status.current_revision == wanted.name and not _updates_again(spec, status, wanted)
        operation, target = Operation.REPAIR if same else Operation.UPDATE, wanted
        operation = power.operation(wished, status, operation, asked_power)
    quiet = operation in {Operation.REPAIR, Operation.ROLLBACK} and status.at_rest(generation)
    quiet = quiet or (status.observed_generation == generation and status.is_true(Condition.STALLED))
    return Objective(
        operation,
        wanted,
        target,
        current,
        time_left=_time_left(spec, status, operation, target, now),
        message=_rollback_message(status, asked) if operation is Operation.ROLLBACK else "",
        announced=quiet,
        began_before=status.last_operation is not None,
        power=wished,
    )


def rollback_to_untranslatable(objective: Objective, why: str) -> Refusal:
    """The refusal of a rollback to a revision that does not translate any more."""
    name = objective.target.name if objective.target else ""
    begun = f"{objective.message}; " if objective.message else ""
    return Refusal(
        Reason.ROLLBACK_IMPOSSIBLE,
        f"{begun}cannot roll back, because StackRevision {name} does not translate any more ({why}): {HOW_TO_GO_ON}",
    )


def deletion(spec: StackSpec, status: StackStatus, now: datetime) -> Objective:
    """The objective of a Stack that is being deleted."""
    left = _time_left(spec, status, Operation.DELETE, None, now)
    return Objective(Operation.DELETE, None, None, None, left, announced=False, began_before=True)


def protected_from_deletion(spec: StackSpec, records: Sequence[Recorded]) -> Refusal | None:
    """The refusal to delete a Stack that has protected resources. They are named."""
    guard = Guard(spec.protected_resources)
    names = sorted({one.name for one in records if guard.protects(one) and not one.retain})
    if not names or spec.deletion_policy is DeletionPolicy.ORPHAN:
        return None
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return Refusal(
        Reason.PROTECTED,
        f"spec.protectedResources forbids to delete {', '.join(names[:MOST_NAMED])}{more}; nothing is deleted. Remove "
        "them from spec.protectedResources, or set spec.deletionPolicy to Orphan to keep all resources in OpenStack",
    )


@dataclass(frozen=True, slots=True)
class AfterFailure:
    """What to do after a failure. ``stalled``: nothing, until somebody changes something."""

    rolls_back: bool
    halts: bool
    stalled: bool


def after_failure(
    spec: StackSpec, objective: Objective, failures: Sequence[ResourceError], *, timed_out: bool
) -> AfterFailure:
    """Apply ``spec.onFailure`` to a failed operation.

    ``Rollback`` and ``Halt`` apply to creations and updates; a failed repair is retried, and so is an update to the
    revision that was reached last.
    """
    changes = objective.operation in {Operation.CREATE, Operation.UPDATE} and not objective.repeats
    lasting = not timed_out and all(error.fault in LASTING for error in failures)
    rolls_back = changes and spec.on_failure is OnFailure.ROLLBACK
    halts = changes and spec.on_failure is OnFailure.HALT
    return AfterFailure(rolls_back, halts, stalled=(lasting or halts) and not rolls_back)


def _named(known: Sequence[Revision], name: str) -> Revision | None:
    return next((one for one in known if one.name == name), None)


def _updates_again(spec: StackSpec, status: StackStatus, wanted: Revision) -> bool:
    """Whether ``spec.updateRequest`` asks for an update to the revision that was reached last, or such an update has
    not succeeded yet.
    """
    last = status.last_operation
    unfinished = last is not None and last.type == Operation.UPDATE and last.result != Result.SUCCEEDED
    return asks_again(spec, status) or (unfinished and status.target_revision == wanted.name)


def asks_again(spec: StackSpec, status: StackStatus) -> bool:
    """Whether ``spec.updateRequest`` has a value that was not acted on yet."""
    return spec.update_request not in {"", status.handled_update_request}


def _rollback_message(status: StackStatus, asked: RollbackTarget) -> str:
    return "a StackOperation asked to roll back" if asked.source else _why(status).removesuffix("; ")


def _why(status: StackStatus) -> str:
    last = status.last_operation
    return f"{last.message}; " if last is not None and last.message else ""


def _time_left(
    spec: StackSpec, status: StackStatus, operation: Operation, target: Revision | None, now: datetime
) -> float:
    """Seconds that the operation may still take. They count from its start, even in an earlier reconciliation."""
    last = status.running(operation)
    if last is None or last.started is None or (target is not None and status.target_revision != target.name):
        return spec.timeout
    return spec.timeout - (now - last.started).total_seconds()
