"""Plans what a reconciliation would do with each resource. It reads OpenStack and writes nothing.

It uses the same planner as the driver. A value that depends on a resource to be created or changed is unknown. The
action then says which properties are known only later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hot_translator import UNKNOWN, Definition, Translation, TranslationError
from hot_translator.expression import has_unknown
from reconcilers import registry
from reconcilers.engine import external, planner
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.converger import ResourceConverger
from reconcilers.engine.driver import intended_name
from reconcilers.engine.engine import Engine
from reconcilers.engine.graph import concrete_requirements
from reconcilers.engine.planner import Action, Decision, Verb
from reconcilers.engine.progress import ReadyResource, ResourceError
from reconcilers.engine.target import Target
from reconcilers.errors import CloudError
from reconcilers.model import Recorded, Send

RENEWED: Final = frozenset({Verb.CREATE, Verb.REPLACE, Verb.RECREATE})
"""Verbs that give a resource a new id."""
CHANGING: Final = frozenset({Verb.UPDATE, Verb.UNDECIDED, Verb.WAIT})
"""Verbs that may change attributes of a resource."""
DELETE: Final = Action(Verb.DELETE)
MOST_READS: Final = 8
"""Reads that a type may request before it decides about one resource."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with each resource, in dependency order; deletions come last."""

    actions: Mapping[str, Action]
    types: Mapping[str, str]

    @property
    def changes(self) -> dict[str, Action]:
        """The actions that change anything."""
        return {name: action for name, action in self.actions.items() if action.changes}

    def counts(self) -> dict[str, int]:
        """The number of resources of each verb, without those at rest."""
        found: dict[str, int] = {}
        for action in self.actions.values():
            if action.verb not in {Verb.NONE, Verb.RECORD}:
                found[str(action.verb)] = found.get(str(action.verb), 0) + 1
        return found


@dataclass(slots=True)
class _PlannedScope:
    """The scope of definitions: resources as they are now, and unknown values for those that the plan changes."""

    context: ReconcileContext
    renewed: set[str] = field(default_factory=set)
    changing: set[str] = field(default_factory=set)

    def reference(self, name: str) -> Any:
        """The value of get_resource."""
        return UNKNOWN if name in self.renewed else self.context.reference(name)

    def attribute(self, name: str, attribute: str) -> Any:
        """The value of get_attr."""
        return UNKNOWN if name in self.renewed | self.changing else self.context.attribute(name, attribute)

    def attributes(self, name: str) -> Any:
        """All attributes."""
        return UNKNOWN if name in self.renewed | self.changing else self.context.attributes(name)


class Preview:
    """Plans one Stack. It never uses the context's store."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.context = engine.context
        self.scope = _PlannedScope(engine.context)
        self.actions: dict[str, Action] = {}
        self.types: dict[str, str] = {}
        self.current: set[str] = set()

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
        for recorded in self.engine.all_records():
            if recorded.name not in self.actions:
                rtype = registry.find(recorded.type)
                self.types[recorded.name] = recorded.type
                policy = self.context.policy
                kept = recorded.retain or recorded.external or policy.guard.removal(recorded) is not None
                action = planner.decide_removal(rtype, recorded, None, policy)[0] if rtype and kept else DELETE
                self._note(recorded.name, action)
        return Plan(self.actions, self.types)

    def _note(self, name: str, action: Action) -> None:
        self.actions[name] = action
        if action.verb in RENEWED:
            self.scope.renewed.add(name)
        elif action.verb in CHANGING:
            self.scope.changing.add(name)

    async def _planned(self, definition: Definition, requires: frozenset[str]) -> Action | None:
        """The action; None for a resource whose condition is false."""
        try:
            exists = await self.context.evaluate(lambda: definition.exists(self.scope))
            if exists is False:
                return None
            if exists is UNKNOWN:
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

    def _driver(self, definition: Definition, requires: frozenset[str]) -> ResourceConverger:
        return self.engine.driver(definition, requires, self.scope)

    async def _referred(self, definition: Definition, requires: frozenset[str]) -> Action:
        ready = await external.find(self.context, definition, requires, self.engine.records[definition.name])
        self.context.settle(definition.name, ready)
        return external.ACTION

    async def _decided(self, driver: ResourceConverger) -> Action:
        target, recorded = driver.target, driver.recorded
        unknown = frozenset(name for name, value in target.template.items() if has_unknown(value))
        driver.same = planner.unchanged(target, recorded)
        properties = await driver.references.look_up(recorded.references, driver.same)
        driver.properties = properties
        if not recorded.key or not recorded.confirmed:
            return self._created(driver, properties, unknown)
        driver.observed = await driver.look() if target.rtype.service else None
        if unknown:
            return self._undecided(target, driver, properties, unknown)
        decision = await self._decide(driver, properties)
        if decision.action.verb not in RENEWED:
            desired = replace(decision.desired, changed=frozenset())
            read = {name: await driver.read_attribute(name, desired) for name in target.definition.attributes_used}
            known = driver.only_read(read)
            ready = ReadyResource(target.rtype, desired, decision.recorded, driver.observed, known)
            self.context.settle(target.name, ready)
        return decision.action

    async def _decide(self, driver: ResourceConverger, properties: Mapping[str, Any]) -> Decision:
        """The planner's decision, after the reads that the type requests."""
        for _ in range(MOST_READS):
            decision = planner.decide(driver.target, properties, driver.recorded, driver.view(), self.context.policy)
            outcome = decision.outcome
            if not (isinstance(outcome, Send) and outcome.into and outcome.request.method == "GET"):
                break
            driver.reads[outcome.into] = (await self.context.send(outcome.request)).body
        return decision

    def _created(self, driver: ResourceConverger, properties: Mapping[str, Any], unknown: frozenset[str]) -> Action:
        given = frozenset(name for name, value in properties.items() if value is not None)
        if unknown:
            return Action(Verb.CREATE, properties=given, unknown=unknown)
        target, name = driver.target, driver.target.name
        token, physical_name = intended_name(self.context, name, 0, target.rtype)
        draft = Recorded("", name, target.definition.type, token, physical_name)
        draft = replace(draft, data=target.rtype.intent(target.desire(properties, given, draft)))
        draft = replace(draft, physical_id=target.rtype.identity(draft))
        action = planner.decide(target, properties, draft, None, self.context.policy).action
        return action if action.verb is Verb.REFUSE else Action(Verb.CREATE, properties=given)

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
        self.context.settle(target.name, ReadyResource(target.rtype, desired, driver.recorded, driver.observed))
        if "replace" in how:
            return Action(Verb.REPLACE, properties=changed, unknown=unknown)
        if certain and changed == certain:
            return Action(Verb.UPDATE, properties=changed, unknown=unknown)
        return Action(Verb.UNDECIDED, properties=changed, unknown=unknown)

    def _renewed(self, target: Target, name: str) -> bool:
        """Whether an unknown value certainly differs, because it refers to the id of a resource that gets a new one."""
        return target.template[name] is UNKNOWN and bool(target.requires & self.scope.renewed)
