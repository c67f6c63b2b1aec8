"""Network entries and ports of a server: which port serves which entry, and what a port made for one looks like.

An entry names a port, or a network in which Nova makes one (which goes with the server), or a subnet or port
properties: for those a port is made beside the server, as Heat's "internal ports" are. It carries the server's token as
its description, so it is found again after a crash.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconcilers import own_items
from reconcilers.model import Desired, Failed, Fault, Recorded
from reconcilers.normal_forms import address, interface, loosely_equal, mac
from reconcilers.resource_type import TOKEN

Entry = Mapping[str, Any]
Port = Mapping[str, Any]

EXTRAS = {
    "admin_state_up": "admin_state_up",
    "binding:vnic_type": "binding:vnic_type",
    "port_security_enabled": "port_security_enabled",
    "propagate_uplink_status": "propagate_uplink_status",
    "qos_policy": "qos_policy_id",
}
"""Port properties that can change while the port is there, and their keys in Neutron."""

DEFAULTS: Mapping[str, Any] = {
    "admin_state_up": True,
    "binding:vnic_type": "normal",
    "qos_policy_id": None,
    "allowed_address_pairs": [],
}
"""What a port has of the properties that its entry does not give. Port security is as its network has it."""

MADE_AS = "made_as"
"""In the record's data: for each port made beside the server its number, and the digest of how it was made."""
WITHOUT_ADDRESS = "-"
"""Ends the digest of a port that was made without an address on purpose."""
CHANGED = "changed_ports"
"""In the record's data: the ids of Nova's ports whose properties were changed here."""


def entries(properties: Mapping[str, Any]) -> list[Entry]:
    """The network entries, without the keys that are not given."""
    return [
        {key: value for key, value in entry.items() if value is not None and value != ""}
        for entry in properties.get("networks") or ()
    ]


def allocation(wanted: Sequence[Entry]) -> str:
    """``none`` or ``auto`` where the server leaves its networks to Nova; else empty."""
    return next((entry["allocate_network"] for entry in wanted if "allocate_network" in entry), "")


def internal(entry: Entry) -> bool:
    """Whether a port must be made for this entry before the server can have it."""
    return "port" not in entry and ("subnet" in entry or "port_extra_properties" in entry)


def problem(properties: Mapping[str, Any]) -> Failed | None:
    """What Heat's validation refuses of the networks."""
    wanted = entries(properties)
    for index, entry in enumerate(wanted):
        reason = _entry_problem(entry, alone=len(wanted) == 1)
        if reason:
            return Failed(reason, Fault.INVALID, f"networks[{index}]")
    if properties.get("security_groups") and any("port" in entry for entry in wanted):
        return Failed(
            "security_groups of a server and networks with a port exclude each other", Fault.INVALID, "security_groups"
        )
    return None


def _entry_problem(entry: Entry, *, alone: bool) -> str:
    if not entry.keys() & {"network", "port", "subnet", "allocate_network"}:
        return "needs one of network, port, subnet, allocate_network"
    if "allocate_network" in entry and (len(entry) > 1 or not alone):
        return "allocate_network stands alone"
    if "port" in entry and "fixed_ip" in entry:
        return "a port has its address already: fixed_ip and port exclude each other"
    if "floating_ip" in entry and "port" not in entry and not internal(entry):
        return (
            "floating_ip needs a port, a subnet or port_extra_properties beside it: Nova's own port is not known before"
        )
    return ""


def nic(entry: Entry, port: Port | None) -> dict[str, Any]:
    """The entry as POST /servers takes it; ``port`` is the one made for it."""
    if "port" in entry or port is not None:
        found = {"port": entry.get("port") or (port or {})["id"]}
    else:
        found = {"uuid": entry["network"]}
        if "fixed_ip" in entry:
            found["fixed_ip"] = entry["fixed_ip"]
    return {**found, **({"tag": entry["tag"]} if "tag" in entry else {})}


def attachment(entry: Entry, port: Port | None) -> dict[str, Any]:
    """The entry as os-interface takes it, for a server that runs; an empty entry leaves the network to Nova."""
    if "port" in entry or port is not None:
        found: dict[str, Any] = {"port_id": entry.get("port") or (port or {})["id"]}
    elif "network" in entry:
        found = {"net_id": entry["network"]}
        if "fixed_ip" in entry:
            found["fixed_ips"] = [{"ip_address": entry["fixed_ip"]}]
    else:
        found = {}
    return {**found, **({"tag": entry["tag"]} if "tag" in entry else {})}


# The ports made beside the server.


def mark(recorded: Recorded) -> str:
    """The description of the ports made for this server."""
    return TOKEN + recorded.token


def own(port: Port, recorded: Recorded) -> bool:
    """Whether this port was made for this server."""
    return bool(port.get("description") == mark(recorded))


def port_name(desired: Desired, index: int) -> str:
    """The name of the port made for the entry of this number, as Heat gives it."""
    return f"{desired.name}-port-{index}"


def made_as(entry: Entry, network: str, index: int, desired: Desired, recorded: Recorded) -> str:
    """The digest of the port that is made for this entry now."""
    made = json.dumps(body(entry, network, port_name(desired, index), desired, recorded), sort_keys=True, default=str)
    bare = bool((entry.get("port_extra_properties") or {}).get("no_fixed_ips"))
    return own_items.digest(made, desired) + WITHOUT_ADDRESS * bare


def remembered(recorded: Recorded) -> dict[str, str]:
    """The digests of the ports made beside the server, by their numbers."""
    pairs = (text.partition(":") for text in recorded.data.get(MADE_AS, "").split())
    return {index: made for index, _, made in pairs}


def number(port: Port) -> str:
    """The number in the port's name."""
    return str(port.get("name") or "").rpartition("-")[2]


def body(entry: Entry, network: str, name: str, desired: Desired, recorded: Recorded) -> dict[str, Any]:
    """A port for an entry, as Heat makes it."""
    extra = entry.get("port_extra_properties") or {}
    groups = list(desired.properties.get("security_groups") or ())
    fixed = {"subnet_id": entry.get("subnet"), "ip_address": entry.get("fixed_ip")}
    fixed = {key: value for key, value in fixed.items() if value}
    return {
        **({"fixed_ips": [fixed]} if fixed else {}),
        **({"fixed_ips": []} if extra.get("no_fixed_ips") else {}),
        **({"security_groups": groups} if groups else {}),
        **({"mac_address": extra["mac_address"]} if extra.get("mac_address") else {}),
        **extras(entry),
        "network_id": network,
        "name": name,
        "description": mark(recorded),
    }


def extras(entry: Entry) -> dict[str, Any]:
    """The changeable properties of the port of an entry, as Neutron knows them."""
    extra = entry.get("port_extra_properties") or {}
    found = {key: extra[name] for name, key in EXTRAS.items() if extra.get(name) is not None}
    pairs = extra.get("allowed_address_pairs")
    if pairs is not None:
        found["allowed_address_pairs"] = [
            {key: value for key, value in pair.items() if value is not None} for pair in pairs
        ]
    return {**(extra.get("value_specs") or {}), **found}


def adjustments(
    entry: Entry, port: Port, desired: Desired, recorded: Recorded, *, secured: bool = True
) -> dict[str, Any]:
    """What must change of a port that serves an entry: its properties in full, and the groups of the server.

    Of a port that Nova made only what the entry gives, or gave, is looked at. ``secured``: whether the network switches
    port security on.
    """
    if "port" in entry:
        return {}
    given = extras(entry)
    full = bool(given) or own(port, recorded) or port["id"] in recorded.data.get(CHANGED, "").split()
    wanted = {**DEFAULTS, "port_security_enabled": secured, **given} if full else {}
    groups = list(desired.properties.get("security_groups") or ())
    if groups:
        wanted["security_groups"] = groups
    elif wanted.get("port_security_enabled") is False:
        wanted["security_groups"] = []
    return {key: value for key, value in wanted.items() if key in port and not _holds(key, port, value)}


def insecure(entry: Entry, port: Port) -> bool:
    """Whether the port has no port security without its entry asking for that: then its network tells."""
    return (
        "port" not in entry
        and port.get("port_security_enabled") is False
        and "port_security_enabled" not in extras(entry)
    )


def _holds(key: str, port: Port, wanted: Any) -> bool:
    """Whether the port shows what is wanted; Neutron completes address pairs, and orders lists as it likes."""
    if key == "allowed_address_pairs":
        return sorted(_pair(pair, port) for pair in wanted) == sorted(_pair(pair, port) for pair in port[key])
    return loosely_equal(wanted, port[key])


def _pair(pair: Mapping[str, Any], port: Port) -> tuple[str, str]:
    """An address pair in its normal form; one without a MAC address has the port's."""
    return str(interface(pair.get("ip_address"))), str(mac(pair.get("mac_address") or port.get("mac_address")))


# Which port serves which entry.


def assign(wanted: Sequence[Entry], ports: Iterable[Port], recorded: Recorded) -> tuple[list[Port | None], list[Port]]:
    """A port for each entry where one fits, the most particular entries first; and the ports that no entry wants."""
    left = list(ports)
    taken: list[Port | None] = [None] * len(wanted)
    for index in sorted(range(len(wanted)), key=lambda index: _rank(wanted[index])):
        fitting = [port for port in left if fits(wanted[index], port, recorded)]
        if fitting:
            preferred = [port for port in fitting if own(port, recorded) is internal(wanted[index])]
            found = next(iter(preferred or fitting))
            left.remove(found)
            taken[index] = found
    return taken, left


def spare(
    wanted: Sequence[Entry],
    networks: Mapping[int, str],
    ports: Iterable[Port],
    desired: Desired,
    recorded: Recorded,
) -> tuple[list[Port | None], list[Port]]:
    """The port that was made beside the server for each entry, just as it would be made now; and the other ports.

    ``networks`` are those of the entries by their numbers. What an earlier attempt left over, with other groups or
    address pairs, serves no entry.
    """
    left = list(ports)
    found: list[Port | None] = [None] * len(wanted)
    known = remembered(recorded)
    for index, network in networks.items():
        if known.get(str(index)) == made_as(wanted[index], network, index, desired, recorded):
            found[index] = next((port for port in left if number(port) == str(index)), None)
            left = [port for port in left if port is not found[index]]
    return found, left


def fits(entry: Entry, port: Port, recorded: Recorded) -> bool:
    """Whether this port can serve this entry as it is, or with a change in place. Who made it does not matter."""
    if "port" in entry:
        return bool(port["id"] == entry["port"])
    extra = entry.get("port_extra_properties") or {}
    wanted_mac = extra.get("mac_address")
    if wanted_mac and mac(wanted_mac) != mac(port.get("mac_address")):
        return False
    if extra.get("no_fixed_ips"):
        return not port.get("fixed_ips") and _stands(entry, port)
    bare = own(port, recorded) and remembered(recorded).get(number(port), "").endswith(WITHOUT_ADDRESS)
    return not (bare and not port.get("fixed_ips")) and _stands(entry, port)


def _rank(entry: Entry) -> int:
    if "port" in entry:
        return 0
    return 1 if internal(entry) else 2 if "fixed_ip" in entry else 3


def _stands(entry: Entry, port: Port) -> bool:
    if "network" in entry and port.get("network_id") != entry["network"]:
        return False
    addresses = port.get("fixed_ips") or []
    if "fixed_ip" in entry or "subnet" in entry:
        return any(
            ("subnet" not in entry or fixed.get("subnet_id") == entry["subnet"])
            and ("fixed_ip" not in entry or address(fixed.get("ip_address")) == address(entry["fixed_ip"]))
            for fixed in addresses
        )
    return True
