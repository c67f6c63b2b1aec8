"""How a port is replaced whose successor wants the same addresses, while a server or a router may hold it.

No network has an IP address or a MAC address twice. A port that nobody holds is deleted first. One that a server
holds gives the IP addresses up and stays until the server has its successor, as in Heat; a MAC address goes only with
the port itself.
"""

from collections.abc import Mapping
from typing import Any

from reconcilers.model import Desired, Recorded, Replace, Request, Send, Wait
from reconcilers.network import port_floating
from reconcilers.network.neutron import addresses
from reconcilers.normal_forms import address, mac

ROUTER = "network:router_"
COMPUTE = "compute:"
UNPLUGGED = "unplugged"
"""Key among what was read: the port's router was asked to let it go."""


def replacement(why: str, desired: Desired, recorded: Recorded, observed: Mapping[str, Any], *, held: bool) -> Replace:
    """The replacement, with what the old port has to give up before. ``held``: a service has plugged it in."""
    given = desired.properties
    if observed["network_id"] != given["network"]:
        return Replace(why)
    wanted_mac = given.get("mac_address")
    same_mac = bool(wanted_mac) and mac(wanted_mac) == mac(observed.get("mac_address"))
    wanted = {address(ip["ip_address"]) for ip in given.get("fixed_ips") or () if ip.get("ip_address")}
    kept = [ip for ip in addresses(observed["fixed_ips"]) if ip["ip_address"] not in wanted]
    if not same_mac and len(kept) == len(observed["fixed_ips"]):
        return Replace(why)
    owner, device = str(observed.get("device_owner")), observed.get("device_id")
    if held and owner.startswith(ROUTER):
        # That deletes the port.
        path = f"/routers/{device}/remove_router_interface"
        request = Request("network", "PUT", path, {"port_id": recorded.physical_id}, done=frozenset({404}))
        release = Wait("being taken out of its router") if UNPLUGGED in observed else Send(request, into=UNPLUGGED)
        return Replace(why, delete_first=True, release=release)
    if held and owner.startswith(COMPUTE) and not same_mac:
        floating = port_floating.release(wanted, recorded, observed)
        body = {"port": {"fixed_ips": kept}}
        release = floating or Send(Request("network", "PUT", f"/ports/{recorded.physical_id}", body))
        return Replace(why, release=release)
    return Replace(why, delete_first=True)
