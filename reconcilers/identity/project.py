"""OS::Keystone::Project."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers import own_items
from reconcilers.identity.base import DOMAIN, Keystone
from reconcilers.model import Desired, Outcome, Ready, Recorded, Request, Send
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields


@register
class Project(Keystone):
    """A project. With it goes the security group that Neutron has made for it, as in Heat."""

    type = "OS::Keystone::Project"
    collection = "/projects"
    key = "project"
    plural = "projects"
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "description", "enabled"),
        "tags": Field("tags", encode=own_items.entries, update=False, additive=True),
        **DOMAIN,
        "parent": Field("parent_id", update=False, drift=False),
    }
    delete_is_final = False

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return own_items.noted("tags", own_items.entries(desired.properties.get("tags")), desired)

    @override
    def update(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome:
        """First the fields, in one request, then the tags, which others may add to as well."""
        own = super().update(replace(desired, changed=desired.changed - {"tags"}), recorded, observed)
        if isinstance(own, Send) or "tags" not in desired.changed:
            return own
        path = f"{self.path(recorded)}/tags"
        outcome = own_items.tag(self.service, path, desired, recorded, observed)
        return outcome or Ready(applies=desired.changed)

    @override
    def remove(self, recorded: Recorded, observed: Mapping[str, Any] | None) -> Outcome:
        if observed is None:
            return super().remove(recorded, observed)
        if "security_groups" not in observed:
            # Not filtered by project: for a filter by project Neutron would make the group that is looked for.
            params = {"name": "default", "fields": ["id", "project_id"]}
            return Send(Request("network", "GET", "/security-groups", params=params), into="security_groups")
        for group in (observed["security_groups"] or {}).get("security_groups", ()):
            if group["project_id"] == recorded.physical_id and group["id"] not in observed:
                request = Request("network", "DELETE", f"/security-groups/{group['id']}", done=frozenset({404}))
                return Send(request, into=group["id"])
        return super().remove(recorded, observed)
