"""Finds resources that were, or may have been, created when their records are lost or incomplete.

The answer to a create request was lost, the process ended before it recorded the id, or somebody removed a record by
force: in each case the ownership token in the cloud shows which resources are ours.
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
"""Seconds before each further look for a resource whose creation another process started.

A list may lag behind, and an abandoned request may still be carried out.
"""
LONG_PATIENCE: Final = (2.0, 4.0)
"""The same before its record is dropped: a resource that appears later would have no owner."""
SERIALS: Final = 256
"""Serial numbers of one logical name that are checked if there is no record."""
SERIALS_BY_CALL: Final = 8
"""The same if each costs a call, or its type has to compare."""


async def find(
    context: ReconcileContext, rtype: ResourceType, recorded: Recorded, patience: Sequence[float]
) -> list[Any]:
    """The resources that carry the record's token, oldest first. Raises CloudError."""
    request = rtype.find(recorded)
    if request is None:
        return []
    for seconds in (*patience, None):
        items = await context.list(request, rtype.plural)
        ours = [item for item in items if rtype.owned(item, recorded)]
        if ours or seconds is None:
            return sorted(ours, key=lambda item: str(item.get("created_at") or item.get("created") or ""))
        await context.control.pause(seconds)
    return []


async def remove_twins(
    context: ReconcileContext, rtype: ResourceType, recorded: Recorded, twins: Sequence[Any]
) -> bool:
    """Delete duplicates. Returns whether all of them are certainly gone or being deleted. Raises CloudError.

    A duplicate that cannot be deleted yet (a volume that is being created) is left to the next look.
    """
    removed = True
    for surplus in twins:
        twin = replace(recorded, physical_id=next(iter(rtype.identify(surplus))))
        outcome = rtype.step(None, twin, surplus)
        removed = removed and isinstance(outcome, Gone | Ready | Send)
        if isinstance(outcome, Send):
            log.warning("resources.%s: removing the duplicate %s", twin.name, twin.physical_id)
            await context.send(outcome.request)
            removed = removed and outcome.deletes
    return removed


async def lost_serials(context: ReconcileContext, rtype: ResourceType, blank: Recorded) -> list[int]:
    """The ascending serial numbers of the resources of a name that has no record, but may have had one.

    ``blank`` is the record that would be created. Raises CloudError.
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
        items = await context.list(wanted, rtype.plural) if wanted else []
        if any(rtype.owned(item, draft) for item in items):
            found.append(draft.serial)
    return found


async def _items(context: ReconcileContext, rtype: ResourceType, request: Request) -> Sequence[Mapping[str, Any]]:
    """The items of a list. If it is the bulk list of the kind, all callers share it."""
    listing = (request.path, dict(request.params)) == (rtype.listing, dict(rtype.list_params))
    if listing and request.microversion == rtype.microversion:
        return (await context.observer_of(rtype).snapshot(rtype, since=context.started)).items
    return await context.list(request, rtype.plural)


async def shows(context: ReconcileContext, rtype: ResourceType, recorded: Recorded) -> bool:
    """Whether a resource exists under an id that is known beforehand. Raises CloudError."""
    physical_id = rtype.identity(recorded)
    if physical_id is None or not rtype.listing:
        return physical_id is not None
    snapshot = await context.observer_of(rtype).snapshot(rtype, since=context.started)
    return snapshot.find(rtype, physical_id) is not None
