"""OS::Octavia::PoolMember: one server of a pool."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from typing_extensions import override

from reconcilers.load_balancer.octavia import POOLS, Octavia, tags
from reconcilers.load_balancer.pool import Pool
from reconcilers.model import Batch, Desired, Outcome, Recorded, Request, Send
from reconcilers.normal_forms import address
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields

TOGETHER = Batch("PUT", (("additive_only", "true"),), ("member", "members"), ("address", "protocol_port"))
"""Several members of a pool can be made in one call, which leaves all others as they are."""


@register
class PoolMember(Octavia):
    """Its id means something within its pool alone. Those that wait for the load balancer are made together."""

    type = "OS::Octavia::PoolMember"
    collection = POOLS
    listing = POOLS + "/{id}/members"
    listed_below = Pool()
    key = "member"
    plural = "members"
    parent = "pool"
    parents = POOLS
    dies_with = parent
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("admin_state_up", "protocol_port", "weight", "monitor_port"),
        "address": Field("address", encode=address),
        "monitor_address": Field("monitor_address", encode=address),
        "subnet": Field("subnet_id"),
        "tags": Field("tags", encode=list, decode=tags, reset=[]),
    }

    @override
    def place(self, recorded: Recorded) -> str:
        return f"{POOLS}/{recorded.data['pool']}/members"

    @override
    def path(self, recorded: Recorded) -> str:
        return f"{self.place(recorded)}/{recorded.physical_id}"

    @override
    def find(self, recorded: Recorded) -> Request | None:
        return Request(self.service, "GET", self.place(recorded), done=frozenset({404}))

    @override
    def create(self, desired: Desired, recorded: Recorded) -> Outcome:
        outcome = super().create(desired, recorded)
        return (
            replace(outcome, request=replace(outcome.request, batch=TOGETHER)) if isinstance(outcome, Send) else outcome
        )

    @override
    def unique(self, desired: Desired) -> frozenset[str]:
        return frozenset({"pool", "address", "protocol_port"})
