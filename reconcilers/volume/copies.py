"""Copies of a volume: a backup, which Heat makes, or a snapshot, where a cloud has no backup service."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from reconcilers.copies import GIB, SOURCE, TOKEN_KEY, CopyType
from reconcilers.model import Desired, Outcome, Recorded, Request, Send, Wait

VERSION = "3.47"
"""Backups have metadata since 3.43."""


class VolumeCopy(CopyType):
    """Cinder copies a volume that is in use only if it is forced to. The token stands in the metadata."""

    service = "block_storage"
    microversion = VERSION
    ready = frozenset({"available"})
    busy = frozenset({"creating", "backing-up", "restoring"})

    @override
    def make(self, desired: Desired, recorded: Recorded) -> Send:
        body = {
            "volume_id": desired.properties[SOURCE],
            "name": desired.physical_name,
            "force": True,
            "metadata": {TOKEN_KEY: recorded.token},
        }
        return Send(Request(self.service, "POST", self.collection, self.wrap(body), microversion=VERSION), creates=True)

    @override
    def remove(self, recorded: Recorded, observed: Any) -> Outcome:
        """Cinder answers 404 too if it has no service that could delete the copy, so that is no sign of its end."""
        if self.leaving(observed):
            return Wait("being deleted")
        return Send(Request(self.service, "DELETE", self.path(recorded), microversion=VERSION))

    @override
    def size(self, observed: Mapping[str, Any]) -> int:
        return int(observed.get("size") or 0) * GIB


class Backup(VolumeCopy):
    """A backup does not need its volume."""

    kind = "Backup"
    hint = "a cloud without a backup service can make snapshots instead (spec.volumes: Snapshot of the StackSnapshot)"
    collection = "/backups"
    listing = "/backups/detail"
    key = "backup"
    plural = "backups"


class VolumeSnapshot(VolumeCopy):
    """A snapshot lives inside the volume's back end, and Cinder deletes no volume that has one."""

    kind = "Snapshot"
    collection = "/snapshots"
    listing = "/snapshots/detail"
    key = "snapshot"
    plural = "snapshots"
