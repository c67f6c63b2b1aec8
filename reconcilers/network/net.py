"""OS::Neutron::Net: a network."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Outcome, Recorded, Request
from reconcilers.network.neutron import BUILT, TAGS, Agents, Neutron, refused
from reconcilers.registry import register
from reconcilers.resource_type import KEEP, Field, same_name_fields

DHCP_AGENTS = Agents("dhcp_agents", "dhcp-agents", "dhcp-networks", "network_id", remove_first=False)


@register
class Net(Neutron):
    """``shared`` is no drift: access rules that others make show in it, as Heat knows too."""

    type = "OS::Neutron::Net"
    collection = "/networks"
    key = "network"
    plural = "networks"
    sends_bulk = True
    ready = BUILT
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "admin_state_up"),
        "tenant_id": Field("tenant_id", update=False),
        "shared": Field("shared", drift=False, reset=False),
        "port_security_enabled": Field("port_security_enabled", reset=KEEP),
        "qos_policy": Field("qos_policy_id"),
        "dns_domain": Field("dns_domain", reset=""),
        "availability_zone_hints": Field("availability_zone_hints", update=False),
        "tags": TAGS,
        "dhcp_agent_ids": Field("dhcp_agents", create=False, update=False, drift=False),
    }

    @override
    def conflict(self, given: Mapping[str, Any]) -> Failed | None:
        known = sorted(self.schema.properties.keys() & (given.get("value_specs") or {}).keys())
        return refused(f"{', '.join(known)} not allowed in value_specs", "value_specs") if known else None

    @override
    def extras(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome | None:
        wanted = desired.properties.get("dhcp_agent_ids") or []
        if "dhcp_agent_ids" in desired.changed and (wanted or "dhcp_agent_ids" in recorded.digests):
            call = DHCP_AGENTS.move(wanted, self.path(recorded), recorded, observed)
            if call is not None:
                return call
        return super().extras(desired, recorded, observed)

    @override
    def attribute_request(
        self,
        attribute: str,
        desired: Desired | None,
        recorded: Recorded,
        observed: Any,
    ) -> Request | Mapping[str, Request] | None:
        """A network does not show its segments."""
        if attribute != "segments":
            return None
        return Request("network", "GET", "/segments", params={"network_id": recorded.physical_id})

    def read_attribute(self, attribute: str, body: Any, recorded: Recorded, observed: Any) -> Any:
        """Segments without a name come first: that is the one that the network was made with."""
        return sorted(body["segments"], key=lambda segment: segment.get("name") is not None)
