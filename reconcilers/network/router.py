"""OS::Neutron::Router: routes between networks, and to the outside through its gateway."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Outcome, Recorded
from reconcilers.network.neutron import BUILT, TAGS, Agents, Neutron, fixed_ips, refused, unasked
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields

ROUTERS = "/routers"
L3_AGENTS = Agents("l3_agents", "l3-agents", "l3-routers", "router_id", remove_first=True)
AGENTS = frozenset({"l3_agent_id", "l3_agent_ids"})


def gateway(info: Mapping[str, Any]) -> dict[str, Any]:
    """The property external_gateway_info in the API's words; an empty one is no gateway."""
    said: dict[str, Any] = {"network_id": info["network"]} if info.get("network") else {}
    if info.get("enable_snat") is not None:
        said["enable_snat"] = info["enable_snat"]
    if info.get("external_fixed_ips") is not None:
        said["external_fixed_ips"] = fixed_ips(info["external_fixed_ips"])
    return said


@register
class Router(Neutron):
    """A router that others still use answers its deletion with a conflict, which passes."""

    type = "OS::Neutron::Router"
    collection = ROUTERS
    key = "router"
    plural = "routers"
    ready = BUILT
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "admin_state_up", "availability_zone_hints"),
        "tenant_id": Field("tenant_id", update=False),
        "distributed": Field("distributed", update=False),
        "ha": Field("ha", update=False),
        "external_gateway_info": Field("external_gateway_info", encode=gateway, reset={}),
        "tags": TAGS,
        "l3_agent_id": Field("l3_agents", create=False, update=False, drift=False),
        "l3_agent_ids": Field("l3_agents", create=False, update=False, drift=False),
    }

    @override
    def conflict(self, given: Mapping[str, Any]) -> Failed | None:
        agents = given.get("l3_agent_ids") or []
        if given.get("l3_agent_id") and agents:
            return refused("give l3_agent_id or l3_agent_ids, not both", "l3_agent_id")
        if given.get("distributed") and (agents or given.get("l3_agent_id")):
            return refused("a distributed router is hosted everywhere: it takes no agents", "distributed")
        if given.get("distributed") and given.get("ha"):
            return refused("a router is distributed or ha, not both", "distributed")
        if not given.get("ha") and len(agents) > 1:
            return refused("a router that is not ha has one agent", "l3_agent_ids")
        return None

    @override
    def holds(self, name: str, how: Field, sent: Any, observed: Mapping[str, Any]) -> bool:
        """Of the gateway only what is asked for is compared."""
        if name != "external_gateway_info":
            return super().holds(name, how, sent, observed)
        shown = observed.get(how.api) or {}
        return (
            shown.get("network_id") == sent.get("network_id")
            # Policies may hide these from the router's owner.
            and sent.get("enable_snat") in (None, shown.get("enable_snat", sent.get("enable_snat")))
            and (
                (bool(shown) and "external_fixed_ips" not in shown)
                or unasked(sent.get("external_fixed_ips") or [], shown.get("external_fixed_ips") or []) is not None
            )
        )

    @override
    def extras(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome | None:
        one = desired.properties.get("l3_agent_id")
        wanted = desired.properties.get("l3_agent_ids") or ([one] if one else [])
        if desired.changed & AGENTS and (wanted or recorded.digests.keys() & AGENTS):
            call = L3_AGENTS.move(wanted, self.path(recorded), recorded, observed)
            if call is not None:
                return call
        return super().extras(desired, recorded, observed)
