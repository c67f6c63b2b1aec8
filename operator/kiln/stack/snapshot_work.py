"""Makes and deletes what StackSnapshots hold, within the reconciliations of their Stack.

Snapshots are made one after the other, oldest first, while the Stack is at rest. A reconciliation that ends in between
leaves the rest to the next one; if the Stack has changed meanwhile, the snapshot fails.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from kiln.api.kinds import STACK_SNAPSHOTS
from kiln.api.v1alpha1 import SNAPSHOT_FINALIZER, Key, RequestPhase
from kiln.kube.client import Kube
from kiln.kube.errors import Conflict, NotFound
from kiln.kube.event_recorder import EventRecorder
from kiln.kube.patches import finalizer_patch, same_object
from kiln.stack import clock, snapshots
from kiln.stack.requests import RequestIndex
from kiln.stack.requeue import Requeue
from kiln.stack.shown_texts import shown
from kiln.stack.snapshots import Item, StackSnapshot
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.control import EndReason, ReconciliationEnded, TimedOut
from reconcilers.engine.copy_remover import CopyRemover
from reconcilers.engine.copying import CopyDriver
from reconcilers.engine.progress import ReadyResource, ResourceError
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Recorded

log = logging.getLogger(__name__)

LEFT_RETRY: Final = 30.0
"""Seconds until the next try to delete what a snapshot holds."""

Context = Callable[[float], ReconcileContext]
"""The context of calls that may take this many seconds together."""


class Items:
    """The items of one snapshot, stored in its status. Writes that are asked for meanwhile go together."""

    def __init__(self, kube: Kube, snapshot: StackSnapshot, redact: Callable[[str], str]) -> None:
        self._kube = kube
        self._redact = redact
        self._lock = asyncio.Lock()
        self._changes = 0
        self._written = 0
        self.obj: Mapping[str, Any] = snapshot.obj
        self.held = {item.recorded.key: item for item in snapshot.items}

    async def save(self, recorded: Recorded) -> Recorded:
        """Store one item. Raises ReconciliationEnded if somebody else changed the snapshot."""
        message = shown(recorded.message, self._redact)
        held = self.held[recorded.key]
        self.held[recorded.key] = replace(held, recorded=replace(recorded, message=message))
        self._changes += 1
        mine = self._changes
        async with self._lock:
            if self._written < mine:
                upto = self._changes
                await self.write({})
                self._written = upto
        return recorded

    async def write(self, fields: Mapping[str, Any]) -> None:
        """Store all items, and these fields of the status."""
        status = {**(self.obj.get("status") or {}), **fields, "items": [one.as_json() for one in self.held.values()]}
        patch = [*same_object(self.obj["metadata"]), {"op": "add", "path": "/status", "value": status}]
        metadata = self.obj["metadata"]
        try:
            self.obj = await self._kube.patch(
                STACK_SNAPSHOTS, metadata["namespace"], metadata["name"], patch, how="json", subresource="status"
            )
        except (Conflict, NotFound) as error:
            raise ReconciliationEnded(EndReason.OBJECT_CHANGED) from error


class SnapshotWork:
    """The StackSnapshots of one Stack."""

    def __init__(
        self, kube: Kube, index: RequestIndex, events: EventRecorder, key: Key, redact: Callable[[str], str]
    ) -> None:
        self.kube = kube
        self.index = index
        self.events = events
        self.key = key
        self.redact = redact
        self.failures: list[ResourceError] = []
        """What could not be deleted yet."""

    @property
    def revisions(self) -> frozenset[str]:
        """Names of the StackRevisions that snapshots need."""
        return frozenset(self.index.held(self.key, STACK_SNAPSHOTS).values()) - {""}

    @property
    def held(self) -> bool:
        """Whether the Stack has snapshots."""
        return bool(self.index.held(self.key, STACK_SNAPSHOTS))

    async def leaving(self) -> bool:
        """Whether a snapshot is being deleted."""
        return any(one.deleting for one in await self._open())

    def sooner(self, requeue: Requeue) -> Requeue:
        """The requeue, sooner if something is left to delete."""
        if not self.failures:
            return requeue
        return replace(requeue, after=min(requeue.after or LEFT_RETRY, LEFT_RETRY))

    async def get(self, name: str) -> StackSnapshot | None:
        """A snapshot of this Stack, or None."""
        obj = await self.kube.get(STACK_SNAPSHOTS, self.key.namespace, name)
        if obj is None or (obj.get("spec") or {}).get("stackName") != self.key.name:
            return None
        return snapshots.parse(obj)

    async def _open(self) -> list[StackSnapshot]:
        found = [await self.get(where.name) for where in self.index.open(self.key, STACK_SNAPSHOTS)]
        return [one for one in found if one is not None]

    # Making.

    async def make(self, context: Context, ready: Iterable[ReadyResource], revision: str, seconds: float) -> None:
        """Make the snapshots that wait. ``revision`` is the name of the StackRevision that the Stack is at."""
        for found in await self._open():
            if not found.deleting and found.phase in {"", RequestPhase.RUNNING}:
                await self._make(found, context, list(ready), revision, seconds)

    async def _make(
        self, snapshot: StackSnapshot, context: Context, ready: list[ReadyResource], revision: str, seconds: float
    ) -> None:
        fresh = snapshot.phase == ""
        if fresh:
            refusal = self._refusal(revision)
            if refusal:
                await self._end(Items(self.kube, snapshot, self.redact), _failed(refusal))
                return
            snapshot = await self._begin(snapshot, ready, revision)
        items = Items(self.kube, snapshot, self.redact)
        if snapshot.revision != revision:
            await self._end(items, _failed("the Stack was changed while the snapshot was made; make another one"))
            return
        passed = (clock.now() - snapshot.started).total_seconds() if snapshot.started is not None else 0.0
        surroundings = context(max(seconds - passed, 0.0))
        work = [self._copy(item, items, surroundings, fresh=fresh) for item in snapshot.items]
        results = await asyncio.gather(*work, return_exceptions=True)
        failures = [one for one in results if isinstance(one, ResourceError)]
        timed_out = any(isinstance(one, TimedOut) for one in results)
        for other in results:
            if isinstance(other, BaseException) and not isinstance(other, ResourceError | TimedOut):
                raise other
        ended = snapshots.ended(snapshot.items, failures, timeout=seconds if timed_out else None)
        await self._end(items, ended)

    def _refusal(self, revision: str) -> str:
        if not revision:
            return "the Stack has nothing that a snapshot could be made of"
        if len(self.index.held(self.key, STACK_SNAPSHOTS)) > snapshots.MOST_SNAPSHOTS:
            return f"a Stack has at most {snapshots.MOST_SNAPSHOTS} snapshots; delete others first"
        return ""

    async def _begin(self, snapshot: StackSnapshot, ready: list[ReadyResource], revision: str) -> StackSnapshot:
        """Take hold of the snapshot, and write down what will be asked of OpenStack."""
        obj = snapshot.obj
        if not snapshot.held:
            finalizers = [*(obj["metadata"].get("finalizers") or ()), SNAPSHOT_FINALIZER]
            patch = finalizer_patch(obj, finalizers)
            try:
                obj = await self.kube.patch(STACK_SNAPSHOTS, self.key.namespace, snapshot.name, patch, how="json")
            except (Conflict, NotFound) as error:
                raise ReconciliationEnded(EndReason.OBJECT_CHANGED) from error
        planned = snapshots.plan(snapshot, ready)
        items = Items(self.kube, replace(snapshot, obj=obj, items=planned), self.redact)
        phase = {"phase": str(RequestPhase.RUNNING), "readyToUse": False, "startTime": clock.stamp()}
        await items.write({**phase, "revision": revision})
        return snapshots.parse(items.obj)

    async def _copy(self, item: Item, items: Items, context: ReconcileContext, *, fresh: bool) -> None:
        recorded, copy_type = item.recorded, item.copy_type
        if recorded.state == "Ready":
            return
        if copy_type is None:
            raise ResourceError(recorded.name, recorded.type, f"it cannot be copied as {item.kind}", Fault.INVALID)
        driver = CopyDriver(context, copy_type, recorded, item.source, items.save)
        driver.fresh = fresh
        if fresh:
            context.unconfirmed.intended(recorded.token)
        try:
            await driver.run()
        except ResourceError as error:
            driver.recorded = replace(driver.recorded, state="Failed", message=error.reason)
            await driver.save()
            raise

    async def _end(self, items: Items, fields: Mapping[str, Any]) -> None:
        message = shown(str(fields["message"]), self.redact)
        await items.write({**fields, "message": message, "completionTime": clock.stamp()})
        log.info("StackSnapshot %s: %s", items.obj["metadata"]["name"], message)
        if fields["readyToUse"]:
            self.events.emit(items.obj, "SnapshotReady", message, "Normal")
        else:
            self.events.emit(items.obj, "SnapshotFailed", message, "Warning")

    # Deleting.

    async def remove_leaving(self, context: Context, seconds: float) -> None:
        """Delete what the snapshots hold that are being deleted."""
        for found in await self._open():
            if found.deleting:
                self.failures += await self._remove(found, context, seconds, orphan=found.orphan)

    async def remove_all(self, context: Context, seconds: float) -> list[ResourceError]:
        """Delete all snapshots, because their Stack is being deleted. Returns what could not be deleted yet."""
        failures: list[ResourceError] = []
        for found in await self._all():
            failures += await self._remove(found, context, seconds, orphan=found.orphan)
        return failures

    async def leave_all(self) -> None:
        """Delete all snapshots, because their Stack is being deleted. What they hold stays in OpenStack."""
        for found in await self._all():
            if found.held:
                self._tell_left(found)
                await self._let_go(found)

    async def _all(self) -> list[StackSnapshot]:
        """All snapshots, whose deletion is asked for."""
        names = sorted(self.index.held(self.key, STACK_SNAPSHOTS))
        for name in names:
            await self.kube.delete(STACK_SNAPSHOTS, self.key.namespace, name)
        found = [await self.get(name) for name in names]
        return [one for one in found if one is not None]

    async def _remove(
        self, snapshot: StackSnapshot, context: Context, seconds: float, *, orphan: bool
    ) -> list[ResourceError]:
        if not snapshot.held:
            return []
        failures: list[ResourceError] = []
        if orphan:
            self._tell_left(snapshot)
        else:
            items = Items(self.kube, snapshot, self.redact)
            surroundings = context(seconds)
            work = (self._delete(item, items, surroundings) for item in snapshot.items)
            results = await asyncio.gather(*work, return_exceptions=True)
            failures = [one for one in results if isinstance(one, ResourceError)]
            for other in results:
                if isinstance(other, BaseException) and not isinstance(other, ResourceError):
                    raise other
            snapshot = replace(snapshot, obj=items.obj)
            if failures:
                await items.write({"message": shown(f"cannot be deleted yet: {failures[0]}", self.redact)})
                return failures
        await self._let_go(snapshot)
        return []

    async def _delete(self, item: Item, items: Items, context: ReconcileContext) -> None:
        recorded, copy_type = item.recorded, item.copy_type
        if recorded.state == "Deleted":
            return
        if copy_type is None:
            reason = f"Kiln does not know copies of the kind {item.kind} any more"
            raise ResourceError(recorded.name, recorded.type, reason, Fault.INVALID)
        driver = CopyRemover(context, copy_type, recorded, items.save)
        try:
            await driver.run()
        except TimedOut as error:
            raise driver.failure("its copy could not be deleted in time", Fault.TRANSIENT) from error
        except CloudError as error:
            raise driver.failure(error.message, error.fault) from error
        if driver.left:
            where = f"resources.{recorded.name}: the {item.kind} {recorded.physical_id}"
            message = shown(f"{where}, which was never complete, stays in OpenStack: {driver.left}", self.redact)
            self.events.emit(items.obj, "LeftInCloud", message, "Warning")

    async def _let_go(self, snapshot: StackSnapshot) -> None:
        obj = snapshot.obj
        kept = [one for one in obj["metadata"].get("finalizers") or () if one != SNAPSHOT_FINALIZER]
        try:
            await self.kube.patch(
                STACK_SNAPSHOTS, self.key.namespace, snapshot.name, finalizer_patch(obj, kept), how="json"
            )
        except NotFound:
            return
        except Conflict as error:
            raise ReconciliationEnded(EndReason.OBJECT_CHANGED) from error

    def _tell_left(self, snapshot: StackSnapshot) -> None:
        left = [item for item in snapshot.items if item.recorded.physical_id and item.recorded.state != "Deleted"]
        for item in left:
            message = f"resources.{item.recorded.name}: the {item.kind} {item.recorded.physical_id} stays in OpenStack"
            self.events.emit(snapshot.obj, "LeftInCloud", message, "Normal")

    async def abandon(self) -> None:
        """The Stack does not exist. What its snapshots hold cannot be deleted without it, so it is left and named."""
        for found in await self._open():
            if found.deleting and found.held:
                self._tell_left(found)
                await self._let_go(found)
            elif not found.deleting:
                items = Items(self.kube, found, self.redact)
                await self._end(items, _failed(f"there is no Stack {self.key.name}"))


def _failed(message: str) -> dict[str, Any]:
    return {"phase": str(RequestPhase.FAILED), "readyToUse": False, "message": message}
