"""OS::Heat::None, also used for types that Heat keeps in name only (see registry.find)."""

from typing_extensions import override

from reconcilers.model import Recorded
from reconcilers.registry import register
from reconcilers.resource_type import Local


@register
class Nothing(Local):
    """Takes any properties, does nothing, and has null for every attribute."""

    type = "OS::Heat::None"

    @override
    def identity(self, recorded: Recorded) -> str | None:
        return recorded.token
