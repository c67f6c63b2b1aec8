"""Deletes recorded resources that are not desired, dependants first."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconcilers import registry
from reconcilers.engine import cascade, planner
from reconcilers.engine.action import Action, Verb
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.driver import identified
from reconcilers.engine.graph import run_in_dependency_order
from reconcilers.engine.hooks import HookPending
from reconcilers.engine.progress import ResourceError, ResourceProgress
from reconcilers.engine.remover import ResourceRemover
from reconcilers.engine.result import Result
from reconcilers.model import Fault, Recorded
from reconcilers.resource_type import ResourceType


class Cleanup:
    """Removes records with their resources. ``records`` are all of the Stack's, as they were given."""

    def __init__(self, context: ReconcileContext, result: Result, records: Iterable[Recorded] = ()) -> None:
        self.context = context
        self.result = result
        self.records = list(records)
        self.leaving: list[Recorded] = []
        """Records whose names the template does not have."""
        self._superseded: dict[str, Recorded] = {}
        """Records of resources that have a successor of the same name, by key."""
        self._making_room: asyncio.Lock = asyncio.Lock()
        self._kept: set[tuple[str, str | None]] = set()
        """Type and physical id of the desired resources that exist."""
        self._parents: dict[str, str] = {}
        """Keys of records whose resource is deleted together with another one, with the key of the other record."""

    async def run(self, going: Mapping[str, Recorded]) -> None:
        """Remove these records and their resources. Failures are noted in the result."""
        if not going:
            return
        ready = (one.recorded for one in self.context.ready.values())
        self._kept = {(one.type, one.physical_id) for one in ready if one.physical_id is not None}
        guard = self.context.policy.guard
        going = planner.leaving(going, self.context.policy.adoption)
        # What is refused stays in the cloud, as what is retained does, and holds what it requires.
        staying = {key: replace(one, retain=one.retain or guard.removal(one) is not None) for key, one in going.items()}
        self._parents, after = cascade.deletion_order(staying)
        never = await run_in_dependency_order(after, lambda key: self._remove(going[key]))
        self.result.blocked += sorted(going[key].name for key in never)

    def holds(self, rtype: ResourceType, physical_id: str | None) -> bool:
        """Whether a leaving record is a record of this very resource, which was renamed in the template."""
        return physical_id is not None and any(
            one.type == rtype.type and identified(rtype, one).physical_id == physical_id for one in self.leaving
        )

    def supersede(self, recorded: Recorded) -> None:
        """Note a record of a resource that has a successor of the same name."""
        self._superseded[recorded.key] = recorded

    def _outgoing(self) -> list[Recorded]:
        """Records whose resources may go before the end: those that leave, and superseded ones that nothing needs."""
        newest = {**{one.key: one for one in self.records}, **self.context.written}
        staying = (one for key, one in newest.items() if key not in self.context.deleted)
        needed = {name for one in staying for name in one.requires} if self._superseded else set()
        return [*self.leaving, *(one for one in self._superseded.values() if one.name not in needed)]

    def owner(self, rtype: ResourceType, physical_id: str) -> str:
        """The name of the Stack's resource of this type that has the id; empty if none has."""
        newest = {**{one.key: one for one in self.records}, **self.context.written}
        found = (
            one.name
            for key, one in newest.items()
            if one.type == rtype.type and one.confirmed and key not in self.context.deleted
            if identified(rtype, one).physical_id == physical_id
        )
        return next(found, "")

    async def make_room(self, type_name: str) -> int:
        """Remove what goes of this type now, since it holds what a new resource needs: its name, address or link.

        Returns how many of this type are gone, for this resource or others.
        """
        async with self._making_room:
            outgoing = self._outgoing()
            of_type = {one.key for one in outgoing if one.type == type_name}
            chosen = of_type - self.context.deleted
            if not chosen:
                return len(of_type)
            newest = {one.key: self.context.written.get(one.key, one) for one in outgoing}
            going = {key: one for key, one in newest.items() if key not in self.context.deleted}
            names = {going[key].name for key in chosen}
            grown = True
            while grown:
                # Their dependants are removed before them.
                more = {one.key for one in going.values() if one.requires & names} - chosen
                chosen |= more
                names |= {going[key].name for key in more}
                grown = bool(more)
            await self.run({key: going[key] for key in chosen})
            return len(of_type & self.context.deleted)

    async def _remove(self, recorded: Recorded) -> bool:
        name, context = recorded.name, self.context
        rtype = registry.find(recorded.type)
        if recorded.key in self._parents:
            await context.store.delete(recorded)
            context.deleted.add(recorded.key)
            self.result.actions.setdefault(name, Action(Verb.DELETE, "with its parent"))
            self._left(name)
            return True
        if rtype is None:
            reason = f"Kiln cannot delete {recorded.type} yet"
            self.result.fail(self.context, ResourceError(name, recorded.type, reason, Fault.INVALID, at="type"))
            return False
        if (recorded.type, identified(rtype, recorded).physical_id) in self._kept:
            # The record of a desired resource has the same id in the cloud.
            recorded = replace(recorded, retain=True)
        driver = ResourceRemover(context, rtype, recorded)
        try:
            await driver.run()
        except HookPending as pending:
            self.result.wait(context, pending, recorded.type)
            return False
        except ResourceError as error:
            self.result.fail(self.context, error)
            driver.recorded = replace(driver.recorded, state="Failed", message=error.reason, fault=str(error.fault))
            await driver.save()
            return False
        if driver.action is not None:
            self.result.actions.setdefault(name, driver.action)
        self._left(name)
        return True

    def _left(self, name: str) -> None:
        """An old resource is gone. If another one has taken its place, report the state of that one."""
        ready = self.context.ready.get(name)
        if ready is not None:
            self.context.progress.move(name, ResourceProgress.ready(ready.recorded))
        elif all(one.name != name or one.key in self.context.deleted for one in self.context.written.values()):
            self.context.progress.leave(name)


def unneeded(going: Mapping[str, Recorded], staying: Iterable[Recorded]) -> dict[str, Recorded]:
    """Of the records that are to be removed those that nothing needs, near or far, of what stays as it is."""
    needs: dict[str, set[str]] = {}
    for recorded in going.values():
        needs.setdefault(recorded.name, set()).update(recorded.requires)
    needed: set[str] = set()
    waiting = [name for recorded in staying for name in {recorded.name, *recorded.requires}]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(needs.get(name, ()))
    return {key: recorded for key, recorded in going.items() if recorded.name not in needed}
