"""Decides what to do with one resource. Pure: the sweep, the driver and ``kiln plan`` call the same functions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconcilers.capabilities import suspendable
from reconcilers.digests import CREATED, WHOLE
from reconcilers.engine.action import NOTHING, Action, Verb
from reconcilers.engine.policy import Adoption, OnObstacle, Policy
from reconcilers.engine.target import Target
from reconcilers.model import (
    HOOK,
    HOOKS,
    IMPORTED,
    POSSIBLE_DUPLICATE,
    UNHEALTHY,
    Desired,
    DriftPolicy,
    Failed,
    Fault,
    Gone,
    ImportState,
    Outcome,
    Pause,
    Power,
    Ready,
    Recorded,
    Replace,
    Send,
    Wait,
)
from reconcilers.resource_type import ResourceType


@dataclass(frozen=True, slots=True)
class Decision:
    """An action with the first outcome that carries it out.

    ``recorded`` is the record that the decision is based on. ``drift`` describes the drift to report.
    """

    action: Action
    desired: Desired
    outcome: Outcome
    recorded: Recorded
    drift: str = field(default="")


def decide(
    target: Target,
    properties: Mapping[str, Any],
    recorded: Recorded,
    observed: Any,
    policy: Policy,
    accepted: frozenset[str] = frozenset(),
) -> Decision:
    """Decide what to do with a resource of the template.

    ``properties`` are the target's with names resolved. ``observed`` is None if the resource does not exist, or was not
    observed yet. ``accepted`` are properties that the cloud has accepted a moment ago: what it made of them is what was
    asked for, and no drift.
    """
    decision = _unguarded(target, properties, recorded, observed, policy, accepted)
    exists = recorded.confirmed and (observed is not None or not target.rtype.service)
    if not exists or decision.action.verb not in {Verb.REPLACE, Verb.RECREATE}:
        return decision
    refused = policy.guard.replacement(recorded)
    if refused is None:
        return decision
    return replace(decision, action=replace(decision.action, verb=Verb.REFUSE, why=refused.reason), outcome=refused)


def _unguarded(
    target: Target,
    properties: Mapping[str, Any],
    recorded: Recorded,
    observed: Any,
    policy: Policy,
    accepted: frozenset[str],
) -> Decision:
    rtype = target.rtype
    exists = recorded.confirmed and (observed is not None or not rtype.service)
    if recorded.confirmed and not exists:
        return _disappeared(target, properties, recorded, policy)
    if not exists:
        desired = target.desire_new(properties, recorded)
        outcome = _identity_changed(rtype, desired, recorded) or rtype.step(desired, recorded, observed)
        action = _action_of(outcome, Action(Verb.CREATE, properties=desired.changed))
        return Decision(action, desired, outcome, recorded)
    differs = changed(target, properties, recorded)
    desired = target.desire(properties, differs, recorded)
    drift = _drift(rtype, desired, recorded, observed, policy) - accepted
    reported = ", ".join(sorted(drift)) if WHOLE in recorded.digests else ""
    repaired = drift if policy.drift is DriftPolicy.CORRECT or WHOLE not in recorded.digests else frozenset()
    anew = target.pending_restore(recorded) - accepted
    if repaired or anew:
        desired = replace(desired, changed=differs | repaired | anew, anew=anew)
    outcome = (
        _unhealthy(rtype, recorded)
        or _replacement(rtype, desired, recorded, observed)
        or rtype.step(desired, recorded, observed)
    )
    if isinstance(outcome, Failed) and policy.on_obstacle is OnObstacle.GO_ON:
        outcome = _others_first(rtype, desired, recorded, observed, outcome)
    verb = "replace" if isinstance(outcome, Replace) else "update"
    if differs and WHOLE in recorded.digests and verb in target.definition.restricted_actions:
        outcome = Failed(f"{verb} is restricted for the resource by the environment", Fault.INVALID)
    if isinstance(outcome, Failed) and _in_error(outcome) and _only_reported(recorded, differs, policy):
        return Decision(Action(Verb.REPORT, outcome.reason), desired, Ready(), recorded, outcome.reason)
    mending = rtype.mend(recorded, observed) if _in_error(outcome) else None
    if isinstance(outcome, Failed) and mending is not None:
        return Decision(Action(Verb.UPDATE, outcome.reason), desired, mending, recorded, outcome.reason)
    if isinstance(outcome, Send):
        waking = _waking(rtype, desired, recorded, observed)
        if waking is not None and not isinstance(waking, Ready):
            action = Action(Verb.UPDATE, "it is resumed for that", desired.changed)
            return Decision(action, desired, waking, replace(recorded, power=Power.RESUMING), reported)
        if waking is not None:
            recorded = replace(recorded, power=Power.RUNNING)
    if isinstance(outcome, Ready) and not outcome.applies and not desired.changed:
        found = reported and not repaired
        action = Action(Verb.REPORT, reported, drifted=drift) if found else _at_rest(target, recorded)
        return Decision(action, desired, outcome, recorded, reported)
    usual = Action(Verb.UPDATE, properties=desired.changed, drifted=repaired if reported else frozenset())
    return Decision(_action_of(outcome, usual), desired, outcome, recorded, reported)


def decide_removal(rtype: ResourceType, recorded: Recorded, observed: Any, policy: Policy) -> tuple[Action, Outcome]:
    """Decide what to do with a resource that is not desired any more."""
    reason = why_left(recorded, policy.adoption)
    if reason:
        return Action(Verb.LEAVE, reason), Gone()
    refused = policy.guard.removal(recorded)
    if refused is not None:
        return Action(Verb.REFUSE, refused.reason), refused
    # Ask the type even if the resource does not exist: something beside it may be left.
    return Action(Verb.DELETE), rtype.step(None, recorded, observed)


def why_left(recorded: Recorded, adoption: Adoption) -> str:
    """Why a resource stays in the cloud when it leaves the Stack; empty if it is deleted."""
    state = recorded.data.get(IMPORTED)
    if adoption.read_only:
        return "spec.adopt.readOnly"
    if state is not None and state != ImportState.TAKEN:
        return "it was not taken over yet"
    if state is not None and adoption.returns:
        return "it existed before the Stack"
    if recorded.external:
        return "external_id"
    return "deletion_policy: Retain" if recorded.retain else ""


def leaving(records: Mapping[str, Recorded], adoption: Adoption) -> dict[str, Recorded]:
    """Records of resources that leave the Stack, by key. Those whose resource stays in the cloud have ``retain``."""
    return {key: replace(one, retain=bool(why_left(one, adoption))) for key, one in records.items()}


def choose(candidates: Iterable[Recorded], target: Target) -> Recorded | None:
    """The record to continue with, of all of a logical name: one that is already as desired, else the newest.

    During a replacement there are several. So a change that is reverted finds the old resource.
    """

    def rank(recorded: Recorded) -> tuple[bool, int]:
        fits = recorded.confirmed and recorded.state == "Ready" and target.matches(recorded)
        fits = fits and UNHEALTHY not in recorded.data
        return (fits, recorded.serial)

    ours = [one for one in candidates if one.type == target.definition.type]
    return max(ours, key=rank, default=None) if len(ours) > 1 else next(iter(ours), None)


def unchanged(target: Target, recorded: Recorded) -> frozenset[str]:
    """Names of the properties whose value in the template was applied last."""
    if not recorded.confirmed:
        return frozenset()
    if target.matches(recorded):
        return frozenset(target.template)
    return frozenset(target.template) - target.changed(recorded)


def fits(target: Target, recorded: Recorded) -> bool:
    """Whether the record matches the target. The cloud may still differ."""
    return (
        recorded.confirmed
        and recorded.state == "Ready"
        and not recorded.deleting
        and not recorded.data.keys() & {POSSIBLE_DUPLICATE, UNHEALTHY, HOOK}
        and recorded.data.get(HOOKS, "") == target.deletion_hooks
        and target.matches(recorded)
        and recorded.requires == target.requires
        and recorded.retain == target.retain
        and recorded.copied == target.copied
        and not target.pending_restore(recorded)
    )


def _at_rest(target: Target, recorded: Recorded) -> Action:
    if recorded.deleting:
        return Action(Verb.ADOPT, "its StackResource is being deleted")
    return NOTHING if fits(target, recorded) else Action(Verb.RECORD)


def _action_of(outcome: Outcome, usual: Action) -> Action:
    """The action that an outcome starts; ``usual`` if the outcome is an ordinary step."""
    match outcome:
        case Replace():
            return Action(Verb.REPLACE, outcome.why, usual.properties, usual.drifted)
        case Failed(fault=Fault.RESOURCE, kept=False):
            return Action(Verb.RECREATE, outcome.reason)
        case Failed():
            return Action(Verb.REFUSE, outcome.reason, usual.properties)
        case Wait() if usual.verb is Verb.UPDATE and not usual.properties:
            return Action(Verb.WAIT, outcome.reason)
        case Pause() if usual.verb is Verb.UPDATE and not usual.properties:
            return Action(Verb.WAIT, outcome.reason)
        case Ready() if usual.verb is Verb.UPDATE:
            return Action(Verb.RECORD, "", usual.properties, usual.drifted)
        case Send() | Wait() | Pause() | Ready() | Gone():
            return usual


def changed(target: Target, properties: Mapping[str, Any], recorded: Recorded) -> frozenset[str]:
    """Names of the properties to apply. Another name of the same thing counts as no change."""
    if target.matches(recorded):
        return frozenset()
    applied, digester = recorded.digests, target.salted(recorded)

    def is_same(name: str) -> bool:
        key = f"{name}@id"
        return key in applied and digester.matches(key, properties.get(name), applied[key])

    return frozenset(name for name in target.changed(recorded) if not is_same(name))


def _drift(rtype: ResourceType, desired: Desired, recorded: Recorded, observed: Any, policy: Policy) -> frozenset[str]:
    """Properties that differ between the cloud and what was applied."""
    if policy.drift is DriftPolicy.IGNORE or not rtype.service or not recorded.digests:
        return frozenset()
    return rtype.drift(desired, observed) - desired.changed


def _replacement(rtype: ResourceType, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
    """Whether the change needs a new resource, or is refused.

    A resource that was never complete is still being created: properties that it lacks are missing, not changed. Those
    that its creating request would have carried were not given then, so they did change; of a resource that was found
    by its token, that is not known.
    """
    if not desired.changed:
        return None
    applied = desired.changed
    if WHOLE not in recorded.digests:
        carried = rtype.applied_by_create(desired) & desired.given if CREATED in recorded.digests else frozenset()
        applied &= recorded.digests.keys() | carried
    return rtype.replacement(replace(desired, changed=applied), recorded, observed)


def _unhealthy(rtype: ResourceType, recorded: Recorded) -> Replace | None:
    """Replace a resource that somebody marked, whatever the cloud says of it."""
    why = recorded.data.get(UNHEALTHY)
    return Replace(why, delete_first=rtype.delete_first) if why else None


def _others_first(rtype: ResourceType, desired: Desired, recorded: Recorded, observed: Any, refused: Failed) -> Outcome:
    """The step that applies the other properties beside one that cannot change; the refusal once they are applied."""
    others = replace(desired, changed=desired.changed - {refused.property})
    if refused.fault is not Fault.INVALID or not others.changed or others.changed == desired.changed:
        return refused
    outcome = _replacement(rtype, others, recorded, observed) or rtype.step(others, recorded, observed)
    return refused if isinstance(outcome, Ready | Failed | Replace) else outcome


def _identity_changed(rtype: ResourceType, desired: Desired, recorded: Recorded) -> Replace | None:
    """Replace if the record's identity no longer matches, such as a link to a resource that was replaced."""
    draft = replace(recorded, data={**recorded.data, **rtype.intent(desired)})
    return None if rtype.identity(draft) == rtype.identity(recorded) else Replace("what it stands for has changed")


def _waking(rtype: ResourceType, desired: Desired, recorded: Recorded, observed: Any) -> Outcome | None:
    """The step that resumes a resource which cannot change while it is suspended; Ready once it runs."""
    sleeper = suspendable(rtype) if recorded.power is not Power.RUNNING else None
    if sleeper is None or not desired.changed - sleeper.changed_while_suspended:
        return None
    return sleeper.resume(recorded, observed)


def _in_error(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed) and outcome.fault is Fault.RESOURCE


def _only_reported(recorded: Recorded, changed: frozenset[str], policy: Policy) -> bool:
    """Whether changes by others are only reported."""
    return policy.drift is not DriftPolicy.CORRECT and not changed and recorded.state == "Ready"


def _disappeared(target: Target, properties: Mapping[str, Any], recorded: Recorded, policy: Policy) -> Decision:
    """Somebody else deleted the resource."""
    rtype = target.rtype
    desired = target.desire_new(properties, recorded)
    other = _identity_changed(rtype, desired, recorded)
    if other is not None:
        return Decision(Action(Verb.REPLACE, other.why), desired, other, recorded)
    why = "it is gone from the cloud"
    drift = "" if policy.drift is DriftPolicy.IGNORE else "gone from the cloud"
    differs = changed(target, properties, recorded) | target.pending_restore(recorded)
    if _only_reported(recorded, differs, policy):
        return Decision(Action(Verb.REPORT, why), desired, Ready(), recorded, drift)
    if rtype.identity(recorded) is not None:
        recorded = replace(recorded, digests={}, references={}, state="Creating", confirmed=False)
        return Decision(Action(Verb.RECREATE, why), desired, rtype.step(desired, recorded, None), recorded, drift)
    return Decision(Action(Verb.RECREATE, why), desired, Replace(why), recorded, drift)
