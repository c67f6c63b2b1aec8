"""Plans StackChangeSets, and ends those that are executed or out of date. It runs after each reconciliation.

A plan is made while nothing of the Stack is changing. It is compared with OpenStack again at each later reconciliation,
so that one that is out of date says so before somebody approves it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hot_translator import TranslationError
from kiln.api import v1alpha1
from kiln.api.kinds import STACK_CHANGE_SETS, STACKS
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import Condition, Key, Reason, RequestPhase
from kiln.clouds.credentials import CredentialsError
from kiln.stack import changesets, inputs
from kiln.stack.changesets import LIMITS, ChangeSet, ChangeSets
from kiln.stack.inputs import InputsError
from kiln.stack.planning import PlanSecrets, StackPlan, plan_stack
from kiln.stack.requeue import PassEnd, Requeue
from kiln.stack.shared import SharedState
from kiln.stack.shown_texts import shown
from kiln.stack.validation import format_problems
from reconcilers.engine.context import in_executor
from reconcilers.engine.control import Control
from reconcilers.errors import CloudError

log = logging.getLogger(__name__)

MOST_OPEN: Final = 20
"""StackChangeSets of one Stack that are kept up to date. Others wait until these have ended."""
QUIET: Final = frozenset(
    {PassEnd.AT_REST, PassEnd.RETRY, PassEnd.STALLED, PassEnd.HOOK_PENDING, PassEnd.AWAITING_APPROVAL}
)
"""Ends of a reconciliation after which nothing of the Stack changes for a while."""
_TEMPLATES: Final = ("template", "templateBody", "templateRef")
BLIND: Final = "it was approved before its plan was made: create another one, read its plan, then approve it"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a change set ends."""

    phase: RequestPhase
    message: str


def proposed_stack(stack: Mapping[str, Any], proposed: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The Stack with these inputs. What is not given is as it is."""
    if not proposed:
        return stack
    given = set(proposed) | (set(_TEMPLATES) if set(proposed) & set(_TEMPLATES) else set())
    kept = {name: value for name, value in stack["spec"].items() if name not in given}
    return {**stack, "spec": {**kept, **proposed}}


def ending(one: ChangeSet, status: StackStatus, generation: int) -> Ending | None:
    """How a change set that is being executed ended; None if it has not."""
    message = status.message(Condition.READY)
    if one.target in {status.failed_revision, status.rollback.source}:
        done = status.reason(Condition.READY) == Reason.ROLLED_BACK
        return Ending(RequestPhase.FAILED, message) if done else None
    if not status.at_rest(generation):
        return None
    if status.current_revision == one.target:
        return Ending(RequestPhase.SUCCEEDED, message)
    return Ending(RequestPhase.STALE, "the Stack has reached another revision")


def judged(one: ChangeSet, planned: StackPlan) -> Ending | None:
    """How a change set ends whose plan was made anew; None if it still holds."""
    if changesets.matches(one, planned):
        return None
    if one.inputs != planned.inputs_digest:
        return Ending(RequestPhase.STALE, "the inputs changed: the Stack's spec, or an object that they refer to")
    return Ending(RequestPhase.STALE, changesets.difference(one, planned.plan))


class Proposals:
    """The StackChangeSets of one Stack, after a reconciliation."""

    def __init__(self, shared: SharedState, key: Key, control: Control) -> None:
        self.shared = shared
        self.key = key
        self.control = control
        self.sets = ChangeSets(shared.kube, key)

    async def after(self, requeue: Requeue) -> Requeue:
        """Settle them after a reconciliation with this end, which is returned."""
        await self.settle(requeue.end)
        return requeue

    async def settle(self, end: PassEnd) -> None:
        """Plan the new ones, and end those that are executed or out of date. Raises KubeError, ReconciliationEnded."""
        names = self.shared.requests.open(self.key, STACK_CHANGE_SETS)[:MOST_OPEN]
        if not names or end not in QUIET | {PassEnd.DELETED}:
            return
        stack = await self.shared.kube.get(STACKS, *self.key)
        if stack is not None and "deletionTimestamp" in stack["metadata"]:
            return
        for where in names:
            one = await self.sets.get(where.name)
            ended = await self._settled(one, stack, end) if one is not None else None
            if one is not None and ended is not None:
                log.info("StackChangeSet %s: %s: %s", one.name, ended.phase, ended.message)
                await self.sets.finish(one, ended.phase, ended.message)

    async def _settled(self, one: ChangeSet, stack: Mapping[str, Any] | None, end: PassEnd) -> Ending | None:
        if stack is None:
            if one.delete and one.ready:
                return Ending(RequestPhase.SUCCEEDED, "the Stack was deleted")
            return Ending(RequestPhase.FAILED, f"there is no Stack {self.key.name}")
        if one.running:
            return ending(one, StackStatus.parse(stack), stack["metadata"]["generation"])
        if not one.phase and one.approved:
            return Ending(RequestPhase.FAILED, BLIND)
        if one.ready and end is PassEnd.AWAITING_APPROVAL and one.proposed is None and not one.delete:
            return None  # the reconciliation has just compared it
        return await self._planned(one, stack)

    async def _planned(self, one: ChangeSet, stack: Mapping[str, Any]) -> Ending | None:
        """Make the plan, and write it, or compare it with the one that was made before."""
        secrets = PlanSecrets(str(self.key))
        try:
            planned = await self._plan(one, stack, secrets)
        except (CloudError, CredentialsError) as error:
            await self._later(one, secrets, error)
            return None
        except TranslationError as error:
            if not error.transient:
                return self._impossible(one, secrets, format_problems(error))
            await self._later(one, secrets, error)
            return None
        except InputsError as error:
            return self._impossible(one, secrets, str(error))
        except ValueError as error:
            return self._impossible(one, secrets, f"spec: {error}")
        if one.phase:
            return judged(one, planned)
        evaluate = in_executor(self.shared.evaluators)
        report = await evaluate(lambda: planned.report(LIMITS))
        await self.sets.write(one, {**changesets.planned_status(planned, report, stack), "message": ""})
        return None

    async def _later(self, one: ChangeSet, secrets: PlanSecrets, error: Exception) -> None:
        """It may be possible later."""
        if not one.phase:
            await self.sets.write(one, {"message": shown(f"it cannot be planned yet: {error}", secrets.redact)})

    async def _plan(self, one: ChangeSet, stack: Mapping[str, Any], secrets: PlanSecrets) -> StackPlan:
        v1alpha1.stack_spec(stack)
        if one.delete:
            return await plan_stack(self.shared, stack, delete=True, control=self.control, secrets=secrets)
        try:
            given = await inputs.load(self.shared.kube, proposed_stack(stack, one.proposed))
        except InputsError as error:
            path = error.path.replace("spec", "spec.proposed", 1) if one.proposed else error.path
            raise InputsError(error.reason, path, error.message) from error
        return await plan_stack(self.shared, stack, given, control=self.control, secrets=secrets)

    @staticmethod
    def _impossible(one: ChangeSet, secrets: PlanSecrets, message: str) -> Ending:
        phase = RequestPhase.STALE if one.phase else RequestPhase.FAILED
        return Ending(phase, shown(message, secrets.redact, changesets.LONGEST_MESSAGE))
