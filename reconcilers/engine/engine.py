"""Converges all resources of a Stack, in dependency order, as parallel as the order allows.

Nothing here is persistent. The next reconciliation continues from the records and from what the cloud shows, so a
reconciliation may stop anywhere. First a sweep finds the resources at rest, without a call. Each other resource gets a
driver, which starts when its requirements are ready. Resources that the template no longer has are deleted last, in
reverse order.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hot_translator import Definition, Translation, TranslationError
from hot_translator.expression import Scope
from reconcilers import registry
from reconcilers.capabilities import Snapshottable
from reconcilers.digests import LARGE
from reconcilers.engine import batches, external
from reconcilers.engine.batches import Barrier
from reconcilers.engine.cleanup import Cleanup, unneeded
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.converger import ResourceConverger
from reconcilers.engine.early_intents import EarlyIntents
from reconcilers.engine.graph import AT_ONCE, all_requirements, run_in_dependency_order
from reconcilers.engine.hooks import HookPending
from reconcilers.engine.policy import OnObstacle
from reconcilers.engine.power import PowerChanges
from reconcilers.engine.progress import ReadyResource, ResourceError, ResourceProgress
from reconcilers.engine.result import Result
from reconcilers.engine.target import target_of
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Recorded
from reconcilers.resource_type import ResourceType


@dataclass(slots=True)
class Sweep:
    """The result of a sweep over all definitions in order, without any call.

    ``ready`` resources are at rest. ``waiting`` ones need work; they come with their driver if it could be created.
    """

    ready: dict[str, ReadyResource] = field(default_factory=dict)
    waiting: dict[str, ResourceConverger | None] = field(default_factory=dict)
    failed: list[ResourceError] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Names whose condition does not hold: as if the template did not have them."""


class Engine:
    """Reconciles a Stack's resources in one :class:`ReconcileContext`."""

    def __init__(self, context: ReconcileContext, records: Iterable[Recorded]) -> None:
        self.context = context
        self.records: dict[str, list[Recorded]] = defaultdict(list)
        for recorded in records:
            self.records[recorded.name].append(recorded)
            if recorded.origin:
                context.spent.setdefault(recorded.origin, set()).add(recorded.serial)
        self.current: set[str] = set()
        """Keys of the records of desired resources. All other resources are removed at the end."""
        self.early_intents = EarlyIntents(context)
        self.result = Result()

    # Converging.

    async def converge(self, translation: Translation) -> Result:
        """Bring the cloud to what the template says.

        Raises CloudError (nothing could be looked at), ReconciliationEnded, TimedOut.
        """
        definitions = translation.definitions
        await self.look({definition.type for definition in definitions.values()})
        needs = await self.context.evaluate(lambda: all_requirements(definitions))
        sweep = await self.context.evaluate(lambda: self.sweep(translation, needs))
        for name, ready in sweep.ready.items():
            self._note(name, ready)
        for error in sweep.failed:
            self.result.fail(self.context, error)
        for name in sweep.absent:
            self.context.progress.leave(name)
        cleanup = Cleanup(self.context, self.result, self.all_records())
        cleanup.leaving = [one for one in self.all_records() if one.name not in definitions]
        barriers = batches.arranged(translation.groups, sweep.waiting, self.context.policy.deployed)
        waiting = {name: needs[name] for name in sweep.waiting}
        requires = await self.context.evaluate(lambda: barriers.added_to(waiting))

        async def work(name: str) -> bool:
            if name in barriers.between:
                return await self._pause_between(barriers.between[name])
            return await self._one(definitions[name], needs[name], sweep.waiting.pop(name), cleanup)

        def ahead(name: str) -> None:
            if name not in barriers.between:
                self._ahead(definitions[name], needs[name], cleanup)

        async with self.context.background, self.early_intents:
            never = await run_in_dependency_order(requires, work, ahead)
        self.result.blocked += sorted(never - barriers.between.keys())
        if self.result.complete:
            await cleanup.run(self._left_over())
        elif self._goes_on():
            await cleanup.run(unneeded(self._left_over(), self._unfinished()))
        if self.result.complete:
            await PowerChanges(self.context, self.result).run(needs)
        return self.result

    async def _pause_between(self, barrier: Barrier) -> bool:
        """Let the pause between two batches pass, if the one before was changed."""
        changed = any(action.changes for name, action in self.result.actions.items() if name in barrier.after)
        if barrier.pause and changed:
            await self.context.control.pause(barrier.pause)
        return True

    async def delete(self) -> Result:
        """Delete all recorded resources in reverse order, from the records alone."""
        await self.look(leaving=True)
        await Cleanup(self.context, self.result).run(self._left_over())
        return self.result

    async def refresh(self, names: Iterable[str]) -> None:
        """Read ready resources again, because later ones may have changed their attributes.

        A resource that cannot be read keeps its last state.
        """
        context = self.context
        now = asyncio.get_running_loop().time()

        async def one(name: str) -> None:
            ready = context.ready[name]
            identity = ready.recorded.physical_id or ""
            with contextlib.suppress(CloudError):
                if ready.rtype.listing:
                    snapshot = await context.observer_of(ready.rtype).snapshot(ready.rtype, since=now)
                    observed = snapshot.find(ready.rtype, identity)
                else:
                    observed = await context.observer_of(ready.rtype).read(ready.rtype, ready.recorded, context.caller)
                if observed is not None:
                    newer = ReadyResource(ready.rtype, ready.desired, ready.recorded, observed, ready.read)
                    context.settle(name, newer)

        wanted = [name for name in names if name in context.ready and context.ready[name].rtype.service]
        await asyncio.gather(*(one(name) for name in wanted))

    async def look(self, types: Iterable[str] = (), *, leaving: bool = False) -> None:
        """Read one bulk list for each recorded kind; for a deletion only for kinds whose state matters then.

        ``types`` are those of the template. A list that fails delays only resources of its kind. Raises CloudError if
        the credentials are refused, or if no service answers that a recorded resource or one of ``types`` belongs to.
        """
        kinds: dict[tuple[Any, ...], ResourceType] = {}
        for recorded in self.all_records():
            rtype = registry.find(recorded.type)
            if rtype is None or not rtype.listing or recorded.physical_id is None or recorded.external:
                continue
            if not (leaving and rtype.deletes_without_read):
                kinds[rtype.list_key] = rtype
        context = self.context
        lists = [context.observer_of(rtype).snapshot(rtype, since=context.started) for rtype in kinds.values()]
        found = await context.control.wait_for(_gather(lists)) if lists else []
        for key, snapshot in zip(kinds, found, strict=True):
            if isinstance(snapshot, CloudError):
                context.unreadable[key] = snapshot
            elif isinstance(snapshot, BaseException):
                raise snapshot
            else:
                context.snapshots[key] = snapshot
        away = {key[0] for key in context.unreadable}
        hopeless = not context.snapshots and self._services(types) <= away
        for error in context.unreadable.values():
            if hopeless or error.fault is Fault.AUTH:
                raise error

    def _services(self, types: Iterable[str]) -> set[str]:
        """The services that recorded resources and these types belong to."""
        found = map(registry.find, {*types, *(recorded.type for recorded in self.all_records())})
        return {rtype.service for rtype in found if rtype is not None and rtype.service}

    def sweep(self, translation: Translation, needs: Mapping[str, frozenset[str]]) -> Sweep:
        """Look at all definitions in order. Its only side effect: it notes ready resources in the context."""
        sweep = Sweep()
        for name in translation.order:
            definition = translation.definitions[name]
            if definition.virtual:
                continue
            if not needs[name].isdisjoint(sweep.waiting):
                sweep.waiting[name] = None
                continue
            if definition.exists(self.context) is False:
                sweep.absent.append(name)
                continue
            try:
                driver = None if definition.external_id else self.driver(definition, needs[name])
            except ResourceError as error:
                sweep.failed.append(error)
                sweep.waiting[name] = None
                continue
            ready = driver.at_rest() if driver else None
            if ready is None:
                # The others are made again when their turn comes: thousands would take much memory.
                sweep.waiting[name] = driver if len(sweep.waiting) < AT_ONCE else None
            else:
                sweep.ready[name] = ready
                self.context.settle(name, ready)
        return sweep

    def driver(self, definition: Definition, requires: frozenset[str], scope: Scope | None = None) -> ResourceConverger:
        """The driver of a definition, with its functions evaluated in the scope (default: the context).

        Raises ResourceError.
        """
        name = definition.name
        rtype = registry.find(definition.type)
        if rtype is None:
            reason = f"Kiln cannot converge {definition.type} yet"
            raise ResourceError(name, definition.type, reason, Fault.INVALID, at="type")
        if definition.deletion_policy == "Snapshot" and not isinstance(rtype, Snapshottable):
            # Deleting without the snapshot would lose what the template asks to be kept.
            reason = f"Kiln cannot make a snapshot of {definition.type}: use Retain or Delete"
            raise ResourceError(name, definition.type, reason, Fault.INVALID, at="deletion_policy")
        try:
            context = self.context
            restore, kept = context.policy.restores.get(name), context.policy.kept
            target = target_of(rtype, definition, requires, scope or context, context.digester, restore, kept)
        except TranslationError as error:
            raise _refused(definition, error) from error
        target.make_large_digests(self.records[name])
        if target.restore is not None:
            self.result.restored[name] = target.restore
        elif restore is not None:
            self.result.overtaken.add(name)
        return ResourceConverger(self.context, target, self.records[name])

    # One resource.

    def all_records(self) -> Iterable[Recorded]:
        """All records of the Stack, as they were given."""
        return (recorded for candidates in self.records.values() for recorded in candidates)

    def _left_over(self) -> dict[str, Recorded]:
        """The records of resources that are not desired, by key."""
        newest = {**{recorded.key: recorded for recorded in self.all_records()}, **self.context.written}
        gone = self.current | self.context.deleted
        return {key: recorded for key, recorded in newest.items() if key not in gone}

    def _goes_on(self) -> bool:
        """Whether the rest is done beside what cannot be done."""
        lasting = all(error.fault is Fault.INVALID for error in self.result.failures)
        return self.context.policy.on_obstacle is OnObstacle.GO_ON and lasting and not self.result.hooks

    def _unfinished(self) -> list[Recorded]:
        """The records of desired resources that failed or never started."""
        left = {error.name for error in self.result.failures} | set(self.result.blocked)
        newest = {**{one.key: one for one in self.all_records()}, **self.context.written}
        return [one for one in newest.values() if one.name in left and one.key not in self.context.deleted]

    def _note(self, name: str, ready: ReadyResource) -> None:
        self.context.add_secrets_of(ready)
        self.current.add(ready.recorded.key)
        self.context.progress.move(name, ResourceProgress.ready(ready.recorded))

    async def _one(
        self, definition: Definition, requires: frozenset[str], driver: ResourceConverger | None, cleanup: Cleanup
    ) -> bool:
        """Drive one resource until it is ready (True) or has failed (False; the failure is noted)."""
        name = definition.name
        if driver is None and name in {error.name for error in self.result.failures}:
            return False
        try:
            if await self._is_absent(definition):
                self.context.progress.leave(name)
                return True
            if definition.external_id:
                ready = await external.refer(self.context, definition, requires, self.records[name])
                self.result.actions[name] = external.ACTION
            else:
                driver = driver or await self.early_intents.take(name) or await self._driver(definition, requires)
                driver.cleanup = cleanup
                ready = await self._past_hooks(driver, await driver.run())
            self.context.settle(name, ready)
            self._note(name, ready)
        except HookPending as pending:
            self.result.wait(self.context, pending, definition.type)
            if driver is not None:
                self.current.update(one.key for one in driver.candidates)
        except ResourceError as error:
            self.result.fail(self.context, error)
            if driver is not None:
                await self._record_failure(driver, error)
        except CloudError as error:
            failed = ResourceError(name, definition.type, error.message, error.fault, request_id=error.request_id)
            self.result.fail(self.context, failed)
        else:
            return True
        finally:
            if driver is not None and driver.action is not None:
                self.result.actions[name] = driver.action
        return False

    async def _past_hooks(self, driver: ResourceConverger, ready: ReadyResource) -> ReadyResource:
        """The ready resource, if no hook follows. Raises HookPending."""
        passed = self.context.policy.hooks.after(ready.recorded)
        if passed is ready.recorded:
            return ready
        driver.recorded = passed
        await driver.save()
        return replace(ready, recorded=driver.recorded)

    async def _is_absent(self, definition: Definition) -> bool:
        """Whether the condition of a resource in a nested template does not hold. Raises ResourceError."""
        if definition.condition is None:
            return False
        try:
            return await self.context.evaluate(lambda: definition.exists(self.context)) is False
        except TranslationError as error:
            raise _refused(definition, error) from error

    async def _driver(self, definition: Definition, requires: frozenset[str]) -> ResourceConverger:
        if _is_quick(definition):
            return self.driver(definition, requires)
        return await self.context.evaluate(lambda: self.driver(definition, requires))

    async def _record_failure(self, driver: ResourceConverger, error: ResourceError) -> None:
        """Show the failure in the StackResource too. The next try may recreate the resource as often as this one."""
        if driver.recorded.key:
            self.current.add(driver.recorded.key)
            failed = replace(driver.recorded, state="Failed", message=error.reason, fault=str(error.fault))
            driver.recorded = replace(failed, request_id=error.request_id, attempts=0)
            await driver.save()

    def _ahead(self, definition: Definition, requires: frozenset[str], cleanup: Cleanup) -> None:
        """The requirements of a resource are in progress: store its intent now, if it does not depend on them."""
        if definition.external_id or not _is_quick(definition) or self.records[definition.name]:
            return
        if definition.name in {error.name for error in self.result.failures}:
            return
        try:
            driver = self.driver(definition, requires)
        except ResourceError as error:
            self.result.fail(self.context, error)
            return
        driver.cleanup = cleanup
        self.early_intents.store(driver)


async def _gather(lists: Iterable[Any]) -> list[Any]:
    return await asyncio.gather(*lists, return_exceptions=True)


def _is_quick(definition: Definition) -> bool:
    """Whether evaluating a definition takes no time that the event loop must not be held for."""
    return definition.is_constant and definition.size <= LARGE


def _refused(definition: Definition, error: TranslationError) -> ResourceError:
    """The error of a definition whose functions or properties are refused once their values are known."""
    prefix = f"resources.{definition.name}"
    at = error.path.removeprefix(prefix).removeprefix(".") if error.path.startswith(prefix) else error.path
    fault = Fault.EVALUATION if error.transient else Fault.INVALID
    refused = ResourceError(definition.name, definition.type, error.reason, fault, at=at)
    refused.path = error.path
    return refused
