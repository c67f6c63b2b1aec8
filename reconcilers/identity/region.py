"""OS::Keystone::Region."""

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from typing_extensions import override

from reconcilers.identity.base import Keystone
from reconcilers.model import Recorded
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class Region(Keystone):
    """A region of the service catalogue. An id that is given is stored quoted, as Heat does it."""

    type = "OS::Keystone::Region"
    collection = "/regions"
    key = "region"
    plural = "regions"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("description", "enabled"),
        "id": Field("id", encode=quote, update=False, drift=False),
        "parent_region": Field("parent_region_id"),
    }

    @override
    def path(self, recorded: Recorded) -> str:
        return f"{self.collection}/{quote(recorded.physical_id or '', safe='')}"
