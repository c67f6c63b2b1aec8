"""The pass: everything that is done about one Stack at one time, from reading it to writing its status.

Nothing is kept between passes but what stands in Kubernetes and in OpenStack, so a pass may end anywhere. Deletion is
a pass with nothing desired: it needs neither template nor parameters.
"""

import asyncio
import datetime
import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hot_translator import Pseudo, Translation, TranslationError
from kiln.api import v1alpha1
from kiln.api.v1alpha1 import Condition, DeletionPolicy, OnFailure, Operation, Reason, Result, StackSpec
from kiln.clouds.credentials import CredentialsError
from kiln.controller.shared import CloudAccess, SharedState, abandon_if_superseded
from kiln.kube.client import KubeError
from kiln.stack import finalizer, inputs, outputs, stack_secret, status, validation
from kiln.stack.inputs import Inputs, InputsError
from kiln.stack.reporter import StackReporter
from kiln.stack.resource_store import StackResourceStore
from kiln.stack.revisions import Revision, Revisions
from kiln.stack.status import ReadyState, StatusUpdate, StatusWriter
from reconcilers.digests import Digester
from reconcilers.engine.context import Goal, ReconcileContext, TimedOut
from reconcilers.engine.engine import Engine
from reconcilers.engine.engine import Result as EngineResult
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Recorded

log = logging.getLogger(__name__)

CREDENTIALS_RETRY = 60.0
"""Seconds until credentials that did not work are tried again (a change of their Secret is noticed at once)."""
DUPLICATE_CHECK_INTERVAL = 20.0
"""Seconds until something that may have been made twice is looked at again."""
UNVERIFIED = "the cloud's certificate is not verified: clouds.yaml says verify: false"
ROLLBACK_NOW = 0.05
"""Seconds until the pass that rolls back."""


class StackReconciliation:
    """One pass over one Stack."""

    def __init__(
        self, services: SharedState, stack: Mapping[str, Any], superseded: asyncio.Event, pass_id: str
    ) -> None:
        self.services = services
        self.kube = services.kube
        self.stack = stack
        self.key = v1alpha1.namespaced_name(stack)
        self.spec: StackSpec = v1alpha1.stack_spec(stack)
        self.generation: int = stack["metadata"]["generation"]
        self.old: Mapping[str, Any] = stack.get("status") or {}
        self.superseded = superseded
        self.pass_id = pass_id
        self.caution = ""
        """What is to be said of a cloud that is reachable."""
        self.groups: Mapping[str, Any] = self.old.get("groups") or {}
        writer = StatusWriter(self.kube, stack, _now, services.fence)
        self.tell = StackReporter(stack, writer, services.events, pass_id)
        self.store = StackResourceStore(self.kube, stack, _now, services.fence, self.tell.redact)

    async def run(self) -> float | None:
        """Do what the Stack needs; seconds until the next pass, None if only an event calls for one."""
        if "deletionTimestamp" in self.stack["metadata"]:
            return await self.delete()
        self.stack = await finalizer.add_finalizer(self.kube, self.stack)
        try:
            found = await inputs.load(self.kube, self.stack)
        except InputsError as error:
            return await self.refuse(error.reason, f"{error.path}: {error.message}")
        self.tell.hide(found.hidden_values)
        try:
            site = await self.services.site(self.stack)
            self.tell.hide(site.credential.hidden)
            self.caution = "" if site.credential.verify else UNVERIFIED
            pseudo = await self._pseudo(site)
        except CredentialsError as error:
            message = f"{error.path}: {error.message}"
            return await self.refuse(error.reason, message, cloud=True, retry=CREDENTIALS_RETRY)
        except CloudError as error:
            return await self.cloud_failed(error)
        records = await self.store.load()
        try:
            translation = await self.services.translation(found, pseudo, self.groups, validation.members_of(records))
        except TranslationError as error:
            return await self.refuse(error.kind, status.format_problems(error))
        self.tell.hide(translation.hidden_values)
        return await self.converge(found, translation, site, pseudo, records)

    # Converging.

    async def converge(
        self, found: Inputs, translation: Translation, site: CloudAccess, pseudo: Pseudo, records: list[Recorded]
    ) -> float | None:
        """Bring the Stack to its template, or, after a failure, back to its last good revision."""
        key, new = await stack_secret.load_or_create_digest_key(self.kube, self.stack, site.credential)
        revisions = Revisions(self.kube, self.stack)
        known = await revisions.load()
        hidden = (
            frozenset(name for name, parameter in translation.parameters.items() if parameter.hidden) | found.hidden
        )
        wanted = await revisions.record(known, found, hidden, Digester(key))
        current = next((one for one in known if one.name == self.old.get("currentRevision")), None)
        rolling = self.spec.on_failure is OnFailure.ROLLBACK and self.old.get("failedRevision") == wanted.name
        self.tell.target = wanted
        if rolling:
            self.tell.operation = Operation.ROLLBACK
            self.tell.operation_message = (self.old.get("lastOperation") or {}).get("message", "")
            self.tell.target = current
            log.info("%s failed: rolling back to %s", wanted.name, current.name if current else "nothing")
        elif current is None:
            self.tell.operation = Operation.CREATE
        else:
            self.tell.operation = Operation.REPAIR if current.name == wanted.name else Operation.UPDATE
        deployed = translation if current is wanted else await self._deployed(revisions, current, pseudo)
        try:
            if rolling and deployed is not None:
                translation = deployed
                self.tell.hide(translation.hidden_values)
            if not wanted.deployed and not rolling:
                validation.check_hooks(translation)
                await validation.check_lookups(translation, site.lookup)
                if deployed is not None:
                    validation.check_immutable(translation, deployed)
        except TranslationError as error:
            return await self.refuse(error.kind, status.format_problems(error))
        except CloudError as error:
            return await self.cloud_failed(error)

        self.tell.expect(records, translation if self.tell.target is not None else None)
        if self.tell.operation not in {Operation.REPAIR, Operation.ROLLBACK} or not self._was_at_rest():
            await self.tell.begin()
        known_names = self._known(translation)
        rekeyed = new and bool(records)
        world = self._world(site, key, rekeyed=rekeyed, known=known_names, deployed=_names(deployed))
        engine = Engine(world, records)
        try:
            result = await (engine.converge(translation) if self.tell.target is not None else engine.delete())
        except CloudError as error:
            return await self.cloud_failed(error)
        except TimedOut:
            return await self.failed(EngineResult(), translation, world, wanted, timed_out=True)
        if not result.complete:
            return await self.failed(result, translation, world, wanted)
        return await self.reached(translation, world, wanted, revisions, known, rolling=rolling)

    async def reached(
        self,
        translation: Translation,
        world: ReconcileContext,
        wanted: Revision,
        revisions: Revisions,
        known: list[Revision],
        *,
        rolling: bool,
    ) -> float | None:
        """Everything is as the target asks."""
        target = self.tell.target
        if target is not None and not target.deployed:
            await revisions.mark_deployed(target, _now())
        if self.tell.progress.repaired:
            what = "; ".join(f"{name} ({how})" for name, how in sorted(self.tell.progress.repaired.items())[:5])
            self.tell.event("Normal", "DriftCorrected", what)
            log.info("drift repaired: %s", what)
        if rolling:
            where = f"went back to {target.name}" if target else "removed what had been created"
            message = f"{self.tell.operation_message}; {where}. Change the spec to try again"
            verdict = ReadyState(
                ready=False, reconciling=False, reason=Reason.ROLLED_BACK, message=message, stalled=True
            )
        else:
            verdict = ReadyState(
                ready=True, reconciling=False, reason=Reason.SUCCEEDED, message="OpenStack is as the Stack asks"
            )
        worked = self.tell.moving or bool(self.tell.progress.repaired)
        shown = outputs.resolve(translation, world, self.tell.redact) if target is not None else outputs.NONE
        report = StatusUpdate(
            self.generation,
            verdict,
            template_valid=(True, "Valid", ""),
            cloud_reachable=(True, "Reachable", self.caution),
            drifted=self.tell.progress.drifted,
            operation=self.tell.operation if worked else None,
            result=Result.SUCCEEDED,
            operation_message=self.tell.operation_message,
            current_revision=target.name if target else "",
            target_revision=wanted.name,
            failed_revision=wanted.name if rolling else "",
            counts=status.counts_of(self.tell.progress),
            failed=(),
            outputs=shown.values,
            output_errors=shown.errors,
            hidden_outputs=shown.hidden,
            groups={name: sorted(names) for name, names in translation.group_state.items()} if target else {},
            synced=True,
            pass_id=self.pass_id,
        )
        await self.tell.conclude(report)
        if worked:
            self.tell.measure()
        self.services.succeeded(self.key)
        keep = frozenset({wanted.name, *([target.name] if target else [])})
        await revisions.prune(known, keep, self.spec.revision_history_limit)
        again = self.resync()
        return min(again or DUPLICATE_CHECK_INTERVAL, DUPLICATE_CHECK_INTERVAL) if world.doubtful else again

    async def failed(
        self,
        result: EngineResult,
        translation: Translation,
        world: ReconcileContext,
        wanted: Revision,
        *,
        timed_out: bool = False,
    ) -> float | None:
        """Some resources could not be brought to what is desired; the spec's onFailure says what follows."""
        first = result.failures[0] if result.failures else None
        reason = Reason.TIMED_OUT if timed_out or first is None else str(first.fault)
        if first is not None:
            more = f" (and {len(result.failures) - 1} more)" if len(result.failures) > 1 else ""
            message = f"{first}{more}"
            if first.request_id:
                message += f" [{first.request_id}]"
        else:
            waiting = [f"{name}: {one.message}" for name, one in self.tell.progress.standing.items() if one.message]
            message = f"not done within {self.spec.timeout:.0f} s" + (f"; {waiting[0]}" if waiting else "")
        lasting = not timed_out and all(error.fault is Fault.INVALID for error in result.failures)
        roll = self.spec.on_failure is OnFailure.ROLLBACK and self.tell.operation in {
            Operation.CREATE,
            Operation.UPDATE,
        }
        halt = self.spec.on_failure is OnFailure.HALT and self.tell.operation is not Operation.ROLLBACK
        stalled = (lasting or halt) and not roll
        shown = outputs.resolve(translation, world, self.tell.redact)
        report = StatusUpdate(
            self.generation,
            ReadyState(ready=False, reconciling=not stalled, reason=reason, message=message, stalled=stalled),
            template_valid=(True, "Valid", ""),
            cloud_reachable=(True, "Reachable", self.caution),
            drifted=self.tell.progress.drifted,
            operation=self.tell.operation,
            result=Result.TIMED_OUT if timed_out else Result.FAILED,
            operation_message=message,
            target_revision=wanted.name,
            failed_revision=wanted.name if roll or self.tell.operation is Operation.ROLLBACK else "",
            counts=status.counts_of(self.tell.progress),
            failed=status.failures_of(self.tell.progress),
            outputs=shown.values,
            output_errors=shown.errors,
            hidden_outputs=shown.hidden,
            groups={name: sorted(names) for name, names in translation.group_state.items()},
            pass_id=self.pass_id,
        )
        if self.tell.operation is Operation.ROLLBACK:
            report = replace(report, operation_message=self.tell.operation_message or message)
        await self.tell.conclude(report)
        if stalled:
            log.warning("giving up until the Stack or its surroundings change: %s", reason)
        if roll:
            return ROLLBACK_NOW
        if halt:
            return None
        return self.resync() if stalled else self.services.retry_after(self.key)

    async def cloud_failed(self, error: CloudError) -> float | None:
        """The cloud could not even be looked at."""
        reason = str(error.fault)
        stalled = error.fault in {Fault.AUTH, Fault.INVALID}
        path = "spec.cloudCredentialsRef: " if error.fault is Fault.AUTH else ""
        report = StatusUpdate(
            self.generation,
            ReadyState(
                ready=False, reconciling=not stalled, reason=reason, message=path + error.message, stalled=stalled
            ),
            cloud_reachable=(error.fault is Fault.INVALID, reason, error.message),
            pass_id=self.pass_id,
        )
        await self.tell.conclude(report)
        return self.services.retry_after(self.key, CREDENTIALS_RETRY if stalled else (error.retry_after or 0.0))

    async def refuse(
        self, reason: str, message: str, *, cloud: bool = False, retry: float | None = None
    ) -> float | None:
        """The spec cannot be carried out until somebody changes it, or what it refers to."""
        report = status.invalid(self.generation, reason, message)
        await self.tell.conclude(status.unreachable(report) if cloud else report)
        return retry

    async def broken(self, error: Exception) -> None:
        """The operator itself made a mistake: say so, and that it will try again. What exactly stands in its log."""
        message = f"the operator failed with {type(error).__name__} and will try again; its log has pass {self.pass_id}"
        verdict = ReadyState(ready=False, reconciling=True, reason=Reason.INTERNAL_ERROR, message=message)
        await self.tell.conclude(StatusUpdate(self.generation, verdict, pass_id=self.pass_id))

    async def refused(self, error: KubeError) -> None:
        """Kubernetes does not let the operator write what it must: nothing moves in OpenStack until then."""
        verdict = ReadyState(ready=False, reconciling=True, reason=Reason.KUBERNETES_REFUSED, message=str(error))
        await self.tell.conclude(StatusUpdate(self.generation, verdict, pass_id=self.pass_id))

    # Deletion.

    async def delete(self) -> float | None:
        """Remove everything that is recorded, then let the Stack go."""
        if not finalizer.has_finalizer(self.stack):
            return None
        self.tell.operation = Operation.DELETE
        self.store.going = True
        records = await self.store.load()
        if records and self.spec.deletion_policy is DeletionPolicy.ORPHAN:
            await asyncio.gather(*(self.store.forget(recorded) for recorded in records))
        elif records:
            left = await self._delete_resources(records)
            if left is not None:
                await self.store.release()
                return left
        self.store.expect_garbage_collection()
        await stack_secret.release(self.kube, self.stack)
        if await finalizer.remove_finalizer(self.kube, self.stack):
            self.tell.measure()
            log.info("deleted")
        # Nothing of it is in the cloud any more, so nobody need wait for this; kiln.bereft does it after a crash.
        await self.store.release()
        return None

    async def _delete_resources(self, records: list[Recorded]) -> float | None:
        """None when all are gone, else the seconds until the next attempt."""
        self.tell.expect(records, None)
        await self.tell.begin()
        try:
            site = await self.services.last_site(self.stack)
            self.tell.hide(site.credential.hidden)
            key, _ = await stack_secret.load_or_create_digest_key(self.kube, self.stack, site.credential)
            world = self._world(site, key)
            result = await Engine(world, records).delete()
        except CredentialsError as error:
            how = "restore them, or set spec.deletionPolicy to Orphan to leave the resources in OpenStack"
            await self.refuse(
                error.reason, f"{error.path}: {error.message}; {len(records)} resources remain: {how}", cloud=True
            )
            return CREDENTIALS_RETRY
        except CloudError as error:
            return await self.cloud_failed(error)
        except TimedOut:
            result = EngineResult()
            result.blocked.append("")
        if result.complete:
            return None
        first = result.failures[0] if result.failures else None
        reason = str(first.fault) if first else str(Reason.TIMED_OUT)
        message = str(first) if first else f"not deleted within {self.spec.timeout:.0f} s"
        report = StatusUpdate(
            self.generation,
            ReadyState(ready=False, reconciling=True, reason=reason, message=message),
            operation=Operation.DELETE,
            result=Result.FAILED,
            operation_message=message,
            counts=status.counts_of(self.tell.progress),
            failed=status.failures_of(self.tell.progress),
            pass_id=self.pass_id,
        )
        await self.tell.conclude(report)
        return self.services.retry_after(self.key)

    # Surroundings.

    async def _pseudo(self, site: CloudAccess) -> Pseudo:
        return Pseudo(
            stack_name=self.key.name,
            stack_id=self.stack["metadata"]["uid"],
            project_id=await abandon_if_superseded(self.superseded, site.cloud.project_id()),
            region=site.cloud.region,
        )

    async def _deployed(self, revisions: Revisions, current: Revision | None, pseudo: Pseudo) -> Translation | None:
        """What the last revision that was reached asks for; None if there is none, or none that still translates."""
        if current is None:
            return None
        try:
            return await self.services.translation(await revisions.inputs(current), pseudo, self.groups)
        except TranslationError as error:
            log.warning("the revision %s cannot be translated any more: %s", current.name, self.tell.redact(str(error)))
            return None

    def _world(
        self,
        site: CloudAccess,
        key: bytes,
        *,
        rekeyed: bool = False,
        known: frozenset[str] = frozenset(),
        deployed: frozenset[str] = frozenset(),
    ) -> ReconcileContext:
        loop_time = asyncio.get_running_loop().time()
        goal = Goal(
            stack=self.key.name,
            stack_uid=self.stack["metadata"]["uid"],
            key=key,
            drift=str(self.spec.drift),
            concurrency=self.spec.max_concurrency,
            deadline=loop_time + self._time_left(),
            rekeyed=rekeyed,
            known=known,
            deployed=deployed,
        )
        return ReconcileContext(
            goal,
            site.cloud,
            site.observer,
            site.lookup,
            self.store,
            self.tell.progress,
            self.superseded,
            self.services.fence,
            started=loop_time,
            attempts=self.services.attempts,
        )

    def _time_left(self) -> float:
        """Seconds that the operation may still take; one that was begun by an earlier pass goes on."""
        last = self.old.get("lastOperation") or {}
        if last.get("type") != self.tell.operation or last.get("result") != Result.RUNNING:
            return self.spec.timeout
        if self.tell.target is not None and self.old.get("targetRevision") != self.tell.target.name:
            return self.spec.timeout
        begun = datetime.datetime.fromisoformat(last["startTime"])
        return self.spec.timeout - (datetime.datetime.now(datetime.UTC) - begun).total_seconds()

    def _known(self, translation: Translation) -> frozenset[str]:
        """Names that may have had resources before, whose records are lost: all, once anything has been done."""
        return _names(translation) if self.old.get("lastOperation") else frozenset()

    def _was_at_rest(self) -> bool:
        """Whether the last pass brought this very spec to its end: to what it asks for, or back to what was before."""
        ready = v1alpha1.condition_of(self.stack, Condition.READY)
        if ready is None or self.old.get("observedGeneration") != self.generation:
            return False
        return bool(ready["status"] == "True" or ready["reason"] == Reason.ROLLED_BACK)

    def resync(self) -> float | None:
        """Seconds until the Stack at rest is compared again."""
        interval = self.spec.resync_interval
        return interval * (0.9 + secrets.randbelow(200) / 1000) if interval else None


def _names(translation: Translation | None) -> frozenset[str]:
    return frozenset(translation.definitions) if translation is not None else frozenset()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
