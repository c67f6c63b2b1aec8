"""The template that most tests of the engine begin with."""

from collections.abc import Callable
from typing import Any

import pytest

Template = dict[str, Any]


def web(
    *,
    dns: str = "9.9.9.9",
    cidr: str = "10.0.0.0/24",
    flags: bool = False,
    without: tuple[str, ...] = (),
    more: dict[str, Any] | None = None,
) -> Template:
    """A network, its subnet, a port, a router with a leg, a server on the port, a volume. ``dns`` changes in place,
    ``cidr`` replaces the subnet and what hangs on it, ``flags`` replaces the server, which holds its port.
    """
    net = {"get_resource": "net"}
    nic = {"port": {"get_resource": "port"}}
    server = {"name": "server", "image": "cirros", "flavor": "m1.tiny", "networks": [nic]}
    resources = {
        "net": {"type": "OS::Neutron::Net", "properties": {"name": "net"}},
        "subnet": {
            "type": "OS::Neutron::Subnet",
            "properties": {"name": "subnet", "network": net, "cidr": cidr, "dns_nameservers": [dns]},
        },
        "port": {
            "type": "OS::Neutron::Port",
            "properties": {"name": "port", "network": net, "fixed_ips": [{"subnet": {"get_resource": "subnet"}}]},
        },
        "router": {"type": "OS::Neutron::Router", "properties": {"name": "router"}},
        "leg": {
            "type": "OS::Neutron::RouterInterface",
            "properties": {"router": {"get_resource": "router"}, "subnet": {"get_resource": "subnet"}},
        },
        "server": {"type": "OS::Nova::Server", "properties": {**server, **({"config_drive": True} if flags else {})}},
        "volume": {"type": "OS::Cinder::Volume", "properties": {"name": "volume", "size": 1}},
        **(more or {}),
    }
    return {"resources": {name: one for name, one in resources.items() if name not in without}}


@pytest.fixture
def template() -> Callable[..., Template]:
    return web
