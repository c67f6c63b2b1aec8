"""Reads of attributes that cost calls of their own: only of those that something refers to."""

from collections.abc import Mapping
from typing import Any

from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.target import Target
from reconcilers.model import Desired, Recorded


def needed(target: Target, desired: Desired, recorded: Recorded, observed: Any) -> bool:
    """Whether something refers to an attribute that costs a call."""
    used = target.definition.attributes_used
    return any(target.rtype.attribute_request(name, desired, recorded, observed) for name in used)


async def send(
    context: ReconcileContext, target: Target, desired: Desired, recorded: Recorded, observed: Any
) -> dict[str, Any]:
    """The attributes that are read by calls of their own. Raises CloudError."""
    found = {}
    for name in target.definition.attributes_used:
        requests = target.rtype.attribute_request(name, desired, recorded, observed)
        if requests is None or observed is None:
            continue
        if isinstance(requests, Mapping):
            body: Any = {key: (await context.send(request)).body for key, request in requests.items()}
        else:
            body = (await context.send(requests)).body
        found[name] = target.rtype.read_attribute(name, body, recorded, observed)
    return found
