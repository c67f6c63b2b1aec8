"""What a template becomes: definitions of resources, outputs, parameters, and the order among the resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from hot_translator import properties
from hot_translator.budget import measure, refusing
from hot_translator.catalogue import TypeSchema
from hot_translator.constraints import CustomConstraint
from hot_translator.errors import InvalidTemplate, ResolutionError, TranslationError
from hot_translator.expression import OMITTED, Dynamic, Leaf, Scope, leaves, resolve
from hot_translator.members import GroupResult
from hot_translator.parameters import Parameter
from hot_translator.sizes import size_of

Kind = Literal["resource", "group", "nested"]


@dataclass(slots=True)
class _Memo:
    """The last resolution: what was read of other resources, and what came of it."""

    read: list[Any] | None = None
    value: Any = None
    size: int | None = None
    beside: tuple[Any, dict[Any, Any]] = (None, {})
    """A value and what is kept with it: both at once, since threads may resolve the same definition."""


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """One resource of the flat result.

    ``name`` is its name in ``Translation.definitions`` (``group/0``, ``nested/inner``), ``local_name`` the last part
    of it, and ``stack_name`` the name of the (nested) stack that Heat would have put it in, for physical names.
    ``type`` is the type after the registry, ``written_type`` the one in the template. A ``virtual`` definition is a
    group or a nested template: it has no cloud resource of its own and requires its members.

    ``properties`` and ``metadata`` are compiled: plain data with ``Dynamic`` parts. ``requires`` are names of
    definitions that must be there first, if they are to exist (``exists``). ``attributes_used`` are the attributes of
    this resource that anybody reads. ``hidden_properties`` are the properties into which a hidden parameter or file
    went (all: "*"), ``hidden_parts`` the keys of those that are maps, where they are known (``parameters.password``).
    ``reference`` is what get_resource of a virtual one gives, compiled.
    """

    name: str
    local_name: str
    stack_name: str
    type: str
    written_type: str
    schema: TypeSchema | None
    properties: Any
    metadata: Any
    update_policy: Mapping[str, Any]
    requires: frozenset[str]
    path: str
    properties_path: str = ""
    kind: Kind = "resource"
    deletion_policy: str = "Delete"
    external_id: str | None = None
    condition: Dynamic | None = None
    description: str = ""
    parent: str | None = None
    reference: Any = None
    hidden_properties: frozenset[str] = frozenset()
    hidden_parts: frozenset[str] = frozenset()
    attributes_used: frozenset[str] = frozenset()
    hooks: frozenset[str] = frozenset()
    restricted_actions: frozenset[str] = frozenset()
    _leaves: tuple[Leaf, ...] = ()
    _memo: _Memo = field(default_factory=_Memo, repr=False)

    @property
    def hidden_places(self) -> frozenset[str]:
        """The hidden properties, or where that is known only their hidden keys."""
        split = {part.partition(".")[0] for part in self.hidden_parts}
        return (self.hidden_properties - split) | self.hidden_parts

    @property
    def virtual(self) -> bool:
        """Whether it is a group or a nested template."""
        return self.kind != "resource"

    @property
    def is_constant(self) -> bool:
        """Whether the properties, and whether it exists, depend on no resource."""
        return not self._leaves and self.condition is None

    @property
    def size(self) -> int:
        """Characters of the properties (:mod:`hot_translator.sizes`): as they were resolved last, else as compiled.

        Defaults of the schema are not counted. 0 for what is nested too deep or holds a number that is too long.
        """
        memo = self._memo
        if memo.size is None:
            try:
                memo.size = size_of(self.properties)
            except ValueError:
                memo.size = 0
        return memo.size

    def beside(self, resolved: Mapping[str, Any]) -> dict[Any, Any]:
        """What others keep with properties that :meth:`resolve` gave: an empty map where these are not the last."""
        value, kept = self._memo.beside
        return kept if value is resolved else {}

    def exists(self, scope: Scope) -> Any:
        """Whether there is to be such a resource: true, false, or ``UNKNOWN`` while its condition is.

        Only resources in nested templates have a condition that is still open (``condition``). One that is not to
        exist is as one that the template does not have. Raises ``TranslationError``.
        """
        if self.condition is None:
            return True
        with refusing(self.path):
            return self.condition.resolve(scope)

    def resolve(self, scope: Scope) -> dict[str, Any]:
        """The property values, coerced and completed by the type's schema.

        ``UNKNOWN`` stands wherever a value depends on what is not there yet. The result is kept and given again as
        long as what it was made of stays the same: do not change it. Raises ``TranslationError``; also when the
        resource is not to exist.
        """
        if self.exists(scope) is False:
            raise ResolutionError(self.path, "The condition of the resource does not hold: it is not to exist")
        memo = self._memo
        if memo.read is not None and not self._leaves:
            return memo.value  # type: ignore[no-any-return]
        read = [leaf.resolve(scope) for leaf in self._leaves]
        with refusing(f"{self.path}.properties"):
            if any(isinstance(value, dict | list | Mapping) for value in read):
                measure(read)  # before it is compared: what resources give may share parts
            if memo.read is not None and memo.read == read:
                return memo.value  # type: ignore[no-any-return]
            resolved = resolve(self.properties, scope)
            size = measure(resolved)
        value = self._finalize(resolved)
        memo.read, memo.value, memo.size = None, value, size
        memo.beside = value, {}
        memo.read = read
        return value

    def _finalize(self, resolved: Any) -> dict[str, Any]:
        if resolved is None or resolved is OMITTED:
            resolved = {}
        if self.external_id is not None:
            return {}  # it is there already, and what the template says of it counts for nothing
        if self.virtual or self.schema is None:
            return resolved if isinstance(resolved, dict) else {}
        path = self.properties_path or f"{self.path}.properties"
        return properties.finalize(self.schema, resolved, path, self.description, self.hidden_properties)

    def resolve_metadata(self, scope: Scope) -> dict[str, Any]:
        """The metadata; may hold ``UNKNOWN``. Raises ``TranslationError``."""
        if not self.metadata:
            return {}
        with refusing(f"{self.path}.metadata"):
            resolved = resolve(self.metadata, scope)
            measure(resolved)
        return resolved if isinstance(resolved, dict) else {}


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """One output of the root template. ``hidden``: it derives from a hidden parameter and must not be shown."""

    name: str
    description: str
    value: Any
    hidden: bool
    enabled: bool = True

    def resolve(self, scope: Scope) -> Any:
        """The value, null when its condition is false; ``UNKNOWN`` anywhere in it; raises ``TranslationError``."""
        with refusing(f"outputs.{self.name}.value"):
            resolved = resolve(self.value, scope)
            measure(resolved)
        return None if resolved is OMITTED else resolved

    @property
    def requires(self) -> frozenset[str]:
        """The resources that the value is made of."""
        return frozenset(leaf.resource for leaf in leaves(self.value))


@dataclass(frozen=True, slots=True, eq=False)
class Translation:
    """A template with its parameters, environment and files: everything that can be known without a cloud.

    ``hidden_values`` are the texts of hidden parameters, to be kept out of everything that is shown. ``lookups`` are
    the parameter values that must name an object of the cloud. ``warnings`` are what is wrong and stops nothing:
    outputs that are certain to have no value, words that are ignored. ``groups`` are all groups by their names among
    the definitions; what each ``removed`` is to be kept for the next translation.
    """

    description: str
    definitions: Mapping[str, Definition]
    outputs: Mapping[str, Output]
    parameters: Mapping[str, Parameter]
    hidden_values: frozenset[str]
    lookups: tuple[CustomConstraint, ...]
    order: tuple[str, ...]
    groups: Mapping[str, GroupResult] = field(default_factory=dict)
    warnings: tuple[TranslationError, ...] = ()
    broken_rules: tuple[TranslationError, ...] = ()
    """The rules between the properties of a resource (``hot_translator.rules``) that are certain to be broken: what
    they say is as sure as a problem of the template, but it is the types' and not the language's."""
    event_sinks: tuple[Any, ...] = ()
    template_version: str = ""

    def waves(self) -> Iterator[tuple[str, ...]]:
        """Names that may be made side by side, wave after wave."""
        sorter = TopologicalSorter(graph(self.definitions))
        sorter.prepare()
        while sorter.is_active():
            ready = sorter.get_ready()
            yield tuple(sorted(ready))
            sorter.done(*ready)


def graph(definitions: Mapping[str, Definition]) -> dict[str, frozenset[str]]:
    """Each name with the names that it requires."""
    return {name: definition.requires for name, definition in definitions.items()}


def check_requirements(definitions: Mapping[str, Definition], order: Iterable[str], most: int) -> None:
    """Refuse definitions that require too many others, each member of a group counted for itself.

    ``order`` has each name after what it requires. Raises ``InvalidTemplate`` with the path where they become too many.
    """
    made: dict[str, int] = {}
    required = 0
    for name in order:
        definition = definitions[name]
        number = 0
        for other in definition.requires:
            number += made.get(other, 0)
        made[name] = number if definition.virtual else 1
        if not definition.virtual:
            required += number
        if required > most:
            reason = f"The resources of the templates require each other more than {most} times in all"
            raise InvalidTemplate(definition.path, reason)


def topological_order(definitions: Mapping[str, Definition]) -> tuple[str, ...]:
    """The names, each after what it requires; raises ``InvalidTemplate`` with the circle written out."""
    try:
        return tuple(TopologicalSorter(graph(definitions)).static_order())
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        path = definitions[circle[0]].path
        raise InvalidTemplate(path, f"Circular dependency found: {' -> '.join(circle)}") from None
