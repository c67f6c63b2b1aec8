"""Floating IPs on a port whose addresses change: Neutron refuses to take an address from under one.

So they let go before the change, and are pointed at the port again after it, whoever they belong to.
"""

from collections.abc import Mapping
from typing import Any

from reconcilers.model import Desired, Outcome, Pause, Recorded, Request, Send
from reconcilers.network.neutron import addresses
from reconcilers.normal_forms import address

HELD = "floating_ips"
"""In the record's data: the floating IPs that let go of the port and have not been pointed at it again.

Also the key of what was read of them.
"""
TRIES = 20
"""How often a floating IP is pointed back. A router may only just be getting a leg in the port's new subnet."""
BETWEEN_TRIES = 2.0
"""Seconds."""
_IPV4 = "."


def release(leaving: set[str], recorded: Recorded, observed: Mapping[str, Any]) -> Send | None:
    """Have the floating IPs of the addresses that the port is about to lose let go; None when all have."""
    if not leaving:
        return None
    if HELD not in observed:
        params = {"port_id": recorded.physical_id}
        return Send(Request("network", "GET", "/floatingips", params=params), into=HELD)
    on_it = [one for one in observed[HELD]["floatingips"] if address(one.get("fixed_ip_address")) in leaving]
    names = " ".join(sorted({*_held(recorded), *(one["id"] for one in on_it)}))
    for floating in on_it:
        mark = f"released {floating['id']}"
        if mark not in observed:
            request = _point(floating["id"], {"port_id": None})
            return Send(request, into=mark, remember={HELD: names})
    return None


def restore(desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
    """Point the floating IPs that let go at the port again; None when nothing is left to do."""
    held = _held(recorded)
    if not held:
        return None
    if desired.properties.get("no_fixed_ips"):
        return Pause(0, remember={HELD: ""})
    if HELD not in observed:
        return Send(Request("network", "GET", "/floatingips", params={"id": held}), into=HELD)
    target = next((ip["ip_address"] for ip in addresses(observed["fixed_ips"]) if _IPV4 in ip["ip_address"]), None)
    tries = int(recorded.data.get("floating_tries") or 0)
    refused = False
    for floating in observed[HELD]["floatingips"]:
        mark = f"pointed {tries} {floating['id']}"
        if floating.get("port_id") or target is None:
            continue  # somebody else took it, or it is there already
        if mark not in observed:
            body = {"port_id": recorded.physical_id, "fixed_ip_address": target}
            # 404: no router leads from its network to the port yet.
            return Send(_point(floating["id"], body, 404), into=mark)
        refused = refused or "NeutronError" in (observed[mark] or {})
    if refused and tries < TRIES:
        return Pause(BETWEEN_TRIES, "waits for a router to the floating IP", {"floating_tries": str(tries + 1)})
    return Pause(0, remember={HELD: "", "floating_tries": ""})


def _held(recorded: Recorded) -> list[str]:
    return recorded.data.get(HELD, "").split()


def _point(floating: str, target: Mapping[str, Any], *done: int) -> Request:
    return Request("network", "PUT", f"/floatingips/{floating}", {"floatingip": target}, done=frozenset(done))
