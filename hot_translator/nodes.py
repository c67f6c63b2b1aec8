"""The compiled form of property schemas: lists and maps, and how a schema becomes nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hot_translator.catalogue.model import Alias, PropertySchema
from hot_translator.errors import InvalidTemplate, TranslationError, under
from hot_translator.expression import ATOMS, UNKNOWN
from hot_translator.names import did_you_mean
from hot_translator.property_nodes import (
    LATER,
    AnyNode,
    BooleanNode,
    IntegerNode,
    Node,
    NumberNode,
    RefusedError,
    StringNode,
    copied,
    partly_later,
    problem,
)


class ListNode(Node):
    """A list; each item by ``items`` when the schema says what they are."""

    __slots__ = ("items",)
    own = list
    foreign = (str, dict)

    def __init__(self, schema: PropertySchema, items: Node | None, *, secret: bool) -> None:
        super().__init__(schema, secret=secret)
        self.items = items

    def coerce(self, value: Any) -> list[Any]:
        """A new list of the items' final values."""
        if value is None:
            return []
        if self.convert and isinstance(value, str):
            value = value.split(",") if value else []
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise RefusedError(f"{self.shown(value)} is not a list")
        node = self.items
        if node is None:
            return list(value)
        values = []
        for index, item in enumerate(value):
            try:
                values.append(node.value(item))
            except RefusedError as refused:
                refused.keys.append(index)
                raise
        return values

    def check(self, raw: Any, path: str, problems: list[TranslationError]) -> None:
        """As for every node, but each item on its own when some depend on resources or are wrong."""
        if not isinstance(raw, list) or self.items is None:
            if isinstance(raw, dict):
                problems.append(InvalidTemplate(path, f"{self.shown(raw)} is not a list"))
            elif isinstance(raw, LATER):
                self.check_kind(raw, path, problems)
            elif not partly_later(raw):
                super().check(raw, path, problems)
            return
        before = len(problems)
        for index, item in enumerate(raw):
            self.items.check(item, under(path, index), problems)
        if self.checks and len(problems) == before and not partly_later(raw):
            super().check(raw, path, problems)


class DictNode(Node):
    """A map; its keys by ``inner`` when the schema names them."""

    __slots__ = ("inner",)
    own = dict
    foreign = (str, list)

    def __init__(self, schema: PropertySchema, inner: MapNode | None, *, secret: bool) -> None:
        super().__init__(schema, secret=secret)
        self.inner = inner

    def coerce(self, value: Any) -> Any:
        """A new map of the entries' final values; text or a list's JSON where a template's parameter allows that."""
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            if self.convert and isinstance(value, str):
                return value
            if self.convert and isinstance(value, Sequence):
                return json.dumps(value)
            raise RefusedError(f"{self.shown(value)} is not a map")
        return dict(value) if self.inner is None else self.inner.values(value)

    def check(self, raw: Any, path: str, problems: list[TranslationError]) -> None:
        """As for every node, but each entry on its own."""
        if not isinstance(raw, dict) or self.inner is None:
            if isinstance(raw, list) and not self.convert:
                problems.append(InvalidTemplate(path, f"{self.shown(raw)} is not a map"))
            elif isinstance(raw, LATER):
                self.check_kind(raw, path, problems)
            elif not partly_later(raw):
                super().check(raw, path, problems)
            return
        before = len(problems)
        self.inner.check(raw, path, problems)
        if self.checks and len(problems) == before and not partly_later(raw):
            super().check(raw, path, problems)


@dataclass(frozen=True, slots=True)
class Move:
    """An alias as seen from the map that holds both names: the path of the old value, the new key."""

    old: tuple[str, ...]
    new: str | None
    append: bool
    template: Any


class MapNode:
    """A map whose keys are known: a type's properties, or a nested map's. ``secret``: its keys are told to nobody."""

    __slots__ = ("defaults", "moves", "nodes", "old", "required", "secret", "visible")

    def __init__(
        self,
        schemas: Mapping[str, PropertySchema],
        nodes: dict[str, Node],
        moves: tuple[Move, ...],
        *,
        secret: bool = False,
    ) -> None:
        self.secret = secret
        self.nodes = nodes
        self.moves = moves
        self.old = frozenset(move.old[0] for move in moves)
        self.required = tuple(name for name, schema in schemas.items() if schema.required and schema.default is None)
        self.defaults = tuple((name, node.default) for name, node in nodes.items() if node.default is not None)
        self.visible = tuple(name for name, schema in schemas.items() if schema.support.status != "hidden")

    def values(self, given: Mapping[Any, Any]) -> dict[str, Any]:
        """The final values: given ones, then defaults. Raises ``RefusedError``."""
        if self.old and not self.old.isdisjoint(given):
            given = self._moved(given)
        values = {}
        for name, value in given.items():
            try:
                node = self.nodes.get(name)
                if node is None or not node.implemented:
                    node = self._node(name)  # raises; for all others the call would take as long as the rest
                values[name] = node.value(value)
            except RefusedError as refused:
                refused.keys += self._shown(name)
                raise
        for name, default in self.defaults:
            if name not in values:
                values[name] = default if type(default) in ATOMS else copied(default)
        for name in self.required:
            if name not in values:
                raise RefusedError(f"Property {name} not assigned")
        return values

    def check(self, raw: Any, path: str, problems: list[TranslationError]) -> None:
        """Append what is certainly wrong with a compiled map."""
        if isinstance(raw, LATER):
            return
        if not isinstance(raw, dict) and raw is not None:
            problems.append(InvalidTemplate(path, f"must be a map, got {type(raw).__name__}"))
            return
        given = raw or {}
        for name, value in given.items():
            try:
                self._node(name).check(value, under(path, name), problems)
            except RefusedError as refused:
                refused.keys += self._shown(name)
                problems.append(problem(path, refused))
        moved = set()
        for move in self.moves:
            if move.old[0] in given:
                moved.add(move.new)
                old, new = given[move.old[0]], given.get(move.new)
                if len(move.old) == 1 and not move.append and _given(old) and _given(new):
                    problems.append(problem(path, _both(move)))
        missing = [name for name in self.required if name not in given and name not in moved]
        problems.extend(InvalidTemplate(path, f"Property {name} not assigned") for name in missing)

    def _node(self, name: Any) -> Node:
        node = self.nodes.get(name)
        if node is None:
            if self.secret:
                raise RefusedError("Unknown property (hidden)")
            raise RefusedError(f'Unknown property "{name}"{did_you_mean(name, self.visible)}')
        if not node.implemented:
            raise RefusedError(f"Property {name} not implemented yet")
        return node

    def _shown(self, name: Any) -> list[Any]:
        """The key as a path shows it: not one that only a hidden value has."""
        return [] if self.secret and name not in self.nodes else [name]

    def _moved(self, given: Mapping[Any, Any]) -> dict[Any, Any]:
        """The given entries with each old name's value where it belongs now."""
        moved = {name: value for name, value in given.items() if name not in self.old}
        for move in self.moves:
            value = self._old_value(move.old, given)
            if value is None or move.new is None:
                continue
            present = moved.get(move.new)
            if move.append:
                if value and present is not UNKNOWN:
                    moved[move.new] = [*(present or ()), _filled(move.template, value)]
            elif value is UNKNOWN or present is UNKNOWN:
                moved[move.new] = UNKNOWN
            elif value and present:
                raise _both(move)
            else:
                moved[move.new] = value
        return moved

    def _old_value(self, path: tuple[str, ...], given: Mapping[Any, Any]) -> Any:
        name, *rest = path
        value = given.get(name)
        if value is None:
            return None
        try:
            value = self._node(name).value(value)
        except RefusedError as refused:
            refused.keys.append(name)
            raise
        for key in rest:
            if isinstance(value, Mapping):
                value = value.get(key)
        return value


def compile_property(schema: PropertySchema, aliases: Sequence[Alias] = (), depth: int = 0, *, secret: bool) -> Node:
    """The node of a property. ``aliases`` are those inside of it; ``depth`` parts of their paths lead there."""
    secret = secret or schema.sensitive
    node: Node
    if schema.type == "list":
        items = compile_property(schema.items, aliases, depth, secret=secret) if schema.items else None
        node = ListNode(schema, items, secret=secret)
    elif schema.type == "map":
        known = schema.properties
        node = DictNode(
            schema, None if known is None else compile_map(known, aliases, depth, secret=secret), secret=secret
        )
    else:
        node = _LEAVES[schema.type](schema, secret=secret)
    if schema.default is not None:
        node.default = node.value(schema.default)
    return node


def compile_map(
    schemas: Mapping[str, PropertySchema],
    aliases: Sequence[Alias] = (),
    depth: int = 0,
    *,
    secret: bool = False,
    hidden: frozenset[str] = frozenset(),
) -> MapNode:
    """The node of a map with known keys, ``depth`` parts of its aliases' paths away from the top.

    ``hidden`` are the keys whose values are told to nobody, all where it has "*"; ``secret`` is for the whole map.
    """
    secret = secret or "*" in hidden
    inside: dict[str, list[Alias]] = {}
    here: list[Move] = []
    for alias in aliases:
        if len(alias.new or alias.old) - 1 == depth:
            new = alias.new[-1].removesuffix("[]") if alias.new else None
            here.append(Move(tuple(alias.old[depth:]), new, alias.append, alias.template))
        else:
            inside.setdefault(alias.old[depth].removesuffix("[]"), []).append(alias)
    nodes = {
        name: compile_property(schema, inside.get(name, ()), depth + 1, secret=secret or name in hidden)
        for name, schema in schemas.items()
    }
    return MapNode(schemas, nodes, tuple(here), secret=secret)


def _given(value: Any) -> bool:
    """Whether a value certainly is one: Heat lets an old and a new name stand together while one is empty."""
    return not isinstance(value, LATER) and bool(value)


def _both(move: Move) -> RefusedError:
    return RefusedError(f"Cannot define the following properties at the same time: {move.new}, {'.'.join(move.old)}")


def _filled(template: Any, value: Any) -> Any:
    if template is None:
        return value
    return {key: value if item == "@" else item for key, item in template.items()}


_LEAVES: Final[dict[str, type[Node]]] = {
    "any": AnyNode,
    "string": StringNode,
    "integer": IntegerNode,
    "number": NumberNode,
    "boolean": BooleanNode,
}
