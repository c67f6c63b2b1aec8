import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from hot_translator.expression import Dynamic, Reference, leaves
from hot_translator.implicit import edges


@dataclass(frozen=True)
class Thing:
    """What the rules read of a definition."""

    type: str
    properties: Any = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()

    @property
    def requires(self) -> frozenset[str]:
        return frozenset(self.depends_on) | {leaf.resource for leaf in leaves(self.properties)}


class Somehow(Dynamic):
    """A call whose result depends on some resources, in a way that nobody can see."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def resolve(self, scope: Any) -> Any:
        return None

    def leaves(self) -> Any:
        return iter([Reference(name) for name in self.names])


NET, SUBNET = Thing("OS::Neutron::Net"), Thing("OS::Neutron::Subnet", {"network": Reference("net")})
OTHER_SUBNET = Thing("OS::Neutron::Subnet", {"network": Reference("other")})
INTERFACE = Thing("OS::Neutron::RouterInterface", {"router": Reference("router"), "subnet": Reference("subnet")})
GATEWAY = Thing("OS::Neutron::RouterGateway", {"router_id": Reference("router"), "network": "public"})


def port(**properties: Any) -> Thing:
    return Thing("OS::Neutron::Port", properties)


def server(*networks: Any, **properties: Any) -> Thing:
    return Thing("OS::Nova::Server", {"networks": list(networks), **properties})


NETWORK = {
    "net": NET,
    "other": NET,
    "subnet": SUBNET,
    "other_subnet": OTHER_SUBNET,
    "router": Thing("OS::Neutron::Router"),
}


def needs(thing: Thing, **others: Thing) -> set[str]:
    """What the thing is made to need, beside what it says itself."""
    found = edges({**NETWORK, **others, "it": thing})
    return {requirement for dependant, requirement in found if dependant == "it"}


@pytest.mark.parametrize(
    "thing",
    [
        port(network=Reference("net")),
        port(network_id=Reference("net")),
        port(network=Somehow("net")),
        server({"network": Reference("net")}),
        server({"uuid": Reference("net")}),
        server({"network": "elsewhere"}, {"network": Reference("net")}),
        server(Somehow("net")),
        Thing("OS::Nova::Server", {"networks": Somehow("net")}),
        Thing("OS::Neutron::Router", {"external_gateway_info": {"network": Reference("net")}}),
        Thing("OS::Neutron::Router", {"external_gateway_info": Somehow("net")}),
        Thing("OS::Quantum::Port", {"network_id": Reference("net")}),
    ],
)
def test_what_attaches_to_a_network_waits_for_its_subnets_and_no_others(thing: Thing) -> None:
    assert needs(thing) == {"subnet"}


@pytest.mark.parametrize(
    "thing",
    [
        port(network="elsewhere"),
        port(network=None),
        port(),
        server({"port": "a port"}),
        server({"subnet": Reference("other_subnet")}),
        Thing("OS::Nova::Server", None),
        Thing("OS::Nova::Server", {"networks": "nonsense"}),
        Thing("OS::Neutron::Router"),
        Thing("OS::Neutron::Net"),
        Thing("OS::Heat::Value", {"value": Reference("net")}),
    ],
)
def test_nothing_is_needed_where_no_network_is_shared(thing: Thing) -> None:
    assert needs(thing) == set()


def test_networks_are_the_same_when_they_are_the_same_constant() -> None:
    public = Thing("OS::Neutron::Subnet", {"network_id": "public"})
    assert needs(port(network="public"), public=public) == {"public"}


def test_a_value_that_nobody_knows_is_the_same_as_itself() -> None:
    public, other = Somehow(), Somehow()
    things = {"there": Thing("OS::Neutron::Subnet", {"network": public})}
    assert needs(port(network=public), **things) == {"there"}
    assert needs(port(network=other), **things) == set()


def test_what_is_stated_already_is_not_said_again() -> None:
    assert needs(Thing("OS::Neutron::Port", {"network": Reference("net")}, depends_on=("subnet",))) == set()


def test_a_gateway_waits_for_the_interfaces_of_its_router_and_the_subnets_of_its_network() -> None:
    gateway = Thing("OS::Neutron::RouterGateway", {"router_id": Reference("router"), "network": Reference("other")})
    assert needs(gateway, interface=INTERFACE) == {"interface", "other_subnet"}


@pytest.mark.parametrize("type_", ["OS::Neutron::ExtraRoute", "OS::Neutron::ExtraRouteSet"])
@pytest.mark.parametrize("key", ["router", "router_id"])
def test_a_route_waits_for_what_connects_its_router(type_: str, key: str) -> None:
    route = Thing(type_, {key: Reference("router")})
    assert needs(route, interface=INTERFACE, gateway=GATEWAY) == {"interface", "gateway"}


def test_a_floating_ip_waits_for_every_way_to_its_network() -> None:
    router = Thing("OS::Neutron::Router", {"external_gateway_info": {"network": "public"}})
    inside = Thing("OS::Neutron::Router", {"external_gateway_info": {"network": "private"}})
    address = Thing("OS::Neutron::FloatingIP", {"floating_network": "public"})
    assert needs(address, gateway=GATEWAY, edge=router, inside=inside) == {"gateway", "edge"}


MAPPINGS = [
    Thing("OS::Neutron::FloatingIP", {"floating_network": "public", "port_id": Reference("port")}),
    Thing("OS::Neutron::FloatingIPAssociation", {"floatingip_id": "f", "port_id": Reference("port")}),
    Thing("OS::Neutron::FloatingIPPortForward", {"floating_ip": "f", "internal_port": Reference("port")}),
    Thing("OS::Neutron::FloatingIPAssociation", {"floatingip_id": "f", "port_id": "x"}, depends_on=("port",)),
]


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize(
    "its_port",
    [
        port(network=Reference("net"), fixed_ips=[{"subnet": Reference("subnet")}]),
        port(network=Reference("net"), fixed_ips=[{"ip_address": "::1"}, {"subnet_id": Reference("subnet")}]),
        port(network=Reference("net"), fixed_ips=[Somehow("subnet")]),
        port(network=Reference("net")),
    ],
)
def test_an_address_of_a_port_waits_for_the_interface_on_the_ports_subnet(mapping: Thing, its_port: Thing) -> None:
    elsewhere = Thing("OS::Neutron::RouterInterface", {"router": "r", "subnet": Reference("other_subnet")})
    assert needs(mapping, port=its_port, interface=INTERFACE, elsewhere=elsewhere) == {"interface"}


def test_an_address_of_a_server_waits_for_the_interfaces_on_its_networks() -> None:
    association = Thing("OS::Nova::FloatingIPAssociation", {"server_id": Reference("vm"), "floating_ip": "f"})
    assert needs(association, vm=server({"network": Reference("net")}), interface=INTERFACE) == {"interface"}
    assert needs(association, vm=server({"subnet": Reference("subnet")}), interface=INTERFACE) == {"interface"}
    through_port = {"vm": server({"port": Reference("port")}), "port": port(network=Reference("net"))}
    assert needs(association, **through_port, interface=INTERFACE) == {"interface"}


def test_a_vpc_gateway_waits_for_the_route_tables_of_its_vpc() -> None:
    table = Thing("AWS::EC2::RouteTable", {"VpcId": Reference("net")})
    attachment = Thing("AWS::EC2::VPCGatewayAttachment", {"VpcId": Reference("net")})
    assert needs(attachment, table=table) == {"table"}


def test_an_edge_that_contradicts_the_template_is_left_out() -> None:
    things = {
        "net": NET,
        "port": port(network=Reference("net")),
        "first": SUBNET,
        "second": Thing("OS::Neutron::Subnet", {"network": Reference("net")}, depends_on=("middle",)),
        "middle": Thing("OS::Heat::Value", {"value": Reference("port")}),
    }
    assert edges(things) == [("port", "first")]


def test_two_implicit_edges_close_no_circle_together() -> None:
    things = {
        "a": Thing("OS::Neutron::Subnet", {"network": "x"}, depends_on=("port_y",)),
        "b": Thing("OS::Neutron::Subnet", {"network": "y"}, depends_on=("port_x",)),
        "port_x": port(network="x"),
        "port_y": port(network="y"),
    }
    assert edges(things) == [("port_x", "a")]


def test_a_circle_that_the_template_states_does_not_hide_other_edges() -> None:
    things = {
        **NETWORK,
        "it": port(network=Reference("net")),
        "x": Thing("OS::Heat::None", depends_on=("y",)),
        "y": Thing("OS::Heat::None", depends_on=("x",)),
    }
    assert ("it", "subnet") in edges(things)


def test_a_name_that_is_not_there_is_no_requirement() -> None:
    assert edges({"it": Thing("OS::Neutron::FloatingIP", {"port_id": Reference("gone")})}) == []


def chain_of_networks(count: int) -> dict[str, Thing]:
    things: dict[str, Thing] = {}
    for number in range(count):
        things[f"net{number}"] = NET
        things[f"subnet{number}"] = Thing("OS::Neutron::Subnet", {"network": Reference(f"net{number}")})
        things[f"port{number}"] = port(network=Reference(f"net{number}"))
        things[f"vm{number}"] = server({"port": Reference(f"port{number}")})
    return things


def test_the_work_grows_with_the_number_of_resources() -> None:
    def calls(count: int) -> int:
        things = chain_of_networks(count)
        made = 0

        def counted(_frame: object, event: str, _argument: object) -> None:
            nonlocal made
            made += event in {"call", "c_call"}

        sys.setprofile(counted)
        try:
            assert len(edges(things)) == count
        finally:
            sys.setprofile(None)
        return made

    assert calls(2500) < 11 * calls(250)


@pytest.mark.parametrize("kind", ["OS::Neutron::FloatingIP", "OS::Neutron::FloatingIPAssociation"])
def test_a_floating_ip_of_a_load_balancer_waits_for_what_connects_its_subnet(kind: str) -> None:
    balancer = Thing("OS::Octavia::LoadBalancer", {"vip_subnet": Reference("subnet")})
    other = Thing("OS::Neutron::RouterInterface", {"router": Reference("router"), "subnet": Reference("other_subnet")})
    address = Thing(kind, {"port_id": Reference("balancer")})
    assert needs(address, balancer=balancer, interface=INTERFACE, elsewhere=other) == {"interface"}
