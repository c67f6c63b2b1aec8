"""Finding again what was made, or may have been made, when what was known of it is lost.

A creation whose answer never came, a process that ended between a request and the record of it, a record that somebody
removed by force: in each case the ownership token in the cloud tells what is ours.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from reconcilers import identifiers
from reconcilers.engine.context import ReconcileContext
from reconcilers.model import Recorded, Request, Send
from reconcilers.resource_type import ResourceType

log = logging.getLogger(__name__)

PATIENCE: Final = (2.0,)
"""Seconds before each further look for something whose creation was begun by somebody else.

A list may lag behind, and a request that nobody waits for any more may still be carried out.
"""
LONG_PATIENCE: Final = (2.0, 4.0)
"""The same before its record is dropped: what appears later would be nobody's."""
SERIALS: Final = 8
"""How many resources of one logical name are looked for when no record tells how many there have been."""


async def find(
    world: ReconcileContext, rtype: ResourceType, recorded: Recorded, patience: Sequence[float]
) -> list[Any]:
    """What carries the record's token, oldest first. Raises CloudError."""
    request = rtype.find(recorded)
    if request is None:
        return []
    for seconds in (*patience, None):
        items = await world.cloud.list(request, rtype.plural)
        ours = [item for item in items if rtype.owned(item, recorded)]
        if ours or seconds is None:
            return sorted(ours, key=lambda item: str(item.get("created_at") or item.get("created") or ""))
        await world.pause(seconds)
    return []


async def remove_twins(world: ReconcileContext, rtype: ResourceType, recorded: Recorded, twins: Sequence[Any]) -> None:
    """Ask for the deletion of what was made twice. Raises CloudError."""
    for surplus in twins:
        twin = replace(recorded, physical_id=next(iter(rtype.identify(surplus))))
        outcome = rtype.step(None, twin, surplus)
        if isinstance(outcome, Send):
            log.warning("resources.%s: %s was made besides what is recorded: removing it", twin.name, twin.physical_id)
            await world.cloud.send(outcome.request)


async def lost_serials(world: ReconcileContext, rtype: ResourceType, blank: Recorded) -> list[int]:
    """The serial numbers of the resources of a name that has no record, but may have had one; ascending.

    ``blank`` is the record that would be made. Raises CloudError.
    """
    if not rtype.service or rtype.identity(blank) is not None:
        return []
    found = []
    lists: dict[str, Sequence[Mapping[str, Any]]] = {}
    for serial in range(SERIALS):
        draft = replace(blank, token=identifiers.token(world.goal.stack_uid, blank.name, serial), serial=serial)
        request = rtype.find(draft)
        if request is None:
            return []
        key = repr(request)
        if key not in lists:
            lists[key] = await _items(world, rtype, request)
        if any(rtype.owned(item, draft) for item in lists[key]):
            found.append(serial)
    return found


async def _items(world: ReconcileContext, rtype: ResourceType, request: Request) -> Sequence[Mapping[str, Any]]:
    """The answer to the request; where it is the bulk list of the kind, one serves all that ask in this pass."""
    listing = (request.path, dict(request.params)) == (rtype.listing, dict(rtype.list_params))
    if listing and request.microversion == rtype.microversion:
        return (await world.observer.snapshot(rtype, since=world.started)).items
    return await world.cloud.list(request, rtype.plural)


async def shows(world: ReconcileContext, rtype: ResourceType, recorded: Recorded) -> bool:
    """Whether something stands under an id that is known beforehand. Raises CloudError."""
    physical_id = rtype.identity(recorded)
    if physical_id is None or not rtype.listing:
        return physical_id is not None
    return (await world.observer.snapshot(rtype, since=world.started)).find(rtype, physical_id) is not None
