"""One reconciliation of one Stack: load, decide, translate, plan and execute, report.

All state is in Kubernetes and OpenStack, so a reconciliation may end anywhere.
"""

import contextlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from hot_translator import Translation, TranslationError
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import StackSpec
from kiln.clouds.credentials import CredentialsError
from kiln.stack import (
    approval,
    clock,
    conditions,
    finalizer,
    objective,
    operations,
    outputs,
    published_outputs,
    restores,
    stack_secret,
)
from kiln.stack.approval import ApprovalGate, Awaiting
from kiln.stack.deletion import StackDeletion
from kiln.stack.loading import Loaded, Loader, impossible
from kiln.stack.objective import AfterFailure, Objective, Refusal
from kiln.stack.operation_run import OperationRun
from kiln.stack.operations import OperationType
from kiln.stack.published_outputs import OutputPublisher, Published
from kiln.stack.requeue import PassEnd, Requeue
from kiln.stack.revisions import Revision, Revisions
from kiln.stack.shared import CloudAccess, SharedState
from kiln.stack.stack_secret import SecretTaken
from kiln.stack.surroundings import CREDENTIALS_RETRY, RETRY, Refused, Run, Surroundings
from reconcilers.digests import Digester
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.control import TimedOut
from reconcilers.engine.engine import Engine
from reconcilers.engine.guard import Guard
from reconcilers.engine.progress import ReadyResource
from reconcilers.engine.result import Result as EngineResult
from reconcilers.errors import CloudError
from reconcilers.model import DriftPolicy

log = logging.getLogger(__name__)

DUPLICATE_CHECK_INTERVAL: Final = 20.0
"""Seconds until the next look for a possible duplicate."""
OUTPUTS_CHECK_INTERVAL: Final = 15.0
"""Seconds from the end of an operation to the next look: one service notes a moment later what changed in another, as
Nova does with the addresses of ports, and outputs show it."""
ROLLBACK_NOW: Final = 0.05
"""Seconds until the reconciliation that rolls back."""
MOST_WARNINGS: Final = 5
"""How many of a template's warnings its condition names."""
UNVERIFIED: Final = "the cloud's certificate is not verified: clouds.yaml says verify: false"


@dataclass(frozen=True, slots=True)
class Reached:
    """A Stack at rest, as its snapshots need it. ``timeout`` is in seconds."""

    access: CloudAccess
    ready: tuple[ReadyResource, ...]
    revision: str
    timeout: float


class StackReconciliation:
    """One reconciliation. Raises ReconciliationEnded and KubeError; it reports all other errors in the status."""

    def __init__(self, shared: SharedState, stack: Mapping[str, Any], run: Run, pass_id: str) -> None:
        self._here = Surroundings(shared, stack, run, pass_id)
        self.reporter = self._here.reporter
        self.generation = self._here.generation
        self._operation = OperationRun(self._here)
        self._loader = Loader(self._here)
        self._reached_state: Reached | None = None
        """The Stack is at rest."""

    async def run(self) -> Requeue:
        """Reconcile the Stack, carry out its next StackOperation, and make the snapshots that wait."""
        with self._here.shared.large.reconciled(self._here.key):
            requeue = await self._operation.finish(await self._reconcile())
        snapshots, at = self._here.snapshots, self._reached_state
        if at is not None:
            context = partial(self._here.copying_context, at.access)
            await snapshots.make(context, at.ready, at.revision, at.timeout)
        return snapshots.sooner(requeue)

    async def _reconcile(self) -> Requeue:
        try:
            spec = self._here.spec()
            deleting = "deletionTimestamp" in self._here.stack["metadata"]
            if spec.paused and (finalizer.has_finalizer(self._here.stack) or not deleting):
                await self.reporter.report_final(conditions.paused(self.generation, deleting=deleting))
                return Requeue.on_events(PassEnd.PAUSED)
            self._here.check_room()
            await self._operation.choose(deleting=deleting)
            if deleting:
                return await StackDeletion(self._here, self._operation).run(spec)
            self._here.stack = await finalizer.add_finalizer(self._here.kube, self._here.stack)
            await self._remove_snapshots(spec)
            return await self._converge(spec, await self._loader.load())
        except SecretTaken as taken:
            refused = self._here.refusal(taken.reason, f"{taken.path}: {taken.message}", retry=CREDENTIALS_RETRY)
            await self.reporter.report_final(refused.update)
            return refused.requeue
        except Refused as refused:
            await self.reporter.report_final(refused.update)
            return refused.requeue
        except TranslationError as error:
            # Of a plan; other translations are refused where they are made.
            invalid = self._here.untranslatable(error)
            await self.reporter.report_final(invalid.update)
            return invalid.requeue
        except CloudError as error:
            await self.reporter.report_final(conditions.cloud_failed(self.generation, error))
            if conditions.is_stalled_by(error):
                return Requeue(PassEnd.STALLED, CREDENTIALS_RETRY, RETRY)
            return Requeue(PassEnd.RETRY, error.retry_after, RETRY)

    async def _remove_snapshots(self, spec: StackSpec) -> None:
        """Delete what StackSnapshots hold that are being deleted. Their status says what hinders it."""
        here = self._here
        if not await here.snapshots.leaving():
            return
        with contextlib.suppress(CredentialsError, CloudError, TimedOut):
            access = await here.shared.access(here.stack)
            await here.snapshots.remove_leaving(partial(here.copying_context, access), spec.timeout)

    # Converging.

    async def _converge(self, spec: StackSpec, loaded: Loaded) -> Requeue:
        key, new_key = await stack_secret.load_or_create_digest_key(
            self._here.kube, self._here.stack, loaded.access.credential
        )
        revisions = Revisions(self._here.kube, self._here.stack)
        known = await revisions.load()
        hidden = {name for name, parameter in loaded.translation.parameters.items() if parameter.hidden}
        wanted = await revisions.record(
            known,
            loaded.inputs,
            frozenset(hidden) | loaded.inputs.hidden,
            Digester(key),
            self.reporter.redact.holds,
        )
        before = await self._operation.begin(spec, loaded, wanted, [*known, wanted], Digester(key))
        operation = self._operation.operation
        asked = operations.SHOWN_AS.get(operation.type) if operation is not None else None
        decided = objective.decide(spec, before, self.generation, wanted, [*known, wanted], clock.now(), asked)
        if isinstance(decided, Refusal):
            raise impossible(self._here, decided, wanted)
        if self._operation.is_of(OperationType.CHECK):
            spec = replace(spec, drift=DriftPolicy.REPORT)
        translation, deployed = await self._loader.translations(decided, loaded, revisions)
        gate = ApprovalGate(
            self._here.shared, self._here.stack, wanted, loaded.inputs, self._here.control(float("inf"))
        )
        granted = await gate.enter(spec, decided)
        if isinstance(granted, Awaiting):
            return await self._await_approval(spec, granted, loaded)
        await self._loader.rename(loaded, translation if decided.target is not None else None)
        rules, kept = await self._loader.adopted(decided, loaded)
        self.reporter.register(decided, loaded.records, translation if decided.target is not None else None)
        if not decided.announced or self.reporter.effects:
            await self.reporter.report_started()
        aim = await self._loader.inputs_of(decided, loaded, revisions)
        context = self._here.context(spec, decided, loaded.access, key, aim)
        context.policy = replace(
            context.policy,
            rekeyed=new_key and bool(loaded.records),
            known=_names(translation) if decided.began_before else frozenset(),
            deployed=_names(deployed),
            guard=Guard(spec.protected_resources, granted.approved),
            restores=restores.parse(before.restored),
            adoption=rules,
            kept=kept,
        )
        engine = Engine(context, loaded.records)
        try:
            result = await (engine.converge(translation) if decided.target is not None else engine.delete())
            if before.restored:
                left = restores.after(before.restored, result)
                self.reporter.effects = {**self.reporter.effects, "restored": left}
        except TimedOut:
            return await self._failed(spec, decided, EngineResult(), translation, engine, loaded, timed_out=True)
        awaited = await gate.interrupted() if approval.is_unapproved(result) else None
        if awaited is not None:
            return await self._await_approval(spec, awaited, loaded)
        if result.hooks and not result.failures:
            update = conditions.waiting(
                self.generation, decided, self.reporter.progress, result, remarks=_remarks(loaded)
            )
            await self.reporter.report_final(replace(update, groups=_groups(translation)))
            return Requeue(PassEnd.HOOK_PENDING, resync(spec))
        if not result.complete:
            return await self._failed(spec, decided, result, translation, engine, loaded)
        return await self._reached(spec, decided, translation, engine, loaded, revisions, known)

    async def _reached(
        self,
        spec: StackSpec,
        decided: Objective,
        translation: Translation,
        engine: Engine,
        loaded: Loaded,
        revisions: Revisions,
        known: list[Revision],
    ) -> Requeue:
        """All resources match the target."""
        target, wanted = decided.target, decided.wanted
        if target is not None and not target.deployed:
            await revisions.mark_deployed(target, clock.stamp())
        self.reporter.report_imported()
        self.reporter.report_repaired()
        worked = self.reporter.started or bool(self.reporter.progress.repaired)
        shows = {name for output in translation.outputs.values() for name in output.requires}
        if worked and target is not None:
            # Later resources may have changed attributes of earlier ones.
            await engine.refresh(shows)
        shown = await self._outputs(translation, engine.context) if target is not None else outputs.NONE
        published = await self._publish(shown)
        worked = worked or self.reporter.started
        update = conditions.reached(
            self.generation,
            decided,
            self.reporter.progress,
            shown,
            _groups(translation),
            worked=worked,
            remarks=_remarks(loaded),
        )
        update = replace(update, resync_interval=spec.resync_interval, output_objects=published.objects)
        if published.problem is not None:
            message = f"{published.problem.path}: {published.problem.message}"
            update = conditions.unpublished(update, published.problem.reason, message)
        await self.reporter.report_final(update)
        if worked:
            self.reporter.observe_duration()
        keep = frozenset(revision.name for revision in (target, wanted) if revision is not None)
        keep |= self._here.snapshots.revisions
        await revisions.prune(known, keep, spec.revision_history_limit)
        at = target.name if target is not None else ""
        self._reached_state = Reached(loaded.access, tuple(engine.context.ready.values()), at, spec.timeout)
        if published.problem is not None:
            return Requeue(PassEnd.STALLED, CREDENTIALS_RETRY)
        again = resync(spec)
        if engine.context.has_possible_duplicates:
            again = min(again or DUPLICATE_CHECK_INTERVAL, DUPLICATE_CHECK_INTERVAL)
        if self.reporter.started and shows:
            again = min(again or OUTPUTS_CHECK_INTERVAL, OUTPUTS_CHECK_INTERVAL)
        return Requeue(PassEnd.AT_REST, again)

    async def _failed(
        self,
        spec: StackSpec,
        decided: Objective,
        result: EngineResult,
        translation: Translation,
        engine: Engine,
        loaded: Loaded,
        *,
        timed_out: bool = False,
    ) -> Requeue:
        """Some resources do not match the target. ``spec.onFailure`` decides what to do."""
        after = objective.after_failure(spec, decided, result.failures, timed_out=timed_out)
        shown = await self._outputs(translation, engine.context)
        shown = outputs.kept(shown, self._here.old.outputs, self._here.old.hidden_outputs)
        published = await self._publish(shown, keep_hidden=True)
        update = conditions.failed(
            self.generation,
            decided,
            self.reporter.progress,
            result,
            after,
            shown,
            timeout=spec.timeout if timed_out else None,
            remarks=_remarks(loaded),
        )
        update = replace(update, groups=_groups(translation), output_objects=published.objects)
        await self.reporter.report_final(update)
        if after.stalled:
            log.warning("giving up until the Stack or one of its inputs changes: %s", update.state.reason)
        return _requeue_after_failure(spec, after)

    async def _await_approval(self, spec: StackSpec, awaited: Awaiting, loaded: Loaded) -> Requeue:
        """Nothing more is done until somebody approves the plan, or until it is time to look whether it still holds."""
        old = StackStatus.parse({"status": self.reporter.writer.status})
        await self.reporter.report_final(conditions.awaiting(self.generation, awaited.message, old, _remarks(loaded)))
        return Requeue(PassEnd.AWAITING_APPROVAL, resync(spec))

    async def _outputs(self, translation: Translation, context: ReconcileContext) -> outputs.Outputs:
        return await context.evaluate(partial(outputs.resolve, translation, context, self.reporter.redact_outputs))

    async def _publish(self, shown: outputs.Outputs, *, keep_hidden: bool = False) -> Published:
        """Write outputs into Secrets and ConfigMaps. A new one is in the status before it is made."""
        wanted, problems = published_outputs.contents(self._here.stack, shown, keep_hidden=keep_hidden)
        before = self._here.old.output_objects
        if not wanted and not before:
            return Published((), problems[0] if problems else None)
        objects = {content.identity for content in wanted}
        if objects - set(before):
            self.reporter.effects = {**self.reporter.effects, "output_objects": tuple(sorted({*objects, *before}))}
            await self.reporter.report_started()
        if problems:
            # What a wrong item was about is not known, so nothing is removed.
            objects |= set(before)
        publisher = OutputPublisher(self._here.kube, self._here.stack, self._here.shared.fence)
        problems += await publisher.publish(wanted, [one for one in before if one not in objects])
        for problem in problems:
            log.warning("outputs are not written: %s: %s", problem.path, problem.message)
        return Published(tuple(sorted(objects)), problems[0] if problems else None)


def _requeue_after_failure(spec: StackSpec, after: AfterFailure) -> Requeue:
    if after.rolls_back:
        return Requeue(PassEnd.ROLLING_BACK, ROLLBACK_NOW)
    if after.halts:
        return Requeue.on_events(PassEnd.STALLED)
    if after.stalled:
        return Requeue(PassEnd.STALLED, resync(spec))
    return Requeue(PassEnd.RETRY, backoff=RETRY)


def resync(spec: StackSpec) -> float | None:
    """Seconds until the next comparison with OpenStack, with 10 % jitter; None for never."""
    interval = spec.resync_interval
    return interval * (0.9 + secrets.randbelow(200) / 1000) if interval else None


def _remarks(loaded: Loaded) -> conditions.Remarks:
    """What is to be said of a template that is valid and a cloud that is reachable."""
    warnings = loaded.translation.warnings
    named = "; ".join(str(warning) for warning in warnings[:MOST_WARNINGS])
    more = f"; and {len(warnings) - MOST_WARNINGS} more" if len(warnings) > MOST_WARNINGS else ""
    unverified = "" if loaded.access.credential.verify else UNVERIFIED
    return conditions.Remarks(template=f"warning: {named}{more}" if named else "", cloud=unverified)


def _groups(translation: Translation) -> dict[str, list[str]]:
    return {name: sorted(group.removed) for name, group in translation.groups.items() if group.removed}


def _names(translation: Translation | None) -> frozenset[str]:
    return frozenset(translation.definitions) if translation is not None else frozenset()
