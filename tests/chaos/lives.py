"""What the Stacks of the chaos driver are made of: templates with knobs, and what they come to in the cloud.

Everything has a name that says whose it is, so that a listing shows what is missing, left over, or there twice.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Knobs = Mapping[str, Any]
Names = dict[str, Counter[str]]
SHARED = "shared-net"
"""A network that others made; some Stacks have ports on it."""


def _net(name: str, knobs: Knobs) -> dict[str, Any]:
    reference = {"get_resource": "net"}
    pinned = [{"subnet": {"get_resource": "subnet"}}]
    return {
        "net": {"type": "OS::Neutron::Net", "properties": {"name": f"{name}-net"}},
        "subnet": {
            "type": "OS::Neutron::Subnet",
            "properties": {
                "name": f"{name}-subnet",
                "network": reference,
                "cidr": f"10.{knobs['range']}.0.0/24",
                "dns_nameservers": [f"9.9.9.{knobs['dns']}"],
            },
        },
        "port": {
            "type": "OS::Neutron::Port",
            "properties": {"name": f"{name}-port", "network": reference, "fixed_ips": pinned},
        },
    }


NET_NAMES = {"networks": ["net"], "subnets": ["subnet"], "ports": ["port"]}


def router(name: str, knobs: Knobs) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """A network with a router; another range replaces subnet and leg."""
    resources = _net(name, knobs)
    resources["router"] = {
        "type": "OS::Neutron::Router",
        "properties": {"name": f"{name}-router", "admin_state_up": knobs["dns"] % 2 == 0},
    }
    resources["leg"] = {
        "type": "OS::Neutron::RouterInterface",
        "properties": {"router": {"get_resource": "router"}, "subnet": {"get_resource": "subnet"}},
    }
    resources["guest"] = {"type": "OS::Neutron::Port", "properties": {"name": f"{name}-guest", "network": SHARED}}
    return resources, {**NET_NAMES, "ports": ["port", "guest", ""], "routers": ["router"]}


def server(name: str, knobs: Knobs) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """A server on a port; every other range replaces it."""
    resources = _net(name, knobs)
    resources["server"] = {
        "type": "OS::Nova::Server",
        "properties": {
            "name": f"{name}-server",
            "image": "cirros",
            "flavor": "m1.tiny",
            "networks": [{"port": {"get_resource": "port"}}],
            "metadata": {"dns": str(knobs["dns"])},
            **({"config_drive": True} if knobs["range"] % 2 else {}),
        },
    }
    return resources, {**NET_NAMES, "servers": ["server"]}


def volume(name: str, knobs: Knobs) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Volumes of which one grows; the other ones come and go."""
    resources = {
        "volume": {
            "type": "OS::Cinder::Volume",
            "properties": {"name": f"{name}-volume", "size": 1, "metadata": {"dns": str(knobs["dns"])}},
        },
        "group": {
            "type": "OS::Heat::ResourceGroup",
            "properties": {
                "count": knobs["count"],
                "resource_def": {
                    "type": "OS::Cinder::Volume",
                    "properties": {"name": f"{name}-volume-%index%", "size": 1},
                },
            },
        },
    }
    return resources, {"volumes": ["volume", *(f"volume-{i}" for i in range(knobs["count"]))]}


def group(name: str, knobs: Knobs) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Ports in a ResourceGroup, in a security group."""
    resources = _net(name, knobs)
    resources["wall"] = {
        "type": "OS::Neutron::SecurityGroup",
        "properties": {
            "name": f"{name}-wall",
            "rules": [{"protocol": "tcp", "port_range_min": knobs["dns"], "port_range_max": 1000}],
        },
    }
    resources["group"] = {
        "type": "OS::Heat::ResourceGroup",
        "properties": {
            "count": knobs["count"],
            "resource_def": {
                "type": "OS::Neutron::Port",
                "properties": {
                    "name": f"{name}-port-%index%",
                    "network": {"get_resource": "net"},
                    "fixed_ips": [{"subnet": {"get_resource": "subnet"}}],
                    "security_groups": [{"get_resource": "wall"}],
                },
            },
        },
    }
    ports = ["port", *(f"port-{i}" for i in range(knobs["count"]))]
    return resources, {**NET_NAMES, "ports": ports, "security_groups": ["wall"]}


def words(name: str, knobs: Knobs) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Random strings that become names and texts of others."""
    resources = {
        "word": {"type": "OS::Heat::RandomString", "properties": {"length": 8 + knobs["range"]}},
        "whole": {
            "type": "OS::Heat::Value",
            "properties": {
                "value": {"str_replace": {"template": "x-W", "params": {"W": {"get_attr": ["word", "value"]}}}}
            },
        },
        "net": {
            "type": "OS::Neutron::Net",
            "properties": {"name": f"{name}-net", "tags": [{"get_attr": ["whole", "value"]}]},
        },
        "key": {
            "type": "OS::Nova::KeyPair",
            "properties": {"name": f"{name}-key", "public_key": KEY},
        },
        "servers": {
            "type": "OS::Nova::ServerGroup",
            "properties": {"name": f"{name}-servers", "policies": ["anti-affinity"]},
        },
    }
    return resources, {"networks": ["net"], "keypairs": ["key"], "server_groups": ["servers"]}


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXFyd1mwRAjE6XZ5UIfLyhfOaPb3lBRyPzM7sGaXxwO chaos"
KINDS: tuple[Callable[[str, Knobs], tuple[dict[str, Any], dict[str, list[str]]]], ...] = (
    *(router, server, group, volume),
    words,
)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted of one Stack: knobs, and whether the update is one that fails. ``exists`` False: it shall go."""

    knobs: Knobs = field(default_factory=dict)
    fails: bool = False
    exists: bool = True


@dataclass(slots=True)
class Life:
    """One Stack's life: its kind, what holds now, and what is wanted next."""

    name: str
    kind: Callable[[str, Knobs], tuple[dict[str, Any], dict[str, list[str]]]]
    dice: random.Random
    goal: Goal = field(default_factory=lambda: Goal(exists=False))
    good: Goal = field(default_factory=lambda: Goal(exists=False))
    """The goal that the cloud must be at in the end: the last one that does not fail."""

    def next(self, what: str) -> str:
        """Take the next turn of this sort; tells what really comes (what is not there can only be created)."""
        if what == "delete":
            self.goal = Goal(exists=False)
        elif not self.goal.exists:
            what = "create"
            self.goal = Goal({"dns": self.dice.randrange(1, 99), "range": self.dice.randrange(9), "count": 2})
        else:
            self.goal = self._turned(what)
        if not self.goal.fails:
            self.good = self.goal
        return what

    def _turned(self, what: str) -> Goal:
        knobs = dict(self.good.knobs)
        if what == "update":
            knobs["dns"] = knobs["dns"] % 99 + 1
        elif what == "replace":
            knobs["range"] = (knobs["range"] + 1) % 9
        elif what == "scale":
            knobs["count"] = self.dice.choice([count for count in range(4) if count != knobs["count"]])
        else:
            return Goal({**knobs, "dns": knobs["dns"] % 99 + 1, "count": knobs["count"] + 1}, fails=True)
        return replace(self.good, knobs=knobs)

    def template(self) -> dict[str, Any]:
        """The template of the goal."""
        resources, _ = self.kind(self.name, self.goal.knobs)
        if self.goal.fails:
            first = next(name for name in resources if name != "group")
            resources["broken"] = {
                "type": "OS::Heat::TestResource",
                "depends_on": first,
                "properties": {"fail": True, "value": str(self.goal.knobs["dns"])},
            }
        return {"heat_template_version": "2021-04-16", "resources": resources}

    def names(self) -> Names:
        """What must exist in the end, by kind."""
        if not self.good.exists:
            return {}
        _, names = self.kind(self.name, self.good.knobs)
        return {kind: Counter(f"{self.name}-{one}" if one else "" for one in found) for kind, found in names.items()}
