"""From a key of the queue to a pass over one Stack, and back to when to look again."""

import asyncio
import contextlib
import logging
import uuid
from collections import OrderedDict

from hot_translator.allowance import limited
from kiln import logs
from kiln.api.v1alpha1 import Key
from kiln.controller.shared import SharedState
from kiln.kube.client import STACKS, KubeError
from kiln.stack import finalizer, orphans
from kiln.stack.reconciliation import StackReconciliation
from reconcilers.cloud import session
from reconcilers.engine.context import Superseded

log = logging.getLogger(__name__)

REMEMBERED_PASSES = 20_000
MAX_FUNCTION_OUTPUT = 256_000_000
"""Characters that functions may make of what resources give."""
LONGEST_RETRY = 30.0
"""Seconds until a pass that Kubernetes cut short is tried again."""
PERMANENT_STATUSES = frozenset({400, 403, 413, 422})
"""Answers of the API server that do not pass by themselves: rights that are missing, a quota, an admission rule."""


class StackController:
    """Runs passes. One a process."""

    def __init__(self, services: SharedState) -> None:
        self.services = services
        self._passes: OrderedDict[str, None] = OrderedDict()

    async def run(self, key: Key, superseded: asyncio.Event) -> float | None:
        """One pass. Seconds until the next one, None if only an event calls for one."""
        try:
            return await self._pass(key, superseded)
        except KubeError as error:
            # It is away, or was faster, or refuses: in each case the same is tried again.
            log.warning("%s: Kubernetes answered %s", key, error, extra={"stack": str(key)})
            return min(self.services.retry_after(key), LONGEST_RETRY)

    async def _pass(self, key: Key, superseded: asyncio.Event) -> float | None:
        stack = await self.services.kube.get(STACKS, *key)
        if stack is None or not finalizer.has_finalizer(stack):
            # One of this name may have been removed by force.
            await orphans.release_orphans(self.services.kube, self.services.events, key)
        if stack is None:
            self.services.succeeded(key)
            return None
        pass_id = f"req-{uuid.uuid4()}"
        self._passes[pass_id] = None
        if len(self._passes) > REMEMBERED_PASSES:
            self._passes.popitem(last=False)
        session.request_id.set(pass_id)
        with logs.context(stack=str(key), pass_id=pass_id), limited(MAX_FUNCTION_OUTPUT):
            this = StackReconciliation(self.services, stack, superseded, pass_id)
            try:
                return await this.run()
            except KubeError as error:
                if error.status in PERMANENT_STATUSES:
                    with contextlib.suppress(KubeError):
                        await this.refused(error)
                raise
            except Superseded:
                # Its own reasons (a newer spec, a stop, a lost Lease) queue the key themselves; a record that changed
                # under us does not.
                return None if superseded.is_set() or not self.services.fence() else 0.5
            except Exception as error:
                # A mistake of ours. It is shown at the Stack, and the queue logs it and tries again with backoff.
                await this.broken(error)
                raise
            finally:
                await this.tell.writer.close()

    def made(self, pass_id: str) -> bool:
        """Whether this pass was one of this process (of the last 20,000)."""
        return pass_id in self._passes
