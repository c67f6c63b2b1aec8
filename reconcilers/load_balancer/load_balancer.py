"""OS::Octavia::LoadBalancer: an address, and what serves it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.load_balancer.octavia import LISTENERS, LOAD_BALANCERS, POOLS, Octavia
from reconcilers.model import Desired, Failed, Fault, Lane, Outcome, Pause, Ready, Recorded, Request, Send
from reconcilers.normal_forms import address
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields

FAILED_OVER = "failed-over"
"""Key of the record: it was in ERROR, and the provider was asked to set up anew what serves it."""


def vips(given: Any) -> list[dict[str, Any]]:
    """Additional VIPs as the API takes and shows them, without what Octavia chose."""
    return [
        {"subnet_id": one.get("subnet", one.get("subnet_id")), "ip_address": address(one.get("ip_address"))}
        for one in given or []
    ]


@register
class LoadBalancer(Octavia):
    """One in ERROR that has worked before is failed over, once; if that does not help, or is not allowed, it is made
    anew.

    It is deleted with all that is below it, but only if all of that belongs to the same Stack.
    """

    type = "OS::Octavia::LoadBalancer"
    collection = LOAD_BALANCERS
    key = "loadbalancer"
    plural = "loadbalancers"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "description", "admin_state_up"),
        "tenant_id": Field("project_id", update=False),
        "vip_subnet": Field("vip_subnet_id", update=False),
        "vip_address": Field("vip_address", encode=address, update=False),
        "additional_vips": Field("additional_vips", encode=vips, update=False, drift=False),
        "availability_zone": Field("availability_zone", update=False),
        "flavor": Field("flavor_id", update=False),
        "provider": Field("provider", update=False),
    }
    below: ClassVar[Mapping[str, str]] = {"listeners": LISTENERS, "pools": POOLS}
    """What is deleted with it, by the key under which it shows their ids."""

    @override
    def lane(self, recorded: Recorded) -> Lane | None:
        """None before it exists."""
        return super().lane(recorded) if recorded.physical_id is not None else None

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        outcome = super().step(desired, recorded, observed)
        if isinstance(outcome, Ready) and recorded.data.get(FAILED_OVER):
            return Pause(0, "works again", remember={FAILED_OVER: ""})
        return outcome

    @override
    def mend(self, recorded: Recorded, observed: Any) -> Send | None:
        """Fail it over, where that has not been tried. Most clouds allow that to administrators alone."""
        if recorded.state == "Creating" or recorded.data.get(FAILED_OVER):
            return None
        path = f"{self.path(recorded)}/failover"
        request = Request(self.service, "PUT", path, done=frozenset({403}), lane=self.lane(recorded))
        return Send(request, remember={FAILED_OVER: "yes"})

    @override
    def remove(self, recorded: Recorded, observed: Any) -> Outcome:
        outcome = super().remove(recorded, observed)
        below = [kind for kind in self.below if (observed or {}).get(kind)]
        if not isinstance(outcome, Send) or not below:
            return outcome
        for kind in below:
            if f"all {kind}" not in observed:
                params = {"loadbalancer_id": observed["id"]}
                return Send(Request(self.service, "GET", self.below[kind], params=params), into=f"all {kind}")
        for kind in below:
            foreign = [item["id"] for item in observed[f"all {kind}"][kind] if not self.same_stack(item, recorded)]
            if foreign:
                return Failed(f"has {kind} that this Stack did not make: {', '.join(foreign[:3])}", Fault.CONFLICT)
        return replace(outcome, request=replace(outcome.request, params={"cascade": "true"}))

    @override
    def unique(self, desired: Desired) -> frozenset[str]:
        """No two can have an address that is asked for."""
        return frozenset({"vip_subnet", "vip_address"} if desired.properties.get("vip_address") is not None else ())
