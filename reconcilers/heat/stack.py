"""OS::Heat::Stack: a Stack of its own, made and followed by this one.

It is no resource of OpenStack. The transport :data:`CHILD_STACKS` reaches it; :mod:`kiln.stack.child_stacks` is that
transport, and documents the form in which it shows a child.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from typing_extensions import override

from hot_translator import UNKNOWN
from reconcilers import identifiers
from reconcilers.fields import Field, same_name_fields
from reconcilers.model import Desired, Failed, Fault, Gone, Outcome, Power, Ready, Recorded, Replace, Send, Wait
from reconcilers.registry import register
from reconcilers.resource_type import RestResource

CHILD_STACKS: Final = "stacks"
"""The transport of child Stacks."""
_REGION: Final = "region"
"""In the record: the region that the child was made in."""


@register
class ChildStack(RestResource):
    """Its spec belongs to this Stack: whatever others change in it is drift. It repairs its own resources by itself.

    So it is never created anew because it failed, and its failure is over when it is Ready again.
    """

    type = "OS::Heat::Stack"
    service = "stacks"
    transport = CHILD_STACKS
    collection = "/stacks"
    key = "stack"
    plural = "stacks"
    token_field = "metadata"
    ready = frozenset({"READY"})
    failed = frozenset({"FAILED"})
    delete_is_final = False
    fields: ClassVar[Mapping[str, Field]] = same_name_fields("context", "parameters", "template", "timeout")
    changed_while_suspended = frozenset(fields)

    # Identity.

    @override
    def identity(self, recorded: Recorded) -> str | None:
        """The name follows from the token, so that a second one cannot be made."""
        return identifiers.child_name(recorded.physical_name, recorded.token)

    @override
    def imported_id(self, given: str, draft: Recorded) -> str:
        """No other Stack is taken over: it may have policies and approvals of its own, which this one would replace."""
        return identifiers.child_name(draft.physical_name, draft.token)

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {_REGION: _region(desired)}

    # Creating and changing.

    @override
    def create(self, desired: Desired, recorded: Recorded) -> Outcome:
        refused = _refused(desired)
        if refused is not None:
            return refused
        body = self.wrap(self.whole(desired, recorded))
        return Send(self.request("POST", self.collection, body), applies=desired.changed, creates=True)

    def whole(self, desired: Desired, recorded: Recorded) -> dict[str, Any]:
        """All of the child, as a creation and an update send it."""
        given = desired.properties
        parameters = {name: value for name, value in (given.get("parameters") or {}).items() if value is not None}
        body = {
            "id": recorded.physical_id or self.identity(recorded),
            "name": recorded.physical_name,
            "record": recorded.key,
            "template": given["template"],
            "parameters": parameters,
            "hidden": sorted(_hidden(parameters, desired.hidden)),
            "context": given.get("context") or {},
            "timeout": given.get("timeout"),
            "power_state": _power(recorded),
            "retain": desired.retain,
        }
        return self.stamp(body, recorded)

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        """A child that works or has failed is changed all the same: that is how it gets out of a failure."""
        if desired is None or observed is None:
            return super().step(desired, recorded, observed)
        if self.leaving(observed):
            return Wait(f"its Stack {observed['id']} is being deleted")
        if desired.changed or self.differs(desired, recorded, observed):
            return self.update(desired, recorded, observed)
        return self.condition(observed)

    def differs(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> bool:
        """Whether the child lacks what does not come from its properties: this Stack's files, policies, power state."""
        return (
            not observed["current"]
            or observed["retain"] != desired.retain
            or (recorded.power is Power.RUNNING and observed["power_state"] != "Running")
        )

    @override
    def update(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome:
        refused = _refused(desired)
        if refused is not None:
            return refused
        body = self.wrap(self.whole(desired, recorded))
        return Send(self.request("PUT", self.path(recorded), body), applies=desired.changed)

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Another region has other resources, so the child is made anew there, as in Heat."""
        if "context" in desired.changed and recorded.data.get(_REGION, "") != _region(desired):
            return Replace("context.region_name changed")
        return None

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        return frozenset(observed["edited"])

    @override
    def foresee(self, step: Send, recorded: Recorded, observed: Any) -> Any:
        """A child that is ready, with outputs that only it can say."""
        sent = step.request.body[self.key]
        seen = {"deleting": False, "current": True, "edited": (), "summary": "", "outputs": UNKNOWN}
        kept = {name: sent[name] for name in ("id", "name", "metadata", "retain", "power_state") if name in sent}
        return {**(observed or {}), **seen, **kept, self.status_key: "READY"}

    # Its state.

    @override
    def condition(self, observed: Mapping[str, Any]) -> Ready | Wait | Failed:
        match observed[self.status_key]:
            case "READY":
                return Ready()
            case "FAILED":
                return _failed(observed)
            case _:
                return Wait(f"its Stack {observed['id']} has {observed['summary']}")

    @override
    def leaving(self, observed: Mapping[str, Any]) -> bool:
        return bool(observed["deleting"])

    @override
    def remove(self, recorded: Recorded, observed: Any) -> Outcome:
        if observed is None:
            return Gone()
        if not self.leaving(observed):
            return super().remove(recorded, observed)
        if observed[self.status_key] == "FAILED":
            return _failed(observed)
        return Wait(f"its Stack {observed['id']} is being deleted: {observed['summary']}")

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        if observed is None:
            return {}
        return {"stack_name": observed["name"], "outputs": observed["outputs"]}

    # Suspending.

    def suspend(self, recorded: Recorded, observed: Any) -> Outcome:
        """Ask the child to suspend its resources, and wait until it has."""
        return self._power(recorded, observed, "Suspended")

    def resume(self, recorded: Recorded, observed: Any) -> Outcome:
        """Ask the child to resume its resources, and wait until it has."""
        return self._power(recorded, observed, "Running")

    def _power(self, recorded: Recorded, observed: Any, wanted: str) -> Outcome:
        if observed["power_state"] == wanted:
            return self.condition(observed)
        return Send(self.request("PATCH", self.path(recorded), self.wrap({"power_state": wanted})))


def parameter_text(value: Any) -> str:
    """A parameter's value as the text that a Secret holds, in a form that a template's parameter reads."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ",".join(parameter_text(item) for item in value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _power(recorded: Recorded) -> str:
    return "Suspended" if recorded.power in {Power.SUSPENDING, Power.SUSPENDED} else "Running"


def _region(desired: Desired) -> str:
    return str((desired.properties.get("context") or {}).get("region_name") or "")


def _hidden(parameters: Mapping[str, Any], places: frozenset[str]) -> set[str]:
    """The parameters whose values are made of something hidden."""
    if places & {"*", "parameters"}:
        return set(parameters)
    return {name for name in parameters if f"parameters.{name}" in places}


def _refused(desired: Desired) -> Failed | None:
    """Why the child cannot be written: only parameters can be hidden in it."""
    for name in ("template", "context", "timeout"):
        if any(place == name or place.startswith(f"{name}.") for place in desired.hidden):
            reason = "it is made of something hidden, and could be read in the child Stack; hand it over as a parameter"
            return Failed(reason, Fault.INVALID, name)
    return None


def _failed(observed: Mapping[str, Any]) -> Failed:
    if observed["fault"] in set(Fault):
        return Failed(observed["reason"], Fault(observed["fault"]), kept=True)
    return Failed(observed["reason"], Fault.INVALID if observed["lasting"] else Fault.RESOURCE, kept=True)
