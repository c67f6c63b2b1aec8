"""What the catalogue says of a resource type, as values: properties, attributes, updates, names and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

PropertyType = Literal["string", "integer", "number", "boolean", "list", "map", "any"]
"""Heat's property types; ``any`` takes every value as it is."""

Update = Literal["in-place", "replace", "refuse"]
"""What an update of a property does: Heat's update_allowed, neither, and immutable."""

Status = Literal["supported", "deprecated", "hidden", "unsupported"]

ConstraintKind = Literal["allowed_values", "range", "length", "allowed_pattern", "modulo", "custom"]

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Support:
    """A type's, property's or attribute's standing in Heat: since which version, and what Heat says of it."""

    status: Status = "supported"
    since: str = ""
    message: str = ""


SUPPORTED = Support()


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint on a value.

    ``value`` is by kind: the list of allowed values, ``{min, max}`` for range and length, the regular expression
    that must match the whole value, ``{step, offset}``, or the custom constraint's name (``neutron.network``).
    ``message`` replaces the built-in error text (a parameter constraint's ``description``).
    """

    kind: ConstraintKind
    value: Any
    message: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PropertySchema:
    """One property, or a property inside of a map, or the items of a list.

    ``default`` None means that there is none (Heat knows no other). ``items`` is the schema of a list's items,
    ``properties`` of a map's known keys; a list or map with neither takes any content. ``update`` counts only at
    the top. ``convert`` is Heat's allow_conversion, for the parameters of a template used as a type: a map may
    then be text or a list, a list may be comma separated text.
    """

    type: PropertyType
    required: bool = False
    default: Any = None
    update: Update = "replace"
    constraints: tuple[Constraint, ...] = ()
    items: PropertySchema | None = None
    properties: Mapping[str, PropertySchema] | None = None
    sensitive: bool = False
    implemented: bool = True
    convert: bool = False
    support: Support = SUPPORTED


@dataclass(frozen=True, slots=True)
class AttributeSchema:
    """One attribute. ``fresh`` ones are read again at each access (Heat's CACHE_NONE); type "" is not declared."""

    type: str = ""
    fresh: bool = False
    sensitive: bool = False
    support: Support = SUPPORTED


@dataclass(frozen=True, slots=True)
class Alias:
    """An old name of a property, whose value moves elsewhere (Heat's translation rules Replace, Add and Delete).

    ``old`` and ``new`` are paths from the top; ``[]`` at the end of a part stands for each item of a list:
    ``("networks[]", "uuid")`` to ``("networks[]", "network")``. Both always lie in the same map or share its
    path. Without ``new`` the value is dropped. With ``append`` the value becomes one more item of the list
    ``new``, inside of ``template`` when there is one (``@`` stands for the value).
    """

    old: tuple[str, ...]
    new: tuple[str, ...] | None
    append: bool = False
    template: Any = None


@dataclass(frozen=True, eq=False)
class TypeSchema:
    """One resource type.

    ``name``: as templates write it. ``service``/``entity``/``extension``: Heat's client, the API's collection, and
    the API extension that must be there ("" when none). ``lookups``: property path (``networks[].network``) to
    the kind of object whose name is accepted there (``neutron.network``), to be replaced by its id; a kind may
    name a sibling property whose value completes it (``neutron.{object_type}``). ``name_limit``: the longest
    physical name. ``placeholder``: takes any properties and gives null for any attribute, as OS::Heat::None.
    ``successor``: OpenStack no longer has what the type stood for, and this one took its place.
    ``any_attribute``: attributes are made as the resource lives, so no name is wrong. ``template``: the type is
    this template of the package. ``deferred_auth``: Heat acts on the user's behalf later (a trust).
    """

    name: str
    service: str = ""
    entity: str = ""
    extension: str = ""
    support: Support = SUPPORTED
    properties: Mapping[str, PropertySchema] = field(default_factory=lambda: _NONE)
    attributes: Mapping[str, AttributeSchema] = field(default_factory=lambda: _NONE)
    update_policy: Mapping[str, PropertySchema] = field(default_factory=lambda: _NONE)
    aliases: tuple[Alias, ...] = ()
    lookups: Mapping[str, str] = field(default_factory=lambda: _NONE)
    name_limit: int = 255
    placeholder: bool = False
    successor: str = ""
    any_attribute: bool = False
    template: str = ""
    deferred_auth: bool = False
    replace_on_check_failed: bool = True

    @cached_property
    def nothing_given(self) -> Mapping[str, None]:
        """Every property without a value."""
        return dict.fromkeys(self.properties)

    def has_attribute(self, name: str) -> bool:
        """Whether get_attr may name it. ``show`` is known for every type, as in Heat."""
        return name in self.attributes or name == "show" or self.any_attribute or self.placeholder

    def update_of(self, name: str) -> Update:
        """What a change of this property does; a property that the schema does not name never replaces."""
        schema = self.properties.get(name)
        return schema.update if schema else "in-place"

    def renamed(self, name: str) -> str:
        """The present name of a top-level property: itself, unless it is an old one."""
        for alias in self.aliases:
            if alias.old == (name,) and alias.new and not alias.append:
                return alias.new[0].removesuffix("[]")
        return name

    @cached_property
    def sensitive_attributes(self) -> frozenset[str]:
        """The attributes that are secrets."""
        return frozenset(name for name, schema in self.attributes.items() if schema.sensitive)
