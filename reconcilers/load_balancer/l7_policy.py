"""OS::Octavia::L7Policy: what a listener does with requests that match certain rules."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.load_balancer.octavia import LISTENERS, POLICIES, Octavia
from reconcilers.model import Desired, Recorded
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class L7Policy(Octavia):
    """Its position is no drift: it moves when others are put before it, or are removed."""

    type = "OS::Octavia::L7Policy"
    collection = POLICIES
    key = "l7policy"
    plural = "l7policies"
    parent = "listener"
    parents = LISTENERS
    dies_with = parent
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "admin_state_up", "action", "redirect_url"),
        "description": Field("description", reset=""),
        "listener": Field("listener_id", update=False),
        "position": Field("position", encode=int, drift=False),
        "redirect_pool": Field("redirect_pool_id"),
    }

    @override
    def update_body(self, desired: Desired, recorded: Recorded, observed: Any) -> dict[str, Any]:
        """Octavia drops the old target by itself when it gets a new one, and takes no empty one."""
        body = super().update_body(desired, recorded, observed)
        return {api: value for api, value in body.items() if value is not None}
