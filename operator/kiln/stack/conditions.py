"""The status update for each possible end of a reconciliation. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kiln.api import v1alpha1
from kiln.api.stack_status import RollbackTarget, StackStatus
from kiln.api.v1alpha1 import Operation, Reason, Result
from kiln.stack import power, resource_tree, status
from kiln.stack.objective import AfterFailure, Objective, Refusal
from kiln.stack.outputs import NONE, Outputs
from kiln.stack.status import ReadyState, StatusUpdate
from reconcilers.engine.progress import ProgressTracker
from reconcilers.engine.result import Result as EngineResult
from reconcilers.errors import CloudError
from reconcilers.model import Fault

MOST_HOOKS = 100
"""How many pending hooks the status names."""
MOST_NAMED = 3
"""How many resources a message names."""


@dataclass(frozen=True, slots=True)
class Remarks:
    """What is to be said beside the state: of a template that is valid, of a cloud that is reachable."""

    template: str = ""
    cloud: str = ""


def running(generation: int, objective: Objective, progress: ProgressTracker) -> StatusUpdate:
    """Work is in progress. The message names the resources that are waited for."""
    resources = progress.resources.items()
    waiting = [(name, one) for name, one in resources if one.fault is not None]
    deleting = objective.operation is Operation.DELETE
    reason = str(waiting[0][1].fault) if waiting else str(Reason.DELETING if deleting else Reason.PROGRESSING)
    counts = status.counts_of(progress)
    message = f"{counts['total']} resources left" if deleting else f"{counts['summary']} resources ready"
    busy = waiting or [(name, one) for name, one in resources if one.message and one.state != "Ready"]
    message = "; ".join([message, *(f"resources.{name}: {one.message}" for name, one in busy[:MOST_NAMED])])
    return StatusUpdate(
        generation,
        ReadyState(ready=False, reconciling=True, reason=reason, message=message),
        drifted=progress.drifted,
        operation=objective.operation,
        operation_message=objective.message,
        target_revision=objective.target.name if objective.target else None,
        suspended=power.condition(objective.power, reached=False),
        counts=counts,
        nested=resource_tree.nested_of(progress),
        failed=status.failures_of(progress),
    )


def reached(
    generation: int,
    objective: Objective,
    progress: ProgressTracker,
    outputs: Outputs,
    groups: Mapping[str, Any],
    *,
    worked: bool,
    remarks: Remarks,
) -> StatusUpdate:
    """All resources match the target. ``worked``: the reconciliation changed something."""
    target, wanted = objective.target, objective.wanted
    if objective.rolling_back:
        message = f"{objective.message}; {_where(objective)}. Change the spec to try again"
        state = ReadyState(ready=False, reconciling=False, reason=Reason.ROLLED_BACK, message=message, stalled=True)
    else:
        message = "all resources match the Stack"
        reason = Reason.SUCCEEDED
        if objective.power.whole:
            reason, message = Reason.SUSPENDED, f"{message}, and are suspended where they can be"
        state = ReadyState(ready=True, reconciling=False, reason=reason, message=message)
    wanted_name = wanted.name if wanted else ""
    return StatusUpdate(
        generation,
        state,
        template_valid=(True, "Valid", remarks.template),
        cloud_reachable=(True, "Reachable", remarks.cloud),
        drifted=progress.drifted,
        operation=objective.operation if worked else None,
        result=Result.SUCCEEDED,
        operation_message=objective.message,
        current_revision=target.name if target else "",
        target_revision=wanted_name,
        failed_revision=wanted_name if objective.rolling_back else "",
        rollback=None if objective.rolling_back else RollbackTarget(),
        cancelled_revision="",
        pending_hooks=(),
        cleared_hooks=(),
        suspended=power.condition(objective.power, reached=True),
        counts=status.counts_of(progress),
        nested=resource_tree.nested_of(progress),
        failed=(),
        outputs=outputs.values,
        output_errors=outputs.errors,
        hidden_outputs=outputs.hidden,
        groups=groups if target else {},
        synced=True,
    )


def unpublished(update: StatusUpdate, reason: str, message: str) -> StatusUpdate:
    """All resources match the target, and outputs cannot be written where the spec asks for them."""
    if not update.state.ready:
        return update
    state = ReadyState(ready=False, reconciling=False, reason=reason, message=message, stalled=True)
    return replace(update, state=state)


def failed(
    generation: int,
    objective: Objective,
    progress: ProgressTracker,
    result: EngineResult,
    after: AfterFailure,
    outputs: Outputs,
    *,
    timeout: float | None,
    remarks: Remarks,
) -> StatusUpdate:
    """Some resources do not match the target. ``timeout`` is the Stack's timeout in seconds, if it passed."""
    reason, message = _what_failed(progress, result, timeout)
    if objective.rolling_back and after.stalled:
        reason, message = Reason.ROLLBACK_INCOMPLETE, _what_was_not_undone(objective, result)
    rolling, wanted = objective.rolling_back, objective.wanted.name if objective.wanted else ""
    deleting = objective.operation is Operation.DELETE
    return StatusUpdate(
        generation,
        ReadyState(ready=False, reconciling=not after.stalled, reason=reason, message=message, stalled=after.stalled),
        template_valid=None if deleting else (True, "Valid", remarks.template),
        cloud_reachable=(True, "Reachable", remarks.cloud),
        drifted=progress.drifted,
        operation=objective.operation,
        result=Result.TIMED_OUT if timeout is not None else Result.FAILED,
        operation_message=(objective.message or message) if rolling else message,
        target_revision=None if deleting else wanted,
        failed_revision=None if deleting else wanted if after.rolls_back or rolling else "",
        pending_hooks=hooks_of(result),
        counts=status.counts_of(progress),
        nested=resource_tree.nested_of(progress),
        failed=status.failures_of(progress),
        outputs=None if outputs is NONE else outputs.values,
        output_errors=None if outputs is NONE else outputs.errors,
        hidden_outputs=None if outputs is NONE else outputs.hidden,
    )


def waiting(
    generation: int, objective: Objective, progress: ProgressTracker, result: EngineResult, *, remarks: Remarks
) -> StatusUpdate:
    """Resources wait at hooks, and nothing failed. A StackOperation ClearHook lets them go on."""
    hooks = hooks_of(result)
    named = ", ".join(hooks[:MOST_NAMED]) + (f" and {len(hooks) - MOST_NAMED} more" if len(hooks) > MOST_NAMED else "")
    message = f"resources wait at hooks: {named}; a StackOperation ClearHook lets them go on"
    deleting = objective.operation is Operation.DELETE
    return StatusUpdate(
        generation,
        ReadyState(ready=False, reconciling=True, reason=Reason.HOOK_PENDING, message=message),
        template_valid=None if deleting else (True, "Valid", remarks.template),
        cloud_reachable=(True, "Reachable", remarks.cloud),
        drifted=progress.drifted,
        operation=objective.operation,
        operation_message=objective.message,
        target_revision=objective.wanted.name if objective.wanted else None,
        pending_hooks=hooks,
        counts=status.counts_of(progress),
        nested=resource_tree.nested_of(progress),
        failed=(),
    )


def awaiting(generation: int, message: str, old: StackStatus, remarks: Remarks) -> StatusUpdate:
    """The operation waits for the approval of its plan. One that was going on has been overtaken by a newer spec."""
    last = old.last_operation
    running = last is not None and last.running
    return StatusUpdate(
        generation,
        ReadyState(ready=False, reconciling=False, reason=Reason.AWAITING_APPROVAL, message=message),
        template_valid=(True, "Valid", remarks.template),
        cloud_reachable=(True, "Reachable", remarks.cloud),
        operation=Operation(last.type) if last is not None and running else None,
        result=Result.FAILED,
        operation_message="overtaken by a change that waits for approval" if running else "",
    )


def hooks_of(result: EngineResult) -> tuple[str, ...]:
    """The pending hooks, as the status names them."""
    return tuple(sorted(f"{name}:{hook}" for name, hook in result.hooks))[:MOST_HOOKS]


def _what_failed(progress: ProgressTracker, result: EngineResult, timeout: float | None) -> tuple[str, str]:
    failures, blocked = result.failures, result.blocked
    if failures and timeout is None:
        first = failures[0]
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        request = f" [{first.request_id}]" if first.request_id else ""
        return str(first.fault), f"{first}{more}{request}"
    if timeout is None:
        named = ", ".join(sorted(blocked)[:MOST_NAMED])
        return Reason.BLOCKED, f"{len(blocked)} resources wait for each other: {named}"
    waiting = [f"{name}: {one.message}" for name, one in progress.resources.items() if one.message]
    return Reason.TIMED_OUT, f"not done within {timeout:.0f} s" + (f"; {waiting[0]}" if waiting else "")


def _where(objective: Objective) -> str:
    return f"rolled back to {objective.target.name}" if objective.target else "removed the created resources"


def _what_was_not_undone(objective: Objective, result: EngineResult) -> str:
    named = [str(error) for error in result.failures[:MOST_NAMED]]
    named += [f"resources.{name}: waits for them" for name in sorted(result.blocked)[: MOST_NAMED - len(named)]]
    more = len(result.failures) + len(result.blocked) - len(named)
    what = "; ".join(named) + (f"; and {more} more" if more > 0 else "")
    return f"{objective.message}; {_where(objective)}, except {what}. Change the spec to try again"


def cloud_failed(generation: int, error: CloudError) -> StatusUpdate:
    """The cloud cannot be read at all."""
    reason = str(error.fault)
    stalled = is_stalled_by(error)
    path = "spec.cloudCredentialsRef: " if error.fault is Fault.AUTH else ""
    state = ReadyState(
        ready=False, reconciling=not stalled, reason=reason, message=path + error.message, stalled=stalled
    )
    return StatusUpdate(generation, state, cloud_reachable=(error.fault is Fault.INVALID, reason, error.message))


def is_stalled_by(error: CloudError) -> bool:
    """Whether an error of the cloud persists until somebody changes the credentials or the cloud."""
    return error.fault in {Fault.AUTH, Fault.INVALID}


def refused(generation: int, reason: str, message: str, *, cloud: bool = False) -> StatusUpdate:
    """The spec, or an object that it refers to, is unusable. ``cloud``: the credentials are."""
    update = status.invalid(generation, reason, message)
    return status.unreachable(update) if cloud else update


def waiting_for_stack(generation: int, reason: str, message: str) -> StatusUpdate:
    """An output of another Stack has no value yet. Nothing is changed until it has one."""
    return StatusUpdate(generation, ReadyState(ready=False, reconciling=True, reason=reason, message=message))


def not_evaluated(generation: int, reason: str, message: str) -> StatusUpdate:
    """A function of the template got no answer, and is tried again. Nothing is changed until it has one."""
    return StatusUpdate(generation, ReadyState(ready=False, reconciling=True, reason=reason, message=message))


def waiting_for_room(generation: int) -> StatusUpdate:
    """Other large Stacks of the namespace are reconciled first."""
    message = "other Stacks of the namespace with thousands of resources are reconciled first"
    state = ReadyState(ready=False, reconciling=True, reason=Reason.PROGRESSING, message=message)
    return StatusUpdate(generation, state)


def deletion_blocked(generation: int, users: Sequence[str]) -> StatusUpdate:
    """The Stack is to be deleted, and other Stacks use its outputs."""
    message = (
        f"the deletion waits for the Stacks that use outputs of this one: {', '.join(users)}; delete them or change "
        f'their spec.parametersFrom, or set the annotation {v1alpha1.ANNOTATION_FORCE_DELETE} to "true"'
    )
    state = ReadyState(ready=False, reconciling=True, reason=Reason.DELETION_BLOCKED, message=message)
    return StatusUpdate(generation, state)


def impossible(generation: int, objective_name: str, refusal: Refusal, old: StackStatus) -> StatusUpdate:
    """The objective cannot be determined, so nothing is done."""
    state = ReadyState(ready=False, reconciling=False, reason=refusal.reason, message=refusal.message, stalled=True)
    last = old.last_operation
    return StatusUpdate(
        generation,
        state,
        operation=Operation.ROLLBACK,
        result=Result.FAILED,
        operation_message=last.message if last else "",
        target_revision=objective_name,
        failed_revision=objective_name,
    )


def cancelled(generation: int, wanted: str, message: str, old: StackStatus) -> StatusUpdate:
    """A StackOperation cancelled the creation or update, so nothing is done."""
    state = ReadyState(ready=False, reconciling=False, reason=Reason.CANCELLED, message=message, stalled=True)
    operation = Operation.UPDATE if old.current_revision else Operation.CREATE
    return StatusUpdate(
        generation,
        state,
        operation=operation,
        result=Result.FAILED,
        operation_message="cancelled",
        target_revision=wanted,
    )


def paused(generation: int, *, deleting: bool) -> StatusUpdate:
    """``spec.paused`` is set: nothing is compared or changed."""
    waits = "; the deletion of the Stack waits for it" if deleting else ""
    message = f"spec.paused is set: nothing is compared or changed until it is removed{waits}"
    state = ReadyState(ready=None, reconciling=False, reason=Reason.PAUSED, message=message)
    return StatusUpdate(generation, state, paused=True)


def broken(generation: int, error: Exception, pass_id: str) -> StatusUpdate:
    """The operator has a bug. Its log has the details."""
    message = f"the operator failed with {type(error).__name__} and will retry; see pass {pass_id} in its log"
    return StatusUpdate(
        generation, ReadyState(ready=False, reconciling=True, reason=Reason.INTERNAL_ERROR, message=message)
    )


def kubernetes_refused(generation: int, message: str) -> StatusUpdate:
    """Kubernetes refuses a write that the operator needs. Nothing changes in OpenStack until Kubernetes accepts it."""
    return StatusUpdate(
        generation, ReadyState(ready=False, reconciling=True, reason=Reason.KUBERNETES_REFUSED, message=message)
    )
