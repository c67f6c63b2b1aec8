"""The desired state of one resource: its definition with all functions evaluated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from hot_translator import Definition
from hot_translator.expression import Scope
from reconcilers.digests import LARGE, WHOLE, Digester, PropertyDigests, is_large
from reconcilers.engine.hooks import with_deletion_hooks
from reconcilers.engine.restore import RESTORED, Restore
from reconcilers.model import Desired, Recorded
from reconcilers.resource_type import ResourceType


@dataclass(frozen=True, slots=True)
class Target:
    """One resource of the template.

    ``template`` has all properties of the type as the template gives them, and None for the others. Digests are made of
    these values. ``requires`` are the names of the cloud resources that it depends on.
    """

    rtype: ResourceType
    definition: Definition
    requires: frozenset[str]
    template: Mapping[str, Any]
    metadata: Mapping[str, Any]
    digester: Digester
    large: bool = False
    """Digests of the properties must not be made on an event loop."""
    restore: Restore | None = None
    """Of what the resource was restored. ``template`` has its properties already."""
    kept: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Secrets that were taken over with resources, by ownership token."""
    wholes: dict[Any, str] = field(default_factory=dict, repr=False, compare=False)
    """Digests of all properties at once. They outlive the target where the properties stay as they are."""
    _digests: dict[str, PropertyDigests] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By the salt."""

    @property
    def name(self) -> str:
        """The logical name."""
        return self.definition.name

    @property
    def retain(self) -> bool:
        """Whether the resource stays when it leaves the template or the Stack is deleted."""
        return self.definition.deletion_policy == "Retain"

    @property
    def copied(self) -> bool:
        """Whether a copy of the resource is made before it is deleted."""
        return self.definition.deletion_policy == "Snapshot"

    @property
    def deletion_hooks(self) -> str:
        """The hooks of the resource's deletion, as its record keeps them."""
        hooks = self.definition.hooks
        return ",".join(sorted(hook for hook in hooks if hook.endswith("-delete"))) if hooks else ""

    def pending_restore(self, recorded: Recorded) -> frozenset[str]:
        """The properties that are still to be restored."""
        restore = self.restore
        if restore is None or recorded.data.get(RESTORED) == restore.nonce:
            return frozenset()
        return frozenset(restore.properties)

    def desire(self, properties: Mapping[str, Any], changed: frozenset[str], recorded: Recorded) -> Desired:
        """The desired state in the form that types take, for a record of this name."""
        return Desired(
            name=self.definition.name,
            physical_name=recorded.physical_name,
            properties=properties,
            changed=changed,
            metadata=self.metadata,
            wanted=self.definition.attributes_used,
            key=partial(self.digester.seed, recorded.token),
            kept=self.kept.get(recorded.token),
            retain=self.retain,
            hidden=self.definition.hidden_places,
        )

    def desire_new(self, properties: Mapping[str, Any], recorded: Recorded) -> Desired:
        """The desired state of a resource that does not exist yet: all properties that are given are changed."""
        desired = self.desire(properties, frozenset(), recorded)
        return replace(desired, changed=desired.given)

    def blank_record(self) -> Recorded:
        """A record of the resource, which has no StackResource yet."""
        return Recorded(key="", name=self.name, type=self.definition.type, token="", physical_name="")

    def salted(self, recorded: Recorded) -> Digester:
        """The digester of a record's properties. It stays the same when the resource gets another name."""
        return self.digester.of(recorded.first_name)

    def digests(self, recorded: Recorded) -> PropertyDigests:
        """The digests of the template's values, as a record of this resource holds them."""
        return self._salted_by(recorded.first_name)

    def make_large_digests(self, records: Iterable[Recorded]) -> None:
        """Make the digests of large values, for these records and for a new one. Not for an event loop."""
        if self.large:
            for salt in {self.name, *(recorded.first_name for recorded in records)}:
                self._salted_by(salt).make()

    def _salted_by(self, salt: str) -> PropertyDigests:
        made = self._digests.get(salt)
        if made is None:
            made = PropertyDigests(self.digester.of(salt), self.template, large=self.large, wholes=self.wholes)
            self._digests[salt] = made
        return made

    def matches(self, recorded: Recorded) -> bool:
        """Whether the record is of exactly these values."""
        whole = recorded.digests.get(WHOLE)
        made = self._digests.get(recorded.first_name) or self._salted_by(recorded.first_name)
        return bool(whole) and whole == made.whole

    def changed(self, recorded: Recorded) -> frozenset[str]:
        """Names of the properties whose value in the template does not match the record."""
        return self.digests(recorded).changed(recorded.digests)

    def identified(self, properties: Mapping[str, Any], recorded: Recorded) -> dict[str, str]:
        """Digests of the properties with ids instead of names, if they differ from the template's."""
        digester = self.salted(recorded)
        return {
            f"{name}@id": digester.property(f"{name}@id", value)
            for name, value in properties.items()
            if value is not None and value is not self.template.get(name) and value != self.template.get(name)
        }

    def reached(self, recorded: Recorded, properties: Mapping[str, Any], references: Mapping[str, str]) -> Recorded:
        """The record of the resource once it is as desired, with these ``properties`` whose names are resolved."""
        digests = self.digests(recorded)
        restored = {RESTORED: self.restore.nonce} if self.restore is not None else {}
        return replace(
            recorded,
            digests={WHOLE: digests.whole, **digests.each(self.template), **self.identified(properties, recorded)},
            references=references,
            state="Ready",
            message="",
            fault="",
            requires=self.requires,
            confirmed=True,
            attempts=0,
            retain=self.retain,
            copied=self.copied,
            data={**with_deletion_hooks(recorded.data, self.deletion_hooks), **restored},
        )


def target_of(
    rtype: ResourceType,
    definition: Definition,
    requires: frozenset[str],
    scope: Scope,
    digester: Digester,
    restore: Restore | None = None,
    kept: Mapping[str, Mapping[str, str]] | None = None,
) -> Target:
    """Evaluate a definition's functions. Raises TranslationError.

    ``restore`` takes the place of some properties as long as it holds.

    That takes as long as the template's functions need: it is not for an event loop, unless
    ``definition.is_constant``.
    """
    resolved = definition.resolve(scope)
    template = {**rtype.schema.nothing_given, **resolved}
    large = definition.size > LARGE
    metadata = definition.resolve_metadata(scope)
    salted = digester.of(definition.name)
    if restore is not None and restore.holds(definition.type, template, salted):
        restore = restore.begun(template, salted)
        template |= restore.properties
        large = is_large(template)
    else:
        restore = None
    wholes = definition.beside(resolved) if restore is None else {}
    return Target(rtype, definition, requires, template, metadata, digester, large, restore, kept or {}, wholes)
