"""OS::Octavia::L7Policy: what a listener does with requests that match certain rules."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.load_balancer.octavia import LISTENERS, POLICIES, Octavia, refused
from reconcilers.model import Desired, Failed, Recorded
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields

TARGETS: Mapping[str, str] = {"REDIRECT_TO_POOL": "redirect_pool", "REDIRECT_TO_URL": "redirect_url"}
"""Where an action leads to, by the property that says it."""


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
    def conflict(self, given: Mapping[str, Any]) -> Failed | None:
        """An action and where it leads to belong together."""
        action = given.get("action")
        for other, name in TARGETS.items():
            if action == other and given.get(name) is None:
                return refused(f"{action} needs {name}", name)
            if action != other and given.get(name) is not None:
                return refused(f"{name} is for {other}", name)
        return None

    @override
    def update_body(self, desired: Desired, recorded: Recorded, observed: Any) -> dict[str, Any]:
        """Octavia drops the old target by itself when it gets a new one, and takes no empty one."""
        body = super().update_body(desired, recorded, observed)
        return {api: value for api, value in body.items() if value is not None}
