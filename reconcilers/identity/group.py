"""OS::Keystone::Group."""

from collections.abc import Mapping
from typing import ClassVar

from reconcilers.identity.base import DOMAIN, Holder
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class Group(Holder):
    """A group of users, with roles in projects and domains."""

    type = "OS::Keystone::Group"
    collection = "/groups"
    key = "group"
    plural = "groups"
    fields: ClassVar[Mapping[str, Field]] = {**same_name_fields("name", "description"), **DOMAIN}
