"""The members of groups: their names, their definitions, and the batches in which they change."""

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
class Batching:
    """How many members are created or changed at once, how many stay as they are meanwhile, and the seconds between."""

    size: int
    in_service: int = 0
    pause: float = 0.0

    @classmethod
    def of(cls, policy: Any) -> Batching | None:
        """A policy of the template (``max_batch_size``, ``min_in_service``, ``pause_time``); None if there is none.

        Raises TypeError and ValueError for what the catalogue refuses.
        """
        if not isinstance(policy, Mapping) or not policy:
            return None
        return cls(
            int(policy.get("max_batch_size") or 1),
            int(policy.get("min_in_service") or 0),
            float(policy.get("pause_time") or 0),
        )

    def at_once(self, total: int) -> int:
        """The size of a batch in a group of this many members.

        Heat makes more members for a while where ``min_in_service`` leaves too few to change. Here the batch is
        smaller, down to one member.
        """
        return max(1, min(self.size, total - self.in_service))


@dataclass(frozen=True, slots=True)
class GroupResult:
    """A group as it was translated.

    ``type`` is its type, ``members`` are the local names of its members in order, ``removed`` is to be kept for the
    next translation (:class:`GroupState`). ``creation`` and ``update`` are the batches in which members are created and
    changed; None: all at once.
    """

    type: str
    members: tuple[str, ...]
    removed: frozenset[str] = frozenset()
    creation: Batching | None = None
    update: Batching | None = None


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
