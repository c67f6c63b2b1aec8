"""Logs each resource's state changes, and counts finished actions."""

import logging

from kiln import metrics
from reconcilers.engine.progress import ResourceProgress

log = logging.getLogger(__name__)

_VERBS = {"Creating": "create", "Updating": "update", "Deleting": "delete"}
_ENDS = {"Ready": "succeeded", "Deleted": "succeeded", "Failed": "failed"}


class TransitionLog:
    """Follows the resources of one reconciliation."""

    def __init__(self) -> None:
        self._begun: dict[str, str] = {}
        """The current action on each resource."""
        self._logged: dict[str, tuple[str, str]] = {}

    def record(self, name: str, progress: ResourceProgress) -> None:
        """Record a state change."""
        verb = _VERBS.get(progress.state)
        if verb is not None:
            before = self._begun.get(name)
            # An update that becomes a creation is a replacement, which includes the deletion of the old resource.
            self._begun[name] = "replace" if before in {"update", "replace"} and verb != "update" else verb
        elif progress.state in _ENDS:
            action = self._begun.pop(name, None)
            if action is not None:
                metrics.ACTIONS.labels(action, _ENDS[progress.state]).inc()
            elif progress.state != "Failed":
                return
        else:
            return
        state = (progress.state, str(progress.fault or ""))
        if self._logged.get(name) != state:
            self._logged[name] = state
            what = f" ({progress.type})" if progress.type else ""
            why = ", ".join(word for word in (*state, progress.message) if word)
            extra = {"request_id": progress.request_id} if progress.request_id else {}
            log.info("resources.%s%s: %s", name, what, why, extra=extra)
