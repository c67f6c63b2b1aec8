"""OS::Glance::WebImage."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from reconcilers import metadata, own_items
from reconcilers.model import Desired, Failed, Fault, Outcome, Ready, Recorded, Request, Send, Wait
from reconcilers.normal_forms import canonical
from reconcilers.registry import register
from reconcilers.resource_type import Field, RestResource, same_name_fields

_PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
_TOKEN = "kiln_token"
_AMAZON = frozenset({"ami", "ari", "aki"})


def _lasting(api: str) -> Field:
    """A field that only the creating request can carry."""
    return Field(api, update=False, drift=False)


@register
class WebImage(RestResource):
    """An image that Glance itself fetches from a URL (its import method web-download).

    Glance never gives the id of a deleted image out again, so Kiln lets Glance choose it (unless the template does),
    and finds an image whose creation was cut off by the token in a property of its own.
    """

    type = "OS::Glance::WebImage"
    service = "image"
    collection = "/images"
    plural = "images"
    list_params: ClassVar[Mapping[str, Any]] = {"limit": 1000}
    fields: ClassVar[Mapping[str, Field]] = {
        "id": _lasting("id"),
        "name": _lasting("name"),
        "container_format": _lasting("container_format"),
        "disk_format": _lasting("disk_format"),
        "min_disk": _lasting("min_disk"),
        "min_ram": _lasting("min_ram"),
        **same_name_fields(
            "architecture",
            "kernel_id",
            "os_distro",
            "os_version",
            "owner",
            "protected",
            "ramdisk_id",
            "visibility",
        ),
        "tags": Field("tags", encode=own_items.entries, update=False, additive=True),
    }
    ready = frozenset({"active", "deactivated"})
    failed = frozenset({"killed"})

    # The token.

    @override
    def stamp(self, body: dict[str, Any], recorded: Recorded) -> dict[str, Any]:
        return {**body, _TOKEN: recorded.token}

    @override
    def owned(self, item: Mapping[str, Any], recorded: Recorded) -> bool:
        return item.get(_TOKEN) == recorded.token

    @override
    def token_of(self, item: Mapping[str, Any]) -> str | None:
        held = item.get(_TOKEN)
        return held if isinstance(held, str) else None

    @override
    def claim(self, recorded: Recorded, observed: Any) -> Send | None:
        if self.owned(observed, recorded):
            return None
        operation = "replace" if _TOKEN in observed else "add"
        body = [{"op": operation, "path": f"/{_TOKEN}", "value": recorded.token}]
        return Send(Request(self.service, "PATCH", self.path(recorded), body, headers=_PATCH))

    @override
    def find(self, recorded: Recorded) -> Request:
        return Request(self.service, "GET", self.collection, params={_TOKEN: recorded.token})

    # Its life.

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        """The names of the properties of its own, of which later ones take the place."""
        return {
            "extra_properties": json.dumps(sorted(_extra(desired))),
            **own_items.noted("tags", own_items.entries(desired.properties.get("tags")), desired),
        }

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        if desired is not None:
            problem = _refused(desired.properties)
            if problem is not None:
                return problem
            if observed is not None and observed.get("status") == "queued":
                return self.fetch(desired, recorded, observed)
        return super().step(desired, recorded, observed)

    def fetch(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome:
        """Have Glance fetch the data: the image itself shows whether that was asked for, and what came of it."""
        if observed.get("os_glance_import_task") or observed.get("os_glance_importing_to_stores"):
            return Wait("is being fetched")
        if observed.get("os_glance_failed_import"):
            if "tasks" not in observed:
                request = Request(self.service, "GET", f"{self.path(recorded)}/tasks", done=frozenset({403, 404}))
                return Send(request, into="tasks")
            said = [str(task["message"]) for task in (observed["tasks"] or {}).get("tasks", ()) if task.get("message")]
            return Failed(": ".join(["Glance could not fetch the image from its location", *said]), property="location")
        method = {"name": "web-download", "uri": desired.properties["location"]}
        request = Request(self.service, "POST", f"{self.path(recorded)}/import", {"method": method})
        return Send(request, applies=frozenset({"location"}))

    @override
    def body(self, desired: Desired) -> dict[str, Any]:
        return {**super().body(desired), **_extra(desired)}

    @override
    def applied_by_create(self, desired: Desired) -> frozenset[str]:
        return desired.changed - {"location", "active", "members"}

    def update(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome:
        """First the fields, in one JSON patch, then the members, then whether it can be used."""
        operations = self.patch(desired, recorded, observed)
        if operations:
            request = Request(self.service, "PATCH", self.path(recorded), operations, headers=_PATCH)
            known = {"extra_properties": json.dumps(sorted({*_known(recorded), *_extra(desired)}))}
            return Send(request, applies=desired.changed - {"active", "members", "tags"}, remember=known)
        for name, way in (("tags", self.tag), ("members", self.share)):
            outcome = way(desired, recorded, observed) if name in desired.changed else None
            if outcome is not None:
                return outcome
        wanted = "deactivate" if desired.properties.get("active") is False else "reactivate"
        if "active" in desired.changed and wanted != {"deactivated": "deactivate"}.get(
            observed["status"], "reactivate"
        ):
            request = Request(self.service, "POST", f"{self.path(recorded)}/actions/{wanted}")
            return Send(request, applies=desired.changed)
        return Ready(applies=desired.changed)

    def patch(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The changes as JSON patch operations. What Glance lets nobody remove is left as it is, as in Heat."""
        target: dict[str, Any] = self.update_body(desired, recorded, observed)
        if "extra_properties" in desired.changed:
            now = _extra(desired)
            target |= {**dict.fromkeys(_known(recorded) - now.keys()), **now}
        return [
            {"op": "remove", "path": f"/{key}"} if value is None else {"op": "add", "path": f"/{key}", "value": value}
            for key, value in sorted(target.items())
            if canonical(value, None) != canonical(observed.get(key), None)
            and not (value is None and key in {"owner", "protected", "visibility"})
        ]

    def tag(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        """The next call towards the template's tags."""
        return own_items.tag(self.service, f"{self.path(recorded)}/tags", desired, recorded, observed)

    def share(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        """The next call towards the template's members."""
        path = f"{self.path(recorded)}/members"
        if "members" not in observed:
            return Send(Request(self.service, "GET", path), into="members")
        wanted = frozenset(own_items.entries(desired.properties.get("members")))
        held = frozenset(member["member_id"] for member in observed["members"]["members"])
        return own_items.OwnItems(
            name="members",
            wanted=wanted,
            present=held,
            missing=wanted - held,
            add=lambda names: Request(self.service, "POST", path, {"member": names[0]}, done=frozenset({409})),
            end=lambda name: Request(self.service, "DELETE", f"{path}/{quote(name, safe='')}", done=frozenset({404})),
        ).advance(desired, recorded, observed)

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        found = set(super().drift(desired, observed))
        if any(canonical(observed.get(key), None) != canonical(value, None) for key, value in _extra(desired).items()):
            found.add("extra_properties")
        if observed.get("status") in self.ready and (observed["status"] == "active") is (
            desired.properties.get("active") is False
        ):
            found.add("active")
        return frozenset(found)


def _extra(desired: Desired) -> Mapping[str, Any]:
    """The image's properties of its own: Glance takes texts."""
    given = desired.properties.get("extra_properties") or {}
    return metadata.texts({key: value for key, value in given.items() if value is not None})


def _known(recorded: Recorded) -> frozenset[str]:
    """Their names, of all that the template ever gave."""
    return frozenset(json.loads(recorded.data.get("extra_properties", "[]")))


def _refused(properties: Mapping[str, Any]) -> Failed | None:
    """Why an image cannot be like this, in Heat's words."""
    formats = {properties["container_format"], properties["disk_format"]}
    if properties["container_format"] in _AMAZON and len(formats) > 1:
        reason = (
            "Invalid mix of disk and container formats. When setting a disk or container format to one of 'aki', "
            "'ari', or 'ami', the container and disk formats must match."
        )
        return Failed(reason, Fault.INVALID, "container_format")
    if properties.get("members") and properties.get("visibility") != "shared":
        reason = "members property should only be specified for visibility with value shared."
        return Failed(reason, Fault.INVALID, "members")
    return None
