"""Restoring a StackSnapshot: what it changes in the Stack's status, and what the engine makes of that. Pure.

The snapshot's StackRevision is converged to, with images and backups in the place of what its template names. That
holds for a resource until the template's own value changes. So Heat does too, but there the next update of anything
goes back to the template's image.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kiln.api.stack_status import RollbackTarget, StackStatus
from kiln.stack.operations import Effects, Rejection, StackOperation
from kiln.stack.revisions import Revision
from kiln.stack.snapshots import StackSnapshot
from reconcilers import registry
from reconcilers.capabilities import Snapshottable
from reconcilers.engine.restore import Restore
from reconcilers.engine.result import Result

Entry = Mapping[str, Any]
"""One of ``status.restored``."""


def effects(
    operation: StackOperation,
    status: StackStatus,
    wanted: Revision,
    known: Sequence[Revision],
    snapshot: StackSnapshot | None,
) -> Effects | Rejection:
    """What a Restore changes in the status, or why it cannot be done. ``known`` are the Stack's revisions."""
    if status.handled_operation == operation.uid:
        return Effects(operation.uid)
    if snapshot is None or snapshot.deleting:
        return Rejection(f"there is no StackSnapshot {operation.snapshot} of this Stack")
    if not snapshot.ready:
        return Rejection(f"the StackSnapshot {snapshot.name} is not ready to use ({snapshot.phase or 'not made yet'})")
    if snapshot.revision not in {one.name for one in known}:
        return Rejection(f"the StackRevision {snapshot.revision} of the snapshot does not exist any more")
    fresh = [
        {
            "resource": item.recorded.name,
            "type": item.recorded.type,
            "snapshot": snapshot.name,
            "operation": operation.uid,
            "kind": item.kind,
            "id": item.recorded.physical_id,
        }
        for item in snapshot.items
    ]
    names = {str(one["resource"]) for one in fresh}
    kept = [one for one in status.restored if one["resource"] not in names]
    back = RollbackTarget() if snapshot.revision == wanted.name else RollbackTarget(wanted.name, snapshot.revision)
    return Effects(operation.uid, failed_revision="", cancelled_revision="", rollback=back, restored=(*kept, *fresh))


def parse(entries: Sequence[Entry]) -> dict[str, Restore]:
    """What the engine restores, by resource."""
    found: dict[str, Restore] = {}
    for one in entries:
        rtype = registry.find(str(one["type"]))
        if isinstance(rtype, Snapshottable):
            properties = rtype.restored(str(one["kind"]), str(one["id"]))
            found[str(one["resource"])] = Restore(
                str(one["type"]), str(one["operation"]), properties, dict(one.get("given") or {})
            )
    return found


def after(entries: Sequence[Entry], result: Result) -> tuple[Entry, ...]:
    """The entries after a reconciliation: with digests, and without those that the template has overtaken."""
    return tuple(
        {**one, "given": dict(result.restored[str(one["resource"])].given)}
        if str(one["resource"]) in result.restored
        else one
        for one in entries
        if str(one["resource"]) not in result.overtaken
    )
