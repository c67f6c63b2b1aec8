"""OS::Heat::ResourceGroup, ResourceChain and AutoScalingGroup: their members as resources of the same stack."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from hot_translator import catalogue, properties
from hot_translator.budget import BudgetExceeded
from hot_translator.compiler import select
from hot_translator.entities import Place, UnknownAttributeError, Whole, define, make_entity
from hot_translator.errors import InvalidTemplate, TranslationError
from hot_translator.expression import Attribute, Dynamic, Through, is_dynamic, leaves, settled
from hot_translator.functions.base import LaterError, Path
from hot_translator.members import (
    Batching,
    GroupResult,
    GroupState,
    WithoutNulls,
    indexed_names,
    removed_names,
    scaled_names,
    scaled_size,
    with_index,
    without_nulls,
)
from hot_translator.names import did_you_mean
from hot_translator.nested import TOO_DEEP, inner_attribute, nested_pseudo
from hot_translator.registry import Implementation
from hot_translator.sections import Sections

if TYPE_CHECKING:
    from hot_translator.compiler import Entity


class MemberSections:
    """The sections of a member: what the group says of its members, with the member's own name put in."""

    external_id: str | None = None
    description = ""
    update_policy: Mapping[str, Any] = {}
    deletion_policy = "Delete"

    def __init__(
        self, group: Sections, path: Path, compiled: Any, metadata: Any, needs: frozenset[str] = frozenset()
    ) -> None:
        self._group = group
        self.path = path
        self.properties_path = Path(path, "properties")
        self.properties = compiled
        self.metadata = metadata
        self.needs = needs
        self.hidden_properties = _hidden(group, compiled)
        self.hidden_parts: frozenset[str] = frozenset()

    def report(self, error: TranslationError) -> None:
        """Record a problem."""
        self._group.report(error)

    def break_rule(self, error: TranslationError) -> None:
        """Record a broken rule between properties."""
        self._group.break_rule(error)

    def warn(self, warning: TranslationError) -> None:
        """Record a warning."""
        self._group.warn(warning)


def _hidden(group: Sections, compiled: Any) -> frozenset[str]:
    if not group.hidden_properties:
        return frozenset()
    return frozenset(compiled) if isinstance(compiled, dict) else frozenset({"*"})


class Group:
    """What all groups share. The members' names must be known before anything is created."""

    def __init__(self, name: str, written_type: str, type_name: str, place: Place, sections: Sections) -> None:
        self.local_name = name
        self.name = place.name(name)
        self._written_type = written_type
        self._type = type_name
        self._place = place
        self._sections = sections
        self._schema = catalogue.lookup(type_name)
        self._entities: dict[str, Entity] = {}
        self._sound = True
        self._guessed: set[str] = set()

    @cached_property
    def raw(self) -> dict[str, Any]:
        """The compiled properties, checked, with the defaults of those that must be known."""
        compiled = self._sections.properties
        path = str(self._sections.properties_path)
        if not isinstance(compiled, dict):
            self._refuse("", "The properties of a group must be known before anything is created")
            return {}
        problems: list[TranslationError] = []
        if self._schema is not None:
            properties.check(self._schema, compiled, path, problems, self._sections.hidden_properties)
        for problem in problems:
            self._refuse_with(problem)
        return compiled

    def _refuse(self, key: str, reason: str) -> None:
        path = f"{self._sections.properties_path}.{key}" if key else str(self._sections.properties_path)
        self._refuse_with(InvalidTemplate(path, reason))

    def _refuse_with(self, error: TranslationError) -> None:
        self._sound = False
        self._sections.report(error)

    def known(self, key: str) -> Any:
        """A property that decides on the members: its value, or its default. None when it is wrong."""
        raw = self.raw.get(key)
        try:
            value = settled(raw)
        except TranslationError:
            self._sound = False  # reported where the call stands
            return None
        if is_dynamic(value):
            self._refuse(key, f"The {key} of a group must be known before anything is created: not from a resource")
            return None
        schema = self._schema.properties.get(key) if self._schema is not None else None
        if schema is not None and value is not None and is_dynamic(raw):
            self._guessed.add(key)
            if properties.refusal(self._schema, key, value) is not None:
                value = None  # made of a stand-in for a parameter without a value: nobody can tell
        if value is None:
            return schema.default if schema else None
        return value

    def number(self, key: str) -> int | None:
        """A property that is a number; None when it is not given, or wrong."""
        value = self.known(key)
        try:
            return None if value is None else int(value)
        except (TypeError, ValueError, OverflowError):
            self._refuse(key, "The size of a group must be a number")
            return None

    @cached_property
    def names(self) -> list[str]:
        """The members' names, in order."""
        raw = self.raw
        if self._place.too_deep:
            reason = TOO_DEEP.format(self._place.tree.limits.depth)
            self._refuse_with(InvalidTemplate(f"{self._sections.path}.type", reason))
        names = self.member_names() if raw and self._sound else []
        self._place.tree.translated_groups[self.name] = GroupResult(
            self._type, tuple(names), self.removed, **(self._batching() if names else {})
        )
        return names

    removed: frozenset[str] = frozenset()
    """Names that removal policies took away."""

    @abstractmethod
    def member_names(self) -> list[str]:
        """The names that the properties ask for."""

    @abstractmethod
    def member(self, name: str) -> tuple[str, MemberSections]:
        """A member's type and sections."""

    @cached_property
    def inner_place(self) -> Place:
        """Where the members are made."""
        place, sections = self._place, self._sections
        requires = {leaf.resource for leaf in leaves(sections.properties)}
        return replace(
            place,
            registry=place.registry.child(Implementation(self._type), self.local_name),
            pseudo=nested_pseudo(place, self.local_name),
            prefix=f"{self.name}/",
            depth=place.depth + 1,
            parent=self.name,
            needs=place.needs | sections.needs | requires,
        )

    def has(self, name: str) -> bool:
        """Whether a member has this name."""
        return name in self._known_names

    @cached_property
    def _known_names(self) -> frozenset[str]:
        return frozenset(self.names)

    def entity(self, name: str) -> Entity:
        """A member."""
        entity = self._entities.get(name)
        if entity is None:
            type_name, sections = self.member(name)
            entity = self._entities[name] = make_entity(name, type_name, self.inner_place, sections)
        return entity

    def reference(self) -> Any:
        """The id of the nested stack that Heat would have made."""
        return Through(self.name, self.inner_place.pseudo.stack_id)

    def attribute(self, attribute: str, path: list[Any]) -> Any:
        """An attribute of the group, or of each member, or of one."""
        return Through(self.name, self._attribute(attribute, path))

    def _attribute(self, attribute: str, path: list[Any]) -> Any:
        if attribute.startswith("resource."):
            try:
                return self.one(attribute, path)
            except LaterError:
                if not self._guessed:
                    raise
                return Attribute(self.name, attribute)  # how many members there will be is not known
        if attribute == "refs":
            return select([self.entity(name).reference() for name in self.names], path)
        if attribute == "refs_map":
            return select({name: self.entity(name).reference() for name in self.names}, path)
        if attribute in ("attributes", "outputs"):
            return self._each(attribute, path)
        if attribute == "show":
            return select({"id": self.inner_place.pseudo.stack_id}, path)
        return self.own(attribute, path)

    def one(self, attribute: str, path: list[Any]) -> Any:
        """``resource.NAME``, ``resource.NAME.ATTRIBUTE``."""
        return inner_attribute(self.local_name, attribute, path, self.has, self.entity)

    def own(self, attribute: str, path: list[Any]) -> Any:
        """An attribute of this kind of group only, or else of each member."""
        return list(self._of_members(attribute, attribute, path).values())

    def _each(self, attribute: str, path: list[Any]) -> Any:
        if not path or not isinstance(path[0], str):
            msg = f"The Referenced Attribute ({self.local_name} {attribute}) is incorrect: it needs an attribute's name"
            raise LaterError(msg)
        return self._of_members(f"{attribute} {path[0]}", path[0], path[1:])

    def _of_members(self, shown: str, attribute: str, path: list[Any]) -> dict[str, Any]:
        """An attribute of each member by the members' names."""
        found = {}
        for name in self.names:
            try:
                found[name] = self.entity(name).attribute(attribute, path)
            except UnknownAttributeError as error:
                hint = did_you_mean(error.attribute, error.known)
                msg = (
                    f"The Referenced Attribute ({self.local_name} {shown}) is incorrect: "
                    f"the members ({error.type}) have no attribute {error.attribute}{hint}"
                )
                raise LaterError(msg) from None
        return found

    def all_attributes(self) -> Any:
        """The group's own attributes."""
        found = {name: self._attribute(name, []) for name in ("refs", "refs_map")}
        return Through(self.name, found)

    def define(self) -> None:
        """Make the members' definitions, and the group's."""
        path = str(self._sections.properties_path)
        names = self.names
        self._place.tree.count(len(names), path)
        for name in names:
            before = len(self._place.tree.problems)
            self.entity(name).define()
            if len(self._place.tree.problems) > before:
                break  # the others would only say it again
        defined = self._place.tree.definitions
        members = frozenset(full for name in names if (full := self.inner_place.name(name)) in defined)
        define(
            self._place,
            self.local_name,
            self._written_type,
            self._type,
            self._schema,
            self._sections,
            whole=Whole("group", members, self.reference()),
        )

    def _batching(self) -> dict[str, Batching | None]:
        """The batches of the group. What is wrong with the policy is reported where it is checked."""
        policy = self._sections.update_policy
        try:
            given = {name: settled(value) for name, value in policy.items()} if isinstance(policy, dict) else {}
            update = given.get("rolling_update") or self.known("rolling_updates")
            return {"creation": Batching.of(given.get("batch_create")), "update": Batching.of(update)}
        except (TranslationError, TypeError, ValueError):
            return {}

    def _limit(self, size: int, key: str) -> int:
        limit = self._place.tree.limits.resources
        if size > limit:
            self._refuse(key, f"{size} members are more than the {limit} resources that a stack may have")
            return 0
        return max(size, 0)


class ResourceGroup(Group):
    """``count`` members named "0", "1", ..., in whose properties the index variable is replaced."""

    def member_names(self) -> list[str]:
        """The first ``count`` numbers that were not removed."""
        count = self._limit(self.number("count") or 0, "count")
        tree = self._place.tree
        policies = self.known("removal_policies") or []
        mode = str(self.known("removal_policies_mode") or "append").lower()
        state = tree.groups.get(self.name, GroupState())
        self.removed = removed_names(policies, mode, state.removed, state.members or None)
        return indexed_names(count, self.removed)

    @cached_property
    def _definition(self) -> tuple[str, Any, Any]:
        path = "resource_def"
        definition = self.raw.get(path)
        if not isinstance(definition, dict) or not isinstance(definition.get("type"), str):
            self._refuse(path, "The definition of a group's members is a map with a type that is text")
            return "OS::Heat::None", {}, {}
        compiled = definition.get("properties")
        compiled = WithoutNulls(compiled) if isinstance(compiled, Dynamic) else without_nulls(compiled or {})
        return definition["type"], compiled, definition.get("metadata") or {}

    def member(self, name: str) -> tuple[str, MemberSections]:
        """The definition with the member's number in it."""
        type_name, compiled, metadata = self._definition
        path = Path(self._sections.properties_path, "resource_def")
        try:
            compiled = with_index(compiled, self._variable, name)
        except BudgetExceeded as error:
            raise InvalidTemplate(str(path), str(error)) from None
        return type_name, MemberSections(self._sections, path, compiled, metadata)

    @cached_property
    def _variable(self) -> str:
        return str(self.known("index_var") or "%index%")

    def own(self, attribute: str, path: list[Any]) -> Any:
        """``removed_rsrc_list``, or an attribute of each member."""
        if attribute == "removed_rsrc_list":
            names = self.names
            return select(sorted(self.removed), path) if names is not None else []
        return super().own(attribute, path)


class ResourceChain(Group):
    """Members of different types with the same properties, each after the one before unless ``concurrent``."""

    def member_names(self) -> list[str]:
        """A number for each type."""
        types = self.known("resources") or []
        return [str(index) for index in range(self._limit(len(types), "resources"))]

    def member(self, name: str) -> tuple[str, MemberSections]:
        """The type at that place, and the shared properties."""
        path = Path(self._sections.path, "properties")
        compiled = self.raw.get("resource_properties") or {}
        needs: frozenset[str] = frozenset()
        index = int(name)
        if index and str(self.known("concurrent")).lower() not in ("true", "1"):
            needs = frozenset({self.inner_place.name(str(index - 1))})
        sections = MemberSections(self._sections, path, compiled, {}, needs)
        sections.properties_path = Path(path, "resource_properties")
        return str(self.known("resources")[index]), sections


class AutoScalingGroup(Group):
    """Members with short random names, between ``min_size`` and ``max_size`` of them."""

    def member_names(self) -> list[str]:
        """Those that exist and those that are to be added."""
        minimum, maximum = self.number("min_size") or 0, self.number("max_size") or 0
        desired = self.number("desired_capacity")
        if maximum < minimum:
            if not self._guessed:
                self._refuse("min_size", "MinSize can not be greater than MaxSize")
                return []
            maximum = minimum
        if desired is not None and not minimum <= desired <= maximum and not self._guessed:
            self._refuse("desired_capacity", f"desired_capacity must be between {minimum} and {maximum}")
            return []
        state = self._place.tree.groups.get(self.name, GroupState())
        existing = list(state.members)
        chosen = desired if state.desired_size is None else state.desired_size
        size = scaled_size(minimum, maximum, chosen, len(existing) or None)
        key = f"{self._place.pseudo.stack_id}/{self.name}"
        return scaled_names(key, self._limit(size, "max_size"), existing)

    def member(self, name: str) -> tuple[str, MemberSections]:
        """The resource that the group repeats."""
        path = Path(self._sections.properties_path, "resource")
        definition = self.raw.get("resource")
        if not isinstance(definition, dict) or not isinstance(definition.get("type"), str):
            self._refuse("resource", "The definition of a group's members is a map with a type that is text")
            return "OS::Heat::None", MemberSections(self._sections, path, {}, {})
        compiled, metadata = definition.get("properties") or {}, definition.get("metadata") or {}
        return definition["type"], MemberSections(self._sections, path, compiled, metadata)

    def one(self, attribute: str, path: list[Any]) -> Any:
        """``resource.INDEX``: members are counted here."""
        prefix, index, *rest = attribute.split(".", 2)
        if index.lstrip("-").isdigit():
            if not -len(self.names) <= int(index) < len(self.names):
                msg = f"The Referenced Attribute ({self.local_name} {attribute}) is incorrect: it has no such member"
                raise LaterError(msg)
            attribute = ".".join([prefix, self.names[int(index)], *rest])
        return super().one(attribute, path)

    def own(self, attribute: str, path: list[Any]) -> Any:
        """``outputs_list``, ``current_size``, or an attribute of each member."""
        if attribute == "current_size":
            return len(self.names)
        if attribute == "outputs_list":
            return list(self._each(attribute, path).values())
        return super().own(attribute, path)


GROUPS: Final[Mapping[str, type[Group]]] = {
    "OS::Heat::ResourceGroup": ResourceGroup,
    "OS::Heat::ResourceChain": ResourceChain,
    "OS::Heat::AutoScalingGroup": AutoScalingGroup,
}
