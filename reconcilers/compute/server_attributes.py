"""What get_attr gives of a server, as Heat gives it."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from reconcilers.compute import server_ports
from reconcilers.model import Desired, Recorded, Request

CONSOLES = {"novnc": "vnc", "spice-html5": "spice", "serial": "serial", "webmks": "mks"}
"""Types of consoles that Nova can have, and the protocol that it wants to hear with each."""
CONSOLE_VERSION = "2.8"
"""Knows all of these."""
UNAVAILABLE = frozenset({400, 404, 409, 501})
"""How Nova says that it has no such console, or not now."""


def networks(desired: Desired | None, server: Mapping[str, Any]) -> dict[str, list[str]]:
    """Addresses by network: by its name, and by its id where that is plain without asking."""
    named = by_name(server)
    single = only_network(desired, named)
    return {**named, **({single: named[next(iter(named))]} if single else {})}


def by_name(server: Mapping[str, Any]) -> dict[str, list[str]]:
    """The addresses that the server shows, by the name of the network."""
    shown = server.get("addresses") or {}
    return {name: [str(address["addr"]) for address in shown[name]] for name in sorted(shown)}


def only_network(desired: Desired | None, named: Mapping[str, Any]) -> str:
    """The id of the one network that all entries name and the server is on; empty if it is not that simple."""
    wanted = server_ports.entries(desired.properties) if desired else []
    ids = {entry.get("network") for entry in wanted}
    found = next(iter(ids), None)
    return str(found) if len(ids) == len(named) == 1 and found else ""


def first_address(server: Mapping[str, Any]) -> str:
    """The first address of the network whose name comes last, as Heat chooses it."""
    named = by_name(server)
    return next((named[name][0] for name in sorted(named, reverse=True) if named[name]), "")


def request(
    attribute: str, desired: Desired | None, recorded: Recorded, server: Mapping[str, Any]
) -> Request | Mapping[str, Request] | None:
    """The reads for the attributes that the server does not show itself."""
    plain = attribute == "networks" and only_network(desired, by_name(server))
    if attribute == "addresses" or (attribute == "networks" and not plain and server.get("addresses")):
        return Request("network", "GET", "/ports", params={"device_id": recorded.physical_id})
    if attribute == "console_urls":
        path = f"/servers/{recorded.physical_id}/remote-consoles"
        return {
            kind: Request(
                "compute",
                "POST",
                path,
                {"remote_console": {"protocol": protocol, "type": kind}},
                microversion=CONSOLE_VERSION,
                done=UNAVAILABLE,
            )
            for kind, protocol in CONSOLES.items()
        }
    return None


def value(attribute: str, body: Any, server: Mapping[str, Any]) -> Any:
    """The attribute's value out of what was read."""
    if attribute == "console_urls":
        return {kind: _console(answer) for kind, answer in body.items()}
    ports = (body or {}).get("ports") or []
    if attribute == "networks":
        return {**by_name(server), **_by_id(by_name(server), ports, lambda address: address)}
    extended = {name: [_extended(address, ports) for address in group] for name, group in _shown(server).items()}
    return {**extended, **_by_id(extended, ports, lambda address: address["addr"])}


def _shown(server: Mapping[str, Any]) -> Mapping[str, Any]:
    return server.get("addresses") or {}


def _by_id(named: Mapping[str, list[Any]], ports: list[Mapping[str, Any]], address_of: Any) -> dict[str, list[Any]]:
    """The same groups under their networks' ids: a network is known by the addresses of its ports."""
    of = {_plain(fixed["ip_address"]): port["network_id"] for port in ports for fixed in port.get("fixed_ips") or ()}
    found: dict[str, list[Any]] = {}
    for group in named.values():
        network = next((of[_plain(address_of(item))] for item in group if _plain(address_of(item)) in of), None)
        if network:
            found[network] = group
    return found


def _extended(address: Mapping[str, Any], ports: list[Mapping[str, Any]]) -> dict[str, Any]:
    """An address with its port, and what that says of its subnets and network. Floating ones have none, as in Heat."""
    for port in ports:
        fixed = port.get("fixed_ips") or []
        if any(_plain(ip["ip_address"]) == _plain(address["addr"]) for ip in fixed):
            subnets = [{"id": ip["subnet_id"]} for ip in fixed]
            return {**address, "port": port["id"], "subnets": subnets, "network": {"id": port["network_id"]}}
    return {**address, "port": None}


def _plain(address: Any) -> Any:
    try:
        return ipaddress.ip_address(str(address))
    except ValueError:
        return address


def _console(answer: Any) -> str:
    found = (answer or {}).get("remote_console")
    if found:
        return str(found["url"])
    problem = next((held for held in (answer or {}).values() if isinstance(held, Mapping)), {})
    return f"Cannot get console url: {problem.get('message', 'the cloud has none')}"
