"""OS::Nova::FloatingIP: the old name of a floating IP, by its pool."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Outcome, Recorded, Request, Send
from reconcilers.registry import register
from reconcilers.resource_type import RestResource

POOLS = "pools"
"""Key among what was read: the external networks."""


@register
class FloatingIP(RestResource):
    """Without a pool it comes from the external network, if there is only one."""

    type = "OS::Nova::FloatingIP"
    service = "network"
    collection = "/floatingips"
    key = "floatingip"
    plural = "floatingips"
    shown = {"ip": "floating_ip_address", "pool": "floating_network_id"}  # noqa: RUF012

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        exists = bool(observed) and "id" in observed
        if desired is None or exists:
            return super().step(desired, recorded, observed if exists else None)
        pool = desired.properties.get("pool")
        if not pool:
            if POOLS not in (observed or {}):
                params = {"router:external": "True", "fields": ["id"]}
                return Send(Request(self.service, "GET", "/networks", params=params), into=POOLS)
            pools = observed[POOLS]["networks"]
            if len(pools) != 1:
                return Failed(f"there are {len(pools)} external networks: give the pool", Fault.INVALID, "pool")
            pool = pools[0]["id"]
        body = self.stamp({"floating_network_id": pool}, recorded)
        return Send(
            Request(self.service, "POST", self.collection, self.wrap(body)), applies=desired.changed, creates=True
        )

    def drift(self, desired: Desired, observed: Mapping[str, Any]) -> frozenset[str]:
        """A floating IP stays in its pool."""
        return frozenset()
