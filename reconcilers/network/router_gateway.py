"""OS::Neutron::RouterGateway: a router's way out, for templates from before the router's own external_gateway_info."""

from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import override

from reconcilers.model import Desired, Outcome, Recorded, Request, Send
from reconcilers.network.neutron import refused
from reconcilers.network.router import ROUTERS
from reconcilers.registry import register
from reconcilers.resource_type import UNDONE, Association


@register
class RouterGateway(Association):
    """Its id is Heat's, ``router:network``; in the cloud it is a field of the router."""

    type = "OS::Neutron::RouterGateway"
    service = "network"
    listing = ROUTERS
    plural = "routers"

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {"router": str(desired.properties["router_id"]), "network": str(desired.properties["network"])}

    @override
    def identity(self, recorded: Recorded) -> str:
        return f"{recorded.data['router']}:{recorded.data['network']}"

    def identify(self, item: Mapping[str, Any]) -> Iterable[str]:
        """A router with a gateway stands for that gateway."""
        gateway = item.get("external_gateway_info")
        return (f"{item['id']}:{gateway['network_id']}",) if gateway else ()

    @override
    def read(self, recorded: Recorded) -> Request:
        return Request(self.service, "GET", f"{ROUTERS}/{recorded.data['router']}")

    def extract(self, body: Any, recorded: Recorded) -> Any:
        """The router, if it has this gateway."""
        router = body.get("router") if isinstance(body, Mapping) else None
        return router if router and self.identity(recorded) in self.identify(router) else None

    @override
    def link(self, desired: Desired, recorded: Recorded) -> Outcome:
        if not desired.properties.get("network"):
            return refused("a gateway needs a network", "network")
        return Send(self.call({"network_id": recorded.data["network"]}, recorded), applies=desired.changed)

    @override
    def unlink(self, recorded: Recorded, observed: Any) -> Outcome:
        return Send(self.call({}, recorded, 404), into=UNDONE)

    def call(self, gateway: Mapping[str, str], recorded: Recorded, *done: int) -> Request:
        """The change of the router's gateway."""
        body = {"router": {"external_gateway_info": gateway}}
        return Request(self.service, "PUT", f"{ROUTERS}/{recorded.data['router']}", body, done=frozenset(done))
