"""OS::Keystone::Service."""

from collections.abc import Mapping
from typing import ClassVar

from reconcilers.identity.base import Keystone
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class Service(Keystone):
    """A service of the service catalogue."""

    type = "OS::Keystone::Service"
    collection = "/services"
    key = "service"
    plural = "services"
    fields: ClassVar[Mapping[str, Field]] = same_name_fields("name", "description", "type", "enabled")
