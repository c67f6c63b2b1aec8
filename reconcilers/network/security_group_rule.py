"""OS::Neutron::SecurityGroupRule: one rule in a group that something else made."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import (
    POSSIBLE_DUPLICATE,
    Desired,
    Failed,
    Gone,
    Outcome,
    Recorded,
    Replace,
    Request,
    Send,
)
from reconcilers.network.neutron import Neutron, refused
from reconcilers.network.rules import key
from reconcilers.network.security_group import RULES
from reconcilers.registry import register
from reconcilers.resource_type import Field

SHARED = "shared"
"""In the record's data: the id of an equal rule that was there already, and that is not this resource's to delete."""
EQUAL = "equal"
"""Key among what was read: the rules of the group, when the creation was refused."""
ICMP_NAMES = ("icmp", "icmpv6", "ipv6-icmp")
"""Of these the "ports" are a message's type and code, in no order."""


@register
class SecurityGroupRule(Neutron):
    """Neutron changes no rule, so every change is a replacement.

    A group takes a rule only once. Where an equal one is there already (another resource's, or one that Neutron made
    with the group) it serves this resource too, and stays when the resource goes.
    """

    type = "OS::Neutron::SecurityGroupRule"
    collection = RULES
    key = "security_group_rule"
    plural = "security_group_rules"
    dies_with = "security_group"
    fields: ClassVar[Mapping[str, Field]] = {
        name: Field(api, update=False)
        for name, api in {
            **{name: name for name in ("description", "direction", "ethertype", "protocol")},
            **{name: name for name in ("port_range_min", "port_range_max", "remote_ip_prefix")},
            "security_group": "security_group_id",
            "remote_group": "remote_group_id",
        }.items()
    }

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {"security_group": desired.properties["security_group"]}

    @override
    def conflict(self, given: Mapping[str, Any]) -> Failed | None:
        first, last = given.get("port_range_min"), given.get("port_range_max")
        if given.get("remote_group") is not None and given.get("remote_ip_prefix") is not None:
            return refused("give remote_group or remote_ip_prefix, not both", "remote_group")
        if first is not None and last is not None and last < first and given.get("protocol") not in ICMP_NAMES:
            return refused("port_range_min must not be greater than port_range_max", "port_range_min")
        return None

    @override
    def stamped(self, body: dict[str, Any], recorded: Recorded) -> tuple[dict[str, Any], frozenset[str]]:
        """No update could bring the description in, so it comes first; an equal rule is found without a token."""
        return self.stamp(body, recorded), frozenset()

    @override
    def claim(self, recorded: Recorded, observed: Any) -> Send | None:
        """Nobody can change a rule."""
        return None

    @override
    def create(self, desired: Desired, recorded: Recorded) -> Outcome:
        outcome = super().create(desired, recorded)
        if POSSIBLE_DUPLICATE not in recorded.data:
            return outcome
        # An earlier attempt did not come to a rule of this resource: perhaps since an equal one is there.
        return Send(self._rules(recorded), into=EQUAL) if isinstance(outcome, Send) else outcome

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        if desired is None or observed is None or "id" in observed:
            return super().step(desired, recorded, observed)
        wanted = key(self.body(desired))
        equal = next((rule for rule in observed[EQUAL]["security_group_rules"] if key(rule) == wanted), None)
        if equal is None:
            return super().create(desired, recorded)
        read = Request(self.service, "GET", f"{RULES}/{equal['id']}")
        own = (equal.get("description") or "") == (desired.properties.get("description") or "")
        own = own and not self.fits(desired, recorded)
        return Send(read, applies=desired.changed, creates=True, remember={} if own else {SHARED: equal["id"]})

    def fits(self, desired: Desired, recorded: Recorded) -> bool:
        """Whether the description leaves room for the token."""
        return self.owned(self.stamp(self.body(desired), recorded), recorded)

    def _rules(self, recorded: Recorded) -> Request:
        params = {"security_group_id": recorded.data["security_group"]}
        return Request(self.service, "GET", RULES, params=params)

    @override
    def remove(self, recorded: Recorded, observed: Any) -> Outcome:
        shared = recorded.data.get(SHARED)
        return Gone() if shared and shared == recorded.physical_id else super().remove(recorded, observed)

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        """Nobody can change a rule."""
        return frozenset()

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """A rule that says the same in other words stays, unless its description differs."""
        if observed is not None:
            body = self.body(desired)
            same = key(body) == key(observed) and body.get("security_group_id") == observed["security_group_id"]
            if same and self.holds("description", self.fields["description"], body.get("description"), observed):
                return None
            verdict = super().replacement(desired, recorded, observed)
            return Replace(verdict.why, delete_first=same) if isinstance(verdict, Replace) else verdict
        return super().replacement(desired, recorded, observed)
