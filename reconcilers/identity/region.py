"""OS::Keystone::Region."""

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from reconcilers.identity.base import Keystone
from reconcilers.model import Recorded
from reconcilers.registry import register
from reconcilers.resource_type import Field, gives


@register
class Region(Keystone):
    """A region of the service catalogue. An id that is given is stored quoted, as Heat does it."""

    type = "OS::Keystone::Region"
    collection = "/regions"
    key = "region"
    plural = "regions"
    fields: ClassVar[Mapping[str, Field]] = {
        **gives("description", "enabled"),
        "id": Field("id", encode=quote, update=False, drift=False),
        "parent_region": Field("parent_region_id"),
    }

    def path(self, recorded: Recorded) -> str:
        """See :class:`Rest`."""
        return f"{self.collection}/{quote(recorded.physical_id or '', safe='')}"
