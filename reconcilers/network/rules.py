"""Security group rules as Neutron compares them: one that says the same in other words is the same rule."""

from collections.abc import Mapping
from typing import Any

from reconcilers.normal_forms import address

Key = tuple[Any, ...]

PROTOCOLS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
ICMP, ICMP_V6 = 1, 58
ANYWHERE = ("0.0.0.0/0", "::/0")
ALL_PORTS = (1, 65535)
"""Neutron keeps this range as no range at all, whatever the protocol."""

DEFAULT_EGRESS: tuple[Mapping[str, Any], ...] = tuple(
    {"direction": "egress", "ethertype": ethertype} for ethertype in ("IPv4", "IPv6")
)
"""What Heat wants where a template gives no egress rule: everything may leave."""


def key(rule: Mapping[str, Any]) -> Key:
    """What makes two rules of a group the same to Neutron: all but the description."""
    return (
        rule.get("direction"),
        rule.get("ethertype"),
        _protocol(rule),
        _ports(rule),
        rule.get("remote_group_id") or None,
        _prefix(rule.get("remote_ip_prefix")),
    )


def _protocol(rule: Mapping[str, Any]) -> int | str | None:
    said = rule.get("protocol")
    if said in (None, "", "any"):
        return None
    name = str(said).lower()
    number = int(name) if name.isdecimal() else PROTOCOLS.get(name)
    if number == ICMP and rule.get("ethertype") == "IPv6":
        return ICMP_V6
    return name if number is None else number


def _ports(rule: Mapping[str, Any]) -> tuple[int | None, int | None]:
    first, last = _port(rule.get("port_range_min")), _port(rule.get("port_range_max"))
    return (None, None) if (first, last) == ALL_PORTS else (first, last)


def _port(said: Any) -> int | None:
    return None if said in (None, "") else int(said)


def _prefix(said: Any) -> str | None:
    if not said:
        return None
    prefix = str(address(said))
    prefix = prefix.removesuffix("/128" if ":" in prefix else "/32")  # a single host may have no length
    return None if prefix in ANYWHERE else prefix
