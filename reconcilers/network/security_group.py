"""OS::Neutron::SecurityGroup: a group with all its rules."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Outcome, Recorded, Request, Send
from reconcilers.network.neutron import Neutron, refused
from reconcilers.network.rules import DEFAULT_EGRESS, Key, key
from reconcilers.registry import register
from reconcilers.resource_type import TOKEN, Field, same_name_fields

RULES = "/security-group-rules"
MADE = "rules made"
REMOVED = "rule removed: "


def formatted(rule: Mapping[str, Any], group: str) -> dict[str, Any]:
    """A rule of the template in the API's words; a remote group that is not named is the group itself."""
    by_group = rule.get("remote_mode") == "remote_group_id"
    said = {
        **{name: value for name, value in rule.items() if name != "remote_mode"},
        "security_group_id": group,
        "remote_group_id": (rule.get("remote_group_id") or group) if by_group else None,
        "remote_ip_prefix": None if by_group else rule.get("remote_ip_prefix"),
    }
    return {name: value for name, value in said.items() if value not in (None, "")}


def is_egress(rule: Mapping[str, Any]) -> bool:
    """Whether the rule is about what leaves."""
    return rule.get("direction") == "egress"


def present(observed: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The group's rules: those that it showed, with what was made and removed since."""
    shown = [*(observed.get("security_group_rules") or []), *observed.get(MADE, {}).get("security_group_rules", [])]
    return [rule for rule in shown if REMOVED + rule["id"] not in observed]


@register
class SecurityGroup(Neutron):
    """Rules follow Heat: given egress rules take the place of Neutron's own, which otherwise stay.

    A template that gives rules gives them all: others are removed, but for those that another resource of Kiln made in
    the group (OS::Neutron::SecurityGroupRule). One that gives none leaves the group's rules alone, until it gave some.
    """

    type = "OS::Neutron::SecurityGroup"
    collection = "/security-groups"
    key = "security_group"
    plural = "security_groups"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "description"),
        "stateful": Field("stateful", reset=True),
        "rules": Field("security_group_rules", create=False, update=False, drift=False),
    }

    @override
    def conflict(self, given: Mapping[str, Any]) -> Failed | None:
        return refused('a security group cannot be named "default"', "name") if given.get("name") == "default" else None

    @override
    def extras(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome | None:
        """All missing rules go in one request, and before any is taken away."""
        if "rules" not in desired.changed:
            return None
        new = "rules" not in recorded.digests
        missing, surplus = self.difference(desired, observed, new=new)
        if missing:
            return Send(Request(self.service, "POST", RULES, {"security_group_rules": missing}), into=MADE)
        if surplus:
            request = Request(self.service, "DELETE", f"{RULES}/{surplus[0]}", done=frozenset({404}))
            return Send(request, into=REMOVED + surplus[0])
        return None

    def difference(self, desired: Desired, observed: Any, *, new: bool) -> tuple[list[dict[str, Any]], list[str]]:
        """The rules to make, and the ids of those to remove. ``new``: no rules of the template were ever applied."""
        given = [formatted(rule, observed["id"]) for rule in desired.properties.get("rules") or []]
        if new and not given:
            return [], []
        open_egress = not any(map(is_egress, given))
        wanted = _by_key([*given, *([] if new or not open_egress else DEFAULT_EGRESS)])
        shown = present(observed)
        there = _by_key(shown)
        missing = [
            {**rule, "security_group_id": observed["id"]} for rule_key, rule in wanted.items() if rule_key not in there
        ]
        surplus = [
            str(rule["id"])
            for rule in shown
            if key(rule) not in wanted and not (new and open_egress and is_egress(rule)) and TOKEN not in _text(rule)
        ]
        return missing, surplus

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        """Rules that came by themselves with a new group are none."""
        drifted = super().drift(desired, observed)
        return drifted | {"rules"} if any(self.difference(desired, observed, new=True)) else drifted


def _by_key(rules: Iterable[Mapping[str, Any]]) -> dict[Key, dict[str, Any]]:
    return {key(rule): dict(rule) for rule in rules}


def _text(rule: Mapping[str, Any]) -> str:
    return rule.get("description") or ""
