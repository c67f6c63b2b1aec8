"""Neutron: networks, subnets, ports, routers, security groups, floating IPs, segments and pools."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

from hot_translator.catalogue import lookup
from hot_translator.rules.given import Breach, Given, Rule, exclusive, needs, one_of, together

_WITHOUT_PORTS: Final = ("icmp", "icmpv6", "ipv6-icmp")
_TUNNELS: Final = ("vxlan", "gre", "geneve")
_MAX_VLAN: Final = 4094


def _value_specs(type_name: str) -> Rule:
    """value_specs adds what the type has no property for, and nothing else. Heat lets ports have all of it."""

    def rule(it: Given) -> Iterator[Breach]:
        specs = it["value_specs"]
        schema = lookup(type_name) if isinstance(specs, dict) else None
        if schema is None:
            return
        banned = sorted(str(key) for key in specs if key in schema.properties or key in ("shared", "tenant_id"))
        if banned:
            yield it.breach("value_specs", f"{', '.join(banned)} not allowed in value_specs")

    return rule


def _subnet_versions(it: Given) -> Iterator[Breach]:
    modes = it.filled("ipv6_ra_mode", "ipv6_address_mode")
    if it["ip_version"] == 4 and modes:
        yield it.breach(modes[0], "ipv6_ra_mode and ipv6_address_mode are not supported for IPv4")
    elif len(modes) > 1 and it[modes[0]] != it[modes[1]]:
        yield it.breach(modes[1], "When both ipv6_ra_mode and ipv6_address_mode are set, they must be equal")
    cidr = it["cidr"]
    if isinstance(cidr, str) and it.known("ip_version"):
        version = 6 if ":" in cidr else 4  # that it is a CIDR at all is its own constraint
        if it["ip_version"] not in (None, version):
            yield it.breach("cidr", f"is of IPv{version}, and the ip_version is {it['ip_version']}")


def _gateway(it: Given) -> Iterator[Breach]:
    gateway = it["gateway_ip"]
    if gateway in (None, "", "~", "auto"):
        return
    try:
        ipaddress.ip_address(gateway)
    except ValueError:
        yield it.breach("gateway_ip", f'Gateway IP address "{gateway}" is in invalid format')


def _agents(it: Given) -> Iterator[Breach]:
    agents = it.filled("l3_agent_id", "l3_agent_ids")
    if it["distributed"] and agents:
        yield it.breach("distributed", together("distributed", agents[0]))
    if it["distributed"] and it["ha"]:
        yield it.breach("distributed", together("distributed", "ha"))
    ids = it["l3_agent_ids"]
    if it.known("ha") and not it["ha"] and isinstance(ids, list) and len(ids) > 1:
        yield it.breach("l3_agent_ids", "Non HA routers can only have one L3 agent")


def _addresses(it: Given) -> Iterator[Breach]:
    if it["no_fixed_ips"] and it.has("fixed_ips"):
        yield it.breach("no_fixed_ips", together("fixed_ips", "no_fixed_ips"))


def _group_name(it: Given) -> Iterator[Breach]:
    if it["name"] == "default":
        yield it.breach(
            "name", 'Security groups cannot be assigned the name "default": each project has that one already'
        )
    for rule in it.items("rules"):
        yield from _ports(rule)


def _ports(it: Given) -> Iterator[Breach]:
    low, high = it["port_range_min"], it["port_range_max"]
    if low is None or high is None or not it.known("protocol") or it["protocol"] in _WITHOUT_PORTS:
        return
    if high < low:
        yield it.breach(
            "port_range_max", "The minimum port number must be less than or equal to the maximum port number"
        )


def _physical(it: Given) -> Iterator[Breach]:
    kind = it["network_type"]
    if it.has("segmentation_id") and kind in ("local", "flat"):
        yield it.breach("segmentation_id", "segmentation_id not allowed for network types: local, flat")
    if it.has("physical_network") and kind in (*_TUNNELS, "local"):
        yield it.breach(
            "physical_network", f"physical_network not allowed for network types: {', '.join(_TUNNELS)}, local"
        )


def _segment(it: Given) -> Iterator[Breach]:
    kind = it["network_type"]
    if kind in ("flat", "vlan") and it.lacks("physical_network"):
        yield it.breach("physical_network", f"physical_network is required for a {kind} provider network")
    if kind == "vlan" and it.lacks("segmentation_id"):
        yield it.breach("segmentation_id", "segmentation_id is required for a vlan provider network")
    if kind in ("local", "flat") and it.has("segmentation_id"):
        yield it.breach("segmentation_id", f"segmentation_id is prohibited for a {kind} provider network")
    if kind in _TUNNELS and it.has("physical_network"):
        yield it.breach("physical_network", f"physical_network is prohibited for a {kind} provider network")
    if kind == "vlan" and it.has("segmentation_id") and it["segmentation_id"] > _MAX_VLAN:
        yield it.breach("segmentation_id", f"Up to {_MAX_VLAN} VLAN segments can exist on a physical network")


def _prefixes(it: Given) -> Iterator[Breach]:
    names = ("min_prefixlen", "default_prefixlen", "max_prefixlen")
    for low, high in ((names[0], names[2]), (names[1], names[2]), (names[0], names[1])):
        if it[low] and it[high] and it[low] > it[high]:
            yield it.breach(low, f"Illegal prefix bounds: {low}={it[low]}, {high}={it[high]}")


def _shared(it: Given) -> Iterator[Breach]:
    kind, action = it["object_type"], it["action"]
    if action == "access_as_external" and kind not in (None, "network"):
        yield it.breach("action", f'Invalid action "{action}" for object type {kind}: access_as_shared is the only one')


def _some_quota(it: Given) -> Iterator[Breach]:
    """A quota without a number sets nothing. What is unknown may be one."""
    if it.only("project"):
        yield it.breach("", "At least one quota must be specified")


_SUBNET: Final[tuple[Rule, ...]] = (
    exclusive("subnetpool", "cidr"),
    one_of("subnetpool", "cidr"),
    exclusive("prefixlen", "cidr"),
    _subnet_versions,
    _gateway,
)

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "OS::Neutron::Firewall": (_value_specs("OS::Neutron::Firewall"),),
    "OS::Neutron::FloatingIP": (_value_specs("OS::Neutron::FloatingIP"), needs("fixed_ip_address", "port_id")),
    "OS::Neutron::Net": (_value_specs("OS::Neutron::Net"),),
    "OS::Neutron::Port": (_addresses,),
    "OS::Neutron::ProviderNet": (_physical,),
    "OS::Neutron::Quota": (_some_quota,),
    "OS::Neutron::RBACPolicy": (_shared,),
    "OS::Neutron::Router": (
        _value_specs("OS::Neutron::Router"),
        exclusive("l3_agent_id", "l3_agent_ids"),
        _agents,
    ),
    "OS::Neutron::RouterInterface": (exclusive("subnet", "port"), one_of("subnet", "port")),
    "OS::Neutron::SecurityGroup": (_group_name,),
    "OS::Neutron::SecurityGroupRule": (exclusive("remote_group", "remote_ip_prefix"), _ports),
    "OS::Neutron::Segment": (_segment,),
    "OS::Neutron::Subnet": (_value_specs("OS::Neutron::Subnet"), *_SUBNET),
    "OS::Neutron::SubnetPool": (_prefixes,),
    "OS::Nova::Quota": (_some_quota,),
    "OS::Cinder::Quota": (_some_quota,),
    "OS::Octavia::Quota": (_some_quota,),
}
