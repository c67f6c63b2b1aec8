"""Reconciles the Stack of a work queue key, and says when the next reconciliation starts."""

import contextlib
import logging
import uuid
from collections import OrderedDict
from typing import Final

from hot_translator.budget import Budget, limited
from kiln import logs, tracing
from kiln.api.kinds import STACKS
from kiln.api.v1alpha1 import Key
from kiln.controller.workqueue import Run
from kiln.kube.errors import KubeError
from kiln.stack import conditions, finalizer, orphans
from kiln.stack.operations import Operations
from kiln.stack.proposals import Proposals
from kiln.stack.reconciliation import StackReconciliation
from kiln.stack.requeue import PassEnd, Requeue
from kiln.stack.shared import SharedState
from kiln.stack.snapshot_work import SnapshotWork
from reconcilers.backoff import Backoff
from reconcilers.cloud import session
from reconcilers.engine.control import Control, EndReason, ReconciliationEnded

log = logging.getLogger(__name__)

REMEMBERED_PASSES: Final = 20_000
MAX_FUNCTION_OUTPUT: Final = 256_000_000
"""Budget (characters) for the template functions that are evaluated in one reconciliation."""
MAX_FUNCTION_CPU: Final = 20.0
"""The same in seconds of CPU."""
KUBERNETES_RETRY: Final = Backoff(first=5.0, longest=30.0)
"""After an error of the API server."""
AT_ONCE: Final = 0.5
"""Seconds until the repetition of a reconciliation that ended because something changed. A newer spec queues the key
itself, and sooner; for other reasons (a record that changed) this delay counts.
"""
PERMANENT_STATUSES: Final = frozenset({400, 403, 413, 422})
"""Statuses of refusals that persist until somebody acts: missing rights, a quota, an admission rule."""


class StackController:
    """Runs reconciliations. There is one in a process."""

    def __init__(self, shared: SharedState) -> None:
        self.shared = shared
        self._passes: OrderedDict[str, None] = OrderedDict()

    async def run(self, key: Key, run: Run) -> Requeue:
        """Reconcile the Stack of this name once."""
        try:
            return await self._reconcile(key, run)
        except ReconciliationEnded as ended:
            if ended.reason is EndReason.SUPERSEDED and run.superseded.is_set():
                return Requeue.on_events(PassEnd.SUPERSEDED)
            return Requeue(PassEnd(ended.reason.value), AT_ONCE)
        except KubeError as error:
            # The API server is unreachable, refuses, or has a newer object. In each case: try again.
            log.warning("%s: Kubernetes answered %s", key, error, extra={"stack": str(key)})
            return Requeue(PassEnd.KUBERNETES_FAILED, backoff=KUBERNETES_RETRY)

    async def _reconcile(self, key: Key, run: Run) -> Requeue:
        stack = await self.shared.kube.get(STACKS, *key)
        if stack is None or not finalizer.has_finalizer(stack):
            # The finalizer of a Stack of this name may have been removed by force.
            await orphans.release_orphans(self.shared.kube, self.shared.events, key)
        if stack is None:
            self.shared.forget(key)
            await SnapshotWork(self.shared.kube, self.shared.requests, self.shared.events, key, logs.redact).abandon()
            await Operations(self.shared.kube, self.shared.requests, key).reject_all(f"there is no Stack {key.name}")
            return await self._proposals(key, run).after(Requeue.on_events(PassEnd.DELETED))
        pass_id = self._new_pass()
        session.request_id.set(pass_id)
        budget = Budget(size=MAX_FUNCTION_OUTPUT, cpu=MAX_FUNCTION_CPU)
        with (
            logs.context(stack=str(key), pass_id=pass_id),
            limited(budget),
            tracing.reconciliation(str(key), pass_id) as ended,
        ):
            this = StackReconciliation(self.shared, stack, run, pass_id)
            try:
                requeue = await self._proposals(key, run).after(await this.run())
            except KubeError as error:
                ended(PassEnd.KUBERNETES_FAILED)
                if error.status in PERMANENT_STATUSES:
                    with contextlib.suppress(KubeError):
                        await this.reporter.report_final(conditions.kubernetes_refused(this.generation, str(error)))
                raise
            except ReconciliationEnded as error:
                ended(error.reason)
                raise
            except Exception as error:
                ended(PassEnd.BROKEN)
                # A bug in Kiln. The queue logs the error and retries, even if the status cannot be written.
                with contextlib.suppress(KubeError):
                    await this.reporter.report_final(conditions.broken(this.generation, error, pass_id))
                raise
            else:
                ended(requeue.end)
                return requeue
            finally:
                await this.reporter.writer.close()

    def _proposals(self, key: Key, run: Run) -> Proposals:
        return Proposals(self.shared, key, Control(run.superseded, self.shared.fence))

    def _new_pass(self) -> str:
        pass_id = f"req-{uuid.uuid4()}"
        self._passes[pass_id] = None
        if len(self._passes) > REMEMBERED_PASSES:
            self._passes.popitem(last=False)
        return pass_id

    def made(self, pass_id: str) -> bool:
        """Whether this process ran this reconciliation (it remembers the last 20,000)."""
        return pass_id in self._passes
