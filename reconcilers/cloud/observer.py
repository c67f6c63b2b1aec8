"""Observes a project with one bulk list for each kind, which all callers share.

The same list serves those who wait for a server and those who check for drift. So the number of calls grows with the
number of kinds, not of resources.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconcilers.cloud.calls import ANYBODY, Caller
from reconcilers.cloud.channel import Channel
from reconcilers.cloud.faults import expected_form
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Recorded
from reconcilers.resource_type import ResourceType

FIRST_LOOK = 0.7
"""Seconds until the first look at a resource in progress, and between looks while resources keep completing."""
SLOWEST_LOOK = 3.0
"""Most seconds between looks."""
GROWTH = 1.25
STEADY = 3.0
"""Seconds for which something has to look the same before what is below it counts as unchanged while it does: services
give times in whole seconds.
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One bulk list: when it was asked for (loop time, seconds), and its items."""

    asked_at: float
    items: tuple[Mapping[str, Any], ...]
    _indexes: dict[type, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    def find(self, rtype: ResourceType, physical_id: str) -> Mapping[str, Any] | None:
        """The item that this id of this type stands for; types that share a list read it each in their way.

        Raises :class:`CloudError` where an item has a form in which the type finds no id.
        """
        index = self._indexes.get(type(rtype))
        if index is None:
            with expected_form(rtype.service):
                index = {identity: item for item in self.items for identity in rtype.identify(item)}
            self._indexes[type(rtype)] = index
        return index.get(physical_id)


@dataclass(slots=True)
class _Kind:
    """The state of one list: the newest snapshot, the fetch in progress, and the next tick of all who wait."""

    latest: Snapshot | None = None
    fetching: asyncio.Task[Snapshot] | None = None
    tick: asyncio.Future[None] | None = None
    waiting: int = 0
    waited: int = 0
    """Number of waiting resources at the last tick."""
    left_at: float = 0.0
    """When the last one that waited had its look (loop time): those who come back at once still wait for the same."""
    idle: int = -1
    """Number of looks in a row in which no resource completed."""
    below: dict[str, "_Below"] = field(default_factory=dict)
    """What is below each of those that a list is of, by their ids."""


@dataclass(frozen=True, slots=True)
class _Below:
    """The items below ``item``, which has looked like that since ``since`` (loop time); read at ``read_at``."""

    item: Mapping[str, Any]
    since: float
    read_at: float
    items: Sequence[Mapping[str, Any]]


class Observer:
    """Serves reads through one channel: of one :class:`~reconcilers.cloud.session.Cloud`, or of something else."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._kinds: dict[tuple[Any, ...], _Kind] = {}

    async def snapshot(self, rtype: ResourceType, *, since: float, caller: Caller = ANYBODY) -> Snapshot:
        """A bulk list that was asked for at ``since`` (loop time) or later. Raises :class:`CloudError`.

        All that wait for one list hear what came of it, at the same time; a caller that has had enough leaves it to
        the others.
        """
        kind = self._kind(rtype)
        while kind.latest is None or kind.latest.asked_at < since:
            if kind.fetching is None or kind.fetching.done():
                kind.fetching = asyncio.create_task(self._fetch(kind, rtype, since))
            await caller.wait(kind.fetching)
        return kind.latest

    async def read(self, rtype: ResourceType, recorded: Recorded, caller: Caller = ANYBODY) -> Any:
        """The decisive read of one resource.

        Its newest state, or None if it does not exist. Raises :class:`CloudError`.
        """
        try:
            answer = await self._channel.send(rtype.read(recorded), caller)
        except CloudError as error:
            if error.status == 404:
                return None
            raise
        if not isinstance(answer.body, Mapping) and answer.status != 404:
            # It must not be taken for the news that the resource is gone.
            raise CloudError(Fault.TRANSIENT, f"{rtype.service}: the answer is no JSON object")
        with expected_form(rtype.service):
            return rtype.extract(answer.body, recorded)

    async def next_look(
        self, rtype: ResourceType, recorded: Recorded, *, leaving: bool = False, caller: Caller = ANYBODY
    ) -> Any:
        """Wait for the kind's next tick and look: the resource's state then, or None. One list serves all that wait.

        What a list does not show is read by itself before it counts as gone, unless its deletion was asked for
        (``leaving``).
        """
        if not rtype.listing:
            await caller.sleep(FIRST_LOOK)
            return await self.read(rtype, recorded, caller)
        kind = self._kind(rtype)
        if not kind.waiting and (kind.waited <= 1 or _now() - kind.left_at > FIRST_LOOK):
            kind.idle, kind.waited = -1, 0
        kind.waiting += 1
        try:
            await self._tick(kind, caller)
            if kind.waiting == 1:
                return await self.read(rtype, recorded, caller)
            snapshot = await self.snapshot(rtype, since=_now() - FIRST_LOOK / 2, caller=caller)
        finally:
            kind.waiting -= 1
            if not kind.waiting:
                kind.left_at = _now()
        found = snapshot.find(rtype, recorded.physical_id or "")
        return found if found is not None or leaving else await self.read(rtype, recorded, caller)

    async def _tick(self, kind: _Kind, caller: Caller) -> None:
        if kind.tick is None or kind.tick.done():
            loop = asyncio.get_running_loop()
            kind.tick = loop.create_future()
            loop.call_later(FIRST_LOOK, _due, kind)
        await caller.wait(kind.tick)

    async def _fetch(self, kind: _Kind, rtype: ResourceType, since: float) -> Snapshot:
        asked_at = _now()
        if rtype.listed_below is None:
            items = await self._list(rtype, rtype.listing)
        else:
            above = await self.snapshot(rtype.listed_below, since=since)
            items = await self._below(kind, rtype, [item for item in above.items if item.get(rtype.plural)])
        kind.latest = Snapshot(asked_at, tuple(items))
        return kind.latest

    async def _below(
        self, kind: _Kind, rtype: ResourceType, above: Iterable[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Any]]:
        """The items below each. Those below one that has not changed are not read again: a pool shows when it, or
        something below it, was changed last.
        """
        now = _now()

        async def below(item: Mapping[str, Any]) -> _Below:
            held = kind.below.get(str(item["id"]))
            same = held is not None and held.item == item
            since = held.since if held is not None and same else now
            if held is not None and same and held.read_at - since > STEADY:
                return held
            items = await self._list(rtype, rtype.listing.format(id=item["id"]))
            return _Below(item, since, now, items)

        found = await asyncio.gather(*(below(item) for item in above))
        kind.below = {str(one.item["id"]): one for one in found}
        return [item for one in found for item in one.items]

    async def _list(self, rtype: ResourceType, path: str) -> Sequence[Mapping[str, Any]]:
        return await self._channel.list(rtype.request("GET", path, params=rtype.list_params), rtype.plural)

    def _kind(self, rtype: ResourceType) -> _Kind:
        return self._kinds.setdefault(rtype.list_key, _Kind())


def _due(kind: _Kind) -> None:
    """Look now if a resource completed at the last look, because others may soon. Else a little later each time."""
    kind.idle = 0 if kind.waiting < kind.waited else kind.idle + 1
    patience = min(FIRST_LOOK * GROWTH**kind.idle, SLOWEST_LOOK) - FIRST_LOOK
    asyncio.get_running_loop().call_later(patience, _ring, kind)


def _ring(kind: _Kind) -> None:
    kind.waited = kind.waiting
    if kind.tick is not None and not kind.tick.done():
        kind.tick.set_result(None)


def _now() -> float:
    return asyncio.get_running_loop().time()
