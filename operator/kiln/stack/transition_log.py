"""Logs each resource's state changes, and counts finished actions."""

import logging
from dataclasses import dataclass

from kiln import metrics
from reconcilers.engine.progress import ResourceProgress

log = logging.getLogger(__name__)

_VERBS = {
    "Creating": "create",
    "Updating": "update",
    "Deleting": "delete",
    "Suspending": "suspend",
    "Resuming": "resume",
}
_REPLACING = frozenset({"create", "delete"})
_ENDS = {"Ready": "succeeded", "Deleted": "succeeded", "Failed": "failed"}


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a resource's state. ``action`` is create, update, replace, delete, suspend, resume or empty."""

    name: str
    action: str
    progress: ResourceProgress

    @property
    def status(self) -> str:
        """InProgress, Complete or Failed."""
        if self.progress.state == "Failed":
            return "Failed"
        return "Complete" if self.progress.state in _ENDS else "InProgress"


class TransitionLog:
    """Follows the resources of one reconciliation."""

    def __init__(self) -> None:
        self._begun: dict[str, str] = {}
        """The current action on each resource."""
        self._logged: dict[str, tuple[str, str]] = {}

    def record(self, name: str, progress: ResourceProgress) -> Transition | None:
        """Record a state change. Returns it if it is worth telling."""
        verb = _VERBS.get(progress.state)
        if verb is not None:
            before = self._begun.get(name)
            # An update that becomes a creation is a replacement, which includes the deletion of the old resource.
            action = self._begun[name] = "replace" if before in {"update", "replace"} and verb in _REPLACING else verb
        elif progress.state in _ENDS:
            action = self._begun.pop(name, "")
            if action:
                metrics.ACTIONS.labels(action, _ENDS[progress.state]).inc()
            elif progress.state != "Failed":
                return None
        else:
            return None
        state = (progress.state, str(progress.fault or ""))
        if self._logged.get(name) == state:
            return None
        self._logged[name] = state
        what = f" ({progress.type})" if progress.type else ""
        why = ", ".join(word for word in (*state, progress.message) if word)
        extra = {"request_id": progress.request_id} if progress.request_id else {}
        log.info("resources.%s%s: %s", name, what, why, extra=extra)
        return Transition(name, action, progress)
