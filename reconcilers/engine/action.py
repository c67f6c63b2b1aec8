"""The action of a reconciliation on one resource, as plans, logs and hooks name it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Verb(StrEnum):
    """What to do with a resource, in one word."""

    NONE = "None"
    """It is as desired, and its record is up to date."""
    RECORD = "Record"
    """It is as desired. Only its record changes."""
    CREATE = "Create"
    UPDATE = "Update"
    """Some properties change in place."""
    REPLACE = "Replace"
    """A new resource takes its place, and the old one is deleted."""
    RECREATE = "Recreate"
    """It failed or disappeared, so a new one is created."""
    ADOPT = "Adopt"
    """Its StackResource is being deleted, so a new record takes over the resource."""
    IMPORT = "Import"
    """It existed before the Stack, and ``spec.adopt`` names it: it is taken over as it is."""
    REFER = "Refer"
    """It belongs to others (``external_id``). It is read and never changed."""
    DELETE = "Delete"
    SUSPEND = "Suspend"
    RESUME = "Resume"
    LEAVE = "Leave"
    """It leaves the Stack and stays in the cloud."""
    REPORT = "Report"
    """It differs from what was applied, and ``spec.drift`` forbids the repair."""
    WAIT = "Wait"
    """The cloud is working on it."""
    REFUSE = "Refuse"
    """The desired state cannot be reached."""
    UNDECIDED = "Undecided"
    """Some of its properties are known only after a change of another resource."""


@dataclass(frozen=True, slots=True)
class Action:
    """What to do with one resource, and why.

    ``properties`` are those that change. ``drifted`` are those of them that others changed. ``unknown`` are properties
    whose value is known only later.
    """

    verb: Verb
    why: str = ""
    properties: frozenset[str] = frozenset()
    drifted: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    @property
    def changes(self) -> bool:
        """Whether anything in the cloud changes."""
        return self.verb not in {Verb.NONE, Verb.RECORD, Verb.REPORT, Verb.REFUSE, Verb.REFER, Verb.LEAVE}

    @property
    def phase(self) -> str:
        """The action in the words of hooks: create, update, delete; empty for others."""
        return _PHASES.get(self.verb, "")

    def describe(self) -> str:
        """The action in a line: ``Update dns_nameservers, name (drifted: name)``."""
        parts = [str(self.verb)]
        if self.properties and self.verb is not Verb.CREATE:
            parts.append(", ".join(sorted(self.properties)))
        notes = [self.why] if self.why else []
        if self.drifted:
            notes.append(f"drifted: {', '.join(sorted(self.drifted))}")
        if self.unknown:
            notes.append(f"known later: {', '.join(sorted(self.unknown))}")
        return " ".join(parts) + (f" ({'; '.join(notes)})" if notes else "")


_PHASES: Final = {
    Verb.CREATE: "create",
    Verb.RECREATE: "create",
    Verb.UPDATE: "update",
    Verb.REPLACE: "update",
    Verb.DELETE: "delete",
}
NOTHING: Final = Action(Verb.NONE)
