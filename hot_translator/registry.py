"""resource_registry: what a resource type stands for, which hooks a resource has, which actions it may not take."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hot_translator import catalogue
from hot_translator.errors import InvalidTemplate

HOOKS: Final = ("pre-create", "pre-update", "pre-delete", "post-create", "post-update", "post-delete")
RESTRICTED_ACTIONS: Final = ("update", "replace")
TEMPLATE_ENDINGS: Final = (".yaml", ".template")

_WORDS: Final[Mapping[str, tuple[str, ...]]] = {"hooks": HOOKS, "restricted_actions": RESTRICTED_ACTIONS}
_MAX_CHAIN: Final = 20


@dataclass(frozen=True, slots=True)
class Implementation:
    """What a type stands for: a type of the catalogue, or a template (then ``name`` is a key of the files).

    ``entry`` is the registry's key that led to a template, so that the template may use the type that it replaces.
    """

    name: str
    is_template: bool = False
    entry: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    path: tuple[str, ...]
    value: str
    is_users: bool

    @property
    def order(self) -> tuple[bool, int, tuple[str, ...]]:
        return not self.is_users, -len(self.path), self.path


@dataclass(frozen=True, slots=True)
class Registry:
    """A compiled resource_registry over Heat's default one. ``types`` maps names, and patterns ending in ``*``."""

    types: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    _found: dict[str, Implementation | None] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Of the types that were asked for, for all resources without an entry of their own."""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Registry:
        """The registry that an environment describes; null removes what came before it."""
        types: dict[str, str] = {}
        for name, value in raw.items():
            if name in ("resources", "base_url"):
                continue
            if value is None:
                _remove(types, name)
            elif isinstance(value, str):
                types[name] = value
        return cls(types, raw.get("resources") or {})

    def implementation(self, type_name: str, resource_name: str | None = None) -> Implementation | None:
        """What a type of a resource stands for, or None when nothing does. Mappings may chain."""
        if resource_name in self.resources:
            return self._implementation(type_name, resource_name, 0)
        if type_name not in self._found:
            self._found[type_name] = self._implementation(type_name, None, 0)
        return self._found[type_name]

    def _implementation(self, type_name: str, resource_name: str | None, depth: int) -> Implementation | None:
        if depth > _MAX_CHAIN:
            return None
        for entry in sorted(self._matches(type_name, resource_name), key=lambda entry: entry.order):
            if found := self._follow(entry, type_name, resource_name, depth):
                return found
        schema = catalogue.lookup(type_name)
        return Implementation(catalogue.canonical(type_name)) if schema and not schema.template else None

    def _matches(self, type_name: str, resource_name: str | None) -> Iterator[_Entry]:
        if type_name.endswith(TEMPLATE_ENDINGS):
            yield _Entry((type_name,), type_name, is_users=True)
        own = self.resources.get(resource_name) if resource_name else None
        if isinstance(own, Mapping) and isinstance(own.get(type_name), str):
            yield _Entry(("resources", str(resource_name), type_name), own[type_name], is_users=True)
        yield from _entries(self.types, type_name, is_users=True)
        yield from _entries(catalogue.default_registry(), type_name, is_users=False)

    def _follow(self, entry: _Entry, type_name: str, resource_name: str | None, depth: int) -> Implementation | None:
        name = entry.path[-1]
        if entry.value.endswith(TEMPLATE_ENDINGS):
            return Implementation(entry.value, is_template=True, entry=entry.path)
        target = entry.value
        if name.endswith("*") and target.endswith("*"):
            target = target[:-1] + type_name[len(name) - 1 :]
        if target == type_name:
            return None
        registry = self if entry.is_users else _DEFAULT
        return registry._implementation(target, resource_name, depth + 1)  # noqa: SLF001 - another of this class

    def hooks(self, resource_name: str) -> frozenset[str]:
        """The hooks at which the resource pauses."""
        return self._words("hooks", resource_name)

    def restricted_actions(self, resource_name: str) -> frozenset[str]:
        """The actions that the resource may not take."""
        return self._words("restricted_actions", resource_name)

    def _words(self, key: str, resource_name: str) -> frozenset[str]:
        words: set[str] = set()
        for pattern, entry in self.resources.items():
            if isinstance(entry, Mapping) and key in entry and fnmatch.fnmatchcase(resource_name, pattern):
                value = entry[key]
                words |= {value} if isinstance(value, str) else set(value)
        return frozenset(words)

    def child(self, implementation: Implementation, resource_name: str) -> Registry:
        """The registry of the nested template that a resource stands for."""
        types = dict(self.types)
        if len(implementation.entry) == 1:
            types.pop(implementation.entry[0], None)
        resources: dict[str, Any] = {}
        for pattern, entry in self.resources.items():
            if isinstance(entry, Mapping) and fnmatch.fnmatchcase(resource_name, pattern):
                resources.update(entry)
        own = self.resources.get(resource_name)
        if isinstance(own, Mapping):
            resources.update(own)
        if len(implementation.entry) > 1:
            resources.pop(implementation.entry[-1], None)
        return Registry(types, resources)


_DEFAULT: Final = Registry()
"""Heat's default environment: its own mappings lead on in it alone, past those of the user."""


def _entries(types: Mapping[str, str], type_name: str, *, is_users: bool) -> Iterator[_Entry]:
    if type_name in types:
        yield _Entry((type_name,), types[type_name], is_users)
    for name, value in types.items():
        if value.endswith(TEMPLATE_ENDINGS):
            continue  # a template stands for one type, not for a family
        if name.endswith("*") and type_name != value and type_name.startswith(name[:-1]):
            yield _Entry((name,), value, is_users)


def _remove(types: dict[str, str], name: str) -> None:
    if name.endswith("*"):
        for known in [known for known in types if known.startswith(name[:-1])]:
            del types[known]
    else:
        types.pop(name, None)


def check_registry(raw: Mapping[str, Any], source: str | None) -> None:
    """Refuse a registry with values that are neither text nor null, and unknown hooks and actions."""
    for name, value in raw.items():
        path = f"resource_registry.{name}"
        if not isinstance(name, str):
            raise InvalidTemplate(path, "a type's name must be text", source=source)
        if name == "resources":
            _check_resources(value, path, source)
        elif value is not None and not isinstance(value, str):
            raise InvalidTemplate(path, "a type is mapped to the name of a type or of a template", source=source)


def _check_resources(raw: Any, path: str, source: str | None) -> None:
    if raw is None or isinstance(raw, str):
        return
    if not isinstance(raw, Mapping):
        raise InvalidTemplate(path, "must be a map", source=source)
    for name, value in raw.items():
        here = f"{path}.{name}"
        if name in _WORDS:
            _check_words(name, value, here, source)
        else:
            _check_resources(value, here, source)


def _check_words(kind: str, value: Any, path: str, source: str | None) -> None:
    words = [value] if isinstance(value, str) else value
    known = _WORDS[kind]
    if not isinstance(words, Sequence) or not all(word in known for word in words):
        raise InvalidTemplate(path, f'Invalid {kind} "{value}", acceptable are: {", ".join(known)}', source=source)
