"""What may not happen to a resource, whatever the template asks for. Pure."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from reconcilers.digests import WHOLE
from reconcilers.model import UNHEALTHY, Failed, Fault, Recorded


@dataclass(frozen=True, slots=True)
class Guard:
    """Refuses to replace or delete resources.

    ``protected`` are patterns of logical names (``*``, ``?``, ``[...]``; a ``*`` also matches slashes). ``approved``
    are the names of the resources that may be replaced or deleted; None: all. A resource that was never complete is
    not guarded: nothing was stored in it, and creating it again may need its deletion. One that somebody marked
    unhealthy needs no approval.
    """

    protected: tuple[str, ...] = ()
    approved: frozenset[str] | None = None

    def protects(self, recorded: Recorded) -> bool:
        """Whether the resource must not be replaced or deleted."""
        return _was_complete(recorded) and any(fnmatchcase(recorded.name, pattern) for pattern in self.protected)

    def replacement(self, recorded: Recorded) -> Failed | None:
        """The refusal to replace an existing resource, if there is one."""
        if self.protects(recorded):
            return _protected("replaced")
        return self._unapproved(recorded, "replacement")

    def removal(self, recorded: Recorded) -> Failed | None:
        """The refusal to delete a resource, if there is one."""
        if recorded.retain or recorded.external:
            return None
        return _protected("deleted") if self.protects(recorded) else self._unapproved(recorded, "deletion")

    def _unapproved(self, recorded: Recorded, what: str) -> Failed | None:
        if self.approved is None or recorded.name in self.approved:
            return None
        if not _was_complete(recorded) or UNHEALTHY in recorded.data:
            return None
        return Failed(f"its {what} waits for approval", Fault.UNAPPROVED)


UNGUARDED: Final = Guard()


def _was_complete(recorded: Recorded) -> bool:
    return WHOLE in recorded.digests and not recorded.external


def _protected(what: str) -> Failed:
    return Failed(f"spec.protectedResources: it must not be {what}", Fault.PROTECTED)
