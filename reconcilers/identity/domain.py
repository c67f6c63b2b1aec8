"""OS::Keystone::Domain."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.identity.base import Keystone
from reconcilers.model import Outcome, Recorded, Request, Send
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class Domain(Keystone):
    """A domain. Keystone deletes only disabled ones."""

    type = "OS::Keystone::Domain"
    collection = "/domains"
    key = "domain"
    plural = "domains"
    fields: ClassVar[Mapping[str, Field]] = same_name_fields("name", "description", "enabled")

    @override
    def remove(self, recorded: Recorded, observed: Mapping[str, Any] | None) -> Outcome:
        if observed is not None and observed.get("enabled"):
            return Send(Request(self.service, "PATCH", self.path(recorded), self.wrap({"enabled": False})))
        return super().remove(recorded, observed)
