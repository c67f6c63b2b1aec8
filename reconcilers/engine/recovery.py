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
from reconcilers.model import Gone, Ready, Recorded, Request, Send
from reconcilers.resource_type import ResourceType

log = logging.getLogger(__name__)

PATIENCE: Final = (2.0,)
"""Seconds before each further look for something whose creation was begun by somebody else.

A list may lag behind, and a request that nobody waits for any more may still be carried out.
"""
LONG_PATIENCE: Final = (2.0, 4.0)
"""The same before its record is dropped: what appears later would be nobody's."""
SERIALS: Final = 256
"""How many resources of one logical name are looked for when no record tells how many there have been."""
SERIALS_BY_CALL: Final = 8
"""The same where each needs a call of its own, or its type has to compare."""


async def find(
    context: ReconcileContext, rtype: ResourceType, recorded: Recorded, patience: Sequence[float]
) -> list[Any]:
    """What carries the record's token, oldest first. Raises CloudError."""
    request = rtype.find(recorded)
    if request is None:
        return []
    for seconds in (*patience, None):
        items = await context.cloud.list(request, rtype.plural, context.caller)
        ours = [item for item in items if rtype.owned(item, recorded)]
        if ours or seconds is None:
            return sorted(ours, key=lambda item: str(item.get("created_at") or item.get("created") or ""))
        await context.control.pause(seconds)
    return []


async def remove_twins(
    context: ReconcileContext, rtype: ResourceType, recorded: Recorded, twins: Sequence[Any]
) -> bool:
    """Ask for the deletion of what was made twice; whether all of it is gone or going for certain. Raises CloudError.

    One that cannot be deleted yet (a volume that is being made) is left to the next look.
    """
    removed = True
    for surplus in twins:
        twin = replace(recorded, physical_id=next(iter(rtype.identify(surplus))))
        outcome = rtype.step(None, twin, surplus)
        removed = removed and isinstance(outcome, Gone | Ready | Send)
        if isinstance(outcome, Send):
            log.warning("resources.%s: %s was made besides what is recorded: removing it", twin.name, twin.physical_id)
            await context.send(outcome.request)
            removed = removed and outcome.deletes
    return removed


async def lost_serials(context: ReconcileContext, rtype: ResourceType, blank: Recorded) -> list[int]:
    """The serial numbers of the resources of a name that has no record, but may have had one; ascending.

    ``blank`` is the record that would be made. Raises CloudError.
    """
    request = rtype.find(blank)
    if request is None or not rtype.service or rtype.identity(blank) is not None:
        return []
    tokens = {serial: identifiers.token(context.policy.stack_uid, blank.name, serial) for serial in range(SERIALS)}
    drafts = [replace(blank, token=tokens[serial], serial=serial) for serial in range(SERIALS_BY_CALL)]
    if rtype.find(drafts[-1]) == request:
        # One list shows all of them.
        items = await _items(context, rtype, request)
        carried = {rtype.token_of(item) for item in items}
        if carried != {None}:
            return [serial for serial, token in tokens.items() if token in carried]
        return [draft.serial for draft in drafts if any(rtype.owned(item, draft) for item in items)]
    found = []
    for draft in drafts:
        wanted = rtype.find(draft)
        items = await context.cloud.list(wanted, rtype.plural, context.caller) if wanted else []
        if any(rtype.owned(item, draft) for item in items):
            found.append(draft.serial)
    return found


async def _items(context: ReconcileContext, rtype: ResourceType, request: Request) -> Sequence[Mapping[str, Any]]:
    """The answer to the request; where it is the bulk list of the kind, one list serves all that ask."""
    listing = (request.path, dict(request.params)) == (rtype.listing, dict(rtype.list_params))
    if listing and request.microversion == rtype.microversion:
        return (await context.observer.snapshot(rtype, since=context.started)).items
    return await context.cloud.list(request, rtype.plural, context.caller)


async def shows(context: ReconcileContext, rtype: ResourceType, recorded: Recorded) -> bool:
    """Whether something stands under an id that is known beforehand. Raises CloudError."""
    physical_id = rtype.identity(recorded)
    if physical_id is None or not rtype.listing:
        return physical_id is not None
    return (await context.observer.snapshot(rtype, since=context.started)).find(rtype, physical_id) is not None
