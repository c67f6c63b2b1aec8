"""OS::Octavia::AvailabilityZone: a part of the cloud in which a load balancer can be."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Recorded, Replace
from reconcilers.registry import register
from reconcilers.resource_type import Field, RestResource, same_name_fields


@register
class AvailabilityZone(RestResource):
    """Its name is its id, so another name makes it another zone (Heat sends the change, and Octavia refuses it)."""

    type = "OS::Octavia::AvailabilityZone"
    service = "load_balancer"
    collection = "/lbaas/availabilityzones"
    key = "availability_zone"
    plural = "availability_zones"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("description", "enabled"),
        "name": Field("name", update=False),
        "availability_zone_profile": Field("availability_zone_profile_id", update=False),
    }

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        given = desired.properties.get("name")
        return {"name": given} if given else {}

    @override
    def identity(self, recorded: Recorded) -> str | None:
        return recorded.data.get("name") or recorded.physical_name

    @override
    def identify(self, item: Mapping[str, Any]) -> Iterable[str]:
        return (str(item["name"]),)

    @override
    def extract(self, body: Any, recorded: Recorded) -> Any:
        return body.get(self.key) if isinstance(body, Mapping) else None

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        if "name" in desired.changed:
            return Replace("name changed")
        verdict = super().replacement(desired, recorded, observed)
        return Replace(verdict.why, delete_first=True) if isinstance(verdict, Replace) else verdict
