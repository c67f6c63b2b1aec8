"""What all groups share: their members are resources of the same stack."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hot_translator import catalogue, properties
from hot_translator.compiler import select
from hot_translator.entities import Place, UnknownAttributeError, Whole, define, make_entity
from hot_translator.errors import InvalidTemplate, TranslationError
from hot_translator.expression import Attribute, Through, is_dynamic, settled
from hot_translator.functions.base import LaterError, Path
from hot_translator.inner_stack import TOO_DEEP, inner_attribute, inner_place
from hot_translator.members import Batching, GroupResult
from hot_translator.names import did_you_mean
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
        self.place = place
        self.sections = sections
        self._schema = catalogue.lookup(type_name)
        self._entities: dict[str, Entity] = place.tree.made_by_name()
        self._sound = True
        self.guessed: set[str] = set()

    @cached_property
    def raw(self) -> dict[str, Any]:
        """The compiled properties, checked, with the defaults of those that must be known."""
        compiled = self.sections.properties
        path = str(self.sections.properties_path)
        if not isinstance(compiled, dict):
            self.refuse("", "The properties of a group must be known before anything is created")
            return {}
        problems: list[TranslationError] = []
        if self._schema is not None:
            properties.check(self._schema, compiled, path, problems, self.sections.hidden_properties)
        for problem in problems:
            self._refuse_with(problem)
        return compiled

    def refuse(self, key: str, reason: str) -> None:
        """Report what is wrong with a property, or with all of them if ``key`` is empty."""
        path = f"{self.sections.properties_path}.{key}" if key else str(self.sections.properties_path)
        self._refuse_with(InvalidTemplate(path, reason))

    def _refuse_with(self, error: TranslationError) -> None:
        self._sound = False
        self.sections.report(error)

    def known(self, key: str) -> Any:
        """A property that decides on the members: its value, or its default. None when it is wrong."""
        raw = self.raw.get(key)
        try:
            value = settled(raw)
        except TranslationError:
            self._sound = False  # reported where the call stands
            return None
        if is_dynamic(value):
            self.refuse(key, f"The {key} of a group must be known before anything is created: not from a resource")
            return None
        schema = self._schema.properties.get(key) if self._schema is not None else None
        if schema is not None and value is not None and is_dynamic(raw):
            self.guessed.add(key)
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
            self.refuse(key, "The size of a group must be a number")
            return None

    @cached_property
    def names(self) -> list[str]:
        """The members' names, in order."""
        raw = self.raw
        if self.place.too_deep:
            reason = TOO_DEEP.format(self.place.tree.limits.depth)
            self._refuse_with(InvalidTemplate(f"{self.sections.path}.type", reason))
        names = self.member_names() if raw and self._sound else []
        self.place.tree.translated_groups[self.name] = GroupResult(
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
        return inner_place(self.place, self.sections, Implementation(self._type), self.local_name)

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
                if not self.guessed:
                    raise
                return Attribute(self.name, attribute)  # how many members there will be is not known
        if attribute == "refs":
            return select([self.entity(name).reference() for name in self.names], path)
        if attribute == "refs_map":
            return select({name: self.entity(name).reference() for name in self.names}, path)
        if attribute in ("attributes", "outputs"):
            return self.each(attribute, path)
        if attribute == "show":
            return select({"id": self.inner_place.pseudo.stack_id}, path)
        return self.own(attribute, path)

    def one(self, attribute: str, path: list[Any]) -> Any:
        """``resource.NAME``, ``resource.NAME.ATTRIBUTE``."""
        return inner_attribute(self.local_name, attribute, path, self.has, self.entity)

    def own(self, attribute: str, path: list[Any]) -> Any:
        """An attribute of this kind of group only, or else of each member."""
        return list(self._of_members(attribute, attribute, path).values())

    def each(self, attribute: str, path: list[Any]) -> Any:
        """An attribute of each member, by the members' names; ``path`` begins with its name."""
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
        path = str(self.sections.properties_path)
        names = self.names
        self.place.tree.count(len(names), path)
        for name in names:
            before = len(self.place.tree.problems)
            self.entity(name).define()
            if len(self.place.tree.problems) > before:
                break  # the others would only say it again
        defined = self.place.tree.definitions
        members = frozenset(full for name in names if (full := self.inner_place.name(name)) in defined)
        define(
            self.place,
            self.local_name,
            self._written_type,
            self._type,
            self._schema,
            self.sections,
            whole=Whole("group", members, self.reference()),
        )

    def _batching(self) -> dict[str, Batching | None]:
        """The batches of the group. What is wrong with the policy is reported where it is checked."""
        policy = self.sections.update_policy
        try:
            given = {name: settled(value) for name, value in policy.items()} if isinstance(policy, dict) else {}
            update = given.get("rolling_update") or self.known("rolling_updates")
            return {"creation": Batching.of(given.get("batch_create")), "update": Batching.of(update)}
        except (TranslationError, TypeError, ValueError):
            return {}

    def limited(self, size: int, key: str) -> int:
        """The size, unless it is more than a stack may have; ``key`` is the property that asks for it."""
        limit = self.place.tree.limits.resources
        if size > limit:
            self.refuse(key, f"{size} members are more than the {limit} resources that a stack may have")
            return 0
        return max(size, 0)
