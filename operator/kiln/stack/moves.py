"""Renames of resources in the template (``spec.moves``). Pure: records in, renamed records out.

A renamed resource keeps its record, its token and its name in OpenStack, so a move costs no call. The direction follows
from the template: a rollback to a template with the old names takes the records back.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kiln.api.v1alpha1 import Reason
from kiln.stack.inputs import InputsError
from reconcilers.model import Recorded


@dataclass(frozen=True, slots=True)
class Move:
    """A resource, group or nested template at ``source``, with all below it, that is now at ``target``."""

    path: str
    source: str
    target: str

    def reversed(self) -> "Move":
        """The move back."""
        return replace(self, source=self.target, target=self.source)

    def renamed(self, name: str) -> str:
        """The name after the move."""
        if name == self.source:
            return self.target
        return self.target + name[len(self.source) :] if name.startswith(f"{self.source}/") else name


def parse(spec: Mapping[str, Any]) -> tuple[Move, ...]:
    """The moves of a Stack's spec. Of a chain (a to b, b to c) each leads to the last name."""
    given = [
        Move(f"spec.moves[{index}]", str(one["from"]), str(one["to"]))
        for index, one in enumerate(spec.get("moves") or ())
    ]
    found = []
    for index, move in enumerate(given):
        target = move.target
        for later in given[index + 1 :]:
            target = later.renamed(target)
        if target == move.source:
            raise InputsError(Reason.INVALID_SPEC, move.path, f"the moves lead from {move.source} back to it")
        found.append(replace(move, target=target))
    return tuple(found)


def both_ways(records: Sequence[Recorded], moves: Sequence[Move]) -> list[Recorded]:
    """The records under all names that they may have. Groups find their members whichever way the moves go."""
    views = [*records]
    for direction in (moves, [move.reversed() for move in moves]):
        views += [moved for one in records if (moved := _moved(one, direction)) is not one]
    return views


def towards(
    records: Sequence[Recorded], moves: Sequence[Move], names: Collection[str], *, strict: bool = True
) -> list[Recorded]:
    """The records under the names that a template has.

    ``names`` are those of its resources and groups. A name that no record has was moved already. Raises InputsError
    with ``strict`` if the template or the records have both names; otherwise such moves are left out.
    """
    for move in moves:
        old, new = _defines(names, move.source), _defines(names, move.target)
        if old and new:
            if strict and any(_below(one.name, move.source) for one in records):
                reason = f"the template has both {move.source} and {move.target}: rename the one, or remove the move"
                raise InputsError(Reason.INVALID_SPEC, move.path, reason)
            continue
        if new or old:
            records = _step(records, move if new else move.reversed(), strict=strict)
    return list(records)


def _step(records: Sequence[Recorded], move: Move, *, strict: bool) -> Sequence[Recorded]:
    moved = [_moved(one, [move]) for one in records]
    changed = {new.name: old.first_name for old, new in zip(records, moved, strict=True) if new.name != old.name}
    taken = next((one for one in records if one.name in changed and one.first_name != changed[one.name]), None)
    if taken is None:
        return moved
    if not strict:
        return records
    reason = f"both {move.source} and {move.target} exist ({taken.name}): delete one, or remove the move"
    raise InputsError(Reason.INVALID_SPEC, move.path, reason)


def changed(before: Iterable[Recorded], after: Iterable[Recorded]) -> list[Recorded]:
    """The records of ``after`` whose name differs from the one they have in ``before``."""
    names = {one.key: one.name for one in before}
    return [one for one in after if names.get(one.key) != one.name]


def _moved(recorded: Recorded, moves: Sequence[Move]) -> Recorded:
    name = recorded.name
    for move in moves:
        name = move.renamed(name)
    requires = frozenset(_renamed(one, moves) for one in recorded.requires)
    if name == recorded.name:
        return recorded if requires == recorded.requires else replace(recorded, requires=requires)
    origin = recorded.first_name
    return replace(recorded, name=name, origin="" if name == origin else origin, requires=requires)


def _renamed(name: str, moves: Sequence[Move]) -> str:
    for move in moves:
        name = move.renamed(name)
    return name


def _below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}/")


def _defines(names: Iterable[str], prefix: str) -> bool:
    return any(_below(name, prefix) for name in names)
