"""The interfaces of a server: make the ports that entries need, plug and unplug, free what is left over.

Every function looks at what was read and gives the one next thing to do, or None when nothing is left to do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reconcilers.compute import server_ports
from reconcilers.compute.server_ports import Entry, Port
from reconcilers.model import Desired, Failed, Fault, Gone, Outcome, Recorded, Request, Send, Wait

PLUGGED = "ports"
"""Key among what was read: all ports that are plugged into the server."""
OWN = "own_ports"
"""The ports that were made for it here, plugged in or not."""
MADE = "made_ports"
SUBNETS = "subnets"
FLOATING = "floating_ips"

TAGGED = "2.49"
"""The microversion in which an interface can be plugged in with a tag."""


def intent(properties: Mapping[str, Any]) -> dict[str, str]:
    """What must be known of the networks when the server goes: that it has ports of its own, and its floating IPs."""
    wanted = server_ports.entries(properties)
    floating = sorted({entry["floating_ip"] for entry in wanted if "floating_ip" in entry})
    found = {"ports": "own"} if any(map(server_ports.internal, wanted)) else {}
    return {**found, **({"floating_ips": " ".join(floating)} if floating else {})}


def prepare(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome | None:
    """Before the server is made: the ports that Nova must find, and none that an earlier attempt left over."""
    wanted = server_ports.entries(desired.properties)
    if any(map(server_ports.internal, wanted)) or recorded.data.get("ports"):
        if OWN not in seen:
            return _look_for_own(recorded)
        outcome = _provide(wanted, _own_ports(seen), desired, recorded, seen)
        if outcome is not None:
            return outcome
    taken = _served(wanted, desired, recorded, seen)
    return _associate(wanted, taken, recorded, seen)


def nics(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> list[dict[str, Any]] | str | None:
    """The networks as POST /servers takes them, once they are prepared."""
    wanted = server_ports.entries(desired.properties)
    if not wanted:
        return None
    taken = _served(wanted, desired, recorded, seen)
    pairs = zip(wanted, taken, strict=True)
    return server_ports.allocation(wanted) or [server_ports.nic(entry, port) for entry, port in pairs]


def change(desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome | None:
    """Bring the interfaces of a server that runs to what is wanted, reusing the ports that fit."""
    wanted = _wanted(desired)
    with_own = bool(recorded.data.get("ports")) or any(map(server_ports.internal, wanted))
    if PLUGGED not in seen:
        request = Request("network", "GET", "/ports", params={"device_id": recorded.physical_id})
        return Send(request, into=PLUGGED)
    if with_own and OWN not in seen:
        return _look_for_own(recorded)
    plugged = seen[PLUGGED]["ports"]
    taken, surplus = server_ports.assign(wanted, plugged, recorded)
    there = {port["id"] for port in plugged}
    spare = [port for port in _own_ports(seen) if port["id"] not in there]
    return (
        _unplug(surplus, recorded, seen)
        or _plug(wanted, taken, spare, desired, recorded, seen)
        or _adjust(wanted, taken, desired, recorded, seen)
        or _associate(wanted, taken, recorded, seen)
        or _settle(plugged, seen)
    )


def sweep(recorded: Recorded, seen: Mapping[str, Any]) -> Outcome:
    """After the server is gone: its own ports go too."""
    if not recorded.data.get("ports"):
        return Gone()
    if OWN not in seen:
        return _look_for_own(recorded)
    return _free(_own_ports(seen), seen) or Gone()


def _wanted(desired: Desired) -> list[Entry]:
    """The entries a server that runs shall have. Without any, it has the one interface that Nova gives by itself."""
    wanted = server_ports.entries(desired.properties)
    how = server_ports.allocation(wanted)
    if how == "none":
        return []
    return [{}] if how or not wanted else wanted


# Ports made beside the server.


def _look_for_own(recorded: Recorded) -> Send:
    return Send(Request("network", "GET", "/ports", params={"description": server_ports.mark(recorded)}), into=OWN)


def _own_ports(seen: Mapping[str, Any]) -> list[Port]:
    """Those that were read or made, without those that were deleted since."""
    found = [*(seen.get(OWN) or {}).get("ports", ()), *(seen.get(MADE) or {}).get("ports", ())]
    return [port for port in found if _freed(port) not in seen]


def _networks(wanted: Sequence[Entry], seen: Mapping[str, Any]) -> dict[int, str | None]:
    """The network of each entry that needs a port of its own, by the entry's number; None where it is not known."""
    of_subnet = {subnet["id"]: subnet["network_id"] for subnet in (seen.get(SUBNETS) or {}).get("subnets", ())}
    return {
        index: entry.get("network") or of_subnet.get(entry.get("subnet"))
        for index, entry in enumerate(wanted)
        if server_ports.internal(entry)
    }


def _served(
    wanted: Sequence[Entry], desired: Desired, recorded: Recorded, seen: Mapping[str, Any]
) -> list[Port | None]:
    """The own port of each entry that needs one; None for all others."""
    networks = {index: network for index, network in _networks(wanted, seen).items() if network is not None}
    return server_ports.spare(wanted, networks, _own_ports(seen), desired, recorded)[0]


def _provide(
    wanted: Sequence[Entry], spare: Sequence[Port], desired: Desired, recorded: Recorded, seen: Mapping[str, Any]
) -> Outcome | None:
    """Have a port for each entry that needs one, all made in one call, and free the spare ones that serve none.

    Entries are passed by with an empty map.
    """
    found = _networks(wanted, seen)
    subnets = sorted({wanted[index]["subnet"] for index in found if "network" not in wanted[index]})
    if subnets and SUBNETS not in seen:
        request = Request("network", "GET", "/subnets", params={"id": subnets, "fields": ["id", "network_id"]})
        return Send(request, into=SUBNETS)
    networks: dict[int, str] = {}
    for index, network in found.items():
        if network is None:
            reason = f"there is no subnet {wanted[index]['subnet']}"
            return Failed(reason, Fault.INVALID, f"networks[{index}].subnet")
        networks[index] = network
    served, surplus = server_ports.spare(wanted, networks, spare, desired, recorded)
    outcome = _free(surplus, seen)
    missing = [index for index in networks if served[index] is None]
    if outcome is not None or not missing:
        return outcome
    bodies = [
        server_ports.body(wanted[i], networks[i], server_ports.port_name(desired, i), desired, recorded)
        for i in missing
    ]
    made = {str(i): server_ports.made_as(wanted[i], networks[i], i, desired, recorded) for i in missing}
    told = " ".join(f"{index}:{digest}" for index, digest in {**server_ports.remembered(recorded), **made}.items())
    request = Request("network", "POST", "/ports", {"ports": bodies})
    return Send(request, into=MADE, remember={"ports": "own", server_ports.MADE_AS: told})


def _free(ports: Sequence[Port], seen: Mapping[str, Any]) -> Outcome | None:
    """Delete ports that were made for the server and that nothing uses."""
    for port in ports:
        if _freed(port) not in seen:
            return Send(Request("network", "DELETE", f"/ports/{port['id']}", done=frozenset({404})), into=_freed(port))
    return None


def _freed(port: Port) -> str:
    return f"freed {port['id']}"


# Plugging.


def _unplug(surplus: Sequence[Port], recorded: Recorded, seen: Mapping[str, Any]) -> Outcome | None:
    """Take interfaces out. Nova deletes the ports that it made; the others stay."""
    for port in surplus:
        mark = f"unplugged {port['id']}"
        if mark not in seen:
            path = f"/servers/{recorded.physical_id}/os-interface/{port['id']}"
            return Send(Request("compute", "DELETE", path, done=frozenset({404})), into=mark)
    return Wait("unplugging interfaces") if surplus else None


def _plug(
    wanted: Sequence[Entry],
    taken: Sequence[Port | None],
    spare: Sequence[Port],
    desired: Desired,
    recorded: Recorded,
    seen: Mapping[str, Any],
) -> Outcome | None:
    """Put the missing interfaces in, with ports of our own where they are needed; free those that are left over."""
    missing = [{} if port is not None else entry for entry, port in zip(wanted, taken, strict=True)]
    outcome = _provide(missing, spare, desired, recorded, seen)
    if outcome is not None:
        return outcome
    networks = {index: network for index, network in _networks(missing, seen).items() if network is not None}
    served = server_ports.spare(missing, networks, spare, desired, recorded)[0]
    absent = [index for index, port in enumerate(taken) if port is None]
    for index in absent:
        mark = f"plugged {index}"
        if mark not in seen:
            body = {"interfaceAttachment": server_ports.attachment(wanted[index], served[index])}
            path = f"/servers/{recorded.physical_id}/os-interface"
            version = TAGGED if "tag" in wanted[index] else None
            return Send(Request("compute", "POST", path, body, microversion=version), into=mark)
    return Wait("plugging interfaces") if absent else None


def _adjust(
    wanted: Sequence[Entry],
    taken: Sequence[Port | None],
    desired: Desired,
    recorded: Recorded,
    seen: Mapping[str, Any],
) -> Outcome | None:
    """Change the properties of ports in place."""
    for entry, port in zip(wanted, taken, strict=True):
        if port is None:
            continue
        mark, network = f"adjusted {port['id']}", f"network {port.get('network_id')}"
        if server_ports.insecure(entry, port) and network not in seen:
            path = f"/networks/{port['network_id']}"
            return Send(Request("network", "GET", path, done=frozenset({404})), into=network)
        secured = ((seen.get(network) or {}).get("network") or {}).get("port_security_enabled", True)
        body = server_ports.adjustments(entry, port, desired, recorded, secured=secured)
        if body and mark not in seen:
            before = recorded.data.get(server_ports.CHANGED, "").split()
            changed = {*before, port["id"]} if not server_ports.own(port, recorded) else set(before)
            remember = {server_ports.CHANGED: " ".join(sorted(changed))} if changed - set(before) else {}
            return Send(Request("network", "PUT", f"/ports/{port['id']}", {"port": body}), into=mark, remember=remember)
    return None


def _settle(plugged: Sequence[Port], seen: Mapping[str, Any]) -> Outcome | None:
    """Wait until the server itself shows its ports' addresses, and no others: its attributes are read from there."""
    shown = [address for group in (seen.get("addresses") or {}).values() for address in group]
    missing = {fixed["ip_address"] for port in plugged for fixed in port.get("fixed_ips") or ()}
    missing -= {address.get("addr") for address in shown}
    known = {port.get("mac_address") for port in plugged}
    stale = any(address.get("OS-EXT-IPS-MAC:mac_addr") not in known for address in shown)
    return Wait("Nova is taking note of the interfaces") if missing or stale else None


# Floating IPs named in an entry.


def _associate(
    wanted: Sequence[Entry], taken: Sequence[Port | None], recorded: Recorded, seen: Mapping[str, Any]
) -> Outcome | None:
    """Point the floating IPs at the entries' ports; free those that entries named before, if they still point here."""
    targets = {
        entry["floating_ip"]: _target(entry, port)
        for entry, port in zip(wanted, taken, strict=True)
        if "floating_ip" in entry
    }
    before = set(recorded.data.get("floating_ips", "").split())
    if not targets.keys() | before:
        return None
    every = [*sorted(before - targets.keys()), *sorted(targets)]  # freed first: an address can have only one
    if FLOATING not in seen:
        return Send(Request("network", "GET", "/floatingips", params={"id": every}), into=FLOATING)
    held = {floating["id"]: floating for floating in seen[FLOATING]["floatingips"]}
    here = {port["id"] for port in (seen.get(PLUGGED) or {}).get("ports", ())}
    for identity in every:
        mark = f"floating ip {identity}"
        target = targets.get(identity, {"port_id": None})
        port_id = held.get(identity, {}).get("port_id")
        if identity in targets and identity not in held:
            return Failed(f"there is no floating IP {identity}", Fault.INVALID, "networks")
        astray = port_id != target["port_id"] if identity in targets else port_id in here
        if astray and mark not in seen:
            request = Request("network", "PUT", f"/floatingips/{identity}", {"floatingip": target})
            return Send(request, into=mark, remember={"floating_ips": " ".join(sorted(every))})
    return None


def _target(entry: Entry, port: Port | None) -> dict[str, Any]:
    fixed = {"fixed_ip_address": entry["fixed_ip"]} if "fixed_ip" in entry else {}
    return {"port_id": entry.get("port") or (port or {}).get("id"), **fixed}
