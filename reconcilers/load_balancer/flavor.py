"""OS::Octavia::Flavor: what users choose when they make a load balancer."""

from collections.abc import Mapping
from typing import ClassVar

from reconcilers.registry import register
from reconcilers.resource_type import Field, RestResource, same_name_fields


@register
class Flavor(RestResource):
    """Administrators make them. The description carries the token."""

    type = "OS::Octavia::Flavor"
    service = "load_balancer"
    collection = "/lbaas/flavors"
    key = "flavor"
    plural = "flavors"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "description", "enabled"),
        "flavor_profile": Field("flavor_profile_id", update=False),
    }
