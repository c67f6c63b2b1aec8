"""One reconciliation of one Stack: load, decide, translate, plan and execute, report.

All state is in Kubernetes and OpenStack, so a reconciliation may end anywhere. A deletion is a reconciliation without
desired resources. It needs neither template nor parameters.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

from hot_translator import Pseudo, Translation, TranslationError
from hot_translator.errors import raise_all
from kiln.api import v1alpha1
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import DeletionPolicy, Reason, RequestPhase, StackSpec
from kiln.clouds.credentials import CredentialsError
from kiln.stack import (
    approval,
    clock,
    conditions,
    finalizer,
    inputs,
    objective,
    operations,
    other_stacks,
    outputs,
    power_operations,
    published_outputs,
    stack_secret,
    status,
    validation,
)
from kiln.stack.approval import ApprovalGate, Awaiting
from kiln.stack.inputs import Inputs, InputsError
from kiln.stack.objective import AfterFailure, Objective, Refusal
from kiln.stack.operations import Effects, Operations, OperationType, Outcome, Rejection, StackOperation
from kiln.stack.published_outputs import OutputPublisher, Published
from kiln.stack.reporter import StackReporter
from kiln.stack.requeue import PassEnd, Requeue
from kiln.stack.resource_store import StackResourceStore
from kiln.stack.revisions import Revision, Revisions
from kiln.stack.shared import CloudAccess, SharedState
from kiln.stack.stack_secret import SecretTaken
from kiln.stack.status import StatusUpdate, StatusWriter
from reconcilers.backoff import Backoff
from reconcilers.digests import Digester
from reconcilers.engine.context import Policy, ReconcileContext, in_executor
from reconcilers.engine.control import Control, Slot, TimedOut
from reconcilers.engine.engine import Engine
from reconcilers.engine.engine import Result as EngineResult
from reconcilers.engine.guard import Guard
from reconcilers.engine.hooks import Hooks
from reconcilers.errors import CloudError
from reconcilers.model import DriftPolicy, OnObstacle, Recorded

log = logging.getLogger(__name__)

RETRY: Final = Backoff(first=5.0, longest=300.0)
"""Between tries of a failed Stack."""
CREDENTIALS_RETRY: Final = 60.0
"""Seconds until refused credentials are tried again. A change of their Secret starts a reconciliation at once."""
DUPLICATE_CHECK_INTERVAL: Final = 20.0
"""Seconds until the next look for a possible duplicate."""
LOOK_AGAIN: Final = 60.0
"""Seconds until the next look at other Stacks that are waited for. An event of theirs starts one at once."""
ROLLBACK_NOW: Final = 0.05
"""Seconds until the reconciliation that rolls back."""
NEXT_OPERATION: Final = 0.05
"""Seconds until the reconciliation that carries out the next StackOperation."""
MOST_WARNINGS: Final = 5
"""How many of a template's warnings its condition names."""
UNVERIFIED: Final = "the cloud's certificate is not verified: clouds.yaml says verify: false"


class Refused(Exception):  # noqa: N818
    """The reconciliation cannot continue. Carries the status to write, and when to retry."""

    def __init__(self, update: StatusUpdate, requeue: Requeue) -> None:
        super().__init__(update.state.message)
        self.update = update
        self.requeue = requeue


class Run(Slot, Protocol):
    """The work queue's handle on a reconciliation: its slot, and ``superseded``, set when it has to end."""

    superseded: asyncio.Event


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The inputs of a reconciliation."""

    inputs: Inputs
    access: CloudAccess
    pseudo: Pseudo
    records: list[Recorded]
    translation: Translation


class StackReconciliation:
    """One reconciliation. Raises ReconciliationEnded and KubeError; it reports all other errors in the status."""

    def __init__(self, shared: SharedState, stack: Mapping[str, Any], run: Run, pass_id: str) -> None:
        self.shared = shared
        self.kube = shared.kube
        self.stack = stack
        self.key = v1alpha1.namespaced_name(stack)
        self.generation: int = stack["metadata"]["generation"]
        self.old = StackStatus.parse(stack)
        self.run_slot = run
        writer = StatusWriter(self.kube, stack, clock.stamp, shared.fence)
        self.reporter = StackReporter(stack, writer, shared.events, pass_id)
        self.operations = Operations(self.kube, shared.requests, self.key)
        self.operation: StackOperation | None = None
        """The StackOperation that this reconciliation carries out."""
        self.store = StackResourceStore(self.kube, stack, clock.stamp, shared.fence, self.reporter.redact)

    async def run(self) -> Requeue:
        """Reconcile the Stack, and carry out its next StackOperation."""
        requeue = await self._reconcile()
        if self.operation is None:
            return requeue
        ended = operations.outcome(self.operation, self.reporter.final, requeue.end)
        if ended is None:
            return requeue
        await self.operations.finish(self.operation, ended)
        return requeue if await self.operations.current() is None else Requeue(requeue.end, NEXT_OPERATION)

    async def _reconcile(self) -> Requeue:
        try:
            spec = self._spec()
            deleting = "deletionTimestamp" in self.stack["metadata"]
            if deleting:
                gone = "the Stack is being deleted"
                self.operation = await self.operations.reject_all(gone, but=frozenset({OperationType.CLEAR_HOOK}))
            if spec.paused and (finalizer.has_finalizer(self.stack) or not deleting):
                await self.reporter.report_final(conditions.paused(self.generation, deleting=deleting))
                return Requeue.on_events(PassEnd.PAUSED)
            if deleting:
                return await self._delete(spec)
            self.operation = await self.operations.current()
            self.stack = await finalizer.add_finalizer(self.kube, self.stack)
            return await self._converge(spec, await self._load())
        except SecretTaken as taken:
            refused = self._refusal(taken.reason, f"{taken.path}: {taken.message}", retry=CREDENTIALS_RETRY)
            await self.reporter.report_final(refused.update)
            return refused.requeue
        except Refused as refused:
            await self.reporter.report_final(refused.update)
            return refused.requeue
        except TranslationError as error:
            # Of a plan; other translations are refused where they are made.
            invalid = self._refusal(error.kind, status.format_problems(error))
            await self.reporter.report_final(invalid.update)
            return invalid.requeue
        except CloudError as error:
            await self.reporter.report_final(conditions.cloud_failed(self.generation, error))
            if conditions.is_stalled_by(error):
                return Requeue(PassEnd.STALLED, CREDENTIALS_RETRY, RETRY)
            return Requeue(PassEnd.RETRY, error.retry_after, RETRY)

    # Loading.

    def _spec(self) -> StackSpec:
        try:
            return v1alpha1.stack_spec(self.stack)
        except (ValueError, TypeError, LookupError) as error:
            raise self._refusal(v1alpha1.Reason.INVALID_SPEC, f"spec: {error}") from error

    def _refusal(self, reason: str, message: str, *, cloud: bool = False, retry: float | None = None) -> Refused:
        update = conditions.refused(self.generation, reason, message, cloud=cloud)
        return Refused(update, Requeue(PassEnd.STALLED, retry))

    async def _load(self) -> _Loaded:
        circle = self.shared.references.circle(self.key, other_stacks.used_stacks(self.stack["spec"]))
        if circle:
            message = f"spec.parametersFrom: Stacks use outputs of each other in a circle: {' -> '.join(circle)}"
            raise self._refusal(Reason.CIRCULAR_REFERENCE, message)
        try:
            found = await inputs.load(self.kube, self.stack)
        except InputsError as error:
            if error.waits:
                message = f"{error.path}: {error.message}"
                update = conditions.waiting_for_stack(self.generation, error.reason, message)
                raise Refused(update, Requeue(PassEnd.WAITING_FOR_STACK, LOOK_AGAIN)) from error
            raise self._refusal(error.reason, f"{error.path}: {error.message}") from error
        self.reporter.add_secrets(found.hidden_values)
        try:
            access = await self.shared.access(self.stack)
        except CredentialsError as error:
            message = f"{error.path}: {error.message}"
            raise self._refusal(error.reason, message, cloud=True, retry=CREDENTIALS_RETRY) from error
        self.reporter.add_secrets(access.credential.hidden)
        pseudo = await self._pseudo(access)
        records = await self.store.load()
        groups = validation.group_states(records, self.old.groups)
        try:
            translation = await self.shared.translation(self.key, found, pseudo, groups)
        except TranslationError as error:
            raise self._refusal(error.kind, status.format_problems(error)) from error
        self.reporter.add_secrets(translation.hidden_values)
        return _Loaded(found, access, pseudo, records, translation)

    async def _pseudo(self, access: CloudAccess) -> Pseudo:
        control = self._control(float("inf"))
        return Pseudo(
            stack_name=v1alpha1.heat_name(self.stack),
            stack_id=self.stack["metadata"]["uid"],
            project_id=await control.wait_for(access.cloud.project_id()),
            region=access.cloud.region,
        )

    # Converging.

    async def _converge(self, spec: StackSpec, loaded: _Loaded) -> Requeue:
        key, new_key = await stack_secret.load_or_create_digest_key(self.kube, self.stack, loaded.access.credential)
        revisions = Revisions(self.kube, self.stack)
        known = await revisions.load()
        hidden = {name for name, parameter in loaded.translation.parameters.items() if parameter.hidden}
        wanted = await revisions.record(
            known,
            loaded.inputs,
            frozenset(hidden) | loaded.inputs.hidden,
            Digester(key),
            self.reporter.redact.holds,
        )
        before = await self._begin_operation(spec, loaded, wanted, [*known, wanted], Digester(key))
        asked = power_operations.TYPES.get(self.operation.type) if self.operation is not None else None
        decided = objective.decide(spec, before, self.generation, wanted, [*known, wanted], clock.now(), asked)
        if isinstance(decided, Refusal):
            raise self._impossible(decided, wanted)
        if self.operation is not None and self.operation.type is OperationType.CHECK:
            spec = replace(spec, drift=DriftPolicy.REPORT)
        translation, deployed = await self._translations(decided, loaded, revisions)
        gate = ApprovalGate(self.shared, self.stack, wanted, loaded.inputs, self._control(float("inf")))
        granted = await gate.enter(spec, decided)
        if isinstance(granted, Awaiting):
            return await self._await_approval(spec, granted, loaded)
        self.reporter.register(decided, loaded.records, translation if decided.target is not None else None)
        if not decided.announced or self.reporter.effects:
            await self.reporter.report_started()
        context = self._context(spec, decided, loaded.access, key)
        context.policy = replace(
            context.policy,
            rekeyed=new_key and bool(loaded.records),
            known=_names(translation) if decided.began_before else frozenset(),
            deployed=_names(deployed),
            guard=Guard(spec.protected_resources, granted.approved),
        )
        engine = Engine(context, loaded.records)
        try:
            result = await (engine.converge(translation) if decided.target is not None else engine.delete())
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

    async def _translations(
        self, decided: Objective, loaded: _Loaded, revisions: Revisions
    ) -> tuple[Translation, Translation | None]:
        """The translations of the target and of the revision that was reached last. Raises Refused."""
        if decided.rolling_back:
            if decided.target is None:
                return loaded.translation, None
            target, why = await self._translated(decided.target, decided, loaded, revisions)
            if target is None:
                raise self._impossible(objective.rollback_to_untranslatable(decided, why), decided.wanted)
            deployed, _ = await self._translated(decided.current, decided, loaded, revisions)
            return target, deployed
        deployed, _ = await self._translated(decided.current, decided, loaded, revisions)
        if decided.wanted is not None and not decided.wanted.deployed:
            try:
                raise_all(list(loaded.translation.broken_rules))
                await validation.check_lookups(loaded.translation, loaded.access.lookup)
                if deployed is not None:
                    validation.check_immutable(loaded.translation, deployed)
            except TranslationError as error:
                raise self._refusal(error.kind, status.format_problems(error)) from error
        return loaded.translation, deployed

    async def _translated(
        self, revision: Revision | None, decided: Objective, loaded: _Loaded, revisions: Revisions
    ) -> tuple[Translation | None, str]:
        """The translation of a revision, or None and the reason."""
        if revision is None:
            return None, ""
        if revision is decided.wanted:
            return loaded.translation, ""
        try:
            found = await revisions.inputs(revision)
            self.reporter.add_secrets(found.hidden_values)
            groups = validation.group_states(loaded.records, self.old.groups)
            translation = await self.shared.translation(self.key, found, loaded.pseudo, groups)
        except (TranslationError, InputsError) as error:
            why = self.reporter.redact(str(error))
            log.warning("the StackRevision %s does not translate any more: %s", revision.name, why)
            return None, why
        self.reporter.add_secrets(translation.hidden_values)
        return translation, ""

    async def _begin_operation(
        self, spec: StackSpec, loaded: _Loaded, wanted: Revision, known: list[Revision], digester: Digester
    ) -> StackStatus:
        """Begin what ``spec.updateRequest`` asks for, and the StackOperation, if there is one that can be done.

        Returns the status as they change it.
        """
        before = self.old
        if objective.asks_again(spec, before):
            self.reporter.effects = {**operations.AGAIN.changes(), "handled_update_request": spec.update_request}
            before = operations.AGAIN.of(before)
        operation = self.operation
        if operation is None:
            return before
        found = operations.effects(operation, before, self.generation, wanted, known)
        if isinstance(found, Effects) and operation.type is OperationType.MARK_UNHEALTHY:
            found = await self._mark(operation, loaded, found, digester)
        if isinstance(found, Effects) and operation.type in power_operations.TYPES:
            found = power_operations.effects(operation, self.old, self._spec(), loaded.records)
        if isinstance(found, Rejection):
            self.operation = None
            rejected = Outcome(RequestPhase.FAILED, self.reporter.redact(found.message))
            await self.operations.finish(operation, rejected)
            return before
        self.operation = await self.operations.begin(self.operation or operation)
        self.reporter.effects = {**self.reporter.effects, **found.changes()}
        return found.of(before)

    async def _begin_clearing(self) -> StackStatus:
        """Begin the ClearHook of a Stack that is being deleted. Returns the status as it changes it."""
        operation = self.operation
        if operation is None:
            return self.old
        found = operations.cleared(operation, self.old)
        if isinstance(found, Rejection):
            self.operation = None
            await self.operations.finish(operation, Outcome(RequestPhase.FAILED, found.message))
            return self.old
        self.operation = await self.operations.begin(operation)
        self.reporter.effects = found.changes()
        return found.of(self.old)

    async def _mark(
        self, operation: StackOperation, loaded: _Loaded, found: Effects, digester: Digester
    ) -> Effects | Rejection:
        """Mark a resource unhealthy, once: a later reconciliation of the operation finds another resource."""
        marked = operations.marked(operation, loaded.records, digester)
        if self.old.handled_operation == operation.uid:
            return found
        if isinstance(marked, Rejection):
            return marked
        definition = loaded.translation.definitions.get(marked.name)
        if definition is not None and "replace" in definition.restricted_actions:
            return Rejection("replace is restricted for the resource by the environment")
        if operation.running and operation.physical_id != (marked.physical_id or ""):
            return found
        self.operation = await self.operations.begin(operation, marked.physical_id or "")
        stored = await self.store.save(marked)
        loaded.records[:] = [stored if one.key == stored.key else one for one in loaded.records]
        return found

    def _impossible(self, refusal: Refusal, wanted: Revision | None) -> Refused:
        if refusal.reason is Reason.CANCELLED:
            update = conditions.cancelled(self.generation, wanted.name if wanted else "", refusal.message, self.old)
            return Refused(update, Requeue.on_events(PassEnd.STALLED))
        update = conditions.impossible(self.generation, wanted.name if wanted else "", refusal, self.old)
        return Refused(update, Requeue.on_events(PassEnd.STALLED))

    async def _reached(
        self,
        spec: StackSpec,
        decided: Objective,
        translation: Translation,
        engine: Engine,
        loaded: _Loaded,
        revisions: Revisions,
        known: list[Revision],
    ) -> Requeue:
        """All resources match the target."""
        target, wanted = decided.target, decided.wanted
        if target is not None and not target.deployed:
            await revisions.mark_deployed(target, clock.stamp())
        self.reporter.report_repaired()
        worked = self.reporter.started or bool(self.reporter.progress.repaired)
        if worked and target is not None:
            # Later resources may have changed attributes of earlier ones.
            await engine.refresh({name for output in translation.outputs.values() for name in output.requires})
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
        await revisions.prune(known, keep, spec.revision_history_limit)
        if published.problem is not None:
            return Requeue(PassEnd.STALLED, CREDENTIALS_RETRY)
        again = resync(spec)
        if engine.context.has_possible_duplicates:
            again = min(again or DUPLICATE_CHECK_INTERVAL, DUPLICATE_CHECK_INTERVAL)
        return Requeue(PassEnd.AT_REST, again)

    async def _failed(
        self,
        spec: StackSpec,
        decided: Objective,
        result: EngineResult,
        translation: Translation,
        engine: Engine,
        loaded: _Loaded,
        *,
        timed_out: bool = False,
    ) -> Requeue:
        """Some resources do not match the target. ``spec.onFailure`` decides what to do."""
        after = objective.after_failure(spec, decided, result.failures, timed_out=timed_out)
        shown = await self._outputs(translation, engine.context)
        shown = outputs.kept(shown, self.old.outputs, self.old.hidden_outputs)
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

    async def _await_approval(self, spec: StackSpec, awaited: Awaiting, loaded: _Loaded) -> Requeue:
        """Nothing more is done until somebody approves the plan, or until it is time to look whether it still holds."""
        old = StackStatus.parse({"status": self.reporter.writer.status})
        await self.reporter.report_final(conditions.awaiting(self.generation, awaited.message, old, _remarks(loaded)))
        return Requeue(PassEnd.AWAITING_APPROVAL, resync(spec))

    async def _outputs(self, translation: Translation, context: ReconcileContext) -> outputs.Outputs:
        return await context.evaluate(partial(outputs.resolve, translation, context, self.reporter.redact_outputs))

    async def _publish(self, shown: outputs.Outputs, *, keep_hidden: bool = False) -> Published:
        """Write outputs into Secrets and ConfigMaps. A new one is in the status before it is made."""
        wanted, problems = published_outputs.contents(self.stack, shown, keep_hidden=keep_hidden)
        before = self.old.output_objects
        if not wanted and not before:
            return Published((), problems[0] if problems else None)
        objects = {content.identity for content in wanted}
        if objects - set(before):
            self.reporter.effects = {**self.reporter.effects, "output_objects": tuple(sorted({*objects, *before}))}
            await self.reporter.report_started()
        if problems:
            # What a wrong item was about is not known, so nothing is removed.
            objects |= set(before)
        publisher = OutputPublisher(self.kube, self.stack, self.shared.fence)
        problems += await publisher.publish(wanted, [one for one in before if one not in objects])
        for problem in problems:
            log.warning("outputs are not written: %s: %s", problem.path, problem.message)
        return Published(tuple(sorted(objects)), problems[0] if problems else None)

    # Deletion.

    async def _delete(self, spec: StackSpec) -> Requeue:
        """Delete all recorded resources, then remove the finalizer."""
        if not finalizer.has_finalizer(self.stack):
            return Requeue.on_events(PassEnd.DELETED)
        users = self.shared.references.blocking(self.key)
        if users and not other_stacks.deletion_is_forced(self.stack):
            named = await other_stacks.still_using(self.kube, self.key, users)
            if named:
                await self.reporter.report_final(conditions.deletion_blocked(self.generation, named))
                return Requeue(PassEnd.DELETION_BLOCKED, LOOK_AGAIN)
        before = await self._begin_clearing()
        decided = objective.deletion(spec, before, clock.now())
        self.store.deleting_stack = True
        records = await self.store.load()
        self.reporter.register(decided, records, None)
        refusal = objective.protected_from_deletion(spec, records)
        if refusal is not None:
            raise self._refusal(refusal.reason, refusal.message)
        if records and spec.deletion_policy is DeletionPolicy.ORPHAN:
            await asyncio.gather(*(self.store.delete(recorded) for recorded in records))
        elif records:
            requeue = await self._delete_resources(spec, decided, records)
            if requeue is not None:
                await self.store.release()
                return requeue
        self.store.expect_garbage_collection()
        await stack_secret.release(self.kube, self.stack)
        if await finalizer.remove_finalizer(self.kube, self.stack):
            self.reporter.observe_duration()
            log.info("deleted")
        # Nothing is left in the cloud, so the Stack need not wait for this. After a crash kiln.stack.orphans does it.
        await self.store.release()
        return Requeue.on_events(PassEnd.DELETED)

    async def _delete_resources(self, spec: StackSpec, decided: Objective, records: list[Recorded]) -> Requeue | None:
        """None when all are gone, else when to retry."""
        await self.reporter.report_started()
        timed_out = False
        result = EngineResult()
        try:
            access = await self.shared.last_access(self.stack)
            self.reporter.add_secrets(access.credential.hidden)
            key = await stack_secret.load_digest_key(self.kube, self.stack)
            result = await Engine(self._context(spec, decided, access, key), records).delete()
        except CredentialsError as error:
            how = "restore them, or set spec.deletionPolicy to Orphan to keep the resources in OpenStack"
            message = f"{error.path}: {error.message}; {len(records)} resources remain: {how}"
            raise self._refusal(error.reason, message, cloud=True, retry=CREDENTIALS_RETRY) from error
        except TimedOut:
            timed_out = True
        if result.complete and not timed_out:
            return None
        if result.hooks and not result.failures and not timed_out:
            remarks = conditions.Remarks()
            update = conditions.waiting(self.generation, decided, self.reporter.progress, result, remarks=remarks)
            await self.reporter.report_final(update)
            return Requeue.on_events(PassEnd.HOOK_PENDING)
        after = AfterFailure(rolls_back=False, halts=False, stalled=False)
        update = conditions.failed(
            self.generation,
            decided,
            self.reporter.progress,
            result,
            after,
            outputs.NONE,
            timeout=spec.timeout if timed_out else None,
            remarks=conditions.Remarks(),
        )
        await self.reporter.report_final(update)
        return Requeue(PassEnd.RETRY, backoff=RETRY)

    # Surroundings.

    def _control(self, time_left: float) -> Control:
        run, deadline = self.run_slot, asyncio.get_running_loop().time() + time_left
        return Control(run.superseded, self.shared.fence, run, deadline)

    def _context(self, spec: StackSpec, decided: Objective, access: CloudAccess, key: bytes) -> ReconcileContext:
        policy = Policy(
            stack=v1alpha1.heat_name(self.stack),
            stack_uid=self.stack["metadata"]["uid"],
            key=key,
            drift=spec.drift,
            concurrency=spec.max_concurrency,
            hooks=Hooks(spec.hooks, frozenset(map(_hook, self.reporter.cleared_hooks))),
            guard=Guard(spec.protected_resources),
            on_obstacle=OnObstacle.GO_ON if decided.rolling_back else OnObstacle.HOLD,
            all_suspended=decided.power.whole,
            suspended=decided.power.resources,
        )
        return ReconcileContext(
            policy,
            self._control(decided.time_left),
            access.cloud,
            access.observer,
            access.lookup,
            self.store,
            self.reporter.progress,
            started=asyncio.get_running_loop().time(),
            unconfirmed=self.shared.unconfirmed,
            evaluate=in_executor(self.shared.evaluators),
            add_secrets=self.reporter.add_made_secrets,
        )


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


def _remarks(loaded: _Loaded) -> conditions.Remarks:
    """What is to be said of a template that is valid and a cloud that is reachable."""
    warnings = loaded.translation.warnings
    named = "; ".join(str(warning) for warning in warnings[:MOST_WARNINGS])
    more = f"; and {len(warnings) - MOST_WARNINGS} more" if len(warnings) > MOST_WARNINGS else ""
    unverified = "" if loaded.access.credential.verify else UNVERIFIED
    return conditions.Remarks(template=f"warning: {named}{more}" if named else "", cloud=unverified)


def _groups(translation: Translation) -> dict[str, list[str]]:
    return {name: sorted(group.removed) for name, group in translation.groups.items() if group.removed}


def _hook(text: str) -> tuple[str, str]:
    name, _, hook = text.rpartition(":")
    return name, hook


def _names(translation: Translation | None) -> frozenset[str]:
    return frozenset(translation.definitions) if translation is not None else frozenset()
