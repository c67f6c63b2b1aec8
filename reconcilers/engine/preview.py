"""Plans what a reconciliation would do with each resource. It reads OpenStack and writes nothing.

It uses the same planner as the driver. A value that depends on a resource to be created or changed is unknown. The
action then says which properties are known only later.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from hot_translator import UNKNOWN, Definition, Translation, TranslationError
from hot_translator.expression import has_unknown
from reconcilers import registry
from reconcilers.engine import adoption, attribute_reads, cascade, external, intents, planner
from reconcilers.engine.action import Action, Verb
from reconcilers.engine.comparison import Change, compare
from reconcilers.engine.converger import ResourceConverger
from reconcilers.engine.driver import NOT_OBSERVED
from reconcilers.engine.engine import Engine
from reconcilers.engine.foresight import NO_CALLS, ODD_FORM, UNFORESEEN, Foreseen, Foresight, call_of, filled
from reconcilers.engine.graph import concrete_requirements
from reconcilers.engine.plan import Plan
from reconcilers.engine.planned_scope import RENEWED, GuessedScope, PlannedScope
from reconcilers.engine.planner import Decision
from reconcilers.engine.power import PowerDriver
from reconcilers.engine.progress import ReadyResource, ResourceError
from reconcilers.engine.target import Target, target_of
from reconcilers.errors import CloudError
from reconcilers.model import Failed, Recorded, Replace, Send

DELETE: Final = Action(Verb.DELETE)
LEFT_OVER: Final = Action(Verb.DELETE, "an earlier replacement left it over")
MOST_READS: Final = 8
"""Reads that a type may request before it decides about one resource."""


class Preview:
    """Plans one Stack. It never uses the context's store.

    ``deployed`` is the translation that was reached last; it has the old values of properties.
    """

    def __init__(self, engine: Engine, deployed: Translation | None = None) -> None:
        self.engine = engine
        self.context = engine.context
        self.scope = PlannedScope(engine.context)
        self.guesses = GuessedScope(self.scope)
        self.foresight = Foresight(engine.context)
        self.deployed = deployed.definitions if deployed is not None else {}
        self.actions: dict[str, Action] = {}
        self.types: dict[str, str] = {}
        self.calls: dict[str, Foreseen] = {}
        self.values: dict[str, tuple[Change, ...]] = {}
        self.identities: dict[str, tuple[str, ...]] = {}
        self.current: set[str] = set()
        """Keys of the records that stay."""
        self.first: dict[str, str] = {}
        """Names of resources that are deleted before a new one takes their place, with the key of their record."""

    async def plan(self, translation: Translation | None) -> Plan:
        """The plan towards a translation, or with None towards no resources.

        Raises CloudError if the cloud cannot be read.
        """
        types = {one.type for one in translation.definitions.values()} if translation is not None else set()
        await self.engine.look(types, leaving=translation is None)
        if translation is not None:
            for name in translation.order:
                definition = translation.definitions[name]
                if not definition.virtual:
                    self.types[name] = definition.type
                    requires = concrete_requirements(translation.definitions, name)
                    action = await self._planned(definition, requires)
                    if action is not None:
                        self._note(name, action)
        await self._removals([one for one in self.engine.all_records() if one.key not in self.current])
        return Plan(self.actions, self.types, self.calls, self.values, self.identities)

    def _note(self, name: str, action: Action) -> None:
        self.actions[name] = action
        self.scope.note(name, action.verb)

    def _settle(self, name: str, ready: ReadyResource) -> None:
        """Note a resource that stays as it is. Its secrets may go into properties of others."""
        self.context.settle(name, ready)
        self.context.add_secrets_of(ready)

    # What the template has.

    async def _planned(self, definition: Definition, requires: frozenset[str]) -> Action | None:
        """The action; None for a resource whose condition is false."""
        name = definition.name
        self._keep(name)
        try:
            exists = await self.context.evaluate(lambda: definition.exists(self.scope))
            if exists is False:
                self.current.difference_update(one.key for one in self.engine.records[name])
                return None
            if exists is UNKNOWN:
                self.calls[name] = UNFORESEEN
                return Action(Verb.UNDECIDED, "its condition is known later")
            if definition.external_id:
                return await self._referred(definition, requires)
            driver = await self.context.evaluate(lambda: self._driver(definition, requires))
            return await self._decided(driver)
        except ResourceError as error:
            return Action(Verb.REFUSE, error.reason)
        except CloudError as error:
            return Action(Verb.REFUSE, error.message)
        except TranslationError as error:
            return Action(Verb.REFUSE, error.reason)

    def _keep(self, name: str) -> None:
        """Nothing of this name is deleted, unless it is decided later."""
        self.current.update(one.key for one in self.engine.records[name])

    def _continue(self, driver: ResourceConverger, *, with_old: bool) -> None:
        """Of the records of this name at most the driver's stays."""
        self.current.difference_update(one.key for one in driver.candidates)
        if with_old and driver.recorded.key:
            self.current.add(driver.recorded.key)

    def _driver(self, definition: Definition, requires: frozenset[str]) -> ResourceConverger:
        return self.engine.driver(definition, requires, self.scope)

    async def _referred(self, definition: Definition, requires: frozenset[str]) -> Action:
        ready = await external.find(self.context, definition, requires, self.engine.records[definition.name])
        self._settle(definition.name, ready)
        return external.ACTION

    async def _decided(self, driver: ResourceConverger) -> Action:
        target, recorded, name = driver.target, driver.recorded, driver.target.name
        unknown = frozenset(name for name, value in target.template.items() if has_unknown(value))
        driver.same = planner.unchanged(target, recorded)
        properties = await driver.references.look_up(recorded.references, driver.same)
        driver.properties = properties
        driver.add_secrets(properties)
        self.identities[name] = (target.digests(recorded).whole, recorded.physical_id or "", str(recorded.serial))
        if not recorded.key and not driver.candidates and not unknown:
            existing = await adoption.find(self.context, target, properties, driver.next_serial)
            if existing is not None:
                driver.recorded = recorded = existing.draft
                driver.observed = existing.observed
        if not recorded.confirmed:
            self._continue(driver, with_old=True)
            return await self._created(driver, properties, unknown)
        if driver.observed is NOT_OBSERVED:
            driver.observed = await driver.look() if target.rtype.service else None
        if unknown:
            action = self._undecided(target, driver, properties, unknown)
            self._continue(driver, with_old=action.verb not in RENEWED or driver.observed is None)
            self.calls[name] = await self._foreseen_with_guesses(driver, properties, action)
            return await self._compared(driver, action)
        decision = await self._decide(driver, properties)
        self._continue(driver, with_old=decision.action.verb not in RENEWED or driver.observed is None)
        self.calls[name] = await self._foreseen(driver, properties, decision)
        if decision.action.verb not in RENEWED:
            desired = replace(decision.desired, changed=frozenset())
            read = await attribute_reads.send(self.context, target, desired, driver.recorded, driver.observed)
            ready = ReadyResource(target.rtype, desired, decision.recorded, driver.observed, read)
            self._settle(target.name, ready)
            if decision.action.verb in {Verb.NONE, Verb.RECORD}:
                suspended = self.context.policy.suspends(target.name)
                action, outcome = PowerDriver(self.context, ready, suspended=suspended).decide()
                if action.verb is not Verb.NONE:
                    if isinstance(outcome, Send):
                        self.calls[target.name] = Foreseen((call_of(outcome.request),))
                    return action
        return await self._compared(driver, decision.action)

    async def _decide(self, driver: ResourceConverger, properties: Mapping[str, Any]) -> Decision:
        """The planner's decision, after the reads that the type requests."""
        for _ in range(MOST_READS):
            decision = adoption.decide(driver.target, properties, driver.recorded, driver.view(), self.context.policy)
            outcome = decision.outcome
            if not (isinstance(outcome, Send) and outcome.into and outcome.request.method == "GET"):
                break
            driver.reads[outcome.into] = (await self.context.send(outcome.request)).body
        return decision

    async def _created(
        self, driver: ResourceConverger, properties: Mapping[str, Any], unknown: frozenset[str]
    ) -> Action:
        given = driver.target.desire_new(properties, driver.recorded).given
        action = Action(Verb.CREATE, properties=given, unknown=unknown)
        if not unknown:
            draft = self._draft(driver, properties)
            decided = adoption.decide(driver.target, properties, draft, None, self.context.policy).action
            if decided.verb is Verb.REFUSE:
                return decided
        self.calls[driver.target.name] = await self._creation(driver, properties, unknown)
        return await self._compared(driver, action)

    def _draft(self, driver: ResourceConverger, properties: Mapping[str, Any], serial: int | None = None) -> Recorded:
        """The record of a resource to be created. ``serial`` None: that of the driver's record, or the first."""
        target, recorded = driver.target, driver.recorded
        number = (recorded.serial if recorded.key else 0) if serial is None else serial
        draft = intents.draft(self.context, target, properties, number)
        return replace(draft, physical_id=target.rtype.identity(draft))

    def _undecided(
        self, target: Target, driver: ResourceConverger, properties: Mapping[str, Any], unknown: frozenset[str]
    ) -> Action:
        """The action if some values are known only later: what the catalogue says about their change."""
        if target.rtype.service and driver.observed is None:
            return Action(Verb.RECREATE, "it is gone from the cloud", unknown=unknown)
        changed = planner.changed(target, properties, driver.recorded) | unknown
        certain = frozenset(name for name in changed if name not in unknown or self._renewed(target, name))
        how = {target.rtype.schema.update_of(name) for name in certain}
        desired = target.desire(properties, frozenset(), driver.recorded)
        self._settle(target.name, ReadyResource(target.rtype, desired, driver.recorded, driver.observed))
        if "replace" in how:
            refused = self.context.policy.guard.replacement(driver.recorded)
            if refused is not None:
                return Action(Verb.REFUSE, refused.reason, changed, unknown=unknown)
            return Action(Verb.REPLACE, properties=changed, unknown=unknown)
        if certain and changed == certain:
            return Action(Verb.UPDATE, properties=changed, unknown=unknown)
        return Action(Verb.UNDECIDED, properties=changed, unknown=unknown)

    def _renewed(self, target: Target, name: str) -> bool:
        """Whether an unknown value certainly differs, because it refers to the id of a resource that gets a new one."""
        return target.template[name] is UNKNOWN and bool(target.requires & self.scope.renewed)

    async def _compared(self, driver: ResourceConverger, action: Action) -> Action:
        """Note the values that the action changes."""
        target, deployed = driver.target, self.deployed.get(driver.target.name)
        if not action.properties:
            return action
        old: Mapping[str, Any] = {}
        if deployed is not None and deployed.type == target.definition.type and not deployed.virtual:
            with contextlib.suppress(TranslationError):
                old = await self.context.evaluate(lambda: deployed.resolve(self.context))
        changes = compare(target, driver.recorded, driver.observed, action, old, deployed)
        self.values[target.name] = changes
        before = [
            target.digester.value(one.old) if one.drifted else driver.recorded.digests.get(one.name, "")
            for one in changes
        ]
        self.identities[target.name] += tuple(before)
        return action

    # Requests.

    async def _foreseen(self, driver: ResourceConverger, properties: Mapping[str, Any], decision: Decision) -> Foreseen:
        """The requests of a decision, without the deletion of a resource that is replaced."""
        outcome, name = decision.outcome, driver.target.name
        if decision.action.verb in {Verb.NONE, Verb.REPORT, Verb.REFUSE}:
            return NO_CALLS
        if isinstance(outcome, Replace | Failed):
            if isinstance(outcome, Failed) or outcome.delete_first:
                self.first[name] = driver.recorded.key
            return await self._creation(driver, properties, frozenset(), after=driver.candidates)
        return await self.foresight.change(
            driver.rtype, decision.desired, decision.recorded, driver.view(), decision.outcome
        )

    async def _foreseen_with_guesses(
        self, driver: ResourceConverger, properties: Mapping[str, Any], action: Action
    ) -> Foreseen:
        if action.verb is Verb.REFUSE:
            return NO_CALLS
        if action.verb in RENEWED:
            return await self._creation(driver, properties, action.unknown, after=driver.candidates)
        guessed = await self._guessed(driver, properties) if action.verb is Verb.UPDATE else None
        if guessed is None:
            return UNFORESEEN
        desired = driver.target.desire(guessed, action.properties, driver.recorded)
        return await self.foresight.change(driver.rtype, desired, driver.recorded, driver.view())

    async def _creation(
        self,
        driver: ResourceConverger,
        properties: Mapping[str, Any],
        unknown: frozenset[str],
        after: Iterable[Recorded] = (),
    ) -> Foreseen:
        """The requests that create the resource, ``after`` those of these records."""
        guessed = await self._guessed(driver, properties) if unknown else properties
        serial = max((1 + one.serial for one in after), default=None)
        if guessed is None:
            return UNFORESEEN
        try:
            draft = self._draft(driver, guessed, serial)
        except ODD_FORM:
            return UNFORESEEN
        desired = driver.target.desire_new(guessed, draft)
        return await self.foresight.change(driver.rtype, desired, draft, None)

    async def _guessed(self, driver: ResourceConverger, properties: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The properties with placeholders for what is unknown; None if a function does not take them."""
        target = driver.target

        def guess() -> Target:
            return target_of(target.rtype, target.definition, target.requires, self.guesses, self.context.digester)

        try:
            guessed = await self.context.evaluate(guess)
        except TranslationError:
            return None
        return {name: filled(value, guessed.template.get(name, UNKNOWN)) for name, value in properties.items()}

    # Deletions.

    async def _removals(self, going: list[Recorded]) -> None:
        """Plan the deletion of records, as the cleanup at the end of a reconciliation does it."""
        policy = self.context.policy
        going = list(planner.leaving({one.key: one for one in going}, policy.adoption).values())
        first = set(self.first.values())
        staying = {
            one.key: replace(one, retain=one.retain or policy.guard.removal(one) is not None)
            for one in going
            if one.key not in first
        }
        together, _ = cascade.deletion_order(staying)
        for recorded in going:
            name = recorded.name
            action, calls = await self._removal(recorded, taken=recorded.key in together)
            self.types.setdefault(name, recorded.type)
            known = self.actions.get(name)
            if known is None:
                self._note(name, action)
            elif known.verb not in RENEWED and action.verb is Verb.DELETE:
                self.actions[name] = LEFT_OVER if known.verb in {Verb.NONE, Verb.RECORD} else known
            held = self.calls.get(name, NO_CALLS)
            self.calls[name] = calls + held if recorded.key in first else held + calls
            self.identities[name] = (*self.identities.get(name, ()), recorded.physical_id or "")

    async def _removal(self, recorded: Recorded, *, taken: bool) -> tuple[Action, Foreseen]:
        """``taken``: it is deleted along with another one."""
        rtype, policy = registry.find(recorded.type), self.context.policy
        if rtype is None:
            return DELETE, UNFORESEEN
        if recorded.retain or recorded.external or policy.guard.removal(recorded) is not None:
            return planner.decide_removal(rtype, recorded, None, policy)[0], NO_CALLS
        if taken:
            return DELETE, NO_CALLS
        try:
            return DELETE, await self.foresight.removal(rtype, recorded)
        except CloudError:
            return DELETE, UNFORESEEN
