"""What Kiln and its peers are measured with: the same graph for each of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.octavia_trees import large

IMAGE = "cirros"
FLAVOR = "m1.tiny"
CIDR = "10.0.0.0/24"
MEMBERS = 10
"""Of each pool of a load balancer."""

Resources = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """What one phase took: seconds, and calls to OpenStack (None: not counted)."""

    seconds: float
    calls: int | None = None
    writes: int | None = None
    """Writes to the Kubernetes API."""


@dataclass(frozen=True, slots=True)
class Work:
    """``kind`` is networks (with a subnet and a port each), servers (with a port each), chain, strings or balancer (one
    with listeners, each with a pool, a monitor and ten members).

    Servers are put on ``network``, a name.
    """

    kind: str
    count: int
    network: str = ""

    @property
    def size(self) -> int:
        """How many resources that are in all."""
        if self.kind == "balancer":
            return len(balancer(self.count))
        return self.count * {"networks": 3, "servers": 2}.get(self.kind, 1)

    def template(self) -> dict[str, Any]:
        """The template, for Kiln and Heat."""
        return template(_RESOURCES[self.kind](self))

    def files(self) -> dict[str, str]:
        """The files that the template names."""
        return {"pair.yaml": json.dumps(PAIR)} if self.kind == "servers" else {}


class Competitor(Protocol):
    """One who does the work."""

    name: str

    def can(self, work: Work) -> bool:
        """Whether this work is for it."""
        ...

    def life(self, work: Work) -> Mapping[str, Taken]:
        """Do it and undo it; what the phases took: create, delete."""
        ...


PAIR = {
    "heat_template_version": "2021-04-16",
    "parameters": {"net": {"type": "string"}},
    "resources": {
        "port": {"type": "OS::Neutron::Port", "properties": {"network": {"get_param": "net"}}},
        "server": {
            "type": "OS::Nova::Server",
            "properties": {"image": IMAGE, "flavor": FLAVOR, "networks": [{"port": {"get_resource": "port"}}]},
        },
    },
}


def template(resources: Resources) -> dict[str, Any]:
    """A template of these resources."""
    return {"heat_template_version": "2021-04-16", "resources": resources}


def networks(count: int) -> Resources:
    """count x (network, subnet, port)."""
    found: Resources = {}
    for i in range(count):
        net = {"get_resource": f"net{i}"}
        found[f"net{i}"] = {"type": "OS::Neutron::Net"}
        found[f"subnet{i}"] = {"type": "OS::Neutron::Subnet", "properties": {"network": net, "cidr": CIDR}}
        found[f"port{i}"] = {
            "type": "OS::Neutron::Port",
            "properties": {"network": net, "fixed_ips": [{"subnet": {"get_resource": f"subnet{i}"}}]},
        }
    return found


def strings(count: int) -> Resources:
    """Resources that need no cloud."""
    return {f"string{i}": {"type": "OS::Heat::RandomString"} for i in range(count)}


def mixed(count: int) -> Resources:
    """``count`` resources in all, of the same kinds whatever the count: one server, networks, subnets and ports."""
    found = networks((count - 1) // 3)
    found["server"] = {
        "type": "OS::Nova::Server",
        "properties": {"image": IMAGE, "flavor": FLAVOR, "networks": [{"port": {"get_resource": "port0"}}]},
    }
    return found | strings(count - len(found))


def balancer(listeners: int) -> Resources:
    """A load balancer on a network of its own, with listeners, pools, monitors and ten times as many members."""
    found: Resources = large(listeners, MEMBERS)["resources"]
    return found


def _group(work: Work) -> Resources:
    member = {"type": "pair.yaml", "properties": {"net": work.network}}
    return {"group": {"type": "OS::Heat::ResourceGroup", "properties": {"count": work.count, "resource_def": member}}}


def _chain(work: Work) -> Resources:
    return {
        f"n{i}": {"type": "OS::Neutron::Net", **({"depends_on": f"n{i - 1}"} if i else {})} for i in range(work.count)
    }


_RESOURCES = {
    "balancer": lambda work: balancer(work.count),
    "networks": lambda work: networks(work.count),
    "servers": _group,
    "chain": _chain,
    "strings": lambda work: strings(work.count),
}
