"""OS::Octavia::FlavorProfile: a provider's settings for a flavor."""

from collections.abc import Mapping
from typing import ClassVar

from reconcilers.load_balancer.profiles import Profile, settings
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class FlavorProfile(Profile):
    """Octavia changes none that is in use."""

    type = "OS::Octavia::FlavorProfile"
    collection = "/lbaas/flavorprofiles"
    key = "flavorprofile"
    plural = "flavorprofiles"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "provider_name"),
        "flavor_data": Field("flavor_data", decode=settings),
    }
