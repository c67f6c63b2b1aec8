"""Dependencies that no template states but the clouds need: a port waits for the subnets of its network, and so on.

These are the rules of Heat's ``add_dependencies``. Heat compares ids, which do not exist before the creation, so it
also ties together resources that have nothing to do with each other; here two values are the same network (or
subnet, or router) when they are the same constant or refer to the same resource. An edge leads to resources of the
same stack (nested template or group), as in Heat, or of one around it. Where there is none and the network is a
resource of the tree, it leads to those of other nested templates: they are about the same network. An implicit edge
that would close a circle is left out: what the template states is stronger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from hot_translator.catalogue import canonical
from hot_translator.expression import Dynamic, leaves

Edge = tuple[str, str]
"""(dependant, requirement)."""

Key = tuple[str, str]
"""What a value is known by: ("ref", resource name), ("is", the constant's text), or ("same", the object's id) for a
value that nobody knows and that refers to nothing."""


class DefinitionLike(Protocol):
    """What the rules read of a resource's definition."""

    @property
    def type(self) -> str:
        """The type's name, after the registry."""

    @property
    def properties(self) -> Any:
        """The compiled properties, ``Dynamic`` where they depend on resources."""

    @property
    def requires(self) -> Iterable[str]:
        """The names of the resources that it refers to or depends on as stated."""


def edges(definitions: Mapping[str, DefinitionLike]) -> list[Edge]:
    """The implicit edges, each once, none that is stated already or would close a circle.

    The work grows with the number of resources and of edges found.
    """
    index = _Index(definitions)
    stated = {name: {need for need in it.requires if need in definitions} for name, it in definitions.items()}
    found: list[Edge] = []
    for name, definition in definitions.items():
        rule = _RULES.get(canonical(definition.type))
        if rule is None:
            continue
        known = stated[name]
        index.at = name
        needs = dict.fromkeys(need for need in rule(definition, index) if need != name and need not in known)
        found += [(name, need) for need in needs]
    return _without_circles(stated, found) if found else found


class _Index:
    """Where the rules find the other side of an edge: names of resources by what they belong to."""

    at = ""
    """The resource whose rule is at work."""

    def __init__(self, definitions: Mapping[str, DefinitionLike]) -> None:
        self.definitions = definitions
        self.subnets_by_network: dict[Key, list[str]] = defaultdict(list)
        self.interfaces_by_router: dict[Key, list[str]] = defaultdict(list)
        self.interfaces_by_subnet: dict[Key, list[str]] = defaultdict(list)
        self.gateways_by_router: dict[Key, list[str]] = defaultdict(list)
        self.gateways_by_network: dict[Key, list[str]] = defaultdict(list)
        self.route_tables_by_vpc: dict[Key, list[str]] = defaultdict(list)
        for name, definition in definitions.items():
            for names, value in self._places(definition):
                for key in _keys(value):
                    names[key].append(name)

    def _places(self, it: DefinitionLike) -> Iterator[tuple[dict[Key, list[str]], Any]]:
        kind = canonical(it.type)
        if kind == "OS::Neutron::Subnet":
            yield self.subnets_by_network, _get(it, "network", "network_id")
        elif kind == "OS::Neutron::RouterInterface":
            yield self.interfaces_by_router, _get(it, "router", "router_id")
            yield self.interfaces_by_subnet, _get(it, "subnet", "subnet_id")
        elif kind == "OS::Neutron::RouterGateway":
            yield self.gateways_by_router, _get(it, "router_id")
            yield self.gateways_by_network, _get(it, "network", "network_id")
        elif kind == "OS::Neutron::Router":
            yield self.gateways_by_network, _external_network(it)
        elif kind == "AWS::EC2::RouteTable":
            yield self.route_tables_by_vpc, _get(it, "VpcId")

    def of(self, names: Mapping[Key, list[str]], value: Any) -> Iterator[str]:
        """The resources that belong to the network (subnet, router) that a value stands for."""
        for key in sorted(_keys(value)):
            yield from self.near(names, key)

    def near(self, names: Mapping[Key, list[str]], key: Key) -> list[str]:
        """Those of the same stack or of one around it; of a resource, where there are none, all."""
        found = names.get(key, [])
        near = [name for name in found if self.at.startswith(name[: name.rfind("/") + 1])]
        return near or (found if key[0] == "ref" else [])


Rule = Callable[[DefinitionLike, _Index], Iterator[str]]


def _port(it: DefinitionLike, index: _Index) -> Iterator[str]:
    """Any subnet of the network may be the one that gives the port its address."""
    yield from index.of(index.subnets_by_network, _get(it, "network", "network_id"))


def _server(it: DefinitionLike, index: _Index) -> Iterator[str]:
    """As a port, for each network that the server is to be attached to."""
    for network in _items(_get(it, "networks")):
        yield from index.of(index.subnets_by_network, _of_network(network))


def _router(it: DefinitionLike, index: _Index) -> Iterator[str]:
    """The gateway is a port on the external network."""
    yield from index.of(index.subnets_by_network, _external_network(it))


def _router_gateway(it: DefinitionLike, index: _Index) -> Iterator[str]:
    yield from index.of(index.interfaces_by_router, _get(it, "router_id"))
    yield from index.of(index.subnets_by_network, _get(it, "network", "network_id"))


def _floating_ip(it: DefinitionLike, index: _Index) -> Iterator[str]:
    """The external network must be reachable before an address of it can be mapped to a port."""
    yield from index.of(index.gateways_by_network, _get(it, "floating_network", "floating_network_id"))
    yield from _interfaces_of_ports(it, index)


def _interfaces_of_ports(it: DefinitionLike, index: _Index) -> Iterator[str]:
    """The router interfaces on the subnets of the ports, servers or load balancers that the resource refers to."""
    for name in sorted(it.requires):
        needed = index.definitions.get(name)
        kind = canonical(needed.type) if needed else ""
        if needed and kind == "OS::Neutron::Port":
            yield from _interfaces_of_port(needed, index)
        elif needed and kind == "OS::Nova::Server":
            yield from _interfaces_of_server(needed, index)
        elif needed and kind == "OS::Octavia::LoadBalancer":
            yield from index.of(index.interfaces_by_subnet, _get(needed, "vip_subnet"))


def _interfaces_of_server(server: DefinitionLike, index: _Index) -> Iterator[str]:
    for attachment in _items(_get(server, "networks")):
        yield from _interfaces_of_network(_of_network(attachment), index)
        yield from index.of(index.interfaces_by_subnet, _entry(attachment, "subnet"))
        for _, name in sorted(_keys(_entry(attachment, "port"))):
            port = index.definitions.get(name)
            if port and canonical(port.type) == "OS::Neutron::Port":
                yield from _interfaces_of_port(port, index)


def _interfaces_of_port(port: DefinitionLike, index: _Index) -> Iterator[str]:
    addresses = _get(port, "fixed_ips")
    if not addresses:
        yield from _interfaces_of_network(_get(port, "network", "network_id"), index)
    for address in _items(addresses):
        subnet = address if isinstance(address, Dynamic) else _entry(address, "subnet", "subnet_id")
        yield from index.of(index.interfaces_by_subnet, subnet)


def _interfaces_of_network(network: Any, index: _Index) -> Iterator[str]:
    for subnet in index.of(index.subnets_by_network, network):
        yield from index.near(index.interfaces_by_subnet, ("ref", subnet))


def _extra_route(it: DefinitionLike, index: _Index) -> Iterator[str]:
    """A route's next hop must be on one of the router's networks."""
    router = _get(it, "router", "router_id")
    yield from index.of(index.interfaces_by_router, router)
    yield from index.of(index.gateways_by_router, router)


def _vpc_gateway_attachment(it: DefinitionLike, index: _Index) -> Iterator[str]:
    """A VPC's gateway is attached to the routers of its route tables."""
    yield from index.of(index.route_tables_by_vpc, _get(it, "VpcId"))


_RULES: Final[Mapping[str, Rule]] = {
    "AWS::EC2::VPCGatewayAttachment": _vpc_gateway_attachment,
    "OS::Neutron::ExtraRoute": _extra_route,
    "OS::Neutron::ExtraRouteSet": _extra_route,
    "OS::Neutron::FloatingIP": _floating_ip,
    "OS::Neutron::FloatingIPAssociation": _interfaces_of_ports,
    "OS::Neutron::FloatingIPPortForward": _interfaces_of_ports,
    "OS::Neutron::Port": _port,
    "OS::Neutron::Router": _router,
    "OS::Neutron::RouterGateway": _router_gateway,
    "OS::Nova::FloatingIPAssociation": _interfaces_of_ports,
    "OS::Nova::Server": _server,
}


def _get(it: DefinitionLike, *names: str) -> Any:
    return _entry(it.properties, *names)


def _entry(value: Any, *names: str) -> Any:
    """The first of the entries that a map has; of a value that is not known as a map, the value itself."""
    if isinstance(value, Dynamic):
        return value
    if isinstance(value, Mapping):
        return next((value[name] for name in names if value.get(name) is not None), None)
    return None


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, Dynamic) else []


def _external_network(router: DefinitionLike) -> Any:
    return _entry(_get(router, "external_gateway_info"), "network")


def _of_network(attachment: Any) -> Any:
    """The network of a server's attachment; one by port or subnet refers to what it needs already."""
    return _entry(attachment, "network", "uuid")


def _keys(value: Any) -> set[Key]:
    if isinstance(value, Dynamic):
        return {("ref", leaf.resource) for leaf in leaves(value)} or {("same", str(id(value)))}
    return set() if value is None or isinstance(value, list | dict) else {("is", str(value))}


def _without_circles(stated: Mapping[str, set[str]], found: list[Edge]) -> list[Edge]:
    """The edges that close no circle with the stated ones, or with those before them."""
    core = _core(stated, found)
    if not core:
        return found
    kept = {name: stated[name] & core for name in core}
    accepted = []
    for dependant, requirement in found:
        if dependant in core and requirement in core:
            if _reaches(kept, requirement, dependant):
                continue
            kept[dependant].add(requirement)
        accepted.append((dependant, requirement))
    return accepted


def _core(stated: Mapping[str, set[str]], found: list[Edge]) -> set[str]:
    """The resources on a circle, or between two: what is left when the ends of all paths are cut off."""
    needs = {name: set(known) for name, known in stated.items()}
    needed_by: dict[str, set[str]] = {name: set() for name in stated}
    for dependant, requirement in found:
        needs[dependant].add(requirement)
    for name, known in needs.items():
        for need in known:
            needed_by[need].add(name)
    for outgoing, incoming in ((needs, needed_by), (needed_by, needs)):
        ends = [name for name, others in outgoing.items() if not others]
        while ends:
            end = ends.pop()
            del outgoing[end]
            for name in incoming.pop(end):
                outgoing[name].discard(end)
                if not outgoing[name]:
                    ends.append(name)
    return set(needs)


def _reaches(needs: Mapping[str, set[str]], start: str, goal: str) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        for need in needs[waiting.pop()]:
            if need == goal:
                return True
            if need not in seen:
                seen.add(need)
                waiting.append(need)
    return False
