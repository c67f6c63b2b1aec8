"""Compiled values: plain Python data in which the parts that depend on resources are ``Dynamic`` nodes.

What is known when a template is translated (parameters, files, conditions) is folded into plain data then. What
stays are the calls whose result depends on a resource's id or attribute.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

ATOMS: Final = frozenset({str, int, float, bool, type(None)})
"""Types of plain data that hold nothing: what walks over a value passes them by without a call."""


@final
class Unknown:
    """The type of ``UNKNOWN``: a value that nobody knows yet. There is one instance; compare with ``is``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __reduce__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> Unknown:
        return self

    def __deepcopy__(self, _memo: object) -> Unknown:
        return self


UNKNOWN: Final = Unknown()


@final
class Omitted:
    """The type of ``OMITTED``: what a two-argument ``if`` gives when false. Its list item or map entry vanishes."""

    def __repr__(self) -> str:
        return "OMITTED"


OMITTED: Final = Omitted()


class Scope(Protocol):
    """What a pass knows of the resources, by their names in ``Translation.definitions``."""

    def reference(self, name: str) -> Any:
        """What get_resource gives, or ``UNKNOWN`` while the resource is not there."""

    def attribute(self, name: str, attribute: str) -> Any:
        """An attribute's value before any path into it, or ``UNKNOWN`` while the resource is not there."""

    def attributes(self, name: str) -> Any:
        """All attributes of the resource as a map, or ``UNKNOWN`` while it is not there."""


class Dynamic:
    """A part of a value that depends on resources. Immutable; resolved as often as a pass needs it.

    Not an ABC: whether a value is one is asked a million times in a large template, and ABCs answer slowly.
    """

    __slots__ = ()

    @abstractmethod
    def resolve(self, scope: Scope) -> Any:
        """The value, ``UNKNOWN`` while a resource that it needs is not there; raises ``TranslationError``."""

    @abstractmethod
    def leaves(self) -> Iterator[Leaf]:
        """Each reference to a resource below this node."""

    def parts(self) -> tuple[Any, ...]:
        """The compiled data that this node is made of."""
        return ()

    @property
    def referenced(self) -> str | None:
        """The resource whose id this is, when it is no more than that (``get_resource``)."""
        return None

    def never(self, value: Any) -> bool:
        """Whether it is certain, before anything is created, that the value will not be this one."""
        return False


class Leaf(Dynamic):
    """A reference to one resource: the only nodes that read the scope."""

    __slots__ = ()

    resource: str

    def leaves(self) -> Iterator[Leaf]:
        """Itself."""
        yield self


@dataclass(frozen=True, slots=True)
class Reference(Leaf):
    """``get_resource``: the id by which other resources name this one."""

    resource: str

    def resolve(self, scope: Scope) -> Any:
        """What get_resource gives."""
        return scope.reference(self.resource)

    @property
    def referenced(self) -> str | None:
        """The resource."""
        return self.resource

    def never(self, value: Any) -> bool:
        """An id is text, and never empty."""
        return not isinstance(value, str) or not value


@dataclass(frozen=True, slots=True)
class Attribute(Leaf):
    """``get_attr`` before any path into the value."""

    resource: str
    attribute: str

    def resolve(self, scope: Scope) -> Any:
        """The attribute's value."""
        return scope.attribute(self.resource, self.attribute)


@dataclass(frozen=True, slots=True)
class AllAttributes(Leaf):
    """``get_attr`` of a resource alone: the map of all its attributes."""

    resource: str

    def resolve(self, scope: Scope) -> Any:
        """The map."""
        return scope.attributes(self.resource)


@dataclass(frozen=True, slots=True)
class After(Leaf):
    """A dependency without a value: what is read of a group or nested template waits for all of it."""

    resource: str

    def resolve(self, scope: Scope) -> Any:
        """Nothing."""
        return None


class Through(Dynamic):
    """A value that was read through a group or a nested template, and so waits for it."""

    __slots__ = ("_after", "_value")

    def __init__(self, resource: str, value: Any) -> None:
        self._after = After(resource)
        self._value = value

    def resolve(self, scope: Scope) -> Any:
        """The value."""
        return resolve(self._value, scope)

    def leaves(self) -> Iterator[Leaf]:
        """The group or nested template, and what the value refers to."""
        yield self._after
        yield from leaves(self._value)

    def parts(self) -> tuple[Any, ...]:
        """The value."""
        return (self._value,)

    @property
    def referenced(self) -> str | None:
        """The resource whose id the value is."""
        return self._value.referenced if isinstance(self._value, Dynamic) else None

    def never(self, value: Any) -> bool:
        """As the value."""
        return never(self._value, value)


class Choice(Dynamic):
    """One of two values, by a condition that depends on resources."""

    __slots__ = ("_condition", "_no", "_yes")

    def __init__(self, condition: Dynamic, yes: Any, no: Any) -> None:
        self._condition = condition
        self._yes = yes
        self._no = no

    def resolve(self, scope: Scope) -> Any:
        """The chosen value; ``UNKNOWN`` while the condition is."""
        chosen = self._condition.resolve(scope)
        return UNKNOWN if chosen is UNKNOWN else resolve(self._yes if chosen else self._no, scope)

    def leaves(self) -> Iterator[Leaf]:
        """The references in the condition and in both values."""
        yield from self._condition.leaves()
        yield from leaves(self._yes)
        yield from leaves(self._no)

    def parts(self) -> tuple[Any, ...]:
        """The condition and both values."""
        return self._condition, self._yes, self._no

    def never(self, value: Any) -> bool:
        """As both values."""
        return never(self._yes, value) and never(self._no, value)


def never(compiled: Any, value: Any) -> bool:
    """Whether compiled data is certain not to become this value, which is plain."""
    return certainly_equal(compiled, value) is False


def certainly_equal(one: Any, other: Any) -> bool | None:
    """Whether two compiled values are equal whatever the resources give; None when that depends on them."""
    if isinstance(one, Dynamic) or isinstance(other, Dynamic):
        if one == other:
            return True
        for left, right in ((one, other), (other, one)):
            if isinstance(left, Dynamic) and not is_dynamic(right) and left.never(right):
                return False
        return None
    if isinstance(one, dict) and isinstance(other, dict):
        same_keys = one.keys() == other.keys()
        return _all_equal((one[key], other[key]) for key in one) if same_keys else False
    if isinstance(one, list) and isinstance(other, list):
        return _all_equal(zip(one, other, strict=True)) if len(one) == len(other) else False
    return bool(one == other)


def _all_equal(pairs: Iterable[tuple[Any, Any]]) -> bool | None:
    found = {certainly_equal(one, other) for one, other in pairs}
    return False if False in found else None if None in found else True


def resolve(value: Any, scope: Scope) -> Any:
    """Compiled data with each dynamic part replaced by its value; entries that are ``OMITTED`` are dropped."""
    if isinstance(value, Dynamic):
        return value.resolve(scope)
    if isinstance(value, dict):
        resolved = {}
        for key, part in value.items():
            item = part if type(part) in ATOMS else resolve(part, scope)
            if item is not OMITTED:
                resolved[key] = item
        return resolved
    if isinstance(value, list):
        items = [part if type(part) in ATOMS else resolve(part, scope) for part in value]
        return [item for item in items if item is not OMITTED]
    return value


def is_dynamic(value: Any) -> bool:
    """Whether any part of compiled data depends on a resource."""
    if isinstance(value, Dynamic):
        return True
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:  # noqa: SIM110 - a generator takes twice as long
        if type(part) not in ATOMS and is_dynamic(part):
            return True
    return False


def settled(value: Any) -> Any:
    """Compiled data with the dynamic parts resolved when none of them depends on a resource, else as it is.

    Such parts are failures, which raise their ``TranslationError`` here, and stand-ins for parameters without a value.
    """
    if not is_dynamic(value) or any(True for _ in leaves(value)):
        return value
    return resolve(value, Guesses())


class Nowhere:
    """The scope in which nothing is known of any resource."""

    def reference(self, name: str) -> Any:
        """Nothing."""
        return UNKNOWN

    def attribute(self, name: str, attribute: str) -> Any:
        """Nothing."""
        return UNKNOWN

    def attributes(self, name: str) -> Any:
        """Nothing."""
        return UNKNOWN


class Guesses(Nowhere):
    """The same, in which a stand-in for a parameter without a value gives a sample: something must be decided."""


NOWHERE: Final = Nowhere()


def has_unknown(value: Any) -> bool:
    """Whether any part of resolved data is not known yet."""
    if value is UNKNOWN:
        return True
    if isinstance(value, dict):
        parts: Iterable[Any] = value.values()
    elif isinstance(value, list):
        parts = value
    elif value is None or isinstance(value, (str, int, float)):
        return False
    elif isinstance(value, tuple):
        parts = value
    elif isinstance(value, Mapping):
        parts = value.values()
    else:
        return False
    for part in parts:  # noqa: SIM110 - a generator takes twice as long
        if type(part) not in ATOMS and has_unknown(part):
            return True
    return False


def dynamic_parts(value: Any) -> list[Dynamic]:
    """The outermost dynamic parts of compiled data, in its order."""
    found: list[Dynamic] = []
    _add_dynamic_parts(value, found)
    return found


def _add_dynamic_parts(value: Any, found: list[Dynamic]) -> None:
    if isinstance(value, dict):
        parts: Iterable[Any] = value.values()
    elif isinstance(value, list):
        parts = value
    else:
        if isinstance(value, Dynamic):
            found.append(value)
        return
    for part in parts:
        if isinstance(part, Dynamic):
            found.append(part)
        elif type(part) not in ATOMS:
            _add_dynamic_parts(part, found)


def leaves(value: Any) -> Iterator[Leaf]:
    """Each reference to a resource in compiled data."""
    for part in dynamic_parts(value):
        yield from part.leaves()
