"""Intents: what is stored of a resource before its first request."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from reconcilers.engine import recovery, seals
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.driver import intended_name
from reconcilers.engine.restore import RESTORED
from reconcilers.engine.target import Target
from reconcilers.model import Desired, Intent, Recorded, Send

_BLANK: Final = Recorded(key="", name="", type="", token="", physical_name="")


def of(
    context: ReconcileContext, target: Target, properties: Mapping[str, Any], serial: int, attempts: int = 0
) -> Intent:
    """The intent of the resource with this serial number."""
    name, kind = target.name, target.definition.type
    token, physical_name = intended_name(context, name, serial, target.rtype)
    blank = replace(_BLANK, name=name, type=kind, token=token, physical_name=physical_name, serial=serial)
    given = frozenset(key for key, value in properties.items() if value is not None)
    desired = target.desire(properties, given, blank)
    restore = target.restore
    data = {**target.rtype.intent(desired), **({RESTORED: restore.nonce} if restore is not None else {})}
    intent = Intent(
        name=name,
        type=kind,
        serial=serial,
        token=token,
        physical_name=physical_name,
        requires=target.requires,
        data=data,
        digests=_carried(target, desired, replace(blank, data=data)),
        retain=target.retain,
        copied=target.copied,
        attempts=attempts,
    )
    return replace(intent, seal=seals.of(context.digester, intent))


def _carried(target: Target, desired: Desired, draft: Recorded) -> dict[str, str]:
    """Digests of the properties of the first request: a resource found after a lost answer has only these."""
    first = target.rtype.step(desired, replace(draft, physical_id=target.rtype.identity(draft)), None)
    names = first.applies if isinstance(first, Send) else frozenset()
    identified_digests = target.identified(desired.properties, draft)
    found = {key: held for key, held in identified_digests.items() if key.removesuffix("@id") in names}
    return {**target.digests(draft).each(names), **found}


async def lost_serials(context: ReconcileContext, target: Target, properties: Mapping[str, Any]) -> list[int]:
    """The serial numbers of resources of this name that have no record."""
    policy, name = context.policy, target.name
    if name not in policy.known:
        return []
    intent = of(context, target, properties, 0)
    blank = replace(_BLANK, name=intent.name, type=intent.type, token=intent.token, data=intent.data)
    blank = replace(blank, physical_name=intent.physical_name)
    if not target.rtype.service or target.rtype.identity(blank) is None:
        return await recovery.lost_serials(context, target.rtype, blank)
    if not target.rtype.carries_token and name not in policy.deployed:
        # An existing one is ours only if we created it earlier.
        return []
    return [0] if await recovery.shows(context, target.rtype, blank) else []
