"""Decides whether a creation, an update or a replacing repair may begin: ``spec.updateApproval``.

With Manual, a creation or an update waits until a StackChangeSet with its very plan is approved. The operator creates
that StackChangeSet. Once it is Running the update goes on, over failures and restarts, until it is reached or rolled
back, but replaces and deletes only what the plan says. Repairs in place go on without approval. So do rollbacks, which
return to an approved state, and deletions and StackOperations, which somebody with a right of his own asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kiln.api import v1alpha1
from kiln.api.kinds import STACK_CHANGE_SETS
from kiln.api.v1alpha1 import Operation, RequestPhase, StackSpec, UpdateApproval
from kiln.stack import changesets, clock, plan_report
from kiln.stack.changesets import LIMITS, ChangeSet, ChangeSets
from kiln.stack.inputs import Inputs
from kiln.stack.objective import Objective
from kiln.stack.planning import StackPlan, plan_stack
from kiln.stack.revisions import Revision
from kiln.stack.shared import SharedState
from reconcilers.engine.context import in_executor
from reconcilers.engine.control import Control
from reconcilers.engine.result import Result
from reconcilers.model import Fault

OVERTAKEN: Final = "the Stack's spec asks for something else now"


class Need(StrEnum):
    """What of an operation needs approval."""

    NOTHING = "Nothing"
    REPLACEMENTS = "Replacements"
    """Only the replacement of resources that exist."""
    EVERYTHING = "Everything"


def need(spec: StackSpec, decided: Objective) -> Need:
    """What of the operation needs approval."""
    if spec.update_approval is UpdateApproval.AUTOMATIC:
        return Need.NOTHING
    if decided.operation in {Operation.CREATE, Operation.UPDATE}:
        return Need.EVERYTHING
    return Need.REPLACEMENTS if decided.operation is Operation.REPAIR else Need.NOTHING


@dataclass(frozen=True, slots=True)
class Granted:
    """The operation may begin. ``approved`` are the resources that it may replace or delete; None: all."""

    approved: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Awaiting:
    """The operation waits for an approval. The message is for people."""

    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a plan and the change sets that there are.

    ``begun`` is the approved one to execute, ``waiting`` the one that has to be approved; without either, one has to be
    created. ``stale`` are those that are out of date, each with the reason.
    """

    begun: ChangeSet | None = None
    waiting: ChangeSet | None = None
    stale: tuple[tuple[ChangeSet, str], ...] = ()
    late: str = ""
    """Which approval came too late, and why."""


def judge(planned: StackPlan, found: Sequence[ChangeSet]) -> Verdict:
    """Compare the plan of a pending update with the change sets of its Stack. Pure."""
    same = [one for one in found if one.ready and not one.delete and changesets.matches(one, planned)]
    begun = next((one for one in same if one.approved), None)
    stale: list[tuple[ChangeSet, str]] = []
    for one in found:
        if one.delete or one in same or not (one.ready or one.running):
            continue
        if one.inputs != planned.inputs_digest:
            # What was proposed for later stays.
            if one.running or one.proposed is None:
                stale.append((one, OVERTAKEN))
        else:
            stale.append((one, changesets.difference(one, planned.plan)))
    approved = next(((one, why) for one, why in stale if one.approved and why != OVERTAKEN), None)
    late = f"the approval of {approved[0].name} came too late: {approved[1]}; " if approved is not None else ""
    return Verdict(begun, next(iter(same), None), tuple(stale), late)


def is_unapproved(result: Result) -> bool:
    """Whether a reconciliation met a replacement or deletion that nobody has approved."""
    return any(error.fault is Fault.UNAPPROVED for error in result.failures)


class ApprovalGate:
    """Lets the approved operations of one Stack pass. ``wanted`` is the revision of its spec, made of ``inputs``."""

    def __init__(
        self, shared: SharedState, stack: Mapping[str, Any], wanted: Revision, inputs: Inputs, control: Control
    ) -> None:
        self.shared = shared
        self.stack = stack
        self.wanted = wanted
        self.inputs = inputs
        self.control = control
        self.key = v1alpha1.namespaced_name(stack)
        self.sets = ChangeSets(shared.kube, self.key)

    async def enter(self, spec: StackSpec, decided: Objective) -> Granted | Awaiting:
        """Whether the operation may begin. Raises what :func:`plan_stack` raises."""
        match need(spec, decided):
            case Need.NOTHING:
                return Granted()
            case Need.REPLACEMENTS if not self.shared.requests.open(self.key, STACK_CHANGE_SETS):
                return Granted(frozenset())
            case Need.REPLACEMENTS:
                found = [one for one in await self.sets.unfinished() if one.inputs == self.wanted.digest]
                running = next((one for one in found if one.running), None)
                if running is None and not any(one.ready and one.approved for one in found):
                    return Granted(frozenset())
            case Need.EVERYTHING:
                found = await self.sets.unfinished()
                running = next((one for one in found if one.running and one.inputs == self.wanted.digest), None)
        if running is not None:
            return Granted(running.destructive)
        planned = await self._plan()
        if not planned.plan.changes:
            return Granted(frozenset())
        return await self._conclude(planned, judge(planned, found))

    async def interrupted(self) -> Awaiting | None:
        """The operation met a replacement or deletion that was not approved. None: it is not needed any more."""
        planned = await self._plan()
        if not planned.plan.changes:
            return None
        found = await self.sets.unfinished()
        for one in found:
            if one.running:
                why = f"what remains was not planned: {changesets.difference(one, planned.plan)}"
                await self.sets.finish(one, RequestPhase.FAILED, why)
        verdict = judge(planned, [one for one in found if not one.running])
        concluded = await self._conclude(planned, verdict, begin=False)
        return concluded if isinstance(concluded, Awaiting) else None

    async def _plan(self) -> StackPlan:
        return await plan_stack(self.shared, self.stack, self.inputs, control=self.control)

    async def _conclude(self, planned: StackPlan, verdict: Verdict, *, begin: bool = True) -> Granted | Awaiting:
        for one, why in verdict.stale:
            await self.sets.finish(one, RequestPhase.STALE, why)
        if verdict.begun is not None and begin:
            basis = {"targetRevision": self.wanted.name}
            running = {"phase": str(RequestPhase.RUNNING), "startTime": clock.stamp(), "basis": basis}
            await self.sets.write(verdict.begun, running)
            return Granted(verdict.begun.destructive)
        waiting = verdict.waiting or verdict.begun
        name = waiting.name if waiting is not None else f"{self.wanted.name}-{planned.digest[:8]}"
        if waiting is None:
            evaluate = in_executor(self.shared.evaluators)
            report = await evaluate(lambda: planned.report(LIMITS))
            status = changesets.planned_status(planned, report, self.stack, self.wanted.name)
            await self.sets.create(self.stack, name, status)
        return Awaiting(f"{verdict.late}{_how_to_approve(name, planned)}")


def _how_to_approve(name: str, planned: StackPlan) -> str:
    patch = '{"spec": {"approved": true}}'
    what = plan_report.summary(planned.plan.counts())
    return f"{what}: StackChangeSet {name} waits for approval (kubectl patch stkcs {name} --type=merge -p '{patch}')"
