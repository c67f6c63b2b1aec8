"""Deletes a Stack: its OpenStack resources first, then its finalizer. It needs neither template nor parameters."""

import asyncio
from functools import partial

from kiln.api.v1alpha1 import DeletionPolicy, StackSpec
from kiln.clouds.credentials import CredentialsError
from kiln.stack import clock, conditions, finalizer, objective, other_stacks, outputs, stack_secret
from kiln.stack.objective import AfterFailure, Objective
from kiln.stack.operation_run import OperationRun
from kiln.stack.requeue import PassEnd, Requeue
from kiln.stack.surroundings import CREDENTIALS_RETRY, LOOK_AGAIN, RETRY, Surroundings
from reconcilers.engine.control import TimedOut
from reconcilers.engine.engine import Engine
from reconcilers.engine.result import Result as EngineResult
from reconcilers.model import Recorded


class StackDeletion:
    """One reconciliation of a Stack that is being deleted. Raises Refused, CloudError and KubeError."""

    def __init__(self, here: Surroundings, operation: OperationRun) -> None:
        self._here = here
        self._operation = operation

    async def run(self, spec: StackSpec) -> Requeue:
        """Delete all recorded resources, then remove the finalizer."""
        if not finalizer.has_finalizer(self._here.stack):
            return Requeue.on_events(PassEnd.DELETED)
        users = self._here.shared.references.blocking(self._here.key)
        if users and not other_stacks.deletion_is_forced(self._here.stack):
            named = await other_stacks.still_using(self._here.kube, self._here.key, users)
            if named:
                await self._here.reporter.report_final(conditions.deletion_blocked(self._here.generation, named))
                return Requeue(PassEnd.DELETION_BLOCKED, LOOK_AGAIN)
        before = await self._operation.begin_clearing()
        decided = objective.deletion(spec, before, clock.now())
        self._here.store.deleting_stack = True
        records = await self._here.store.load()
        self._here.reporter.register(decided, records, None)
        refusal = objective.protected_from_deletion(spec, records)
        if refusal is not None:
            raise self._here.refusal(refusal.reason, refusal.message)
        orphan = spec.deletion_policy is DeletionPolicy.ORPHAN
        if orphan:
            await self._here.snapshots.leave_all()
            await self._here.children(None, b"").leave_all()
        if records and orphan:
            await asyncio.gather(*(self._here.store.delete(recorded) for recorded in records))
        elif records or self._here.snapshots.held:
            requeue = await self._delete_resources(spec, decided, records)
            if requeue is not None:
                await self._here.store.release()
                return requeue
        self._here.store.expect_garbage_collection()
        await stack_secret.release(self._here.kube, self._here.stack)
        if await finalizer.remove_finalizer(self._here.kube, self._here.stack):
            self._here.reporter.report_deleted()
        # Nothing is left in the cloud, so the Stack need not wait for this. After a crash kiln.stack.orphans does it.
        await self._here.store.release()
        return Requeue.on_events(PassEnd.DELETED)

    async def _delete_resources(self, spec: StackSpec, decided: Objective, records: list[Recorded]) -> Requeue | None:
        """None when all are gone, else when to retry."""
        await self._here.reporter.report_started()
        timed_out = False
        result = EngineResult()
        try:
            access = await self._here.shared.last_access(self._here.stack)
            self._here.reporter.add_secrets(access.credential.hidden)
            key = await stack_secret.load_digest_key(self._here.kube, self._here.stack)
            copying = partial(self._here.copying_context, access)
            left = await self._here.snapshots.remove_all(copying, decided.time_left)
            result = await Engine(self._here.context(spec, decided, access, key), records).delete()
            result.failures += left
        except CredentialsError as error:
            how = "restore them, or set spec.deletionPolicy to Orphan to keep the resources in OpenStack"
            message = f"{error.path}: {error.message}; {len(records)} resources remain: {how}"
            raise self._here.refusal(error.reason, message, cloud=True, retry=CREDENTIALS_RETRY) from error
        except TimedOut:
            timed_out = True
        if result.complete and not timed_out:
            return None
        if result.hooks and not result.failures and not timed_out:
            remarks = conditions.Remarks()
            update = conditions.waiting(
                self._here.generation, decided, self._here.reporter.progress, result, remarks=remarks
            )
            await self._here.reporter.report_final(update)
            return Requeue.on_events(PassEnd.HOOK_PENDING)
        after = AfterFailure(rolls_back=False, halts=False, stalled=False)
        update = conditions.failed(
            self._here.generation,
            decided,
            self._here.reporter.progress,
            result,
            after,
            outputs.NONE,
            timeout=spec.timeout if timed_out else None,
            remarks=conditions.Remarks(),
        )
        await self._here.reporter.report_final(update)
        return Requeue(PassEnd.RETRY, backoff=RETRY)
