"""Batches in which the members of groups are created and changed, as barriers between them. Pure.

A group is converged by the same engine as all else. Its members only have more to wait for: those of a batch for a
barrier, and the barrier for the members of the batch before and for a pause. So a batch that fails holds up the next
ones, and a reconciliation that is interrupted goes on with what is not as desired yet.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Final

from hot_translator.members import Batching, GroupResult

MARK: Final = "\0"
"""Begins the key of a barrier: no resource has such a name."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """What is between two batches: the next one begins ``pause`` seconds after these resources are ready."""

    after: frozenset[str]
    pause: float


@dataclass(slots=True)
class Barriers:
    """All barriers by their keys, and for resources the keys of those that they wait for."""

    between: dict[str, Barrier] = field(default_factory=dict)
    before: dict[str, set[str]] = field(default_factory=dict)

    def added_to(self, requires: Mapping[str, Set[str]]) -> dict[str, Set[str]]:
        """The requirements with the barriers among them; without them if they closed a circle."""
        if not self.between:
            return dict(requires)
        found: dict[str, Set[str]] = {name: needs | self.before.get(name, set()) for name, needs in requires.items()}
        found |= {key: barrier.after for key, barrier in self.between.items()}
        try:
            TopologicalSorter(found).prepare()
        except CycleError:
            self.between, self.before = {}, {}
            return dict(requires)
        return found


def arranged(groups: Mapping[str, GroupResult], waiting: Iterable[str], deployed: Set[str]) -> Barriers:
    """Barriers for the resources that wait to be created or changed.

    ``deployed`` are the resources of the revision that was reached last: a group without any of them is being created.
    Where no member of them waits, members are only added, which takes no batches (as in Heat).
    """
    found = Barriers()
    members = _by_member({name: group for name, group in groups.items() if group.creation or group.update}, waiting)
    for name, parts in members.items():
        group = groups[name]
        before = {one for one in deployed if one.startswith(f"{name}/")}
        changes = any(part in before for those in parts.values() for part in those)
        batching = group.update if changes else None if before else group.creation
        if batching is not None:
            order = [parts[member] for member in group.members if member in parts]
            _put_between(found, name, order, batching, len(group.members))
    return found


def _put_between(found: Barriers, group: str, order: list[set[str]], batching: Batching, total: int) -> None:
    size = batching.at_once(total)
    batches = [frozenset[str]().union(*order[start : start + size]) for start in range(0, len(order), size)]
    for number, batch in enumerate(batches[1:], start=1):
        key = f"{MARK}{group} {number}"
        found.between[key] = Barrier(batches[number - 1], batching.pause)
        for name in batch:
            found.before.setdefault(name, set()).add(key)


def _by_member(groups: Mapping[str, GroupResult], waiting: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """The waiting resources of each group by the member that they belong to."""
    found: dict[str, dict[str, set[str]]] = {}
    for name in waiting if groups else ():
        steps = name.split("/")
        for depth in range(1, len(steps)):
            group = "/".join(steps[:depth])
            if group in groups:
                found.setdefault(group, {}).setdefault(steps[depth], set()).add(name)
    return found
