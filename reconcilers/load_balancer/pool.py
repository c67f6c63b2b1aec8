"""OS::Octavia::Pool: the servers behind a listener, and how one of them is chosen."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.load_balancer.octavia import LISTENERS, LOAD_BALANCERS, POOLS, Octavia
from reconcilers.model import Desired, Failed, Fault, Outcome, Recorded, Request, Send
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields

LISTENER = "above"
"""Key among what was read: the listener, which shows the load balancer."""


def persistence(given: Any) -> Any:
    """A session persistence without what is not given."""
    return given and {key: value for key, value in given.items() if value is not None}


@register
class Pool(Octavia):
    """It lives and dies with the load balancer, also where only its listener is given: that one is asked once."""

    type = "OS::Octavia::Pool"
    collection = POOLS
    key = "pool"
    plural = "pools"
    parents = LOAD_BALANCERS
    dies_with = "loadbalancer"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "description", "admin_state_up", "lb_algorithm", "tls_enabled"),
        "listener": Field("listener_id", update=False),
        "loadbalancer": Field("loadbalancer_id", update=False),
        "protocol": Field("protocol", update=False),
        "session_persistence": Field("session_persistence", encode=persistence, decode=persistence),
    }

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        given = desired.properties
        return {name: str(given[name]) for name in ("loadbalancer", "listener") if given.get(name) is not None}

    @override
    def above(self, recorded: Recorded) -> str:
        held = recorded.data
        return (
            f"{LOAD_BALANCERS}/{held['loadbalancer']}" if "loadbalancer" in held else f"{LISTENERS}/{held['listener']}"
        )

    @override
    def create(self, desired: Desired, recorded: Recorded) -> Outcome:
        """Which load balancer it is has to be recorded before it exists."""
        if "loadbalancer" in recorded.data:
            return super().create(desired, recorded)
        if "listener" not in recorded.data:
            return Failed("give listener or loadbalancer", Fault.INVALID, "listener")
        path = f"{LISTENERS}/{recorded.data['listener']}"
        return Send(Request(self.service, "GET", path), applies=self.applied_by_create(desired), into=LISTENER)

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        listener = (observed or {}).get(LISTENER)
        if listener is None:
            return super().step(desired, recorded, observed)
        exists = "id" in observed
        if desired is None or exists:
            return super().step(desired, recorded, observed if exists else None)
        above = {"loadbalancer": listener["listener"]["loadbalancers"][0]["id"]}
        outcome = super().create(desired, replace(recorded, data={**recorded.data, **above}))
        return replace(outcome, remember=above) if isinstance(outcome, Send) else outcome

    @override
    def unique(self, desired: Desired) -> frozenset[str]:
        """A listener has one default pool."""
        return frozenset({"listener"} if desired.properties.get("listener") is not None else ())
