"""OS::Keystone::Endpoint."""

from collections.abc import Mapping
from typing import ClassVar

from reconcilers.identity.base import Keystone
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class Endpoint(Keystone):
    """An endpoint of the service catalogue. A description, an extra field for Keystone, carries the token."""

    type = "OS::Keystone::Endpoint"
    collection = "/endpoints"
    key = "endpoint"
    plural = "endpoints"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "enabled", "interface", "url"),
        "region": Field("region_id"),
        "service": Field("service_id"),
    }
