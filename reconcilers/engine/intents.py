"""Intents: what is stored of a resource before its first request."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconcilers.engine import recovery, seals
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.driver import intended_name
from reconcilers.engine.restore import RESTORED
from reconcilers.engine.target import Target
from reconcilers.model import Intent, Recorded, Send


def draft(context: ReconcileContext, target: Target, properties: Mapping[str, Any], serial: int) -> Recorded:
    """The record of a new resource with this serial number, before it is stored."""
    token, physical_name = intended_name(context, target.name, serial, target.rtype)
    blank = Recorded("", target.name, target.definition.type, token, physical_name, serial=serial)
    return replace(blank, data=target.rtype.intent(target.desire_new(properties, blank)))


def of(
    context: ReconcileContext, target: Target, properties: Mapping[str, Any], serial: int, attempts: int = 0
) -> Intent:
    """The intent of the resource with this serial number."""
    blank, restore = draft(context, target, properties, serial), target.restore
    data = {**blank.data, **({RESTORED: restore.nonce} if restore is not None else {})}
    intent = Intent(
        name=blank.name,
        type=blank.type,
        serial=serial,
        token=blank.token,
        physical_name=blank.physical_name,
        requires=target.requires,
        data=data,
        digests=_carried(target, properties, replace(blank, data=data)),
        retain=target.retain,
        copied=target.copied,
        attempts=attempts,
    )
    return replace(intent, seal=seals.of(context.digester, intent))


def _carried(target: Target, properties: Mapping[str, Any], blank: Recorded) -> dict[str, str]:
    """Digests of the properties of the first request: a resource found after a lost answer has only these."""
    desired = target.desire_new(properties, blank)
    first = target.rtype.step(desired, replace(blank, physical_id=target.rtype.identity(blank)), None)
    names = first.applies if isinstance(first, Send) else frozenset()
    identified_digests = target.identified(properties, blank)
    found = {key: held for key, held in identified_digests.items() if key.removesuffix("@id") in names}
    return {**target.digests(blank).each(names), **found}


async def lost_serials(context: ReconcileContext, target: Target, properties: Mapping[str, Any]) -> list[int]:
    """The serial numbers of resources of this name that have no record."""
    policy, name = context.policy, target.name
    if name not in policy.known:
        return []
    blank = draft(context, target, properties, 0)
    if not target.rtype.service or target.rtype.identity(blank) is None:
        return await recovery.lost_serials(context, target.rtype, blank)
    if not target.rtype.carries_token and name not in policy.deployed:
        # An existing one is ours only if we created it earlier.
        return []
    return [0] if await recovery.shows(context, target.rtype, blank) else []
