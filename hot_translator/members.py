"""The members of groups: their names, their definitions, and the batches in which they change. Pure arithmetic."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hot_translator.budget import remaining
from hot_translator.expression import Dynamic, Leaf, Reference, Scope, leaves, resolve
from hot_translator.sizes import CONTAINER, ITEM

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"


def short_id(*parts: str) -> str:
    """Twelve letters and digits, as Heat's short ids look, always the same for the same parts."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return "".join(_ALPHABET[byte % 32] for byte in digest[:12])


def nested_stack(name: str, identity: str, local_name: str) -> tuple[str, str]:
    """Name and id of the stack that Heat would make for a group or nested template, in the stack of this name and id.

    Such a name begins the names of all that is in there.
    """
    inner = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{identity}/{local_name}"))
    return f"{name}-{local_name}-{short_id(identity, local_name)}", inner


def indexed_names(count: int, skipped: Collection[str]) -> list[str]:
    """The names of a ResourceGroup's members: the first ``count`` numbers that are not skipped."""
    numbers = map(str, itertools.count())
    return list(itertools.islice((name for name in numbers if name not in skipped), count))


def removed_names(
    policies: Iterable[Any], mode: str, removed: frozenset[str], members: Mapping[str, Any] | None
) -> frozenset[str]:
    """The names that a ResourceGroup never uses again (Heat's skip list).

    ``policies`` are its removal_policies, ``removed`` the names so far, and ``members`` the reference ids of those that
    exist by their names, None before the group was made. Mode "update" forgets the names so far.
    """
    wanted: set[str] = set()
    for policy in policies:
        for entry in (policy.get("resource_list") or []) if isinstance(policy, Mapping) else []:
            name = str(entry)
            if name in removed or members is None or name in members:
                wanted.add(name)
            elif isinstance(entry, str):
                wanted.update(itertools.islice((one for one, ref in members.items() if ref == entry), 1))
    return frozenset(wanted if mode == "update" else wanted | removed)


@dataclass(frozen=True, slots=True)
class GroupState:
    """What is known of a group before it is translated.

    ``members`` are those that exist, oldest first: their local names with what refers to them (empty where that is not
    known). ``removed`` are names that removal policies took away and that are never used again. ``desired_size`` is the
    size that scaling chose; None: the template's.
    """

    members: Mapping[str, str] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    desired_size: int | None = None


@dataclass(frozen=True, slots=True)
class GroupResult:
    """A group as it was translated.

    ``type`` is its type, ``members`` are the local names of its members in order, ``removed`` is to be kept for the
    next translation (:class:`GroupState`), ``update_policy`` is the group's section, compiled.
    """

    type: str
    members: tuple[str, ...]
    removed: frozenset[str] = frozenset()
    update_policy: Mapping[str, Any] = field(default_factory=dict)


def scaled_names(group: str, size: int, existing: Sequence[str]) -> list[str]:
    """The names of an AutoScalingGroup's members: those that exist, oldest first, and new ones to fill up.

    Shrinking drops the oldest. A new name is short, random to look at, and the same when asked again.
    """
    kept = list(existing[max(len(existing) - size, 0) :]) if size else []
    known = set(existing)
    serial = itertools.count()
    while len(kept) < size:
        name = short_id(group, str(next(serial)))
        if name not in known:
            kept.append(name)
            known.add(name)
    return kept


def scaled_size(minimum: int, maximum: int, desired: int | None, current: int | None) -> int:
    """An AutoScalingGroup's size: desired_capacity if given, else what it has (or the minimum), within its limits."""
    size = desired if desired is not None else current if current is not None else minimum
    return max(minimum, min(size, maximum))


def batches(target: int, current: int, batch_size: int, min_in_service: int) -> Iterator[tuple[int, int]]:
    """Heat's rolling update: for each batch the capacity during it, and how many members it may change or add.

    The capacity may exceed the target for a while, so that ``min_in_service`` members stay in service.
    """
    updated = 0
    while not updated >= current == target:
        capacity, changes = next_batch(target, current, updated, batch_size, min_in_service)
        yield capacity, changes
        updated += changes - max(capacity - max(current, target), 0)
        current = capacity


def next_batch(target: int, current: int, updated: int, batch_size: int, min_in_service: int) -> tuple[int, int]:
    """The capacity during the next batch, and how many members it may change or add."""
    floor = min(min_in_service, target, current)
    changes = min(max(batch_size, 1), max(target - updated, 0))
    return changes + max(min(current, target - changes), floor), changes


class Indexed(Dynamic):
    """A value that depends on resources, in which the index variable still has to be replaced."""

    __slots__ = ("_name", "_value", "_variable")

    def __init__(self, value: Dynamic, variable: str, name: str) -> None:
        self._value = value
        self._variable = variable
        self._name = name

    def resolve(self, scope: Scope) -> Any:
        """The value with the member's name in it."""
        return with_index(self._value.resolve(scope), self._variable, self._name)

    def leaves(self) -> Iterator[Leaf]:
        """The references in the value."""
        return leaves(self._value)

    def parts(self) -> tuple[Any, ...]:
        """The value."""
        return (self._value,)

    @property
    def referenced(self) -> str | None:
        """The resource whose id the value is."""
        return self._value.referenced

    def never(self, value: Any) -> bool:
        """As the value, where that is an id: no index is replaced in those."""
        return self.referenced is not None and self._value.never(value)


def with_index(value: Any, variable: str, name: str) -> Any:
    """A member's properties: the index variable is replaced in every text, keys excepted.

    Raises ``BudgetExceeded``: a large text that names its index is made once for each member.
    """
    if isinstance(value, str):
        if variable in value:
            value = value.replace(variable, name)
            remaining().spend(len(value))
        return value
    if isinstance(value, dict | list):
        remaining().spend(CONTAINER + ITEM * len(value))
    if isinstance(value, dict):
        return {key: with_index(item, variable, name) for key, item in value.items()}
    if isinstance(value, list):
        return [with_index(item, variable, name) for item in value]
    if isinstance(value, Dynamic) and not isinstance(value, Reference):
        return Indexed(value, variable, name)
    return value


def without_nulls(properties: Any) -> Any:
    """A member's properties without those that are null, as Heat's groups drop them."""
    if isinstance(properties, dict):
        return {key: value for key, value in properties.items() if value is not None}
    return properties


class WithoutNulls(Dynamic):
    """The same for properties that are one dynamic value."""

    __slots__ = ("_value",)

    def __init__(self, value: Dynamic) -> None:
        self._value = value

    def resolve(self, scope: Scope) -> Any:
        """The properties that are not null."""
        return without_nulls(resolve(self._value, scope))

    def leaves(self) -> Iterator[Leaf]:
        """The references in them."""
        return leaves(self._value)

    def parts(self) -> tuple[Any, ...]:
        """The properties."""
        return (self._value,)
