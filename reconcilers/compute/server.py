"""OS::Nova::Server."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers import own_items
from reconcilers.compute import (
    server_attributes,
    server_body,
    server_changes,
    server_networks,
    server_ports,
    server_power,
)
from reconcilers.compute.server_changes import ACTED, READ, status
from reconcilers.compute.server_image import ServerImage
from reconcilers.copies import CopyType
from reconcilers.metadata import texts
from reconcilers.model import Desired, Failed, Outcome, Ready, Recorded, Replace, Request, Send, Wait
from reconcilers.registry import register
from reconcilers.resource_type import CONFIG_TEXT, TOKEN, RestResource

SETTLED = frozenset(
    {"ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", "SHELVED", "SHELVED_OFFLOADED", "RESCUE", "VERIFY_RESIZE"}
)
"""Nothing is under way, and the server is there: whether it runs is its user's affair. All other statuses pass."""
LOST = frozenset({"ERROR", "DELETED", "SOFT_DELETED"})
DELETION = "deletion"
"""Key among what was read: the deletion was asked for."""

_POLICIES = {
    "flavor": "flavor_update_policy",
    "image": "image_update_policy",
    "user_data": "user_data_update_policy",
}


@register
class Server(RestResource):
    """Its token stands in the metadata. It is deleted over time, and then the ports that were made for it here."""

    type = "OS::Nova::Server"
    service = "compute"
    collection = "/servers"
    listing = "/servers/detail"
    key = "server"
    plural = "servers"
    microversion = READ
    token_field = "metadata"
    delete_is_final = False
    deletes_without_read = True
    local_lookups: ClassVar[Mapping[str, str]] = {"user_data": CONFIG_TEXT}
    changed_while_suspended = frozenset({"name", "metadata", "tags"})
    copies: ClassVar[Mapping[str, CopyType]] = {"Image": ServerImage()}
    kept_as = "Image"

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        properties = desired.properties
        tags = properties.get("tags") or () if server_body.carries_tags(properties) else ()
        return {
            **server_networks.intent(properties),
            **own_items.noted("metadata", properties.get("metadata") or (), desired),
            **own_items.noted("tags", tags, desired),
        }

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        seen = observed or {}
        if desired is None:
            return self.remove(recorded, seen) if "id" in seen else server_networks.sweep(recorded, seen)
        if "id" not in seen:
            return self._make(desired, recorded, seen)
        condition = self.condition(seen)
        if isinstance(condition, Ready) and server_changes.unconfirmed(recorded, seen):
            return Wait(f"is {status(seen)}") if ACTED in seen else server_changes.confirm(recorded)
        if isinstance(condition, Ready) and desired.changed:
            wrong = server_ports.problem(desired.properties)
            return wrong or server_changes.change(desired, recorded, seen)
        return condition

    def _make(self, desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome:
        properties = desired.properties
        wrong = server_body.problem(properties) or server_ports.problem(properties)
        before = wrong or server_networks.prepare(desired, recorded, seen)
        if before is not None:
            return before
        body = server_body.body(desired, server_networks.nics(desired, recorded, seen))
        body["server"] = self.stamp(body["server"], recorded)
        request = Request(
            self.service, "POST", self.collection, body, microversion=server_body.microversion(properties)
        )
        return Send(request, applies=self.applied_by_create(desired), creates=True)

    @override
    def stamp(self, body: dict[str, Any], recorded: Recorded) -> dict[str, Any]:
        """Metadata that leaves no room leaves the token to the description, which no template gives."""
        if len(body.get("metadata") or {}) < server_body.MOST_METADATA:
            return super().stamp(body, recorded)
        return {**body, "description": TOKEN + recorded.token}

    @override
    def owned(self, item: Mapping[str, Any], recorded: Recorded) -> bool:
        return super().owned(item, recorded) or item.get("description") == TOKEN + recorded.token

    @override
    def claim(self, recorded: Recorded, observed: Any) -> Send | None:
        """Metadata that leaves no room takes no token."""
        held = observed.get("metadata") or {}
        if self.owned(observed, recorded) or len(held.keys() - {server_body.TOKEN_KEY}) >= server_body.MOST_METADATA:
            return None
        body = {"metadata": {server_body.TOKEN_KEY: recorded.token}}
        return Send(Request(self.service, "POST", f"{self.path(recorded)}/metadata", body))

    @override
    def applied_by_create(self, desired: Desired) -> frozenset[str]:
        return desired.changed - (frozenset() if server_body.carries_tags(desired.properties) else {"tags"})

    @override
    def condition(self, observed: Mapping[str, Any]) -> Ready | Wait | Failed:
        """The answer to the creation has no status yet."""
        shown = status(observed)
        if shown in LOST:
            return Failed(self.failure(observed))
        return Ready() if shown in SETTLED and not self.leaving(observed) else Wait(f"is {shown or 'BUILD'}")

    @override
    def failure(self, observed: Mapping[str, Any]) -> str:
        """In Heat's words."""
        fault = observed.get("fault") or {}
        due = f"Message: {fault.get('message', 'Unknown')}, Code: {fault.get('code', 'Unknown')}"
        return f'Went to status {status(observed)} due to "{due}"'

    @override
    def remove(self, recorded: Recorded, observed: Any) -> Outcome:
        """Where deleted servers are kept for a while, their ports could not go: so not this one."""
        if DELETION in observed or self.leaving(observed):
            return Wait("being deleted")
        if status(observed) == "SOFT_DELETED":
            request = Request(
                self.service, "POST", f"{self.path(recorded)}/action", {"forceDelete": None}, done=frozenset({404})
            )
        else:
            request = Request(self.service, "DELETE", self.path(recorded), done=frozenset({404}))
        return Send(request, into=DELETION)

    @override
    def leaving(self, observed: Mapping[str, Any]) -> bool:
        return status(observed) == "DELETED" or observed.get("OS-EXT-STS:task_state") in {"deleting", "soft-deleting"}

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """The update policies have the first word."""
        why = self._policy(desired) or self._image(desired, observed)
        if why:
            return Replace(why, delete_first=_claims(desired))
        found = super().replacement(desired, recorded, observed)
        return Replace(found.why, delete_first=_claims(desired)) if isinstance(found, Replace) else found

    def _policy(self, desired: Desired) -> str:
        for name, policy in _POLICIES.items():
            if name in desired.changed and desired.properties.get(policy) == "REPLACE":
                return f"{name} changed, and {policy} is REPLACE"
        return ""

    def _image(self, desired: Desired, observed: Any) -> str:
        """A server cannot be rebuilt from no image, nor onto a volume that it boots from."""
        if "image" not in desired.changed:
            return ""
        if not desired.properties.get("image") or (observed and observed.get("image") == ""):
            return "image changed, and the server boots from a volume"
        return ""

    # Suspendable.

    def suspend(self, recorded: Recorded, observed: Any) -> Outcome:
        """Have Nova suspend it; a lost server fails. The protocol: :class:`reconcilers.capabilities.Suspendable`."""
        lost = status(observed) in LOST
        return Failed(self.failure(observed)) if lost else server_power.suspend(recorded, observed, SETTLED)

    def resume(self, recorded: Recorded, observed: Any) -> Outcome:
        """Have Nova resume it; a lost server fails. The protocol: :class:`reconcilers.capabilities.Suspendable`."""
        lost = status(observed) in LOST
        return Failed(self.failure(observed)) if lost else server_power.resume(recorded, observed, SETTLED)

    # Snapshottable.

    def copy_kind(self, observed: Any, preferred: frozenset[str]) -> str:
        """What boots from a volume has its data in that volume. What is lost has none."""
        return "" if status(observed) in LOST or not observed.get("image") else "Image"

    def restored(self, kind: str, identity: str) -> Mapping[str, Any]:
        """As in Heat, the image takes the place of the template's."""
        return {"image": identity}

    # Reading.

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        if observed is None:
            return {}
        return {
            "name": observed.get("name"),
            "networks": server_attributes.networks(desired, observed),
            "addresses": observed.get("addresses") or {},
            "first_address": server_attributes.first_address(observed),
            "instance_name": observed.get("OS-EXT-SRV-ATTR:instance_name"),
            "accessIPv4": observed.get("accessIPv4"),
            "accessIPv6": observed.get("accessIPv6"),
            "tags": observed.get("tags"),
            "os_collect_config": {},
            "show": observed,
        }

    @override
    def attribute_request(
        self, attribute: str, desired: Desired | None, recorded: Recorded, observed: Any
    ) -> Request | Mapping[str, Request] | None:
        return server_attributes.request(attribute, desired, recorded, observed or {})

    @override
    def read_attribute(self, attribute: str, body: Any, recorded: Recorded, observed: Any) -> Any:
        return server_attributes.value(attribute, body, observed or {})

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        """Metadata and tags that somebody added are left alone."""
        properties = desired.properties
        metadata = texts(properties.get("metadata")).items()
        flavor, image = (observed.get("flavor") or {}).get("id"), (observed.get("image") or {}).get("id")
        drifted = {
            "name": bool(properties.get("name")) and observed.get("name") != properties["name"],
            "flavor": flavor is not None and flavor != properties.get("flavor"),
            "image": bool(image and properties.get("image")) and image != properties["image"],
            "metadata": not metadata <= (observed.get("metadata") or {}).items(),
            "tags": not set(properties.get("tags") or ()) <= set(observed.get("tags") or ()),
        }
        return (
            frozenset(name for name, needs_write in drifted.items() if needs_write)
            if status(observed) in SETTLED
            else frozenset()
        )


def _claims(desired: Desired) -> bool:
    """Whether the server holds something that its successor needs: a port, an address, a volume."""
    entries = server_ports.entries(desired.properties)
    held = any(
        entry.keys() & {"port", "fixed_ip"} or (entry.get("port_extra_properties") or {}).get("mac_address")
        for entry in entries
    )
    devices = ("block_device_mapping", "block_device_mapping_v2")
    return held or any(device.get("volume_id") for name in devices for device in desired.properties.get(name) or ())
