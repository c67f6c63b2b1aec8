"""What flavor profiles and availability zone profiles have in common: a provider, and settings for it as JSON."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Outcome, Recorded, Request, Send
from reconcilers.resource_type import RestResource

OTHERS = "others"
"""Key among what was read, and in the record: the profiles that had the name before ours."""


def settings(text: Any) -> Any:
    """JSON text as its value, so that spaces and order make no difference."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


class Profile(RestResource):
    """It has no field for a token, but a name that we choose is made of the token.

    Where the template names it, the ids of those that have the name already are noted first: so ours is known from
    theirs after a crash.
    """

    service: ClassVar[str] = "load_balancer"
    token_field: ClassVar[str] = ""

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        exists = bool(observed) and "id" in observed
        if desired is None or exists:
            return super().step(desired, recorded, observed if exists else None)
        name = desired.properties.get("name") or desired.physical_name
        if name == recorded.physical_name:
            return self.make(desired, {})
        if OTHERS not in (observed or {}):
            request = Request(self.service, "GET", self.collection)
            return Send(request, applies=self.applied_by_create(desired), into=OTHERS)
        others = [item["id"] for item in observed[OTHERS][self.plural] if item["name"] == name]
        return self.make(desired, {"name": name, OTHERS: " ".join(sorted(others))})

    def make(self, desired: Desired, remember: Mapping[str, str]) -> Send:
        """The creation."""
        request = Request(self.service, "POST", self.collection, self.wrap(self.body(desired)))
        return Send(request, applies=self.applied_by_create(desired), creates=True, remember=remember)

    @override
    def owned(self, item: Mapping[str, Any], recorded: Recorded) -> bool:
        if item.get("name") == recorded.physical_name:
            return True
        others = recorded.data.get(OTHERS)
        return others is not None and item.get("name") == recorded.data["name"] and item["id"] not in others.split()
