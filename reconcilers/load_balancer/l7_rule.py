"""OS::Octavia::L7Rule: what a request must be like for a policy to apply."""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from reconcilers.load_balancer.l7_policy import L7Policy
from reconcilers.load_balancer.octavia import POLICIES, Octavia
from reconcilers.model import Recorded, Request
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class L7Rule(Octavia):
    """Its id means something within its policy alone."""

    type = "OS::Octavia::L7Rule"
    collection = POLICIES
    listing = POLICIES + "/{id}/rules"
    listed_below = L7Policy()
    key = "rule"
    plural = "rules"
    parent = "l7policy"
    parents = POLICIES
    dies_with = parent
    fields: ClassVar[Mapping[str, Field]] = same_name_fields(
        "admin_state_up", "compare_type", "invert", "key", "type", "value"
    )

    @override
    def place(self, recorded: Recorded) -> str:
        return f"{POLICIES}/{recorded.data['l7policy']}/rules"

    @override
    def path(self, recorded: Recorded) -> str:
        return f"{self.place(recorded)}/{recorded.physical_id}"

    @override
    def find(self, recorded: Recorded) -> Request | None:
        return Request(self.service, "GET", self.place(recorded), done=frozenset({404}))
