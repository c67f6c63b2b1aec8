"""What is done to a Stack's resources, told: a log line for each turn, and a count of how it ended."""

import logging

from kiln import metrics
from reconcilers.engine.context import ResourceProgress

log = logging.getLogger(__name__)

_VERBS = {"Creating": "create", "Updating": "update", "Deleting": "delete"}
_ENDS = {"Ready": "succeeded", "Deleted": "succeeded", "Failed": "failed"}


class TransitionLog:
    """Follows the resources of one pass."""

    def __init__(self) -> None:
        self._begun: dict[str, str] = {}
        """What is being done to each resource."""
        self._told: dict[str, tuple[str, str]] = {}

    def moved(self, name: str, standing: ResourceProgress) -> None:
        """A resource stands otherwise than before."""
        verb = _VERBS.get(standing.state)
        if verb is not None:
            before = self._begun.get(name)
            # What was to be changed and is then made is replaced, and the end of the old one is part of that.
            self._begun[name] = "replace" if before in {"update", "replace"} and verb != "update" else verb
        elif standing.state in _ENDS:
            action = self._begun.pop(name, None)
            if action is not None:
                metrics.ACTIONS.labels(action, _ENDS[standing.state]).inc()
            elif standing.state != "Failed":
                return
        else:
            return
        turn = (standing.state, str(standing.fault or ""))
        if self._told.get(name) != turn:
            self._told[name] = turn
            what = f" ({standing.type})" if standing.type else ""
            why = ", ".join(word for word in (*turn, standing.message) if word)
            extra = {"request_id": standing.request_id} if standing.request_id else {}
            log.info("resources.%s%s: %s", name, what, why, extra=extra)
