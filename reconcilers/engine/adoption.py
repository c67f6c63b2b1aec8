"""Takes over resources that existed before the Stack (``spec.adopt``).

:func:`decide` is the planner for all resources: those that are being taken over are decided here, all others by
:mod:`reconcilers.engine.planner` under the restrictions that ``spec.adopt`` sets. At most one request is sent for a
resource that is taken over: the one that puts the Stack's token into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from reconcilers.engine import intents, planner, seals
from reconcilers.engine.action import Action, Verb
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.planner import Decision
from reconcilers.engine.policy import READ_ONLY, Adoption, Import, Policy
from reconcilers.engine.progress import ResourceError
from reconcilers.engine.target import Target
from reconcilers.model import (
    IMPORTED,
    IMPORTED_ID,
    Desired,
    DriftPolicy,
    Failed,
    Fault,
    Gone,
    ImportState,
    Intent,
    Outcome,
    Pause,
    Ready,
    Recorded,
    Replace,
    Send,
    Wait,
)
from reconcilers.resource_type import ResourceType

LONGEST_NAME: Final = 255
"""Characters of a physical name in a record."""


def decide(
    target: Target,
    properties: Mapping[str, Any],
    recorded: Recorded,
    observed: Any,
    policy: Policy,
    accepted: frozenset[str] = frozenset(),
) -> Decision:
    """Decide what to do with a resource of the template; arguments as in :func:`reconcilers.engine.planner.decide`."""
    adoption, state = policy.adoption, recorded.data.get(IMPORTED)
    if state == ImportState.PENDING:
        return _import(target, properties, recorded, observed, policy)
    if state == ImportState.READ_ONLY and not adoption.read_only and observed is not None:
        claim = target.rtype.claim(recorded, observed)
        taken = claim or Pause(0.0, remember={IMPORTED: ImportState.TAKEN})
        desired = target.desire(properties, frozenset(), recorded)
        return Decision(Action(Verb.IMPORT), desired, taken, recorded)
    if policy.drift is DriftPolicy.CORRECT and state is not None and (adoption.holds or adoption.read_only):
        policy = replace(policy, drift=DriftPolicy.REPORT)
    decision = planner.decide(target, properties, recorded, observed, policy, accepted)
    return _without_writes(decision, recorded) if adoption.read_only else decision


@dataclass(frozen=True, slots=True)
class Existing:
    """A resource to take over: the record that it will have, the intent to store first, and what the cloud shows."""

    draft: Recorded
    intent: Intent
    observed: Any


def _refusal(rtype: ResourceType, given: Import, draft: Recorded, observed: Any, adoption: Adoption) -> str:
    """Why a resource cannot be taken over; empty if it can. ``draft`` is the record that it would get."""
    if rtype.service and observed is None:
        named = "" if draft.physical_id == given.physical_id else f", which Kiln knows as {draft.physical_id}"
        return f"{given.path}: there is no {rtype.type} {given.physical_id}{named}"
    missing = sorted(rtype.keeps - given.data.keys()) if not rtype.service else []
    if missing:
        return (
            f"{given.path}: the {missing[0]} of an existing {rtype.type} is known only from Heat's file (resource_data)"
        )
    held = rtype.token_of(observed) if isinstance(observed, Mapping) else None
    if held is not None and held != draft.token and not adoption.takes_from_others:
        return (
            f"{given.path}: {given.physical_id} carries the token of another Stack, or of another resource of this "
            "one; set spec.adopt.takeFromOthers if no Stack manages it any more"
        )
    return ""


def _draft(rtype: ResourceType, intent: Intent, given: Import) -> Recorded:
    """The record of a resource that is to be taken over, before it is stored."""
    blank = Recorded("", intent.name, intent.type, intent.token, intent.physical_name, serial=intent.serial)
    blank = replace(blank, data=intent.data, requires=intent.requires, retain=intent.retain, confirmed=True)
    physical_id = rtype.imported_id(given.physical_id, blank)
    data = {**intent.data, **rtype.imported_data(given.data), IMPORTED: ImportState.PENDING, IMPORTED_ID: physical_id}
    return replace(blank, physical_id=physical_id, data=data)


async def find(
    context: ReconcileContext, target: Target, properties: Mapping[str, Any], serial: int
) -> Existing | None:
    """The existing resource that ``spec.adopt`` names for a resource without a record; None if it names none.

    What was deployed before and is gone is created again. Raises ResourceError, CloudError.
    """
    policy, rtype = context.policy, target.rtype
    given = policy.adoption.imports.get(target.name)
    if given is None or not (rtype.service or rtype.keeps):
        return None
    intent = intents.of(context, target, properties, serial)
    draft = _draft(rtype, intent, given)
    observed = await _read(context, rtype, draft)
    if rtype.service and observed is None and target.name in policy.deployed:
        return None
    reason = _refusal(rtype, given, draft, observed, policy.adoption)
    if reason:
        raise ResourceError(intent.name, intent.type, reason, Fault.INVALID)
    draft = replace(draft, physical_name=rtype.imported_name(observed)[:LONGEST_NAME] or draft.physical_name)
    intent = replace(intent, data=draft.data, digests={}, physical_name=draft.physical_name)
    return Existing(draft, replace(intent, seal=seals.of(context.digester, intent)), observed)


async def _read(context: ReconcileContext, rtype: ResourceType, draft: Recorded) -> Any:
    """The existing resource; None if there is none. All resources of a kind share one list. Raises CloudError."""
    if not rtype.service:
        return None
    if rtype.listing and rtype.listed_below is None:
        snapshot = context.snapshots.get(rtype.list_key)
        if snapshot is None:
            snapshot = await context.observer_of(rtype).snapshot(rtype, since=context.started)
            context.snapshots[rtype.list_key] = snapshot
            context.unreadable.pop(rtype.list_key, None)
        found = snapshot.find(rtype, draft.physical_id or "")
        if found is not None:
            return found
    return await context.observer_of(rtype).read(rtype, draft, context.caller)


def _import(
    target: Target, properties: Mapping[str, Any], recorded: Recorded, observed: Any, policy: Policy
) -> Decision:
    """Take over a resource: compare it, mark it if it can be marked, and record the template as what was applied."""
    rtype, adoption = target.rtype, policy.adoption
    desired = target.desire(properties, frozenset(), recorded)
    given = adoption.imports.get(target.name) or Import(recorded.data[IMPORTED_ID], "spec.adopt", recorded.data)
    problem = _refusal(rtype, given, recorded, observed, adoption) if observed is None else ""
    outcome: Outcome = Failed(problem, Fault.INVALID) if problem else rtype.step(desired, recorded, observed)
    drift = ""
    match outcome:
        case Send() if outcome.into and outcome.request.method == "GET":
            return Decision(Action(Verb.IMPORT), desired, outcome, recorded)
        case Send() | Replace() | Gone() | Pause():
            reason = f"{given.path}: {given.physical_id} is not what the template describes"
            outcome = Failed(reason, Fault.INVALID)
        case Failed(fault=Fault.RESOURCE):
            drift, outcome = outcome.reason, Ready()
        case Ready():
            drift = differences(rtype, desired, observed)
        case Wait() | Failed():
            pass
    action = Action(Verb.IMPORT, f"differs: {drift}" if drift else "")
    if isinstance(outcome, Failed):
        action = Action(Verb.REFUSE, outcome.reason)
    elif isinstance(outcome, Ready):
        claim = None if adoption.read_only or not rtype.service else rtype.claim(recorded, observed)
        if claim is not None:
            return Decision(action, desired, claim, recorded, drift)
        state = ImportState.READ_ONLY if adoption.read_only else ImportState.TAKEN
        recorded = replace(recorded, data={**recorded.data, IMPORTED: state})
    return Decision(action, desired, outcome, recorded, drift)


def differences(rtype: ResourceType, desired: Desired, observed: Any) -> str:
    """The properties in which an existing resource differs from the template, for messages."""
    return ", ".join(sorted(rtype.drift(desired, observed))) if rtype.service else ""


def _without_writes(decision: Decision, recorded: Recorded) -> Decision:
    """The decision while nothing may be written: what would be sent is reported instead."""
    outcome, action = decision.outcome, decision.action
    match outcome:
        case Send() if outcome.into and outcome.request.method == "GET":
            return decision
        case Send() | Replace() | Failed():
            pass
        case _:
            return decision
    if isinstance(outcome, Failed) and (outcome.fault is not Fault.RESOURCE or not recorded.confirmed):
        return decision
    if not recorded.confirmed:
        return replace(decision, outcome=Failed(READ_ONLY, Fault.INVALID), action=Action(Verb.REFUSE, READ_ONLY))
    wanted = action.describe()
    shown = replace(action, verb=Verb.REPORT, why=f"{wanted}: {READ_ONLY}")
    return Decision(shown, decision.desired, Ready(), recorded, decision.drift or wanted)
