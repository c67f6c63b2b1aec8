"""What goes along with something else: a subnet with its network, all that is below a load balancer with it.

Such a resource costs no deletion of its own. Its record goes after that of what takes it along, which has to wait for
all that must go before either of them. Where that would close a circle (a server that knows the load balancer's
address, and is a member of its pool) the resource is deleted by itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from typing import Final

from reconcilers import registry
from reconcilers.engine.graph import without_circles
from reconcilers.model import Recorded

Before = Mapping[str, Set[str]]
"""What must be gone before a record's resource goes, all of them by their keys."""

_NONE: Final[frozenset[str]] = frozenset()


def deletion_order(going: Mapping[str, Recorded]) -> tuple[dict[str, str], dict[str, Set[str]]]:
    """For records by key: those that are deleted along with another one, and what must be gone before each.

    Of circles among what they require one requirement is dropped.
    """
    by_name: dict[str, set[str]] = defaultdict(set)
    for recorded in going.values():
        by_name[recorded.name].add(recorded.key)
    before: dict[str, set[str]] = {key: set() for key in going}
    for recorded in going.values():
        for name in recorded.requires:
            for required in by_name.get(name, ()):
                before[required].add(recorded.key)
    open_ = without_circles(before)
    found = companions(going, open_)
    return found, rearranged(open_, found)


def companions(going: Mapping[str, Recorded], before: Before) -> dict[str, str]:
    """The records whose resources go with another one's, with the key of that one: the last in the line upwards."""
    above = _above(going, before)
    below: dict[str, list[str]] = {}
    for key, owner in above.items():
        below.setdefault(owner, []).append(key)
    folded = _Folded(before)
    waiting = sorted(below.keys() - above.keys())
    while waiting:
        owner = waiting.pop()
        for key in sorted(below.get(owner, ())):
            folded.fold(key, owner)
            waiting.append(key)
    return folded.root


class _Folded:
    """The order of deletion while one after another is folded into what takes it along.

    ``root`` has what was folded, each with the key that it goes with.
    """

    def __init__(self, before: Before) -> None:
        self.root: dict[str, str] = {}
        self._before = before
        self._after = _reversed(before)
        self._members: dict[str, Set[str]] = {}
        self._later: dict[str, Set[str]] = {}

    def fold(self, key: str, owner: str) -> None:
        """Let ``key`` go with ``owner``, unless all that goes together then would have to go before itself."""
        root = self.root.get(owner, owner)
        ours = self._together(root) | {key}
        later = (self._later.get(root, self._after.get(root, _NONE)) | self._after.get(key, _NONE)) - ours
        if later and self._any_before(later, ours):
            return
        self.root[key] = root
        self._members[root], self._later[root] = ours, later

    def _together(self, key: str) -> Set[str]:
        """All that goes together with ``key``."""
        return self._members.get(self.root.get(key, key)) or frozenset({key})

    def _any_before(self, later: Set[str], ours: Set[str]) -> bool:
        """Whether any of ``later`` must be gone before some of ``ours``, near or far."""
        seen, waiting = set(ours), list(ours)
        while waiting:
            for need in self._before.get(waiting.pop(), _NONE) - seen:
                together = self._together(need) - seen
                if together & later:
                    return True
                seen |= together
                waiting += together
        return False


def rearranged(before: Before, found: Mapping[str, str]) -> dict[str, Set[str]]:
    """The order of deletion, with companions after what takes them along."""
    changed: dict[str, Set[str]] = {}
    for key, needs in before.items():
        root = found.get(key, key)
        changed[root] = changed.get(root, _NONE) | needs
    for root in set(found.values()):
        changed[root] = {need for need in changed[root] if found.get(need) != root}
    return {**changed, **{key: {root} for key, root in found.items()}}


def _above(going: Mapping[str, Recorded], before: Before) -> dict[str, str]:
    """The one whose deletion takes each along, if both go and it depends on that one."""
    owners = {one.physical_id: one for one in going.values() if one.confirmed and not one.retain and not one.external}
    standing: dict[str, Set[str]] = {}
    found: dict[str, str] = {}
    for recorded in going.values():
        rtype = registry.find(recorded.type)
        if rtype is None or not rtype.dies_with or recorded.retain or recorded.external:
            continue
        owner = owners.get(recorded.data.get(rtype.dies_with))
        if owner is None:
            continue
        if owner.key not in standing:
            standing[owner.key] = _all_before([owner.key], before)
        if recorded.key in standing[owner.key]:
            found[recorded.key] = owner.key
    return found


def _reversed(before: Before) -> Mapping[str, Set[str]]:
    """What goes only after each has gone."""
    found: dict[str, set[str]] = {}
    for key, needs in before.items():
        for need in needs:
            found.setdefault(need, set()).add(key)
    return found


def _all_before(keys: Iterable[str], before: Before) -> Set[str]:
    """All that must be gone before these, near and far."""
    seen: set[str] = set()
    waiting = list(keys)
    while waiting:
        for need in before.get(waiting.pop(), _NONE) - seen:
            seen.add(need)
            waiting.append(need)
    return seen
