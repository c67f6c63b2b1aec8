"""OS::Nova::ServerGroup."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Outcome, Recorded, Request, Send
from reconcilers.registry import register
from reconcilers.resource_type import RestResource

OTHERS = "others"
"""Key among what was read, and in the record: the groups that had the name before ours."""


@register
class ServerGroup(RestResource):
    """Nova gives it no field for a token, but a name that we choose is made of the token.

    Where the template names the group, the ids of those that have the name already are noted first: so ours is known
    from theirs after a crash.
    """

    type = "OS::Nova::ServerGroup"
    service = "compute"
    collection = "/os-server-groups"
    key = "server_group"
    plural = "server_groups"
    microversion = "2.64"
    token_field = ""

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        exists = bool(observed) and "id" in observed
        if desired is None or exists:
            return super().step(desired, recorded, observed if exists else None)
        if not desired.properties.get("policies"):
            return Failed("a server group needs a policy", Fault.INVALID, "policies")
        name = desired.properties.get("name") or desired.physical_name
        if name == recorded.physical_name:
            return self._make(desired, name, {})
        if OTHERS not in (observed or {}):
            return Send(Request(self.service, "GET", self.collection, microversion=self.microversion), into=OTHERS)
        others = [group["id"] for group in observed[OTHERS][self.plural] if group["name"] == name]
        return self._make(desired, name, {"name": name, OTHERS: " ".join(sorted(others))})

    def _make(self, desired: Desired, name: str, remember: Mapping[str, str]) -> Send:
        rules = {key: int(value) for key, value in (desired.properties.get("rules") or {}).items() if value is not None}
        body = {"name": name, "policy": desired.properties["policies"][0], **({"rules": rules} if rules else {})}
        request = Request(self.service, "POST", self.collection, self.wrap(body), microversion=self.microversion)
        return Send(request, applies=desired.changed, creates=True, remember=remember)

    @override
    def owned(self, item: Mapping[str, Any], recorded: Recorded) -> bool:
        if item.get("name") == recorded.physical_name:
            return True
        others = recorded.data.get(OTHERS)
        return others is not None and item.get("name") == recorded.data["name"] and item["id"] not in others.split()
