"""Resources of which nobody knows yet whether they exist.

That is so when the condition of a resource in a nested template depends on a parameter which comes from another
resource. Heat makes the nested stack when that one is there; here the resource has a definition with the condition in
it, and what refers to it waits for the condition too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hot_translator.compiler import Entity
from hot_translator.errors import ResolutionError
from hot_translator.expression import UNKNOWN, Dynamic, Leaf, Scope, leaves, never, resolve
from hot_translator.functions.base import Path


class Guarded(Dynamic):
    """A value read of such a resource. Where the condition does not hold, there is no such resource."""

    __slots__ = ("_condition", "_name", "_path", "_value")

    def __init__(self, value: Any, condition: Dynamic, name: str, path: Path) -> None:
        self._value = value
        self._condition = condition
        self._name = name
        self._path = path

    def resolve(self, scope: Scope) -> Any:
        """The value; ``UNKNOWN`` while the condition is. Raises ``ResolutionError`` when it does not hold."""
        holds = self._condition.resolve(scope)
        if holds is UNKNOWN:
            return UNKNOWN
        if not holds:
            reason = f'The specified reference "{self._name}" is incorrect: the condition of the resource does not hold'
            raise ResolutionError(str(self._path), reason)
        return resolve(self._value, scope)

    def leaves(self) -> Iterator[Leaf]:
        """The references in the condition and in the value."""
        yield from self._condition.leaves()
        yield from leaves(self._value)

    def parts(self) -> tuple[Any, ...]:
        """The condition and the value."""
        return self._condition, self._value

    @property
    def referenced(self) -> str | None:
        """The resource whose id the value is."""
        return self._value.referenced if isinstance(self._value, Dynamic) else None

    def never(self, value: Any) -> bool:
        """As the value."""
        return never(self._value, value)


class Undecided:
    """A resource as those see it who refer to it, with its condition before each value."""

    def __init__(self, entity: Entity, condition: Dynamic, name: str, path: Path) -> None:
        self._entity = entity
        self._condition = condition
        self._name = name
        self._path = path

    def reference(self) -> Any:
        """What get_resource gives."""
        return self._guarded(self._entity.reference())

    def attribute(self, attribute: str, path: list[Any]) -> Any:
        """What get_attr gives with this path."""
        return self._guarded(self._entity.attribute(attribute, path))

    def all_attributes(self) -> Any:
        """What get_attr gives without an attribute."""
        return self._guarded(self._entity.all_attributes())

    def define(self) -> None:
        """Put its definition into the tree."""
        self._entity.define()

    def _guarded(self, value: Any) -> Guarded:
        return Guarded(value, self._condition, self._name, self._path)


class Both(Dynamic):
    """Two conditions of which both must hold: that of a nested template, and that of a resource in it."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, outer: Dynamic, inner: Dynamic) -> None:
        self._outer = outer
        self._inner = inner

    def resolve(self, scope: Scope) -> Any:
        """Whether both hold. The inner one is asked only when the outer one does."""
        outer = self._outer.resolve(scope)
        return self._inner.resolve(scope) if outer is True else outer

    def leaves(self) -> Iterator[Leaf]:
        """The references in both."""
        yield from self._outer.leaves()
        yield from self._inner.leaves()

    def parts(self) -> tuple[Any, ...]:
        """Both."""
        return self._outer, self._inner


def both(outer: Dynamic | None, inner: Dynamic) -> Dynamic:
    """The condition of a resource inside of what has a condition itself, perhaps."""
    return inner if outer is None else Both(outer, inner)
