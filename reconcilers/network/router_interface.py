"""OS::Neutron::RouterInterface: a router's leg in a subnet, or on a port."""

from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import override

from reconcilers.model import Desired, Failed, Outcome, Recorded, Replace, Request, Send
from reconcilers.network.neutron import refused
from reconcilers.network.port import PORTS
from reconcilers.network.router import ROUTERS
from reconcilers.registry import register
from reconcilers.resource_type import UNDONE, Association

OWNERS = ("network:router_interface", "network:ha_router_replicated_interface")
"""How the owner of a port begins that is a router's interface: plain, distributed, highly available."""


@register
class RouterInterface(Association):
    """Its id is Heat's: ``router:subnet_id=...`` or ``router:port_id=...``. In the cloud it is a port.

    A leg in another subnet is made before the old one goes, which floating IPs may need until then. Otherwise the old
    one goes first: it has the subnet's gateway address.
    """

    type = "OS::Neutron::RouterInterface"
    service = "network"
    listing = PORTS
    plural = "ports"

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        given = desired.properties
        key = "subnet" if given.get("subnet") else "port"
        return {"router": str(given.get("router")), "by": f"{key}_id", "id": str(given.get(key) or "")}

    @override
    def identity(self, recorded: Recorded) -> str:
        data = recorded.data
        return f"{data['router']}:{data['by']}={data['id']}"

    def identify(self, item: Mapping[str, Any]) -> Iterable[str]:
        """A port that is an interface stands for itself and for each of its subnets; any other for nothing."""
        if not str(item.get("device_owner")).startswith(OWNERS):
            return ()
        router = item["device_id"]
        return (
            f"{router}:port_id={item['id']}",
            *(f"{router}:subnet_id={ip['subnet_id']}" for ip in item.get("fixed_ips") or []),
        )

    @override
    def read(self, recorded: Recorded) -> Request:
        return Request(self.service, "GET", self.listing, params={"device_id": recorded.data["router"]})

    def extract(self, body: Any, recorded: Recorded) -> Any:
        """The interface's port: among a router's ports, or in the answer to the call that made it."""
        if not isinstance(body, Mapping):
            return None
        ports = body.get("ports") or []
        if "port_id" in body and not recorded.confirmed:
            # The call that undoes it answers in the same words, but only what is confirmed is ever undone.
            legs = [{"subnet_id": subnet} for subnet in body.get("subnet_ids") or [body.get("subnet_id")]]
            ports = [{"id": body["port_id"], "device_id": body["id"], "device_owner": OWNERS[0], "fixed_ips": legs}]
        return next((port for port in ports if self.identity(recorded) in self.identify(port)), None)

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        verdict = super().replacement(desired, recorded, observed)
        if isinstance(verdict, Replace):
            return Replace(verdict.why, delete_first="subnet" not in desired.changed)
        return verdict

    @override
    def link(self, desired: Desired, recorded: Recorded) -> Outcome:
        if bool(desired.properties.get("subnet")) == bool(desired.properties.get("port")):
            return refused("give either subnet or port", "subnet")
        if not desired.properties.get("router"):
            return refused("an interface needs a router", "router")
        return Send(self.call("add_router_interface", recorded), applies=desired.changed)

    @override
    def unlink(self, recorded: Recorded, observed: Any) -> Outcome:
        return Send(self.call("remove_router_interface", recorded), into=UNDONE)

    def call(self, verb: str, recorded: Recorded) -> Request:
        """The router's action on this interface."""
        done = frozenset({404}) if verb.startswith("remove") else frozenset[int]()
        data = recorded.data
        return Request(self.service, "PUT", f"{ROUTERS}/{data['router']}/{verb}", {data["by"]: data["id"]}, done=done)
