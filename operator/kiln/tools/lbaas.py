"""Load balancers of Neutron's LBaaS, versions 1 and 2, as resources of Octavia.

Version 2 has Octavia's resources under other names. In version 1 a pool was all in one: its address (``vip``) becomes a
load balancer and a listener of their own, its monitors name the pool instead of being named by it, and what was called
a load balancer was a list of servers, each of which becomes a member.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from hot_translator import catalogue

FIRST_VERSION: Final = frozenset(
    f"OS::Neutron::{kind}" for kind in ("HealthMonitor", "LoadBalancer", "Pool", "PoolMember")
)
OF_BALANCER: Final = {"address": "vip_address", "port_id": "vip_port_id", "subnet": "vip_subnet_id"}
"""Attributes of the load balancer by what they were called below ``vip``."""
UNKNOWN_PROVIDERS: Final = frozenset({"haproxy"})
"""Drivers of LBaaS that Octavia does not have."""

Json = dict[str, Any]


class Conversion:
    """One template. ``problems`` are what could not be converted, with path and reason."""

    def __init__(self, template: Mapping[str, Any]) -> None:
        self.template: Json = copy.deepcopy(dict(template))
        self.cfn = "Resources" in self.template
        self._section, self._type, self._properties = (
            ("Resources", "Type", "Properties") if self.cfn else ("resources", "type", "properties")
        )
        found = self.template.get(self._section)
        self._old: Json = found if isinstance(found, dict) else {}
        self._new: Json = {}
        self._replaced: dict[str, list[str]] = {}
        """Names of resources that are gone, with those in their place."""
        self._vips: dict[str, str] = {}
        """The load balancer of each pool of version 1."""
        self._monitored: list[tuple[str, str | None]] = []
        """Pools with the monitors that they name."""
        self.problems: list[tuple[str, str]] = []
        self.types = {
            name: one[self._type]
            for name, one in self._old.items()
            if isinstance(one, dict) and isinstance(one.get(self._type), str)
        }

    def run(self) -> Json:
        """The converted template."""
        for name, one in self._old.items():
            kind = catalogue.canonical(self.types.get(name, ""))
            way = _WAYS.get(kind)
            if way is not None:
                way(self, name, one)
            else:
                self._new[name] = one
                schema = catalogue.lookup(kind)
                if schema is not None and schema.successor:
                    one[self._type] = schema.successor
                    self._check(name, self._given(one))
        self._attach_monitors()
        rewritten: Json = self._rewritten({**self.template, self._section: self._new})
        return rewritten

    # The kinds of version 1.

    def pool(self, name: str, one: Json) -> None:
        """A load balancer, a listener and a pool."""
        given = self._given(one)
        vip = given.pop("vip", None)
        if not isinstance(vip, dict):
            self._problem(name, "vip is not a map that is written here: what it says must be given to a load balancer")
            vip = {}
        subnet = given.pop("subnet", given.pop("subnet_id", None))
        balancer, listener = self._free(f"{name}_balancer"), self._free(f"{name}_listener")
        self._check(name, given)
        self._add(
            balancer,
            "LoadBalancer",
            {
                "vip_subnet": vip.get("subnet", subnet),
                "vip_address": vip.get("address"),
                "admin_state_up": vip.get("admin_state_up"),
                "provider": given.pop("provider", None),
            },
            one,
        )
        words = ("name", "description", "protocol_port", "connection_limit", "admin_state_up")
        own = {word: vip.get(word) for word in words}
        self._add(
            listener, "Listener", {"loadbalancer": self._ref(balancer), "protocol": given.get("protocol"), **own}, one
        )
        self._replace(
            one,
            "Pool",
            {
                "listener": self._ref(listener),
                "lb_algorithm": given.pop("lb_method", None),
                "session_persistence": vip.get("session_persistence"),
                **{word: value for word, value in given.items() if word != "monitors"},
            },
        )
        self._new[name] = one
        self._vips[name] = balancer
        monitors = given.get("monitors") or []
        if not isinstance(monitors, list):
            self._problem(name, "monitors is not a list that is written here: name the pool in its monitor")
            monitors = []
        for monitor in monitors:
            self._monitored.append((name, self._named(monitor)))

    def member(self, name: str, one: Json) -> None:
        """The same under other names."""
        given = self._given(one)
        self._replace(one, "PoolMember", {"pool": given.pop("pool_id", None), **given})
        self._new[name] = one

    def monitor(self, name: str, one: Json) -> None:
        """The same; which pool it is for is seen at the pools."""
        self._replace(one, "HealthMonitor", self._given(one))
        self._new[name] = one

    def members(self, name: str, one: Json) -> None:
        """A member for each server."""
        given = self._given(one)
        servers = given.get("members") or []
        referred = [self._named(server) for server in servers] if isinstance(servers, list) else [None]
        names = [server for server in referred if server is not None]
        if not names or None in referred:
            reason = (
                "which servers its members are is known only later: put an OS::Octavia::PoolMember beside the server"
            )
            self._problem(name, reason)
        made = []
        for number, server in enumerate(names):
            member = self._free(f"{name}_member_{number}")
            address = {"Fn::GetAtt": [server, "first_address"]} if self.cfn else {"get_attr": [server, "first_address"]}
            self._add(
                member,
                "PoolMember",
                {"pool": given.get("pool_id"), "address": address, "protocol_port": given.get("protocol_port")},
                one,
            )
            made.append(member)
        self._replaced[name] = made

    # Helpers.

    def _attach_monitors(self) -> None:
        """Each monitor gets the pool that named it."""
        taken: set[str] = set()
        for pool, monitor in self._monitored:
            if monitor is None or catalogue.canonical(self.types.get(monitor, "")) not in FIRST_VERSION:
                self._problem(pool, "a monitor of another Stack: make an OS::Octavia::HealthMonitor for this pool")
            elif monitor in taken:
                own = self._free(f"{pool}_{monitor}")
                self._new[own] = copy.deepcopy(self._new[monitor])
                self._new[own][self._properties]["pool"] = self._ref(pool)
            else:
                taken.add(monitor)
                self._new[monitor][self._properties]["pool"] = self._ref(pool)
        pools = [pool for pool, _ in self._monitored]
        for pool in sorted({pool for pool in pools if pools.count(pool) > 1}):
            self._problem(pool, "has several monitors: in Octavia it can have one, so remove the others")
        for name, kind in self.types.items():
            if catalogue.canonical(kind) == "OS::Neutron::HealthMonitor" and name not in taken:
                self._problem(name, "no pool names it: in Octavia a monitor needs a pool")

    def _given(self, one: Json) -> Json:
        given = one.get(self._properties)
        return dict(given) if isinstance(given, dict) else {}

    def _check(self, name: str, given: Json) -> None:
        if given.get("provider") in UNKNOWN_PROVIDERS:
            self._problem(name, f"Octavia has no provider {given['provider']}: remove it, or name another one")

    def _add(self, name: str, kind: str, properties: Json, like: Json) -> None:
        """A new resource, with the conditions of the one that it was a part of."""
        kept = {key: like[key] for key in ("condition", "Condition", "depends_on", "DependsOn") if key in like}
        self._new[name] = {**copy.deepcopy(kept), self._type: "", self._properties: {}}
        self._replace(self._new[name], kind, properties)

    def _replace(self, one: Json, kind: str, properties: Json) -> None:
        one[self._type] = f"OS::Octavia::{kind}"
        one[self._properties] = {name: value for name, value in properties.items() if value is not None}

    def _ref(self, name: str) -> Json:
        return {"Ref": name} if self.cfn else {"get_resource": name}

    @staticmethod
    def _named(value: Any) -> str | None:
        """The resource that a value refers to."""
        if isinstance(value, dict) and len(value) == 1:
            found = value.get("get_resource", value.get("Ref"))
            return found if isinstance(found, str) else None
        return None

    def _free(self, name: str) -> str:
        """A name that no resource has."""
        free, number = name, 1
        while free in self._old or free in self._new:
            number += 1
            free = f"{name}_{number}"
        return free

    def _problem(self, name: str, reason: str) -> None:
        self.problems.append((f"{self._section}.{name}", reason))

    # What refers to them.

    def _rewritten(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._rewritten(item) for item in value]
        if not isinstance(value, dict):
            return value
        made = {}
        for key, held in value.items():
            if key in ("depends_on", "DependsOn"):
                made[key] = self._dependencies(held)
            elif key in ("get_attr", "Fn::GetAtt") and isinstance(held, list):
                made[key] = self._attribute(held)
            else:
                made[key] = self._rewritten(held)
        gone = self._named(value)
        if gone in self._replaced:
            self._problem(str(gone), "something refers to it: it is gone, and has members in its place")
        return made

    def _dependencies(self, held: Any) -> Any:
        names = held if isinstance(held, list) else [held]
        made = [
            new for name in names for new in (self._replaced.get(name, [name]) if isinstance(name, str) else [name])
        ]
        return made if isinstance(held, list) or len(made) != 1 else made[0]

    def _attribute(self, path: list[Any]) -> list[Any]:
        """Attributes of a pool of version 1 are those of three resources now."""
        name, *rest = path
        if not isinstance(name, str) or name not in self._vips or not rest:
            return [self._rewritten(part) for part in path]
        if rest[0] == "vip" and len(rest) > 1 and rest[1] in OF_BALANCER:
            return [self._vips[name], OF_BALANCER[rest[1]], *rest[2:]]
        if rest[0] == "subnet_id":
            return [self._vips[name], "vip_subnet_id", *rest[1:]]
        if rest[0] in ("vip", "provider"):
            self._problem(name, f"get_attr of {'.'.join(map(str, rest))} has no counterpart in Octavia")
            return path
        word = "lb_algorithm" if rest[0] == "lb_method" else rest[0]
        return [name, *([] if word == "show" else ["show"]), word, *rest[1:]]


_WAYS: Final[Mapping[str, Callable[[Conversion, str, Json], None]]] = {
    "OS::Neutron::Pool": Conversion.pool,
    "OS::Neutron::PoolMember": Conversion.member,
    "OS::Neutron::HealthMonitor": Conversion.monitor,
    "OS::Neutron::LoadBalancer": Conversion.members,
}
