"""Templates with load balancers, and what a change of each property of Octavia's types does."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Template = dict[str, Any]

ROUND_ROBIN = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
CHECK = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}


def ref(name: str) -> dict[str, str]:
    """A reference to a resource's id."""
    return {"get_resource": name}


def network() -> dict[str, Any]:
    """A network with two subnets."""
    return {
        "net": {"type": "OS::Neutron::Net"},
        **{
            f"subnet{number}": {
                "type": "OS::Neutron::Subnet",
                "properties": {"network": ref("net"), "cidr": f"10.9.{number}.0/24"},
            }
            for number in (1, 2)
        },
    }


def octavia(kind: str, **properties: Any) -> dict[str, Any]:
    """A resource of a type of Octavia."""
    return {"type": f"OS::Octavia::{kind}", "properties": properties}


def alone() -> Template:
    """A load balancer with nothing below it."""
    return {"resources": {**network(), "balancer": octavia("LoadBalancer", vip_subnet=ref("subnet1"))}}


def tree(*without: str) -> Template:
    """Two load balancers; below the first, one of each type, with a second of what can be referred to."""
    listener = {"loadbalancer": ref("balancer"), "protocol": "HTTP"}
    member = {"pool": ref("pool"), "address": "10.9.1.20", "protocol_port": 8080}
    policy = {"action": "REDIRECT_TO_URL", "redirect_url": "http://example.org/"}
    resources = {
        **network(),
        "balancer": octavia("LoadBalancer", vip_subnet=ref("subnet1")),
        "balancer2": octavia("LoadBalancer", vip_subnet=ref("subnet1")),
        "listener": octavia("Listener", **listener, protocol_port=80),
        "listener2": octavia("Listener", **listener, protocol_port=81),
        "pool": octavia("Pool", **ROUND_ROBIN, listener=ref("listener2")),
        "pool2": octavia("Pool", **ROUND_ROBIN, loadbalancer=ref("balancer")),
        "monitor": octavia("HealthMonitor", **CHECK, pool=ref("pool")),
        "member": octavia("PoolMember", **member),
        "policy": octavia("L7Policy", **policy, listener=ref("listener")),
        "policy2": octavia("L7Policy", **policy, listener=ref("listener")),
        "rule": octavia("L7Rule", l7policy=ref("policy"), type="PATH", compare_type="STARTS_WITH", value="/a"),
    }
    return {"resources": {name: one for name, one in resources.items() if name not in without}}


def large(listeners: int, members: int) -> Template:
    """One load balancer; below each listener a pool with a monitor and members."""
    resources = {**network(), "balancer": octavia("LoadBalancer", vip_subnet=ref("subnet1"))}
    for one in range(listeners):
        resources[f"listener{one}"] = octavia(
            "Listener", loadbalancer=ref("balancer"), protocol="HTTP", protocol_port=80 + one
        )
        resources[f"pool{one}"] = octavia("Pool", **ROUND_ROBIN, listener=ref(f"listener{one}"))
        resources[f"monitor{one}"] = octavia("HealthMonitor", **CHECK, pool=ref(f"pool{one}"))
        for other in range(members):
            resources[f"member{one}-{other}"] = octavia(
                "PoolMember", pool=ref(f"pool{one}"), address=f"10.9.1.{20 + other}", protocol_port=8000 + one
            )
    return {"resources": resources}


IN_PLACE, REPLACED = "in place", "replaced"


@dataclass(frozen=True)
class Change:
    """A new value for a property, with others that have to go along, and what becomes of the resource.

    ``shown`` is what the API shows then, where that is not the value itself; ``key`` where it shows it, "" where it
    does not.
    """

    name: str
    value: Any
    how: str = IN_PLACE
    along: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    shown: Any = None

    def apply(self, template: Template, resource: str) -> Template:
        """The template with the change in it."""
        changed = copy.deepcopy(template)
        properties = changed["resources"][resource]["properties"]
        for name, value in {self.name: self.value, **self.along}.items():
            if value is None:
                properties.pop(name, None)
            else:
                properties[name] = value
        return changed


NAMED = (Change("name", "other"), Change("name", None, shown="web-"))
DOWN = Change("admin_state_up", value=False)
DESCRIBED = Change("description", "words")

ALONE = (
    *NAMED,
    DOWN,
    DESCRIBED,
    Change("provider", "octavia", REPLACED),
    Change("vip_address", "10.9.1.77", REPLACED),
    Change("vip_subnet", ref("subnet2"), REPLACED, {"vip_address": None}, "vip_subnet_id"),
    Change("additional_vips", [{"subnet": ref("subnet1"), "ip_address": "10.9.1.78"}], REPLACED, key=""),
)
"""Of a load balancer with nothing below it."""

CHANGES: Mapping[str, tuple[Change, ...]] = {
    "listener": (
        *NAMED,
        DOWN,
        DESCRIBED,
        Change("connection_limit", 100),
        Change("allowed_cidrs", ["10.0.0.0/8"]),
        Change("allowed_cidrs", None, key=""),
        Change("default_pool", ref("pool2"), key="default_pool_id"),
        Change("default_pool", None, key="default_pool_id"),
        Change("protocol_port", 90, REPLACED),
        Change("protocol", "TCP", REPLACED),
        Change("loadbalancer", ref("balancer2"), REPLACED, key=""),
    ),
    "pool": (
        *NAMED,
        DOWN,
        DESCRIBED,
        Change("lb_algorithm", "SOURCE_IP"),
        Change("session_persistence", {"type": "APP_COOKIE", "cookie_name": "jar"}),
        Change("session_persistence", None),
        Change("tls_enabled", value=True),
        Change("protocol", "PROXY", REPLACED, {"tls_enabled": False}),
        Change("listener", ref("listener"), REPLACED, {"protocol": "HTTP"}, ""),
        Change("loadbalancer", ref("balancer2"), REPLACED, {"listener": None}, ""),
    ),
    "member": (
        DOWN,
        Change("weight", 7),
        Change("tags", ["blue", "green"]),
        Change("tags", None, shown=[]),
        Change("monitor_port", 8081, REPLACED),
        Change("monitor_address", "10.9.1.99", REPLACED),
        Change("subnet", ref("subnet1"), REPLACED, key="subnet_id"),
        Change("address", "10.9.1.30", REPLACED),
        Change("protocol_port", 8090, REPLACED),
        Change("pool", ref("pool2"), REPLACED, key=""),
    ),
    "monitor": (
        DOWN,
        Change("delay", 9),
        Change("timeout", 4),
        Change("max_retries", 5),
        Change("max_retries_down", 4),
        Change("max_retries_down", None, shown=3),
        Change("http_method", "HEAD"),
        Change("url_path", "/alive"),
        Change("expected_codes", "200-204"),
        Change("expected_codes", None, shown="200"),
        Change("type", "TCP", REPLACED, {"http_method": None, "url_path": None}),
        Change("pool", ref("pool2"), REPLACED, key=""),
    ),
    "policy": (
        *NAMED,
        DOWN,
        DESCRIBED,
        Change("position", 2),
        Change("redirect_url", "http://example.net/"),
        Change("action", "REDIRECT_TO_POOL", along={"redirect_pool": ref("pool2"), "redirect_url": None}),
        Change("redirect_pool", ref("pool"), key="redirect_pool_id"),
        Change("action", "REJECT", along={"redirect_pool": None}),
        Change("listener", ref("listener2"), REPLACED, key="listener_id"),
    ),
    "rule": (
        DOWN,
        Change("compare_type", "EQUAL_TO"),
        Change("value", "/b"),
        Change("invert", value=True),
        Change("type", "HEADER", along={"key": "X-Color"}),
        Change("key", "X-Size"),
        Change("l7policy", ref("policy2"), REPLACED, key=""),
    ),
}
"""By the resource of :func:`tree`; each change stands on those before it."""
