"""OS::Nova::Flavor."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from typing_extensions import override

from reconcilers import own_items
from reconcilers.model import Desired, Failed, Outcome, Ready, Recorded, Replace, Request, Send
from reconcilers.registry import register
from reconcilers.resource_type import Field, RestResource, same_name_fields

ACCESS = "access"
"""Key among what was read: the projects that may use the flavor."""

OURS = "ours"
"""Which project the credentials are of, as Neutron says it to everybody."""


def texts(specs: Mapping[str, Any] | None) -> dict[str, str]:
    """Extra specs as Nova shows them: all of them text."""
    return {key: str(value) for key, value in (specs or {}).items()}


@register
class Flavor(RestResource):
    """Its id is chosen by us where the template does not choose it. Extra specs and projects follow the creation."""

    type = "OS::Nova::Flavor"
    service = "compute"
    collection = "/flavors"
    listing = "/flavors/detail"
    list_params = {"is_public": "None"}  # noqa: RUF012
    key = "flavor"
    plural = "flavors"
    microversion = "2.61"
    fields = {  # noqa: RUF012
        **same_name_fields("name", "ram", "vcpus", "disk"),
        "swap": Field("swap", decode=lambda shown: int(shown or 0)),
        "ephemeral": Field("OS-FLV-EXT-DATA:ephemeral"),
        "rxtx_factor": Field("rxtx_factor"),
        "is_public": Field("os-flavor-access:is_public"),
        "extra_specs": Field("extra_specs", encode=texts, create=False, additive=True),
        "tenants": Field("tenants", create=False),
    }
    shown = {"is_public": "os-flavor-access:is_public"}  # noqa: RUF012

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        given = desired.properties.get("flavorid")
        return {"flavorid": given} if given and given != "auto" else {}

    @override
    def identity(self, recorded: Recorded) -> str | None:
        return recorded.data.get("flavorid") or recorded.token

    @override
    def create(self, desired: Desired, recorded: Recorded) -> Outcome:
        body = self.stamp({**self.body(desired), "id": self.identity(recorded)}, recorded)
        request = Request(self.service, "POST", self.collection, self.wrap(body), microversion=self.microversion)
        return Send(request, applies=self.applied_by_create(desired), creates=True)

    @override
    def update(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome:
        for way in (self._specs, self._tenants):
            outcome = way(desired, recorded, observed)
            if outcome is not None:
                return outcome
        return Ready(applies=desired.changed)

    def _specs(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        if "extra_specs" not in desired.changed:
            return None
        wanted, shown = texts(desired.properties.get("extra_specs")), observed.get("extra_specs") or {}
        path = f"{self.path(recorded)}/os-extra_specs"
        return own_items.OwnItems(
            name="extra_specs",
            wanted=wanted.keys(),
            present=shown.keys(),
            missing=[key for key, value in wanted.items() if shown.get(key) != value],
            add=lambda keys: Request(self.service, "POST", path, {"extra_specs": {key: wanted[key] for key in keys}}),
            end=lambda key: Request(self.service, "DELETE", f"{path}/{quote(key, safe='')}", done=frozenset({404})),
            add_together=True,
        ).advance(desired, recorded, observed)

    def _tenants(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        """The projects of a private flavor; without a list the Stack's own."""
        wanted = set(desired.properties.get("tenants") or ())
        if "tenants" not in desired.changed or desired.properties.get("is_public"):
            return None
        if not wanted and OURS not in observed:
            return Send(Request("network", "GET", "/quotas/project"), into=OURS)
        wanted = wanted or {observed[OURS]["project"]["project_id"]}
        if ACCESS not in observed:
            return Send(Request(self.service, "GET", f"{self.path(recorded)}/os-flavor-access"), into=ACCESS)
        held = {access["tenant_id"] for access in observed[ACCESS]["flavor_access"]}

        def change(action: str, project: str, done: int) -> Request:
            body = {action: {"tenant": project}}
            return Request(self.service, "POST", f"{self.path(recorded)}/action", body, done=frozenset({done}))

        return own_items.OwnItems(
            name="tenants",
            wanted=wanted,
            present=held,
            missing=wanted - held,
            add=lambda projects: change("addTenantAccess", projects[0], 409),
            end=lambda project: change("removeTenantAccess", project, 404),
        ).advance(desired, recorded, observed)

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Names and ids of flavors are unique in the cloud."""
        found = super().replacement(desired, recorded, observed)
        if isinstance(found, Replace):
            return Replace(
                found.why, delete_first=bool(desired.properties.get("name") or recorded.data.get("flavorid"))
            )
        return found
