"""Resources that others own (``external_id``). They are read and referred to, never changed or deleted."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from hot_translator import Definition
from reconcilers import registry
from reconcilers.engine.action import Action, Verb
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.driver import intended_name
from reconcilers.engine.progress import ReadyResource, ResourceError
from reconcilers.model import Fault, Intent, Recorded

ACTION: Final = Action(Verb.REFER, "external_id")


async def refer(
    context: ReconcileContext, definition: Definition, requires: frozenset[str], candidates: Iterable[Recorded]
) -> ReadyResource:
    """The resource of a definition's ``external_id``, recorded. Raises ResourceError, CloudError."""
    known = list(candidates)
    found = await find(context, definition, requires, known)
    if found.recorded.key and found.recorded.state == "Ready":
        return found
    recorded = found.recorded
    if not recorded.key:
        stored = await context.store.create(_intent(recorded))
        recorded = replace(recorded, key=stored.key, version=stored.version)
    return replace(found, recorded=await context.store.save(replace(recorded, state="Ready", requires=requires)))


async def find(
    context: ReconcileContext, definition: Definition, requires: frozenset[str], candidates: Iterable[Recorded]
) -> ReadyResource:
    """The resource of a definition's ``external_id``, with a record that may not be stored yet."""
    name, kind, identity = definition.name, definition.type, definition.external_id
    rtype = registry.find(kind)
    if rtype is None:
        raise ResourceError(name, kind, f"Kiln cannot converge {kind} yet", Fault.INVALID, at="type")
    if not rtype.service:
        reason = f"{kind} has nothing in the cloud that could belong to others"
        raise ResourceError(name, kind, reason, Fault.INVALID, at="external_id")
    known = list(candidates)
    recorded = next((one for one in known if one.external and one.physical_id == identity), None)
    if recorded is None:
        serial = 1 + max((one.serial for one in known), default=-1)
        token, physical_name = intended_name(context, name, serial, rtype)
        draft = Recorded("", name, kind, token, physical_name, serial=serial, requires=requires)
        recorded = replace(draft, retain=True, external=True)
    recorded = replace(recorded, physical_id=identity, confirmed=True)
    observed = await context.observer_of(rtype).read(rtype, recorded, context.caller)
    if observed is None:
        raise ResourceError(name, kind, f"there is no {kind} {identity}", Fault.INVALID, at="external_id")
    return ReadyResource(rtype, None, recorded, observed)


def _intent(draft: Recorded) -> Intent:
    return Intent(
        draft.name,
        draft.type,
        draft.serial,
        draft.token,
        draft.physical_name,
        draft.requires,
        {},
        {},
        retain=True,
        external=True,
    )
