"""Brings one resource to what is desired: made, changed in place, replaced, repaired, or left alone."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from typing_extensions import override

from hot_translator import Definition
from hot_translator.expression import Scope
from reconcilers.digests import WHOLE
from reconcilers.engine.context import ReadyResource, ReconcileContext, ResourceError, ResourceProgress
from reconcilers.engine.driver import NOT_OBSERVED, Removing, identified
from reconcilers.engine.intents import Intending
from reconcilers.model import (
    POSSIBLE_DUPLICATE,
    Desired,
    Failed,
    Fault,
    Gone,
    Outcome,
    Pause,
    Ready,
    Recorded,
    Replace,
    Send,
    Wait,
)
from reconcilers.resource_type import ResourceType

log = logging.getLogger(__name__)

REMAKES = 3
"""How often in a row a resource that went to ERROR is made anew within one pass."""


class Converging(Intending):
    """``candidates`` are the records of the definition's name; the rest as in :class:`Intending`."""

    verb = "Updating"

    def __init__(
        self,
        world: ReconcileContext,
        rtype: ResourceType,
        definition: Definition,
        requires: frozenset[str],
        candidates: Iterable[Recorded],
        scope: Scope,
    ) -> None:
        super().__init__(world, rtype, definition, requires, scope)
        self.candidates = list(candidates)
        self.remade = False
        """It went to ERROR in this pass, and another one takes its place."""
        chosen = choose(self.candidates, definition.type, self.whole)
        if chosen is not None:
            self.take(self.digested_anew(chosen) if world.goal.rekeyed else chosen)

    def digested_anew(self, recorded: Recorded) -> Recorded:
        """The record with digests under the new key, as if the template had not changed meanwhile."""
        if recorded.state != "Ready":
            return recorded
        return replace(recorded, digests={WHOLE: "", **self.world.digester.each(self.template, self.template)})

    def take(self, recorded: Recorded) -> None:
        """Go on with this record."""
        self.recorded, self.saved = identified(self.rtype, recorded), recorded
        self.observed = NOT_OBSERVED
        self.reads = {}
        self.verb = "Updating" if recorded.confirmed else "Creating"
        self.taken_over = recorded.confirmed
        """An earlier pass knew already that it exists."""

    # The unchanged resource: no call, no await.

    def at_rest(self) -> ReadyResource | None:
        """The settled resource, if nothing has to be done for it; a pass over an unchanged Stack is made of this."""
        recorded = self.recorded
        if not recorded.key or not recorded.confirmed or recorded.deleting or recorded.state != "Ready":
            return None
        if POSSIBLE_DUPLICATE in recorded.data:
            return None
        if recorded.digests.get(WHOLE) != self.whole or self.requires != recorded.requires:
            return None
        if recorded.retain != (self.definition.deletion_policy == "Retain"):
            return None
        observed = None
        if self.rtype.service:
            if not self.rtype.listing or recorded.physical_id is None:
                return None
            observed = self.world.seen(self.rtype, recorded.physical_id)
            if observed is None:
                return None
        self.properties = self.naming.known()
        if self.properties is None:
            return None
        desired = self.desire(self.properties, frozenset())
        if self.needs_reads(desired, observed) or not isinstance(self.rtype.step(desired, recorded, observed), Ready):
            return None
        if self.rtype.service and self.world.goal.drift != "Ignore" and self.rtype.drift(desired, observed):
            return None
        return ReadyResource(self.rtype, desired, recorded, observed)

    def needs_reads(self, desired: Desired, observed: Any) -> bool:
        """Whether anything refers to an attribute that costs a call of its own."""
        used = self.definition.attributes_used
        return any(self.rtype.attribute_request(name, desired, self.recorded, observed) for name in used)

    # One turn.

    async def prepare(self) -> Mapping[str, Any]:
        """Have a record of what will be made; its properties. Nothing leaves for the cloud but look-ups of names."""
        if self.properties is None:
            self.properties = await self.naming.look_up()
        await self.have_record()
        return self.properties

    @override
    async def turn(self) -> ReadyResource | None:
        properties = await self.prepare()
        if self.observed is NOT_OBSERVED:
            self.observed = await self.look()
        desired, outcome = self.decide(properties)
        match outcome:
            case Send():
                self.stand()
                if self.recorded != self.saved and not outcome.into:
                    await self.save()
                await self.send(outcome)
            case Wait():
                await self.wait(outcome)
            case Pause():
                await self.pause(outcome)
            case Ready():
                return await self.settle(desired)
            case Replace():
                await self.replace(outcome)
            case Failed(fault=Fault.RESOURCE):
                return await self.remake(outcome)
            case Failed():
                raise self.failure(outcome.reason, outcome.fault, outcome.property)
            case Gone():
                self.observed = None
        return None

    def decide(self, properties: Mapping[str, Any]) -> tuple[Desired, Outcome]:
        """What to do now: pure, from what is desired, recorded and observed."""
        recorded, observed = self.recorded, self.view()
        goal = self.world.goal
        exists = recorded.confirmed and (observed is not None or not self.rtype.service)
        given = frozenset(name for name, value in properties.items() if value is not None)
        changed = self.changed(properties) if exists else given
        desired = self.desire(properties, changed)
        if recorded.confirmed and not exists:
            return desired, self.vanished(desired)
        if not exists:
            return desired, self.another(desired) or self.rtype.step(desired, recorded, observed)
        if goal.drift != "Ignore" and self.rtype.service and recorded.digests:
            drift = self.rtype.drift(desired, observed) - changed
            if drift:
                self.world.progress.drifted[recorded.name] = ", ".join(sorted(drift))
                if goal.drift == "Correct":
                    desired = replace(desired, changed=changed | drift)
        verdict = None
        if desired.changed:
            # What was never whole is still being made: properties that it has not got yet are not changed, but missing.
            applied = desired.changed if WHOLE in recorded.digests else desired.changed & recorded.digests.keys()
            verdict = self.rtype.replacement(replace(desired, changed=applied), recorded, observed)
        outcome = verdict or self.rtype.step(desired, recorded, observed)
        action = "replace" if isinstance(outcome, Replace) else "update"
        if changed and recorded.state == "Ready" and action in self.definition.restricted_actions:
            return desired, Failed(f"{action} is restricted for the resource by the environment", Fault.INVALID)
        if isinstance(outcome, Failed) and outcome.fault is Fault.RESOURCE and self.only_reported(changed):
            self.world.progress.drifted[recorded.name] = outcome.reason
            return desired, Ready()
        return desired, outcome

    def another(self, desired: Desired) -> Replace | None:
        """Whether the record stands for something else than what is wanted now (a link of what was replaced since)."""
        recorded, rtype = self.recorded, self.rtype
        draft = replace(recorded, data={**recorded.data, **rtype.intent(desired)})
        return None if rtype.identity(draft) == rtype.identity(recorded) else Replace("what it stands for has changed")

    def vanished(self, desired: Desired) -> Outcome:
        """It was there, and somebody removed it."""
        another = self.another(desired)
        if another is not None:
            return another
        if self.world.goal.drift != "Ignore":
            self.world.progress.drifted[self.recorded.name] = "gone from the cloud"
        if self.only_reported(frozenset()):
            return Ready()
        if self.rtype.identity(self.recorded) is not None:
            self.recorded = replace(self.recorded, digests={}, state="Creating", confirmed=False)
            return self.rtype.step(desired, self.recorded, None)
        return Replace("it is gone from the cloud")

    def only_reported(self, changed: frozenset[str]) -> bool:
        """Whether what others did to the resource is not to be repaired."""
        return self.world.goal.drift != "Correct" and not changed and self.recorded.state == "Ready"

    def changed(self, properties: Mapping[str, Any]) -> frozenset[str]:
        """Names of the properties to apply. Another name of the same thing is no change."""
        digester, applied = self.world.digester, self.recorded.digests
        changed = digester.changed(self.template, applied)
        same = {
            name
            for name in changed
            if f"{name}@id" in applied and digester.value(properties.get(name)) == applied[f"{name}@id"]
        }
        return changed - same

    # Steps.

    async def have_record(self) -> None:
        """From here on there is a record, and nobody wants to delete it."""
        if not self.recorded.key:
            await self.intend()
        if self.recorded.deleting:
            await self.hand_over()

    async def intend(self, *, attempts: int = 0) -> None:
        """Store that a resource is about to be made. Nothing has been sent yet when this returns."""
        properties = self.properties or {}
        name = self.definition.name
        lost = [] if self.candidates else await self.lost(properties)
        serial = lost[-1] if lost else 1 + max((other.serial for other in self.candidates), default=-1)
        for older in lost[:-1]:
            # It goes at the end of the pass, like every record that stands for nothing desired.
            surplus = await self.world.records.intend(self.intent(properties, older))
            self.world.written[surplus.key] = surplus
        intent = self.intent(properties, serial, attempts)
        self.world.progress.move(name, ResourceProgress(intent.type, "Creating"))
        recorded = await self.world.records.intend(intent)
        self.take(recorded if recorded.attempts else replace(recorded, attempts=attempts))
        self.candidates.append(self.recorded)
        self.fresh = not recorded.confirmed and recorded.state == "Creating" and not lost and not recorded.found
        if self.fresh:
            self.world.attempts.intended(recorded.token)

    @override
    def took(self, step: Send, body: Any, request_id: str) -> None:
        """What the request carried holds now."""
        super().took(step, body, request_id)
        # It has been whole, but is not what that digest says any more.
        digests = {**self.recorded.digests, **({WHOLE: ""} if WHOLE in self.recorded.digests else {})}
        if step.creates:
            digests = {}
            shown = self.observed if self.observed is not NOT_OBSERVED else None
            identity = self.rtype.identity(self.recorded)
            physical_id = identity or (next(iter(self.rtype.identify(shown)), None) if shown else None)
            self.recorded = replace(self.recorded, physical_id=physical_id, confirmed=physical_id is not None)
        elif not self.recorded.confirmed:
            self.recorded = replace(self.recorded, confirmed=self.recorded.physical_id is not None)
        for name in step.applies:
            digests.pop(name, None)
        digests.update(self.world.digester.each(self.template, step.applies))
        self.recorded = replace(self.recorded, digests=digests)

    async def settle(self, desired: Desired) -> ReadyResource:
        """It is as desired: record that, and read the attributes that somebody wants and that cost a call."""
        if POSSIBLE_DUPLICATE in self.recorded.data and self.taken_over:
            await self.clear_doubt()
        untouched = self.world.progress.drifted.get(self.recorded.name) and self.only_reported(frozenset())
        if not untouched:
            digests = {
                WHOLE: self.whole,
                **self.world.digester.each(self.template, self.template),
                **self.identified(),
            }
            what = self.world.progress.drifted.pop(self.recorded.name, "")
            if what:
                self.world.progress.repaired[self.recorded.name] = what
            self.recorded = replace(
                self.recorded,
                digests=digests,
                state="Ready",
                message="",
                fault="",
                requires=self.requires,
                confirmed=True,
                attempts=0,
                retain=self.definition.deletion_policy == "Retain",
            )
        if replace(self.recorded, request_id=self.saved.request_id) != self.saved:
            if self.needs_reads(desired, self.observed):
                await self.save()  # the reads may fail
            else:
                # Dependants need not wait: until it is stored, the token tells what was made.
                self.world.trailing.begin(self.save())
        desired = replace(desired, changed=frozenset())
        read = {name: await self.read_attribute(name, desired) for name in self.definition.attributes_used}
        known = {name: value for name, value in read.items() if value is not NOT_OBSERVED}
        return ReadyResource(self.rtype, desired, self.recorded, self.observed, known)

    async def read_attribute(self, name: str, desired: Desired) -> Any:
        """An attribute that costs calls of its own; UNSEEN for all others."""
        requests = self.rtype.attribute_request(name, desired, self.recorded, self.observed)
        if requests is None or self.observed is None:
            return NOT_OBSERVED
        if isinstance(requests, Mapping):
            body: Any = {key: (await self.world.cloud.send(request)).body for key, request in requests.items()}
        else:
            body = (await self.world.cloud.send(requests)).body
        return self.rtype.read_attribute(name, body, self.recorded, self.observed)

    async def replace(self, outcome: Replace) -> None:
        """Make a new one. The old one stays until nothing needs it, or goes first where both cannot be."""
        old = self.recorded
        gone = old.confirmed and self.observed is None and bool(self.rtype.service)
        self.stand(outcome.why)
        log.info("resources.%s: %s is replaced: %s", old.name, old.physical_id or "what was begun", outcome.why)
        if gone:
            await self.drop(old)
        elif outcome.delete_first:
            await self.remove(old)
        await self.intend()

    async def remake(self, outcome: Failed) -> ReadyResource | None:
        """It went to ERROR: remove it and make it anew, a bounded number of times."""
        old = self.recorded
        if old.attempts >= REMAKES:
            log.warning("resources.%s: in ERROR again after %d new ones in a row: giving up", old.name, old.attempts)
            raise self.failure(outcome.reason, outcome.fault, outcome.property)
        if not old.confirmed:
            raise self.failure(outcome.reason, outcome.fault, outcome.property)
        self.stand(outcome.reason, outcome.fault)
        if old.state == "Ready":
            self.world.progress.drifted[old.name] = outcome.reason
        elif old.attempts:
            await self.world.pause(2.0**old.attempts)
        log.info("resources.%s: %s went to ERROR: it is removed and made anew", old.name, old.physical_id)
        await self.save()
        await self.remove(self.recorded)
        await self.intend(attempts=old.attempts + 1)
        self.remade = True
        return None

    @override
    def failure(self, reason: str, fault: Fault, prop: str = "", request_id: str = "") -> ResourceError:
        """What was accepted a moment ago and is refused now refers to something that is gone.

        A failed boot may take its port along. The next pass looks at everything anew, and it is soon.
        """
        again = self.remade and fault is Fault.INVALID
        return super().failure(reason, Fault.RESOURCE if again else fault, prop, request_id)

    async def remove(self, old: Recorded) -> None:
        """Remove an old resource now, in full."""
        removing = Removing(self.world, self.rtype, replace(old, retain=False))
        removing.stale_list = self.stale_list
        await removing.run()

    async def hand_over(self) -> None:
        """Somebody deleted the StackResource by hand.

        The resource is taken over by a new record, not lost and not doubled.
        """
        old = self.recorded
        recorded = await self.world.records.hand_over(old, self.intent(self.properties or {}, old.serial))
        self.candidates = [*(other for other in self.candidates if other.key != old.key), recorded]
        self.take(recorded)
        self.recorded = replace(
            self.recorded,
            physical_id=old.physical_id,
            confirmed=old.confirmed,
            digests=old.digests,
            data={**self.recorded.data, **old.data},
        )


def choose(candidates: Iterable[Recorded], type_name: str, whole: str) -> Recorded | None:
    """The record to go on with, of all that a logical name has: the one that is already as desired, else the newest.

    Several exist in the middle of a replacement; so a template that is taken back finds the old resource, still there.
    """

    def rank(recorded: Recorded) -> tuple[bool, int]:
        fits = recorded.confirmed and recorded.state == "Ready" and recorded.digests.get(WHOLE) == whole
        return (fits, recorded.serial)

    return max((one for one in candidates if one.type == type_name), key=rank, default=None)
