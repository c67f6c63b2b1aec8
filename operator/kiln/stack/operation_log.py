"""``status.operations``: the last operations of a Stack that ended. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

MOST: Final = 10
"""Operations that are kept."""
LONGEST_MESSAGE: Final = 512
"""Characters of an operation's message."""
_SAME: Final = ("type", "result", "revision", "requestedBy")
"""What tries of one thing have in common."""

_OF_A_TRY: Final = frozenset({"startTime", "completionTime", "lastStartTime", "count"})
"""What differs from try to try."""

Json = dict[str, Any]


def followed(operations: Sequence[Mapping[str, Any]], last: Mapping[str, Any], revision: str) -> list[Json]:
    """The operations with ``lastOperation``, if it has ended. The newest comes last.

    Tries that end in the same way, one after the other, are one entry with their number: a Stack that fails every five
    minutes must not push out what happened before.
    """
    kept = [dict(one) for one in operations]
    if "completionTime" not in last:
        return kept
    entry: Json = {key: value for key, value in last.items() if value}
    if revision:
        entry["revision"] = revision
    if "message" in entry:
        entry["message"] = entry["message"][:LONGEST_MESSAGE]
    newest = kept[-1] if kept else {}
    if newest.get("lastStartTime", newest.get("startTime")) == entry.get("startTime") and _alike(newest, entry):
        kept[-1] = {**newest, **entry, "startTime": newest["startTime"]}
    elif _alike(newest, entry):
        count = int(newest.get("count", 1)) + 1
        kept[-1] = {**entry, "startTime": newest["startTime"], "lastStartTime": entry["startTime"], "count": count}
    else:
        kept.append(entry)
    return kept[-MOST:]


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(key) == other.get(key) for key in _SAME)


def without_tries(operation: Mapping[str, Any]) -> Json:
    """An operation, or an entry of the log, without what differs from try to try."""
    return {key: value for key, value in operation.items() if key not in _OF_A_TRY}
