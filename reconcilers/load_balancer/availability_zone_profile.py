"""OS::Octavia::AvailabilityZoneProfile: a provider's settings for an availability zone."""

from collections.abc import Mapping
from typing import ClassVar

from reconcilers.load_balancer.profiles import Profile, settings
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class AvailabilityZoneProfile(Profile):
    """Octavia changes none that is in use."""

    type = "OS::Octavia::AvailabilityZoneProfile"
    collection = "/lbaas/availabilityzoneprofiles"
    key = "availability_zone_profile"
    plural = "availability_zone_profiles"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "provider_name"),
        "availability_zone_data": Field("availability_zone_data", decode=settings),
    }
