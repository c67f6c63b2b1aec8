"""OS::Keystone::Domain."""

from collections.abc import Mapping
from typing import Any, ClassVar

from reconcilers.identity.base import Keystone
from reconcilers.model import Outcome, Recorded, Request, Send
from reconcilers.registry import register
from reconcilers.resource_type import Field, gives


@register
class Domain(Keystone):
    """A domain. Keystone deletes only disabled ones."""

    type = "OS::Keystone::Domain"
    collection = "/domains"
    key = "domain"
    plural = "domains"
    fields: ClassVar[Mapping[str, Field]] = gives("name", "description", "enabled")

    def remove(self, recorded: Recorded, observed: Mapping[str, Any] | None) -> Outcome:
        """See :class:`Rest`."""
        if observed is not None and observed.get("enabled"):
            return Send(Request(self.service, "PATCH", self.path(recorded), self.wrap({"enabled": False})))
        return super().remove(recorded, observed)
