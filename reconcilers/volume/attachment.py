"""OS::Cinder::VolumeAttachment: a volume in a server."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Gone, Outcome, Ready, Recorded, Replace, Request, Send, Wait
from reconcilers.registry import register
from reconcilers.resource_type import Association
from reconcilers.volume.volume import VERSION

ACTED = "acted"
"""Key among what was read: it was asked to be taken out."""
SETTLED = frozenset({"available", "in-use"})
"""Statuses of a volume with which nothing is being done."""
LEFT = "left"
"""What Nova still has of the attachment."""


@register
class VolumeAttachment(Association):
    """What is observed is the volume, from the list that volumes are observed with; its attachments tell the rest.

    As in Nova, its id is the volume's.
    """

    type = "OS::Cinder::VolumeAttachment"
    service = "block_storage"
    listing = "/volumes/detail"
    plural = "volumes"
    microversion = VERSION
    needs_running = True

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {"volume": desired.properties["volume_id"], "server": desired.properties["instance_uuid"]}

    @override
    def identity(self, recorded: Recorded) -> str | None:
        return recorded.data.get("volume")

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        attached = observed is not None and _attached(observed, recorded.data["server"])
        status = str(observed.get("status")) if observed is not None else ""
        if desired is None:
            if observed is None:
                return Gone()
            return self.unlink(recorded, observed) if attached else self._left(recorded, observed, status)
        if attached:
            return Ready(applies=desired.changed) if status == "in-use" else Wait(f"the volume is {status}")
        if observed is None or status in SETTLED:
            return self.link(desired, recorded)
        if status.startswith("error"):
            return Failed(f"the volume is in status {status}", Fault.CONFLICT, "volume_id")
        return Wait(f"the volume is {status}")

    @override
    def link(self, desired: Desired, recorded: Recorded) -> Outcome:
        """One that is in use goes through if it may be in several servers."""
        device = desired.properties.get("mountpoint")
        body = {"volumeId": recorded.data["volume"], **({"device": device} if device else {})}
        request = Request("compute", "POST", self._path(recorded), {"volumeAttachment": body})
        return Send(request, applies=desired.given, creates=True)

    @override
    def unlink(self, recorded: Recorded, observed: Any) -> Outcome:
        if ACTED in observed or observed.get("status") == "detaching":
            return Wait("being detached")
        return Send(Request("compute", "DELETE", self._own_path(recorded), done=frozenset({404})), into=ACTED)

    def _left(self, recorded: Recorded, observed: Mapping[str, Any], status: str) -> Outcome:
        """Cinder has let go. Nova may need a moment more, in which it would refuse to take the volume again."""
        if status in {"attaching", "detaching", "reserved"}:
            return Wait(f"the volume is {status}")
        if LEFT not in observed:
            return Send(Request("compute", "GET", self._own_path(recorded), done=frozenset({404})), into=LEFT)
        return Wait("being detached") if "volumeAttachment" in (observed[LEFT] or {}) else Gone()

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Heat detaches and attaches in place, which comes to the same."""
        ends = {"volume": "volume_id", "server": "instance_uuid"}
        moved = [name for end, name in ends.items() if recorded.data.get(end) != desired.properties[name]]
        if observed is not None and "mountpoint" in desired.changed and _attached(observed, recorded.data["server"]):
            moved.append("mountpoint")
        return Replace(f"{moved[0]} changed", delete_first=True) if moved else None

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        """A volume that is on its way in or out is not judged."""
        settled = str(observed.get("status")) in SETTLED
        astray = settled and not _attached(observed, desired.properties["instance_uuid"])
        return frozenset({"instance_uuid"}) if astray else frozenset()

    # Reading.

    @override
    def read(self, recorded: Recorded) -> Request:
        return Request(self.service, "GET", f"/volumes/{recorded.data['volume']}", microversion=VERSION)

    @override
    def extract(self, body: Any, recorded: Recorded) -> Any:
        """Nova's answer to the attachment says that the volume is on its way."""
        if isinstance(body, Mapping) and "volumeAttachment" in body:
            return {"id": recorded.data["volume"], "status": "attaching", "attachments": []}
        return body.get("volume") if isinstance(body, Mapping) else None

    def _path(self, recorded: Recorded) -> str:
        return f"/servers/{recorded.data['server']}/os-volume_attachments"

    def _own_path(self, recorded: Recorded) -> str:
        return f"{self._path(recorded)}/{recorded.data['volume']}"


def _attached(volume: Mapping[str, Any], server: str) -> bool:
    return any(attachment.get("server_id") == server for attachment in volume.get("attachments") or ())
