"""Reports the progress and result of a reconciliation: status, Events, logs, metrics. Decides nothing."""

import datetime
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from hot_translator import Translation
from kiln import logs, metrics
from kiln.api import v1alpha1
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import Condition, Operation, Result
from kiln.kube.event_recorder import EventRecorder
from kiln.redaction import Redactor
from kiln.stack import clock, conditions, requesters
from kiln.stack.history import LONGEST, Entry, HistoryWriter
from kiln.stack.objective import Objective
from kiln.stack.redacted_status import redacted
from kiln.stack.shown_texts import shown
from kiln.stack.status import StatusUpdate
from kiln.stack.status_writer import StatusWriter, without_request_ids
from kiln.stack.transition_log import Transition, TransitionLog
from reconcilers.engine.progress import ProgressTracker, ResourceProgress
from reconcilers.errors import request_id_of
from reconcilers.model import Recorded

log = logging.getLogger(__name__)

_STATUSES = {Result.RUNNING: "InProgress", Result.SUCCEEDED: "Complete"}


class StackReporter:
    """Reports one reconciliation of one Stack, never a hidden value."""

    def __init__(
        self,
        stack: Mapping[str, Any],
        writer: StatusWriter,
        events: EventRecorder,
        pass_id: str,
        history: HistoryWriter | None = None,
    ) -> None:
        self.stack = stack
        self.generation: int = stack["metadata"]["generation"]
        self.old = StackStatus.parse(stack)
        self.writer = writer
        self.events = events
        self.pass_id = pass_id
        self.history = history
        self.request = ""
        """The StackOperation that is carried out, and who created it; empty if there is none."""
        self.redact = Redactor()
        self._owner = str(v1alpha1.namespaced_name(stack))
        self.redact_outputs = self.redact.for_owner(self._owner)
        """Without the secrets that resources made: an output of a generated password shows it, as in Heat."""
        self._hidden: set[str] = set()
        self._made: set[str] = set()
        self.progress = ProgressTracker(self._changed)
        self.transitions = TransitionLog()
        self._objective: Objective | None = None
        self.effects: Mapping[str, Any] = {}
        """Fields of the status that a StackOperation changed, for reports that say nothing of them."""
        self._remembered: dict[str, Any] = dict(writer.status.get("lastOperation") or {})
        """The operation that the history has."""
        self._ids: dict[str, str] = {}
        """Ids of resources, which a deletion does not repeat."""
        self.final: StatusUpdate | None = None
        """The last final status."""
        self.started = False
        """Work is in progress. A reconciliation of a Stack at rest writes nothing."""

    @property
    def cleared_hooks(self) -> tuple[str, ...]:
        """The hooks that were cleared since the operation began."""
        return tuple(self.effects.get("cleared_hooks", self.old.cleared_hooks))

    def add_secrets(self, values: Iterable[str]) -> None:
        """Redact these values too, in everything that is reported about this Stack and in all logs."""
        self._hidden.update(values)
        for redactor in (self.redact, logs.redact):
            redactor.register(self._owner, self._hidden)

    def add_made_secrets(self, values: Iterable[str]) -> None:
        """Redact what resources made, such as generated passwords and private keys, in messages and all logs."""
        new = set(values) - self._made
        if not new:
            return
        first = not self._made
        self._made |= new
        for redactor in (self.redact, logs.redact):
            # The first ones take the place of those that earlier reconciliations knew.
            if first or not redactor.extend(made_by(self._owner), new):
                redactor.register(made_by(self._owner), self._made)

    def register(self, objective: Objective, records: list[Recorded], translation: Translation | None) -> None:
        """Register existing and desired resources, before anything changes."""
        self._objective = objective
        definitions = translation.definitions.values() if translation is not None else ()
        types = {recorded.name: recorded.type for recorded in records}
        types |= {one.name: one.type for one in definitions if not one.virtual}
        pending = {type_name: ResourceProgress(type_name, "Pending") for type_name in set(types.values())}
        self.progress.resources.update((name, pending[type_name]) for name, type_name in types.items())
        self.progress.nested = {one.name: one.written_type for one in definitions if one.virtual}

    async def report_started(self) -> None:
        """Report that work starts."""
        self.started = True
        await self.writer.now(self._running())
        self._remember_operation()

    def _changed(self, name: str, progress: ResourceProgress) -> None:
        transition = self.transitions.record(name, progress)
        if transition is not None and self.history is not None:
            self.history.add(self.stack, self._entry(transition))
        if self._objective is not None and (self.started or progress.state != "Ready"):
            self.started = True
            self.writer.later(self._running)

    def _entry(self, transition: Transition) -> Entry:
        progress = transition.progress
        self._ids[transition.name] = progress.physical_id or self._ids.get(transition.name, "")
        return Entry(
            clock.stamp(),
            transition.name,
            transition.action,
            transition.status,
            reason=str(progress.fault or ""),
            message=shown(progress.message, self.redact, LONGEST),
            type=progress.type,
            physical_id=self._ids[transition.name],
            request_id=request_id_of(progress.request_id),
        )

    def _remember_operation(self) -> None:
        """Put the operation into the history, if the status has just begun or ended one."""
        last = self.writer.status.get("lastOperation") or {}
        if self.history is None or not last or last == self._remembered:
            return
        known = self._remembered.get("startTime"), self._remembered.get("result")
        self._remembered = dict(last)
        if known == (last.get("startTime"), last.get("result")):
            return
        ended = "completionTime" in last
        entry = Entry(
            clock.stamp(),
            "",
            last["type"],
            _STATUSES.get(last["result"], "Failed"),
            reason=last["result"] if ended else "",
            message=str(last.get("message", "")),
            requested_by=str(last.get("requestedBy", "")),
            resources=str((self.writer.status.get("resources") or {}).get("summary", "")) if ended else "",
        )
        self.history.add(self.stack, entry)

    def report_deleted(self) -> None:
        """Report that nothing of the Stack is left. Its history goes with it."""
        self.observe_duration()
        if self.history is not None:
            self.history.tell(self.stack, Entry(clock.stamp(), "", str(Operation.DELETE), "Complete"))
        log.info("deleted")

    def _running(self) -> StatusUpdate:
        if self._objective is None:
            raise RuntimeError("a reconciliation reports progress before it has an objective")
        return self._redacted(conditions.running(self.generation, self._objective, self.progress))

    def _redacted(self, update: StatusUpdate) -> StatusUpdate:
        effects = {name: value for name, value in self.effects.items() if getattr(update, name) is None}
        if update.operation is not None:
            last = self.old.last_operation
            again = last is not None and last.failed and update.target_revision == self.old.target_revision
            asked = requesters.requested_by(update.operation, self.stack, self.request, again=again)
            update = replace(update, requested_by=asked)
        return redacted(replace(update, pass_id=self.pass_id, **effects), self.redact, self.redact_outputs)

    async def report_final(self, update: StatusUpdate) -> None:
        """Write the final status, and an Event if the reason or message of the Ready condition changed.

        The same failure with another request id is no change.
        """
        annotations = self.stack["metadata"].get("annotations") or {}
        handled = str(annotations.get(v1alpha1.ANNOTATION_REQUESTED_AT, ""))
        update = self._redacted(replace(update, handled_request=handled))
        self.final = update
        before = (self.old.reason(Condition.READY), without_request_ids(self.old.message(Condition.READY)))
        state = update.state
        if before == (state.reason, without_request_ids(state.message)):
            kept = replace(state, message=self.old.message(Condition.READY))
            update = replace(update, state=kept)
        await self.writer.now(update)
        self._remember_operation()
        log.info("%s: %s", state.reason, state.message)
        if before != (state.reason, without_request_ids(state.message)):
            self.event("Warning" if state.ready is False else "Normal", state.reason, state.message)

    def event(self, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Emit a Kubernetes Event on the Stack."""
        self.events.emit(self.stack, reason, self.redact(message), kind)

    def report_imported(self) -> None:
        """Report resources that were taken over, with what differs from the template."""
        found = self.progress.imported
        if found:
            differ = {name: how for name, how in sorted(found.items()) if how}
            named = "; ".join(f"{name} ({how})" for name, how in list(differ.items())[:5])
            what = f"; {len(differ)} differ from the template: {named}" if differ else ""
            self.event("Normal", "Adopted", f"{len(found)} existing resources were taken over{what}")

    def report_repaired(self) -> None:
        """Report corrected drift with an Event and a log line."""
        if self.progress.repaired:
            what = "; ".join(f"{name} ({how})" for name, how in sorted(self.progress.repaired.items())[:5])
            self.event("Normal", "DriftCorrected", what)
            log.info("drift repaired: %s", what)

    def observe_duration(self) -> None:
        """Observe the duration of the operation that has just succeeded."""
        last = self.writer.status.get("lastOperation") or {}
        if self._objective is not None and last.get("type") == self._objective.operation:
            begun = datetime.datetime.fromisoformat(last["startTime"])
            seconds = (datetime.datetime.now(datetime.UTC) - begun).total_seconds()
            metrics.CONVERGE_SECONDS.labels(str(self._objective.operation)).observe(seconds)


def made_by(owner: str) -> str:
    """The redactor's owner of what the resources of a Stack made."""
    return f"{owner}#made"
