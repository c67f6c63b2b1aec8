"""The StackHistories of a Stack: each transition of the Stack and its resources, for ``kubectl stack events``."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from kiln.api.kinds import STACK_HISTORIES
from kiln.api.v1alpha1 import LABEL_STACK, owner_uids
from kiln.kubectl import output
from kiln.kubectl.output import Cell, Paint, Style
from kiln.kubectl.session import Session

_HEADERS: Final = ("AGE", "RESOURCE", "ACTION", "STATUS", "REASON", "MESSAGE")
_STYLES: Final = {"Failed": Style.BAD, "Complete": Style.GOOD}

Entry = Mapping[str, Any]


async def load(session: Session, stack: Mapping[str, Any]) -> list[Entry]:
    """All entries of a Stack, oldest first."""
    labels = f"{LABEL_STACK}={stack['metadata']['name']}"
    found = await session.kube.list(STACK_HISTORIES, session.namespace, labels=labels)
    own = (one for one in found if stack["metadata"]["uid"] in owner_uids(one))
    return sorted((entry for one in own for entry in one["spec"]["entries"]), key=lambda entry: int(entry["seq"]))


def lines(entries: Iterable[Entry], now: datetime, paint: Paint) -> list[str]:
    """The table."""
    return output.table(_HEADERS, (_row(entry, now) for entry in entries), paint)


def _row(entry: Entry, now: datetime) -> Sequence[Cell | str]:
    status = str(entry["status"])
    told = [str(entry[key]) for key in ("message", "physicalID", "requestID") if entry.get(key)]
    if entry.get("requestedBy"):
        told.append(f"by {entry['requestedBy']}")
    return [
        output.age(entry["time"], now),
        str(entry.get("path") or "-"),
        str(entry.get("action") or "-"),
        Cell(status, _STYLES.get(status, Style.PLAIN)),
        str(entry.get("reason") or "-"),
        ", ".join(told),
    ]
