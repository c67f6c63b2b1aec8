"""What the rules read of a resource's properties: only what is certain. A value that is not known breaks no rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from hot_translator.expression import UNKNOWN


class Breach(NamedTuple):
    """What is wrong: ``path`` below the properties (``("networks", 0, "port")``; empty: all of them), and why."""

    path: tuple[str | int, ...]
    reason: str


class Given:
    """A map of final values. An empty text, list or map counts as not given: so the services take it."""

    __slots__ = ("_path", "_values")

    def __init__(self, values: Mapping[str, Any], path: tuple[str | int, ...] = ()) -> None:
        self._values = values
        self._path = path

    def __getitem__(self, name: str) -> Any:
        """A value; None when it is not given, or not known."""
        value = self._values.get(name)
        return None if value is UNKNOWN else value

    def has(self, name: str) -> bool:
        """Whether a value is certainly given."""
        value = self._values.get(name)
        return value is not UNKNOWN and not _is_empty(value)

    def lacks(self, name: str) -> bool:
        """Whether there is certainly no value."""
        return _is_empty(self._values.get(name))

    def known(self, name: str) -> bool:
        """Whether it is certain whether there is a value."""
        return self._values.get(name) is not UNKNOWN

    def filled(self, *names: str) -> list[str]:
        """Those of the names that have a value."""
        return [name for name in names if self.has(name)]

    def only(self, name: str) -> bool:
        """Whether there is certainly nothing beside this one."""
        return all(self.lacks(other) for other in self._values if other != name)

    def items(self, name: str) -> Iterator[Given]:
        """The items of a list of maps, as far as they are known."""
        value = self[name]
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, Mapping):
                yield Given(item, (*self._path, name, index))

    def whole(self, name: str) -> bool:
        """Whether a list is known to its last item, though perhaps not each item's content."""
        value = self._values.get(name)
        return value is None or (isinstance(value, list) and all(isinstance(item, Mapping) for item in value))

    def breach(self, name: str, reason: str) -> Breach:
        """What is wrong with one of the values."""
        return Breach((*self._path, name) if name else self._path, reason)


def _is_empty(value: Any) -> bool:
    """False and zero are values."""
    return not value and value in (None, "", [], {})


Rule = Callable[[Given], Iterator[Breach]]


def together(*names: str) -> str:
    """The reason for properties that exclude each other, in Heat's words."""
    return f"Cannot define the following properties at the same time: {', '.join(names)}"


def exclusive(*names: str) -> Rule:
    """A rule: not more than one of these."""

    def rule(it: Given) -> Iterator[Breach]:
        found = it.filled(*names)
        if len(found) > 1:
            yield it.breach(found[1], together(*found))

    return rule


def one_of(*names: str) -> Rule:
    """A rule: at least one of these."""

    def rule(it: Given) -> Iterator[Breach]:
        if all(it.lacks(name) for name in names):
            yield it.breach("", f"At least one of the following properties must be specified: {', '.join(names)}")

    return rule


def needs(name: str, other: str) -> Rule:
    """A rule: the first not without the second."""

    def rule(it: Given) -> Iterator[Breach]:
        if it.has(name) and it.lacks(other):
            yield it.breach(name, f"{name} cannot be specified without {other}")

    return rule
