"""What is desired of one resource, and what must be stored before it is made."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hot_translator import Definition
from hot_translator.expression import Scope
from reconcilers.engine import recovery
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.driver import Life, intended_name
from reconcilers.engine.references import Naming
from reconcilers.model import Desired, Intent, Recorded, Send
from reconcilers.resource_type import Association, ResourceType

_BLANK = Recorded(key="", name="", type="", token="", physical_name="")


class Intending(Life):
    """A life with a definition. ``requires`` are the names of the cloud resources that it depends on."""

    def __init__(
        self,
        world: ReconcileContext,
        rtype: ResourceType,
        definition: Definition,
        requires: frozenset[str],
        scope: Scope,
    ) -> None:
        super().__init__(world, rtype, replace(_BLANK, name=definition.name, type=definition.type))
        self.definition = definition
        self.requires = requires
        self.scope = scope
        self.template: Mapping[str, Any] = {**dict.fromkeys(rtype.schema.properties), **definition.resolve(scope)}
        """All properties of the type as the template gives them, None for those that it does not give: what digests
        are taken of.
        """
        self.whole = world.digester.whole(self.template)
        self.naming = Naming(world, rtype, self.template)
        self.properties: Mapping[str, Any] | None = None
        """The same with names looked up."""

    def desire(
        self, properties: Mapping[str, Any], changed: frozenset[str], recorded: Recorded | None = None
    ) -> Desired:
        """The values in the form that types take, for this record or another of the same name."""
        recorded = recorded or self.recorded
        return Desired(
            name=self.definition.name,
            physical_name=recorded.physical_name,
            properties=properties,
            changed=changed,
            metadata=self.definition.resolve_metadata(self.scope),
            wanted=self.definition.attributes_used,
            seed=self.world.digester.seed(recorded.token),
        )

    def intent(self, properties: Mapping[str, Any], serial: int, attempts: int = 0) -> Intent:
        """What is to be stored before the first call for the resource of this serial number."""
        name = self.definition.name
        token, physical_name = intended_name(self.world, name, serial, self.rtype)
        blank = replace(
            _BLANK, name=name, type=self.definition.type, token=token, physical_name=physical_name, serial=serial
        )
        given = frozenset(key for key, value in properties.items() if value is not None)
        desired = self.desire(properties, given, blank)
        data = self.rtype.intent(desired)
        return Intent(
            name=name,
            type=self.definition.type,
            serial=serial,
            token=token,
            physical_name=physical_name,
            requires=self.requires,
            data=data,
            digests=self.carried(desired, replace(blank, data=data)),
            retain=self.definition.deletion_policy == "Retain",
            attempts=attempts,
        )

    async def lost(self, properties: Mapping[str, Any]) -> list[int]:
        """The serial numbers of resources of this name that exist without a record."""
        if self.definition.name not in self.world.goal.known:
            return []
        intent = self.intent(properties, 0)
        blank = replace(_BLANK, name=intent.name, type=intent.type, token=intent.token, data=intent.data)
        blank = replace(blank, physical_name=intent.physical_name)
        if not self.rtype.service or self.rtype.identity(blank) is None:
            return await recovery.lost_serials(self.world, self.rtype, blank)
        if isinstance(self.rtype, Association) and self.definition.name not in self.world.goal.deployed:
            # It carries no token: what stands there is only ours if we made it once.
            return []
        shown = await recovery.shows(self.world, self.rtype, blank)
        return [0] if shown else []

    def carried(self, desired: Desired, draft: Recorded) -> dict[str, str]:
        """Digests of what the first request will carry: what is found after a lost answer has that, and not more."""
        first = self.rtype.step(desired, replace(draft, physical_id=self.rtype.identity(draft)), None)
        names = first.applies if isinstance(first, Send) else frozenset()
        found = {key: held for key, held in self.identified().items() if key.removesuffix("@id") in names}
        return {**self.world.digester.each(self.template, names), **found}

    def identified(self) -> dict[str, str]:
        """Digests of the looked-up values, where they differ from what the template says."""
        properties = self.properties or {}
        return {
            f"{name}@id": self.world.digester.value(value)
            for name, value in properties.items()
            if value is not None and value is not self.template.get(name) and value != self.template.get(name)
        }
