"""Templates of the fault tests, and what they come to in a project."""

from typing import Any

from harness.cloud import Inventory


def machine(dns: str = "9.9.9.9", *, drive: bool = False) -> dict[str, Any]:
    """A server with a port of its own: ``dns`` changes the subnet in place, ``drive`` replaces the server."""
    net = {"get_resource": "net"}
    server = {"image": "cirros", "flavor": "m1.tiny", "networks": [{"port": {"get_resource": "port"}}]}
    return {
        "heat_template_version": "2021-04-16",
        "resources": {
            "net": {"type": "OS::Neutron::Net"},
            "subnet": {
                "type": "OS::Neutron::Subnet",
                "properties": {"network": net, "cidr": "10.0.0.0/24", "dns_nameservers": [dns]},
            },
            "port": {"type": "OS::Neutron::Port", "properties": {"network": net}},
            "server": {
                "type": "OS::Nova::Server",
                "properties": {**server, **({"config_drive": True} if drive else {})},
            },
        },
    }


MACHINE = {"networks": 1, "subnets": 1, "ports": 1, "servers": 1}
"""What :func:`machine` comes to."""


def site(width: int = 3, dns: str = "9.9.9.9", *, drive: bool = False) -> dict[str, Any]:
    """A router with legs, networks, ports, a server, a volume: ``dns`` changes in place, ``drive`` replaces."""
    resources: dict[str, Any] = {
        "group": {"type": "OS::Neutron::SecurityGroup", "properties": {"rules": [{"protocol": "icmp"}]}},
        "router": {"type": "OS::Neutron::Router"},
    }
    for i in range(width):
        net = {"get_resource": f"net{i}"}
        resources |= {
            f"net{i}": {"type": "OS::Neutron::Net"},
            f"subnet{i}": {
                "type": "OS::Neutron::Subnet",
                "properties": {"network": net, "cidr": f"10.{i}.0.0/24", "dns_nameservers": [dns]},
            },
            f"port{i}": {
                "type": "OS::Neutron::Port",
                "properties": {"network": net, "security_groups": [{"get_resource": "group"}]},
            },
            f"leg{i}": {
                "type": "OS::Neutron::RouterInterface",
                "properties": {"router": {"get_resource": "router"}, "subnet": {"get_resource": f"subnet{i}"}},
            },
        }
    resources["server"] = {
        "type": "OS::Nova::Server",
        "properties": {
            "image": "cirros",
            "flavor": "m1.tiny",
            "networks": [{"port": {"get_resource": "port0"}}],
            **({"config_drive": True} if drive else {}),
        },
    }
    resources["volume"] = {"type": "OS::Cinder::Volume", "properties": {"size": 1}}
    return {"heat_template_version": "2021-04-16", "resources": resources}


def site_counts(width: int) -> dict[str, int]:
    """What :func:`site` comes to: each network has a port of its own and one of the router's."""
    return {
        "networks": width,
        "subnets": width,
        "ports": 2 * width,
        "routers": 1,
        "servers": 1,
        "volumes": 1,
        "security_groups": 1,
        "security_group_rules": 3,
    }


def counts(before: Inventory, after: Inventory) -> dict[str, int]:
    """How many of each kind came."""
    found = {kind: len(after[kind].keys() - before[kind].keys()) for kind in after}
    return {kind: number for kind, number in found.items() if number}
