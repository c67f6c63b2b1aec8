"""OS::Keystone::Group."""

from collections.abc import Mapping
from typing import ClassVar

from reconcilers.declare import Field, gives
from reconcilers.identity.base import DOMAIN, Holder
from reconcilers.registry import register


@register
class Group(Holder):
    """A group of users, with roles in projects and domains."""

    type = "OS::Keystone::Group"
    collection = "/groups"
    key = "group"
    plural = "groups"
    fields: ClassVar[Mapping[str, Field]] = {**gives("name", "description"), **DOMAIN}
