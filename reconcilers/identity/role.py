"""OS::Keystone::Role."""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from reconcilers.identity.base import Keystone
from reconcilers.model import Desired, Recorded, Request
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class Role(Keystone):
    """A role. Its description, which Heat's schema does not have, carries the token."""

    type = "OS::Keystone::Role"
    collection = "/roles"
    key = "role"
    plural = "roles"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name"),
        "domain": Field("domain_id", update=False, drift=False),
    }

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        domain = desired.properties.get("domain")
        return {"domain": domain} if domain else {}

    @override
    def find(self, recorded: Recorded) -> Request:
        """The plain list leaves out the roles of a domain."""
        params = {"domain_id": recorded.data["domain"]} if "domain" in recorded.data else {}
        return Request(self.service, "GET", self.collection, params=params)
