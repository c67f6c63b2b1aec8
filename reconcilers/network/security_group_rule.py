"""OS::Neutron::SecurityGroupRule: one rule in a group that something else made."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Recorded, Replace
from reconcilers.network.neutron import Neutron, refused
from reconcilers.network.rules import key
from reconcilers.network.security_group import RULES
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields

ICMP_NAMES = ("icmp", "icmpv6", "ipv6-icmp")
"""Of these the "ports" are a message's type and code, in no order."""


@register
class SecurityGroupRule(Neutron):
    """Neutron changes no rule, so every change is a replacement."""

    type = "OS::Neutron::SecurityGroupRule"
    collection = RULES
    key = "security_group_rule"
    plural = "security_group_rules"
    dies_with = "security_group"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("description", "direction", "ethertype", "protocol", "port_range_min", "port_range_max"),
        "security_group": Field("security_group_id"),
        "remote_group": Field("remote_group_id"),
        "remote_ip_prefix": Field("remote_ip_prefix"),
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
    def body(self, desired: Desired) -> dict[str, Any]:
        return {name: value for name, value in super().body(desired).items() if value != ""}

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        """Nobody can change a rule."""
        return frozenset()

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Of a rule that says the same in other words a group takes only one."""
        verdict = super().replacement(desired, recorded, observed)
        if isinstance(verdict, Replace) and observed is not None:
            body = self.body(desired)
            same = key(body) == key(observed) and body.get("security_group_id") == observed["security_group_id"]
            return Replace(verdict.why, delete_first=same)
        return verdict
