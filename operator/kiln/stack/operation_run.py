"""The StackOperation that a reconciliation carries out: its beginning and its end."""

from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import RequestPhase, StackSpec
from kiln.stack import objective, operations, power_operations, restores
from kiln.stack.loading import Loaded
from kiln.stack.operations import Effects, Operations, OperationType, Outcome, Rejection, StackOperation
from kiln.stack.requeue import Requeue
from kiln.stack.revisions import Revision
from kiln.stack.surroundings import Surroundings
from reconcilers.digests import Digester
from reconcilers.engine.guard import Guard

NEXT_OPERATION = 0.05
"""Seconds until the reconciliation that carries out the next StackOperation."""


class OperationRun:
    """Carries out the oldest StackOperation of the Stack. ``operation`` is None if there is none that can be done."""

    def __init__(self, here: Surroundings) -> None:
        self._here = here
        self._operations = Operations(here.kube, here.shared.requests, here.key)
        self.operation: StackOperation | None = None

    def is_of(self, kind: OperationType) -> bool:
        """Whether the operation is of this type."""
        return self.operation is not None and self.operation.type is kind

    async def choose(self, *, deleting: bool) -> None:
        """Choose the operation. Those that cannot be done with a Stack that is being deleted fail."""
        if deleting:
            gone = "the Stack is being deleted"
            self.operation = await self._operations.reject_all(gone, but=frozenset({OperationType.CLEAR_HOOK}))
        else:
            self.operation = await self._operations.current()

    async def finish(self, requeue: Requeue) -> Requeue:
        """Say how the operation ended, if it has. Returns when the next reconciliation starts."""
        if self.operation is None:
            return requeue
        ended = operations.outcome(self.operation, self._here.reporter.final, requeue.end)
        if ended is None:
            return requeue
        await self._operations.finish(self.operation, ended)
        return requeue if await self._operations.current() is None else Requeue(requeue.end, NEXT_OPERATION)

    async def begin(
        self, spec: StackSpec, loaded: Loaded, wanted: Revision, known: list[Revision], digester: Digester
    ) -> StackStatus:
        """Begin what ``spec.updateRequest`` asks for, and the StackOperation, if there is one that can be done.

        Returns the status as they change it.
        """
        before = self._here.old
        if objective.asks_again(spec, before):
            self._here.reporter.effects = {**operations.AGAIN.changes(), "handled_update_request": spec.update_request}
            before = operations.AGAIN.of(before)
        operation = self.operation
        if operation is None:
            return before
        found = operations.effects(operation, before, self._here.generation, wanted, known)
        if isinstance(found, Effects) and operation.type is OperationType.MARK_UNHEALTHY:
            found = await self._mark(operation, spec, loaded, found, digester)
        if isinstance(found, Effects) and operation.type is OperationType.RESTORE:
            snapshot = await self._here.snapshots.get(operation.snapshot)
            found = restores.effects(operation, self._here.old, wanted, known, snapshot)
        if isinstance(found, Effects) and operation.type in power_operations.TYPES:
            found = power_operations.effects(operation, self._here.old, spec, loaded.records)
        if isinstance(found, Rejection):
            self.operation = None
            rejected = Outcome(RequestPhase.FAILED, self._here.reporter.redact(found.message))
            await self._operations.finish(operation, rejected)
            return before
        self.operation = await self._operations.begin(self.operation or operation)
        self._here.reporter.request = self.operation.described
        self._here.reporter.effects = {**self._here.reporter.effects, **found.changes()}
        return found.of(before)

    async def begin_clearing(self) -> StackStatus:
        """Begin the ClearHook of a Stack that is being deleted. Returns the status as it changes it."""
        operation = self.operation
        if operation is None:
            return self._here.old
        found = operations.cleared(operation, self._here.old)
        if isinstance(found, Rejection):
            self.operation = None
            await self._operations.finish(operation, Outcome(RequestPhase.FAILED, found.message))
            return self._here.old
        self.operation = await self._operations.begin(operation)
        self._here.reporter.effects = found.changes()
        return found.of(self._here.old)

    async def _mark(
        self, operation: StackOperation, spec: StackSpec, loaded: Loaded, found: Effects, digester: Digester
    ) -> Effects | Rejection:
        """Mark a resource unhealthy, once: a later reconciliation of the operation finds another resource."""
        marked = operations.marked(operation, loaded.records, digester)
        if self._here.old.handled_operation == operation.uid:
            return found
        if isinstance(marked, Rejection):
            return marked
        definition = loaded.translation.definitions.get(marked.name)
        if definition is not None and "replace" in definition.restricted_actions:
            return Rejection("replace is restricted for the resource by the environment")
        if Guard(spec.protected_resources).protects(marked):
            return Rejection("spec.protectedResources forbids to replace the resource")
        if operation.running and operation.physical_id != (marked.physical_id or ""):
            return found
        self.operation = await self._operations.begin(operation, marked.physical_id or "")
        stored = await self._here.store.save(marked)
        loaded.records[:] = [stored if one.key == stored.key else one for one in loaded.records]
        return found
