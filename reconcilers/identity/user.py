"""OS::Keystone::User."""

from collections.abc import Mapping
from typing import ClassVar

from reconcilers.identity.base import DOMAIN, GROUPS, ROLES, Holder
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class User(Holder):
    """A user, with roles in projects and domains, and groups."""

    type = "OS::Keystone::User"
    collection = "/users"
    key = "user"
    plural = "users"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "description", "enabled", "email"),
        **DOMAIN,
        "default_project": Field("default_project_id"),
        "password": Field("password", drift=False),
    }
    relations = (GROUPS, ROLES)
