"""StackSnapshots: what they hold, and what comes next for one. Pure.

A snapshot's status is its record: the items are written before anything is asked of OpenStack, and each item's token
follows from the snapshot's uid and the resource's name. So an item is found again after a crash, and only what carries
the token is ever deleted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from kiln.api.v1alpha1 import SNAPSHOT_FINALIZER, DeletionPolicy, RequestPhase
from reconcilers import identifiers, registry
from reconcilers.capabilities import Snapshottable
from reconcilers.copies import CopyType
from reconcilers.engine.copying import SIZE
from reconcilers.engine.progress import ReadyResource, ResourceError
from reconcilers.model import Recorded

MOST_SNAPSHOTS: Final = 32
"""Snapshots of one Stack, as in Heat."""
_LONGEST_NAME: Final = 255
_MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Item:
    """The copy of one resource. ``source`` is the physical id of what is copied; ``kind`` names the type of copy."""

    recorded: Recorded
    kind: str
    source: str

    @property
    def copy_type(self) -> CopyType | None:
        """The type of the copy; None if Kiln does not know it any more."""
        rtype = registry.find(self.recorded.type)
        return rtype.copies.get(self.kind) if isinstance(rtype, Snapshottable) else None

    def as_json(self) -> dict[str, Any]:
        """As it is in the status."""
        recorded = self.recorded
        data = {key: value for key, value in recorded.data.items() if key != SIZE}
        found = {
            "resource": recorded.name,
            "type": recorded.type,
            "kind": self.kind,
            "sourceID": self.source,
            "state": recorded.state,
            "id": recorded.physical_id,
            "size": int(recorded.data[SIZE]) if SIZE in recorded.data else None,
            "message": recorded.message,
            "data": data,
        }
        return {key: value for key, value in found.items() if value not in (None, "", {})}


@dataclass(frozen=True, slots=True)
class StackSnapshot:
    """A parsed StackSnapshot."""

    name: str
    uid: str
    kinds: frozenset[str]
    orphan: bool
    deleting: bool
    held: bool
    """It has the finalizer."""
    phase: str
    ready: bool
    revision: str
    started: datetime | None
    items: tuple[Item, ...]
    obj: Mapping[str, Any]

    def blank(self, name: str, kind: str) -> Recorded:
        """The record of the copy of a resource, as far as it follows from the names."""
        token = identifiers.token(self.uid, name, 0)
        physical_name = identifiers.physical_name(self.name, name, token, _LONGEST_NAME)
        return Recorded(key=name, name=name, type=kind, token=token, physical_name=physical_name)


def parse(obj: Mapping[str, Any]) -> StackSnapshot:
    """Parse a StackSnapshot."""
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    found = StackSnapshot(
        name=metadata["name"],
        uid=metadata["uid"],
        kinds=frozenset({"Image", str(spec.get("volumes", "Backup"))}),
        orphan=spec.get("deletionPolicy") == DeletionPolicy.ORPHAN,
        deleting="deletionTimestamp" in metadata,
        held=SNAPSHOT_FINALIZER in (metadata.get("finalizers") or ()),
        phase=str(status.get("phase", "")),
        ready=bool(status.get("readyToUse")),
        revision=str(status.get("revision", "")),
        started=_time(status.get("startTime")),
        items=(),
        obj=obj,
    )
    items = tuple(_item(found, one) for one in status.get("items") or ())
    return replace(found, items=items)


def _time(stamp: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(stamp))
    except ValueError:
        return None


def _item(snapshot: StackSnapshot, stored: Mapping[str, Any]) -> Item:
    blank = snapshot.blank(str(stored["resource"]), str(stored["type"]))
    identity = stored.get("id")
    size = {SIZE: str(stored["size"])} if "size" in stored else {}
    recorded = Recorded(
        key=blank.key,
        name=blank.name,
        type=blank.type,
        token=blank.token,
        physical_name=blank.physical_name,
        physical_id=identity,
        confirmed=identity is not None,
        state=str(stored.get("state", "Creating")),
        message=str(stored.get("message", "")),
        data={**(stored.get("data") or {}), **size},
    )
    return Item(recorded, str(stored["kind"]), str(stored.get("sourceID", "")))


def plan(snapshot: StackSnapshot, ready: Iterable[ReadyResource]) -> tuple[Item, ...]:
    """The copies that a new snapshot has to make: of all resources of the Stack that have data."""
    found = []
    for one in ready:
        rtype, recorded = one.rtype, one.recorded
        if not isinstance(rtype, Snapshottable) or recorded.external or not recorded.physical_id or not one.observed:
            continue
        kind = rtype.copy_kind(one.observed, snapshot.kinds)
        if kind:
            found.append(Item(snapshot.blank(recorded.name, recorded.type), kind, recorded.physical_id))
    return tuple(sorted(found, key=lambda item: item.recorded.name))


def ended(items: Sequence[Item], failures: Sequence[ResourceError], *, timeout: float | None) -> dict[str, Any]:
    """The fields of the status that say how a snapshot ended. ``timeout`` in seconds, if it passed."""
    if failures:
        named = "; ".join(str(error) for error in failures[:_MOST_NAMED])
        more = f" (and {len(failures) - _MOST_NAMED} more)" if len(failures) > _MOST_NAMED else ""
        return {"phase": str(RequestPhase.FAILED), "readyToUse": False, "message": named + more}
    if timeout is not None:
        return {"phase": str(RequestPhase.FAILED), "readyToUse": False, "message": f"not done within {timeout:.0f} s"}
    what = f"{len(items)} copies" if len(items) != 1 else "1 copy"
    return {"phase": str(RequestPhase.SUCCEEDED), "readyToUse": True, "message": f"{what} can be restored"}
