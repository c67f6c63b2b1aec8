"""One pass over one Stack.

Bring all its resources to what is desired, in dependency order, as parallel as the order allows.

Nothing here is persistent. A pass that ends anywhere is taken up by the next one from the records and from what the
cloud shows, so stopping is always safe. First comes a sweep over everything that is at rest (no call, no await); what
is left becomes one task a resource, each begun when what it requires is settled; what the template no longer has goes
last, in reverse order.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hot_translator import Definition, Translation, TranslationError
from hot_translator.expression import Scope
from reconcilers import registry
from reconcilers.engine.context import ReadyResource, ReconcileContext, ResourceError, ResourceProgress, Superseded
from reconcilers.engine.converger import Converging
from reconcilers.engine.driver import Removing, identified, intended_name, unseen
from reconcilers.engine.graph import run_in_dependency_order
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Intent, Recorded
from reconcilers.resource_type import ResourceType


@dataclass(slots=True)
class Result:
    """What a pass came to.

    ``failures`` are in the order in which they happened; ``blocked`` could not be begun because of them.
    """

    failures: list[ResourceError] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything is as desired."""
        return not self.failures and not self.blocked


class Engine:
    """Runs one pass in one :class:`ReconcileContext` over the Stack's records."""

    def __init__(self, world: ReconcileContext, records: Iterable[Recorded]) -> None:
        self.world = world
        self.records: dict[str, list[Recorded]] = defaultdict(list)
        for recorded in records:
            self.records[recorded.name].append(recorded)
        self.current: set[str] = set()
        """Keys of the records that stand for what is desired; all others go at the end."""
        self.standing: set[tuple[str, str | None]] = set()
        """Type and physical id of what is wanted and there."""
        self.parents: dict[str, str] = {}
        """Keys of records that go with another one."""
        self.prepared: dict[str, tuple[Converging, asyncio.Task[Any]]] = {}
        """Lives of resources that are not begun yet, with the task that stores their intents."""
        self.result = Result()

    # Converging.

    async def converge(self, translation: Translation) -> Result:
        """Make the cloud what the template says. Raises CloudError (at the first look), Superseded, TimedOut."""
        await self.look()
        definitions = translation.definitions
        scope = self.world
        needs = {name: concrete_requirements(definitions, name) for name in definitions}
        waiting: dict[str, Converging | None] = {}
        for name in translation.order:
            definition = definitions[name]
            if definition.virtual:
                continue
            if any(other in waiting for other in needs[name]):
                waiting[name] = None
                continue
            life = self._life(definition, needs[name], scope)
            rest = life.at_rest() if life else None
            if rest is None:
                waiting[name] = life
            else:
                self._settle(name, rest)
        async with self.world.trailing, self._early_intents():
            never = await run_in_dependency_order(
                {name: needs[name] for name in waiting},
                lambda name: self._one(definitions[name], needs[name], waiting[name], scope),
                lambda name: self._ahead(definitions[name], needs[name], scope),
            )
        self.result.blocked += sorted(never)
        if self.result.complete:
            await self._clean_up()
        return self.result

    async def delete(self) -> Result:
        """Make everything that is recorded go, in reverse order, from the records alone."""
        await self.look(leaving=True)
        self.current = set()
        await self._clean_up()
        return self.result

    async def look(self, *, leaving: bool = False) -> None:
        """One bulk list for each kind that is recorded; where all shall go, only of kinds whose state then matters."""
        kinds: dict[tuple[Any, ...], ResourceType] = {}
        for recorded in self._all():
            rtype = registry.find(recorded.type)
            if rtype is None or not rtype.listing or recorded.physical_id is None or recorded.external:
                continue
            if not (leaving and unseen(rtype)):
                kinds[rtype.list_key] = rtype
        observer, since = self.world.observer, self.world.started
        found = await asyncio.gather(*(observer.snapshot(rtype, since=since) for rtype in kinds.values()))
        self.world.snapshots = dict(zip(kinds, found, strict=True))

    def _all(self) -> Iterable[Recorded]:
        return (recorded for candidates in self.records.values() for recorded in candidates)

    def _life(self, definition: Definition, requires: frozenset[str], scope: Scope) -> Converging | None:
        """The resource's life, or None where it cannot be begun: the failure is noted."""
        name = definition.name
        rtype = registry.find(definition.type)
        if rtype is None:
            reason = f"Kiln cannot converge {definition.type} yet"
            self._fail(name, ResourceError(f"resources.{name}.type", definition.type, reason, Fault.INVALID))
            return None
        if definition.deletion_policy == "Snapshot":
            # Deleting without the snapshot would lose what the template asks to be kept.
            path = f"resources.{name}.deletion_policy"
            reason = "Kiln makes no snapshots before it deletes yet: use Retain or Delete"
            self._fail(name, ResourceError(path, definition.type, reason, Fault.INVALID))
            return None
        if definition.external_id:
            return None
        try:
            return Converging(self.world, rtype, definition, requires, self.records[name], scope)
        except TranslationError as error:
            self._fail(name, ResourceError(error.path, definition.type, error.reason, Fault.INVALID))
            return None

    def _ahead(self, definition: Definition, requires: frozenset[str], scope: Scope) -> None:
        """All that a resource requires is under way: store the intent already, where it does not depend on that."""
        if definition.external_id or not definition.is_constant or self.records[definition.name]:
            return
        life = self._life(definition, requires, scope)
        if life is not None:
            self.prepared[definition.name] = life, asyncio.ensure_future(life.prepare())

    async def _prepared(self, name: str) -> Converging | None:
        """The resource's life with what was done for it ahead, if anything was."""
        life, task = self.prepared.pop(name, (None, None))
        if task is not None:
            with contextlib.suppress(CloudError):  # what could not be looked up is looked up again
                await task
        return life

    @contextlib.asynccontextmanager
    async def _early_intents(self) -> AsyncIterator[None]:
        """At the end, intents of what was never begun are removed again."""
        try:
            yield
        finally:
            left, self.prepared = self.prepared, {}
            await asyncio.gather(*(task for _, task in left.values()), return_exceptions=True)
            for name, (life, _) in left.items():
                if life.fresh:
                    self.world.progress.move(name, ResourceProgress(life.recorded.type, "Pending"))
                    with contextlib.suppress(Superseded):  # then the next pass finds it, and that nothing was made
                        await life.drop(life.recorded)

    def _settle(self, name: str, settled: ReadyResource) -> None:
        self.world.settled[name] = settled
        self.current.add(settled.recorded.key)
        if settled.rtype.text_attribute and settled.recorded.physical_id:
            text = settled.attributes().get(settled.rtype.text_attribute)
            self.world.texts[settled.recorded.physical_id] = str(text or "")
        self.world.progress.move(name, ResourceProgress(settled.recorded.type, "Ready"))

    def _fail(self, name: str, error: ResourceError) -> None:
        self.result.failures.append(error)
        standing = ResourceProgress(error.rtype, "Failed", error.reason, error.fault, error.request_id)
        self.world.progress.move(name, standing)

    async def _one(
        self, definition: Definition, requires: frozenset[str], life: Converging | None, scope: Scope
    ) -> bool:
        """One resource, from where it stands until it is settled (True) or has failed (False, and the failure is
        noted).
        """
        name = definition.name
        if life is None and name in {error.name for error in self.result.failures}:
            return False
        try:
            if definition.external_id:
                self._settle(name, await self._external(definition, requires))
                return True
            life = life or await self._prepared(name) or self._life(definition, requires, scope)
            if life is not None:
                self._settle(name, await life.run())
                return True
        except ResourceError as error:
            self._fail(name, error)
            if life is not None:
                await self._record_failure(life, error)
        except CloudError as error:
            self._fail(
                name, ResourceError(f"resources.{name}", definition.type, error.message, error.fault, error.request_id)
            )
        except TranslationError as error:
            self._fail(name, ResourceError(error.path, definition.type, error.reason, Fault.INVALID))
        return False

    async def _record_failure(self, life: Converging, error: ResourceError) -> None:
        """Show the failure at the resource's own object too. The next pass may make it anew as often as this one."""
        if life.recorded.key:
            self.current.add(life.recorded.key)
            failed = replace(life.recorded, state="Failed", message=error.reason, fault=str(error.fault))
            life.recorded = replace(failed, request_id=error.request_id, attempts=0)
            await life.save()

    async def _external(self, definition: Definition, requires: frozenset[str]) -> ReadyResource:
        """A resource that others own: it is read and referred to, never changed and never deleted."""
        name, rtype = definition.name, registry.find(definition.type)
        if rtype is None:
            raise ResourceError(
                f"resources.{name}.type", definition.type, f"Kiln cannot converge {definition.type} yet", Fault.INVALID
            )
        if not rtype.service:
            reason = f"{definition.type} has nothing in the cloud that could be somebody else's"
            raise ResourceError(f"resources.{name}.external_id", definition.type, reason, Fault.INVALID)
        held = [one for one in self.records[name] if one.external and one.physical_id == definition.external_id]
        if held:
            recorded = held[0]
        else:
            serial = 1 + max((one.serial for one in self.records[name]), default=-1)
            token, physical_name = intended_name(self.world, name, serial, rtype)
            intent = Intent(
                name, definition.type, serial, token, physical_name, requires, {}, {}, retain=True, external=True
            )
            recorded = await self.world.records.intend(intent)
        recorded = replace(recorded, physical_id=definition.external_id, confirmed=True)
        observed = await self.world.observer.read(rtype, recorded)
        if observed is None:
            reason = f"there is no {definition.type} {definition.external_id}"
            raise ResourceError(f"resources.{name}.external_id", definition.type, reason, Fault.INVALID)
        if recorded.state != "Ready" or not held:
            recorded = await self.world.records.save(replace(recorded, state="Ready", requires=requires))
        return ReadyResource(rtype, None, recorded, observed)

    # Cleaning up.

    async def _clean_up(self) -> None:
        """Remove every record that stands for nothing desired: dependants first, then what they required."""
        newest = {**{recorded.key: recorded for recorded in self._all()}, **self.world.written}
        going = {
            key: recorded
            for key, recorded in newest.items()
            if key not in self.current and key not in self.world.forgotten
        }
        if not going:
            return
        settled = (one.recorded for one in self.world.settled.values())
        self.standing = {(one.type, one.physical_id) for one in settled if one.physical_id is not None}
        by_name: dict[str, set[str]] = defaultdict(set)
        for recorded in going.values():
            by_name[recorded.name].add(recorded.key)
        after: dict[str, set[str]] = {key: set() for key in going}
        for recorded in going.values():
            for name in recorded.requires:
                for required in by_name.get(name, ()):
                    after[required].add(recorded.key)
        self.parents = self._parents(going)
        for child, parent in self.parents.items():
            # The other way round: the parent goes when all is gone that stood on either, and takes the child along.
            after[parent] = (after[parent] | after[child]) - {child}
            after[child] = {parent}
        never = await run_in_dependency_order(after, lambda key: self._remove(going[key]))
        self.result.blocked += sorted(going[key].name for key in never)

    def _parents(self, going: Mapping[str, Recorded]) -> dict[str, str]:
        """Records whose resource disappears with another one's deletion, with the key of that other one's record."""
        owners = {
            one.physical_id: one for one in going.values() if one.confirmed and not one.retain and not one.external
        }
        found: dict[str, str] = {}
        for recorded in going.values():
            rtype = registry.find(recorded.type)
            owner = owners.get(recorded.data.get(rtype.dies_with)) if rtype is not None and rtype.dies_with else None
            if owner is not None and owner.name in recorded.requires and not recorded.retain and not recorded.external:
                found[recorded.key] = owner.key
        return found

    async def _remove(self, recorded: Recorded) -> bool:
        name = recorded.name
        rtype = registry.find(recorded.type)
        if recorded.key in self.parents:
            await self.world.records.forget(recorded)
            self._left(name)
            return True
        if rtype is None:
            reason = f"Kiln cannot delete {recorded.type} yet"
            self._fail(name, ResourceError(f"resources.{name}.type", recorded.type, reason, Fault.INVALID))
            return False
        if (recorded.type, identified(rtype, recorded).physical_id) in self.standing:
            # Another record stands for the same thing in the cloud, and that one is wanted.
            recorded = replace(recorded, retain=True)
        life = Removing(self.world, rtype, recorded)
        try:
            await life.run()
        except ResourceError as error:
            self._fail(name, error)
            life.recorded = replace(life.recorded, state="Failed", message=error.reason, fault=str(error.fault))
            await life.save()
            return False
        self._left(name)
        return True

    def _left(self, name: str) -> None:
        """An old resource is gone; if another one has taken its place, that one is what counts."""
        settled = self.world.settled.get(name)
        if settled is None:
            self.world.progress.leave(name)
        else:
            self.world.progress.move(name, ResourceProgress(settled.recorded.type, "Ready"))


def concrete_requirements(definitions: Mapping[str, Definition], name: str) -> frozenset[str]:
    """Names of the cloud resources that a definition depends on, through groups and nested templates."""
    direct = definitions[name].requires
    if not any(other not in definitions or definitions[other].virtual for other in direct):
        return direct
    found: set[str] = set()
    seen: set[str] = set()
    stack = list(direct)
    while stack:
        other = stack.pop()
        if other in seen or other not in definitions:
            continue
        seen.add(other)
        if definitions[other].virtual:
            stack.extend(definitions[other].requires)
        else:
            found.add(other)
    return frozenset(found - {name})
