"""What is told of a pass: the Stack's status while it goes on and at its end, Events, log lines, counts."""

import datetime
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from hot_translator import Translation
from kiln import logs, metrics
from kiln.api import v1alpha1
from kiln.api.v1alpha1 import Condition, Operation, Reason
from kiln.kube.event_recorder import EventRecorder
from kiln.stack import status
from kiln.stack.revisions import Revision
from kiln.stack.status import ReadyState, StatusUpdate, StatusWriter
from kiln.stack.transition_log import TransitionLog
from reconcilers.engine.context import ProgressTracker, ResourceProgress
from reconcilers.model import Recorded

log = logging.getLogger(__name__)

MOST_NAMED = 3
"""How many of the resources that are waited for a message names."""


class StackReporter:
    """Tells of one pass over one Stack, never a hidden value. What the pass is about is set as it becomes known."""

    def __init__(self, stack: Mapping[str, Any], writer: StatusWriter, events: EventRecorder, pass_id: str) -> None:
        self.stack = stack
        self.generation: int = stack["metadata"]["generation"]
        self.old: Mapping[str, Any] = stack.get("status") or {}
        self.writer = writer
        self.events = events
        self.pass_id = pass_id
        self.redact = logs.Redactor()
        self._hidden: set[str] = set()
        self.progress = ProgressTracker(self._moved)
        self.actions = TransitionLog()
        self.operation: Operation | None = None
        self.operation_message = ""
        self.target: Revision | None = None
        self.moving = False
        """Something is being done: a pass over a Stack at rest writes nothing."""

    def hide(self, values: Iterable[str]) -> None:
        """Keep these values too out of everything that is said about this Stack, and out of all logs."""
        owner = str(v1alpha1.namespaced_name(self.stack))
        self._hidden.update(values)
        self.redact.register(owner, self._hidden)
        logs.redact.register(owner, self._hidden)

    def expect(self, records: list[Recorded], translation: Translation | None) -> None:
        """Count what there is and what there will be, before anything moves."""
        names = {recorded.name: ResourceProgress(recorded.type, "Pending") for recorded in records}
        if translation is not None:
            names |= {
                name: ResourceProgress(definition.type, "Pending")
                for name, definition in translation.definitions.items()
                if not definition.virtual
            }
        self.progress.standing.update(names)

    async def begin(self) -> None:
        """Say that work begins."""
        self.moving = True
        await self.writer.now(self.running())

    def _moved(self, name: str, standing: ResourceProgress) -> None:
        self.actions.moved(name, standing)
        if self.moving or standing.state != "Ready":
            self.moving = True
            self.writer.later(self.running)

    def running(self) -> StatusUpdate:
        """The status while work goes on: what is waited for stands in the message."""
        standing = self.progress.standing.items()
        waiting = [(name, one) for name, one in standing if one.fault is not None]
        deleting = self.operation is Operation.DELETE
        reason = str(waiting[0][1].fault) if waiting else str(Reason.DELETING if deleting else Reason.PROGRESSING)
        counts = status.counts_of(self.progress)
        message = f"{counts['total']} resources left" if deleting else f"{counts['summary']} resources ready"
        busy = waiting or [(name, one) for name, one in standing if one.message and one.state != "Ready"]
        message = "; ".join([message, *(f"resources.{name}: {one.message}" for name, one in busy[:MOST_NAMED])])
        report = StatusUpdate(
            self.generation,
            ReadyState(ready=False, reconciling=True, reason=reason, message=message),
            drifted=self.progress.drifted,
            operation=self.operation,
            operation_message=self.operation_message,
            target_revision=self.target.name if self.target else None,
            counts=counts,
            failed=status.failures_of(self.progress),
            pass_id=self.pass_id,
        )
        return status.redacted(report, self.redact)

    async def conclude(self, report: StatusUpdate) -> None:
        """Write the final status of the pass, and an event if the Stack's condition took a turn."""
        report = status.redacted(report, self.redact)
        before = v1alpha1.condition_of({"status": self.old}, Condition.READY) or {}
        verdict = report.verdict
        await self.writer.now(report)
        log.info("%s: %s", verdict.reason, verdict.message)
        if (before.get("reason"), before.get("message")) != (verdict.reason, verdict.message):
            self.event("Normal" if verdict.ready else "Warning", verdict.reason, verdict.message)

    def event(self, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """A Kubernetes Event on the Stack."""
        self.events.emit(self.stack, reason, self.redact(message), kind)

    def measure(self) -> None:
        """Count how long the operation that has just succeeded took."""
        last = self.writer.status.get("lastOperation") or {}
        if self.operation is not None and last.get("type") == self.operation:
            begun = datetime.datetime.fromisoformat(last["startTime"])
            seconds = (datetime.datetime.now(datetime.UTC) - begun).total_seconds()
            metrics.CONVERGE_SECONDS.labels(str(self.operation)).observe(seconds)
