"""OS::Cinder::Volume."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from reconcilers import metadata, own_items
from reconcilers.copies import CopyType
from reconcilers.model import Desired, Failed, Fault, Outcome, Pause, Ready, Recorded, Replace, Request, Send, Wait
from reconcilers.registry import register
from reconcilers.resource_type import Field, RestResource, same_name_fields
from reconcilers.volume.copies import Backup, VolumeSnapshot

VERSION = "3.47"
"""Takes a backup to make a volume from; extends volumes that are in use (3.42)."""
ACTED = "acted"
"""Key among what was read: an action was sent, and Cinder does not show it yet."""
REATTACH = "reattach"
"""Key of the record: server and device that the volume was taken from, to be put back."""

_OTHERS_METADATA = frozenset({"kiln-token", "readonly", "attached_mode"})
_SOURCES = ("backup_id", "snapshot_id", "source_volid", "image")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@register
class Volume(RestResource):
    """Its token stands in the metadata. Changes are actions of Cinder, which take their time; so does deletion."""

    type = "OS::Cinder::Volume"
    service = "block_storage"
    collection = "/volumes"
    listing = "/volumes/detail"
    key = "volume"
    plural = "volumes"
    microversion = VERSION
    token_field = "metadata"
    delete_is_final = False
    ready = frozenset({"available", "in-use"})
    failed = frozenset({"error"})
    fields = {  # noqa: RUF012
        **same_name_fields("name", "description", "availability_zone", "snapshot_id", "source_volid", "backup_id"),
        "size": Field("size", drift=False),
        "image": Field("imageRef"),
        "volume_type": Field("volume_type", drift=False),
        "metadata": Field("metadata", encode=metadata.texts, drift=False),
        "read_only": Field("readonly", create=False, drift=False),
    }

    copies: ClassVar[Mapping[str, CopyType]] = {"Backup": Backup(), "Snapshot": VolumeSnapshot()}
    kept_as = "Backup"

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return own_items.noted("metadata", desired.properties.get("metadata") or (), desired)

    @override
    def body(self, desired: Desired) -> dict[str, Any]:
        return {**super().body(desired), **({"multiattach": True} if desired.properties.get("multiattach") else {})}

    @override
    def claim(self, recorded: Recorded, observed: Any) -> Send | None:
        if self.owned(observed, recorded):
            return None
        body = {"metadata": {"kiln-token": recorded.token}}
        return Send(Request(self.service, "POST", f"{self.path(recorded)}/metadata", body, microversion=VERSION))

    @override
    def create(self, desired: Desired, recorded: Recorded) -> Outcome:
        wrong = _source_problem(desired.properties)
        if wrong is not None:
            return wrong
        hints = desired.properties.get("scheduler_hints")
        body = {
            **self.wrap(self.stamp(self.body(desired), recorded)),
            **({"OS-SCH-HNT:scheduler_hints": dict(hints)} if hints else {}),
        }
        request = Request(self.service, "POST", self.collection, body, microversion=VERSION)
        return Send(request, applies=self.applied_by_create(desired), creates=True)

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        outcome = super().step(desired, recorded, observed)
        if isinstance(outcome, Failed) and outcome.fault is Fault.RESOURCE and recorded.state != "Creating":
            return Failed(outcome.reason, Fault.CONFLICT)  # it holds data: it is not made anew over somebody's head
        if isinstance(outcome, Ready) and desired is not None and recorded.data.get(REATTACH):
            return self._put_back(recorded, observed)
        return outcome

    @override
    def condition(self, observed: Mapping[str, Any]) -> Ready | Wait | Failed:
        """A volume whose last action failed (error_extending, ...) is there, and waits."""
        status = str(observed.get("status"))
        if ACTED in observed:
            return Wait(f"is {status}")
        if status.startswith("error_"):
            return Failed(f"went to status {status}", Fault.CONFLICT)
        return super().condition(observed)

    @override
    def remove(self, recorded: Recorded, observed: Any) -> Outcome:
        outcome = super().remove(recorded, observed)
        if not isinstance(outcome, Send):
            return outcome
        status = str(observed.get("status"))
        if ACTED in observed or not (status == "available" or status.startswith("error")):
            return Wait("is attached" if status == "in-use" else f"is {status}")
        return Send(outcome.request, into=ACTED)

    # Changes in place.

    @override
    def update(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome:
        for way in (
            self._texts,
            self._metadata,
            self._retype,
            self._restore,
            self._revert,
            self._extend,
            self._read_only,
        ):
            outcome = way(desired, recorded, observed)
            if outcome is not None:
                return outcome
        return Ready(applies=desired.changed)

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        size, changed = desired.properties.get("size"), desired.changed
        if observed is not None:
            desired = replace(desired, changed=changed - desired.anew)  # restored in place
        outcome = super().replacement(desired, recorded, observed)
        # A volume that is made anew for another reason may be smaller.
        if outcome is None and "size" in changed and size and observed and size < observed.get("size", size):
            return Failed(f"a volume of {observed['size']} GiB cannot shrink to {size}", Fault.INVALID, "size")
        return outcome

    # Snapshottable.

    def copy_kind(self, observed: Any, preferred: frozenset[str]) -> str:
        """The preferred kind that Cinder can make; none of a volume in an error state.

        The protocol is :class:`reconcilers.capabilities.Snapshottable`.
        """
        if str(observed.get("status", "")).startswith("error"):
            return ""
        return next((kind for kind in self.copies if kind in preferred), self.kept_as)

    def restored(self, kind: str, identity: str) -> Mapping[str, Any]:
        """As in Heat, from a backup. A snapshot is reverted to."""
        return {**dict.fromkeys(_SOURCES), "backup_id" if kind == "Backup" else "snapshot_id": identity}

    def _texts(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        changed = desired.changed & {"name", "description"}
        if not changed:
            return None
        properties = desired.properties
        wanted = {"name": properties.get("name") or desired.physical_name, "description": properties.get("description")}
        body = self.wrap({name: wanted[name] for name in sorted(changed)})
        if all(self.holds(name, self.fields[name], wanted[name], observed) for name in changed):
            return None
        return Send(Request(self.service, "PUT", self.path(recorded), body, microversion=VERSION), applies=changed)

    def _metadata(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        if "metadata" not in desired.changed:
            return None
        wanted, shown = metadata.texts(desired.properties.get("metadata")), observed.get("metadata") or {}
        path = f"{self.path(recorded)}/metadata"
        return own_items.OwnItems(
            name="metadata",
            wanted=wanted.keys(),
            present=shown.keys() - _OTHERS_METADATA,
            missing=[key for key, value in wanted.items() if shown.get(key) != value],
            add=lambda keys: Request(
                self.service, "POST", path, {"metadata": {key: wanted[key] for key in keys}}, microversion=VERSION
            ),
            end=lambda key: Request(
                self.service, "DELETE", f"{path}/{quote(key, safe='')}", microversion=VERSION, done=frozenset({404})
            ),
            add_together=True,
        ).advance(desired, recorded, observed)

    def _retype(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        wanted = desired.properties.get("volume_type")
        if "volume_type" not in desired.changed or not wanted or observed.get("volume_type") == wanted:
            return None
        body = {"os-retype": {"new_type": wanted, "migration_policy": "never"}}
        return self._action(recorded, body, applies=frozenset({"volume_type"}))

    def _restore(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        backup = desired.properties.get("backup_id")
        if "backup_id" not in desired.changed or not backup:
            return None
        request = Request(
            self.service,
            "POST",
            f"/backups/{backup}/restore",
            {"restore": {"volume_id": recorded.physical_id}},
            microversion=VERSION,
        )
        return self._take_out(recorded, observed) or Send(request, applies=frozenset({"backup_id"}))

    def _revert(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        """Cinder goes back to the newest snapshot of a volume only, and only while the volume is not in use."""
        if "snapshot_id" not in desired.anew or not desired.properties.get("snapshot_id"):
            return None
        body = {"revert": {"snapshot_id": desired.properties["snapshot_id"]}}
        applies = frozenset({"snapshot_id"})
        return self._take_out(recorded, observed) or self._action(recorded, body, applies=applies)

    def _extend(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        size = desired.properties.get("size")
        if "size" not in desired.changed or not size or observed.get("size", size) >= size:
            return None
        return self._action(recorded, {"os-extend": {"new_size": size}}, into=ACTED)

    def _read_only(self, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        wanted = desired.properties.get("read_only")
        shown = str((observed.get("metadata") or {}).get("readonly", False)).lower() == "true"
        if "read_only" not in desired.changed or wanted is None or shown == wanted:
            return None
        body = {"os-update_readonly_flag": {"readonly": wanted}}
        return self._take_out(recorded, observed) or self._action(recorded, body, applies=frozenset({"read_only"}))

    def _action(
        self, recorded: Recorded, body: Mapping[str, Any], *, applies: frozenset[str] = frozenset(), into: str = ""
    ) -> Send:
        request = Request(self.service, "POST", f"{self.path(recorded)}/action", body, microversion=VERSION)
        return Send(request, applies=applies, into=into)

    # What cannot be done to a volume in use: as in Heat it is taken out, and put back afterwards.

    def _take_out(self, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome | None:
        attachments = observed.get("attachments") or []
        if not attachments:
            return None
        server, device = attachments[0]["server_id"], attachments[0].get("device") or ""
        path = f"/servers/{server}/os-volume_attachments/{recorded.physical_id}"
        request = Request("compute", "DELETE", path, done=frozenset({404}))
        return Send(request, into=ACTED, remember={REATTACH: f"{server} {device}"})

    def _put_back(self, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome:
        """The memory of the server is kept until the volume is back: a refused or lost request is sent again."""
        if observed.get("attachments"):
            return Pause(0.0, remember={REATTACH: ""})
        server, _, device = recorded.data[REATTACH].partition(" ")
        attachment = {"volumeId": recorded.physical_id, **({"device": device} if device else {})}
        request = Request(
            "compute",
            "POST",
            f"/servers/{server}/os-volume_attachments",
            {"volumeAttachment": attachment},
            done=frozenset({404}),  # the server is gone
        )
        return Send(request, forget=frozenset({REATTACH}), into=ACTED)

    # Reading.

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        """Heat gives most of them as text."""
        if observed is None:
            return {}
        plain = {name: str(observed.get(name)) for name, how in self.schema.attributes.items() if how.type == "string"}
        return {
            **plain,
            "display_name": observed.get("name"),
            "display_description": observed.get("description"),
            "metadata": json.dumps(observed.get("metadata") or {}),
            "metadata_values": observed.get("metadata") or {},
            "attachments_list": observed.get("attachments") or [],
            "multiattach": observed.get("multiattach"),
            "show": observed,
        }

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        """What somebody added to the metadata is left alone, and so is a larger size."""
        if not isinstance(self.condition(observed), Ready):
            return frozenset()
        properties = desired.properties
        shown = observed.get("metadata") or {}
        read_only, kind = properties.get("read_only"), properties.get("volume_type")
        drifted = {
            **{
                name: bool(properties.get(name)) and not self.holds(name, self.fields[name], properties[name], observed)
                for name in ("name", "description")
            },
            "metadata": not metadata.texts(properties.get("metadata")).items() <= shown.items(),
            "read_only": read_only is not None and (str(shown.get("readonly", False)).lower() == "true") != read_only,
            "volume_type": bool(kind) and not _ID.fullmatch(str(kind)) and observed.get("volume_type") != kind,
        }
        return frozenset(name for name, needs_write in drifted.items() if needs_write)


def _source_problem(properties: Mapping[str, Any]) -> Failed | None:
    """What Heat's validation refuses."""
    if properties.get("backup_id"):
        return None
    sources = [name for name in ("image", "snapshot_id", "source_volid") if properties.get(name)]
    if len(sources) > 1:
        return Failed(f"only one of {' and '.join(sources)} can be the source", Fault.INVALID, sources[1])
    if properties.get("size") is None and not set(sources) & {"snapshot_id", "source_volid"}:
        return Failed(
            "size is needed, or a source that has one (snapshot_id, source_volid, backup_id)", Fault.INVALID, "size"
        )
    return None
