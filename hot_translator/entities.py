"""Resources while they are translated: ordinary ones here, groups and nested templates beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from hot_translator import catalogue, properties
from hot_translator.catalogue import TypeSchema
from hot_translator.errors import InvalidTemplate, TranslationError
from hot_translator.expression import (
    AllAttributes,
    Attribute,
    Dynamic,
    Reference,
    is_dynamic,
    leaves,
)
from hot_translator.functions.base import Path
from hot_translator.functions.select import SelectPath, select_attribute
from hot_translator.names import did_you_mean
from hot_translator.registry import Implementation, Registry
from hot_translator.sections import Sections
from hot_translator.translation import Definition, Kind
from hot_translator.tree import Pseudo, Tree

if TYPE_CHECKING:
    from hot_translator.compiler import Entity

_WITH_SNAPSHOTS: Final = frozenset(
    {"OS::Nova::Server", "OS::Cinder::Volume", "AWS::EC2::Volume", "OS::Heat::DeployedServer"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the tree resources are made: the names' prefix, the registry that counts there, the stack they are of.

    ``needs`` is what everything below must wait for, because the group or nested template that holds it does.
    ``path`` is None in the root template.
    """

    tree: Tree
    registry: Registry
    defaults: Mapping[str, Any]
    pseudo: Pseudo
    prefix: str = ""
    path: Path | None = None
    depth: int = 0
    parent: str | None = None
    needs: frozenset[str] = frozenset()
    source: str | None = None
    condition: Dynamic | None = None
    """Whether what is made here exists, where that depends on a resource."""

    def name(self, local: str) -> str:
        """The name in the flat result."""
        return f"{self.prefix}{local}"

    @property
    def too_deep(self) -> bool:
        """Whether no template and no group may be nested here. Heat counts both: each is a stack of its own there."""
        return self.depth >= self.tree.limits.depth


@dataclass(frozen=True, slots=True)
class Facade:
    """The sections of a resource that the template in its stead can read. The last two are plain data."""

    metadata: Any
    deletion_policy: str
    update_policy: Any


class Plain:
    """A resource with a type of the catalogue."""

    def __init__(self, name: str, written_type: str, type_name: str, place: Place, sections: Sections) -> None:
        self.local_name = name
        self.name = place.name(name)
        self._written_type = written_type
        self._type = type_name
        self._place = place
        self._sections = sections
        self._schema = catalogue.lookup(type_name)

    def reference(self) -> Any:
        """Its id."""
        return Reference(self.name)

    def attribute(self, attribute: str, path: list[Any]) -> Any:
        """One attribute, checked against the schema, and a path into it."""
        if self._schema is not None and not self._schema.has_attribute(attribute):
            raise UnknownAttributeError(self.local_name, self._written_type, attribute, self._schema.attributes)
        self._place.tree.attributes_used.setdefault(self.name, set()).add(attribute)
        value = Attribute(self.name, attribute)
        return SelectPath(value, path, select_attribute) if path else value

    def all_attributes(self) -> Any:
        """All attributes but ``show``."""
        if self._schema is not None:
            self._place.tree.attributes_used.setdefault(self.name, set()).update(self._schema.attributes)
        return AllAttributes(self.name)

    def define(self) -> None:
        """Make the definition."""
        sections, schema = self._sections, self._schema
        if schema is not None and sections.external_id is None:
            problems: list[TranslationError] = []
            path = sections.properties_path  # no text until something is wrong
            values = properties.check(schema, sections.properties, path, problems, sections.hidden_properties)
            for problem in problems:
                sections.report(problem)
            for broken in properties.broken_rules(schema, values, path) if values is not None else ():
                sections.break_rule(broken)
        define(self._place, self.local_name, self._written_type, self._type, schema, sections)


class UnknownAttributeError(LookupError):
    """A resource has no attribute of this name; ``known`` are those that it has."""

    def __init__(self, name: str, type_name: str, attribute: str, known: Iterable[str]) -> None:
        hint = did_you_mean(attribute, known)
        super().__init__(f"The Referenced Attribute ({name} {attribute}) is incorrect{hint}")
        self.type = type_name
        self.attribute = attribute
        self.known = known


@dataclass(frozen=True, slots=True)
class Whole:
    """What a group or nested template is beyond a resource: its members' names, and what get_resource gives."""

    kind: Kind
    members: frozenset[str]
    reference: Any


def define(
    place: Place,
    local_name: str,
    written_type: str,
    type_name: str,
    schema: TypeSchema | None,
    sections: Sections,
    *,
    whole: Whole | None = None,
) -> None:
    """Put a definition into the tree; ``whole`` when it is a group or nested template."""
    kind: Kind = whole.kind if whole else "resource"
    name = place.name(local_name)
    external_id = sections.external_id
    deletion_policy = sections.deletion_policy
    if deletion_policy == "Snapshot" and kind == "resource" and type_name not in _WITH_SNAPSHOTS:
        reason = f'"Snapshot" deletion policy not supported for {type_name}'
        sections.report(InvalidTemplate(f"{sections.path}.deletion_policy", reason))
    compiled = sections.properties if external_id is None else {}
    unique = tuple(dict.fromkeys(leaves(compiled)))
    requires = {leaf.resource for leaf in unique} | {leaf.resource for leaf in leaves(sections.metadata)}
    requires |= {leaf.resource for leaf in leaves(place.condition)}
    place.tree.definitions[name] = Definition(
        name=name,
        local_name=local_name,
        stack_name=place.pseudo.stack_name,
        type=type_name,
        written_type=written_type,
        schema=schema,
        properties=compiled,
        metadata=sections.metadata,
        update_policy=_update_policy(schema, sections, kind),
        requires=(frozenset(requires) | sections.needs | place.needs | (whole.members if whole else frozenset())),
        path=str(sections.path),
        properties_path=str(sections.properties_path),
        kind=kind,
        deletion_policy="Retain" if external_id is not None else deletion_policy,
        external_id=external_id,
        condition=place.condition,
        description=sections.description,
        parent=place.parent,
        reference=whole.reference if whole else None,
        hidden_properties=sections.hidden_properties,
        hidden_parts=sections.hidden_parts,
        hooks=place.registry.hooks(local_name),
        restricted_actions=place.registry.restricted_actions(local_name),
        _leaves=unique,
    )


def _update_policy(schema: TypeSchema | None, sections: Sections, kind: Kind) -> dict[str, Any]:
    raw = sections.update_policy
    if not isinstance(raw, dict) or not raw or schema is None or kind == "nested":
        return raw if isinstance(raw, dict) else {}
    path = f"{sections.path}.update_policy"
    problems: list[TranslationError] = []
    properties.check_update_policy(schema, raw, path, problems)
    for problem in problems:
        sections.report(problem)
    if problems or is_dynamic(raw):
        return {}
    try:
        return properties.finalize_update_policy(schema, raw, path)
    except TranslationError as error:
        sections.report(error)
        return {}


_Maker = Callable[..., "Entity"]


@cache
def _containers() -> tuple[_Maker, Mapping[str, _Maker], _Maker]:
    """What makes nested templates, groups (by their types) and inner stacks. All of these hold entities themselves."""
    from hot_translator.cloudformation_stack import from_url  # noqa: PLC0415 - as said
    from hot_translator.groups import GROUPS  # noqa: PLC0415 - as said
    from hot_translator.nested import Nested  # noqa: PLC0415 - as said

    return Nested, GROUPS, from_url


def make_entity(name: str, type_name: str, place: Place, sections: Sections) -> Entity:
    """The resource behind a name, by what the registry says of its type."""
    implementation = place.registry.implementation(type_name, name)
    if implementation is None:
        hint = did_you_mean(type_name, catalogue.names())
        reason = f"The Resource Type ({type_name}) could not be found{hint}"
        sections.report(InvalidTemplate(f"{sections.path}.type", reason))
        implementation = Implementation(type_name)
    schema = catalogue.lookup(implementation.name)
    if schema is not None and schema.successor:
        reason = f"{schema.name} is gone from OpenStack: use {schema.successor} (`kiln convert` rewrites the template)"
        sections.report(InvalidTemplate(f"{sections.path}.type", reason))
    nested, groups, inner_stack = _containers()
    if implementation.is_template:
        return nested(name, type_name, implementation, place, sections)
    if group := groups.get(implementation.name):
        return group(name, type_name, implementation.name, place, sections)
    if implementation.name == "AWS::CloudFormation::Stack":
        return inner_stack(name, type_name, place, sections)
    return Plain(name, type_name, implementation.name, place, sections)
