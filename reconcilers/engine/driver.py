"""Carries out the decisions for one resource in a loop: look, decide, send, record, wait.

Only :class:`ResourceDriver` sends a resource's requests and writes its records. Pure functions decide
(:mod:`reconcilers.engine.planner`). :class:`~reconcilers.engine.converger.ResourceConverger` and
:class:`~reconcilers.engine.remover.ResourceRemover` choose the function and act on its outcome. A driver may stop at
any await: a later reconciliation continues from the record and from what is observed.
"""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Final, final

from hot_translator.members import nested_stack
from reconcilers import identifiers
from reconcilers.backoff import Backoff
from reconcilers.cloud.faults import expected_form
from reconcilers.engine import recovery, seals
from reconcilers.engine.action import Action
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.control import ReconciliationEnded, TimedOut
from reconcilers.engine.progress import ResourceError, ResourceProgress
from reconcilers.errors import RETRIED, CloudError
from reconcilers.model import IMPORTED_ID, POSSIBLE_DUPLICATE, Fault, Pause, Recorded, Send, Wait
from reconcilers.resource_type import ResourceType

log = logging.getLogger(__name__)

CONFLICT_TRIES = 12
"""Conflicts (409) in a row that are retried before the resource counts as failed: about two minutes."""
RETRY: Final = Backoff(first=1.0, longest=30.0)
"""Between tries of one resource within a reconciliation."""
REFUSED = "refused"
"""In a record's data: its first request was refused, so a resource under its id belongs to somebody else."""
LOCAL_LOOK = 0.5
"""Seconds between checks of something that only takes time (a delay)."""


@final
class NotObserved:
    """The type of ``NOT_OBSERVED``: the resource was not read yet."""


NOT_OBSERVED: Final = NotObserved()


class ResourceDriver(ABC):
    """Drives one resource. ``recorded`` is its current record, ``saved`` the stored one."""

    verb: str
    leaving = False
    """The resource is being deleted. If a list does not show it, it is gone."""
    retry_delays: tuple[float, ...] = recovery.PATIENCE
    """Seconds before each further look for a resource that may have been created."""

    def __init__(self, context: ReconcileContext, rtype: ResourceType, recorded: Recorded) -> None:
        self.context = context
        self.rtype = rtype
        self.recorded = identified(rtype, recorded)
        self.saved = recorded
        self.proven = False
        """The resource was found to be ours, whatever the record says."""
        self.observed: Any = NOT_OBSERVED
        self.reads: dict[str, Any] = {}
        self.fresh = False
        """The record is new and nothing was sent yet, so there is nothing to look for."""
        self.waiting_since: float | None = None
        """Since when (loop time) nothing was sent and the cloud is at work."""
        self.stale_list = False
        """A request was sent since the first bulk list."""
        self.error_count = 0
        """Errors in a row."""
        self.conflict_count = 0
        """Conflicts in a row. An outage before the first one does not count."""
        self.action: Action | None = None
        """The first decision."""

    # Looking.

    async def look(self) -> Any:
        """The resource in the cloud, or None. A list that lags behind never makes it None."""
        if self.fresh or not self.rtype.service:
            return None
        if self.recorded.physical_id is None:
            return await self.recover()
        if self.rtype.listing and self.recorded.confirmed and not self.stale_list:
            if self.rtype.list_key in self.context.unreadable:
                await self.list_again()
            found = self.context.seen(self.rtype, self.recorded.physical_id)
            if found is not None:
                return found
        observed = await self.context.observer_of(self.rtype).read(self.rtype, self.recorded, self.context.caller)
        if observed is None and self.recorded.confirmed and self.rtype.read(self.recorded).path == self.rtype.listing:
            # The read of a single resource is a list too, and may lag behind.
            await self.context.control.pause(recovery.PATIENCE[0])
            observed = await self.context.observer_of(self.rtype).read(self.rtype, self.recorded, self.context.caller)
        if observed is not None and not self.recorded.confirmed:
            return self.verify_ownership(observed)
        if observed is None and REFUSED in self.recorded.data:
            # Nothing exists under its id now, so what a further request makes is its own.
            data = {key: value for key, value in self.recorded.data.items() if key != REFUSED}
            self.recorded = replace(self.recorded, data=data)
        return observed

    async def list_again(self) -> None:
        """The first list of this kind failed. All resources of the kind share one more try."""
        context = self.context
        since = context.started if not self.error_count else asyncio.get_running_loop().time() - RETRY.first
        snapshot = await context.control.wait_for(context.observer_of(self.rtype).snapshot(self.rtype, since=since))
        context.snapshots[self.rtype.list_key] = snapshot
        context.unreadable.pop(self.rtype.list_key, None)

    def verify_ownership(self, observed: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A resource exists under the id that we chose, but its creation is not recorded. Returns it if it is ours."""
        if self.rtype.find(self.recorded) is not None:
            foreign = not self.rtype.owned(observed, self.recorded)
        else:
            # Without a token, this is the only sign: if OpenStack refused our request, somebody else created it.
            foreign = REFUSED in self.recorded.data
        if foreign:
            return self.foreign()
        self.proven = self.proven or self.rtype.carries_token
        self.recorded = replace(self.recorded, confirmed=True)
        return observed

    def foreign(self) -> Mapping[str, Any] | None:
        """Handle a resource that belongs to somebody else."""
        reason = f"{self.recorded.physical_id} exists already, and this Stack did not make it"
        raise CloudError(Fault.INVALID, reason)

    async def recover(self) -> Any:
        """Find the resource of an intent without an answer, by its token.

        If there are several, keep the oldest and delete the others.
        """
        begun_elsewhere = self.recorded.state == "Creating"
        delays = self.retry_delays if begun_elsewhere else ()
        ours = await recovery.find(self.context, self.rtype, self.recorded, delays)
        if not ours:
            if begun_elsewhere and self.rtype.find(self.recorded) is not None:
                self.mark_possible_duplicate()
            return None
        if not await recovery.remove_twins(self.context, self.rtype, self.recorded, ours[1:]):
            self.mark_possible_duplicate()
        physical_id = next(iter(self.rtype.identify(ours[0])))
        log.info("resources.%s: found %s by its token", self.recorded.name, physical_id)
        self.proven = True
        self.recorded = replace(self.recorded, physical_id=physical_id, confirmed=True)
        return await self.context.observer_of(self.rtype).read(self.rtype, self.recorded, self.context.caller)

    def mark_possible_duplicate(self) -> None:
        """Another resource with our token may exist or appear. Look again later."""
        self.recorded = replace(self.recorded, data={**self.recorded.data, POSSIBLE_DUPLICATE: "yes"})

    def create_may_be_under_way(self) -> bool:
        """Whether a create request of unknown outcome may still be carried out."""
        until = self.context.unconfirmed.doubtful_until(self.recorded.token)
        return asyncio.get_running_loop().time() < until

    async def remove_duplicates(self) -> None:
        """Delete duplicates from create requests of unknown outcome."""
        ours = await recovery.find(self.context, self.rtype, self.recorded, ())
        twins = [one for one in ours if self.recorded.physical_id not in set(self.rtype.identify(one))]
        removed = await recovery.remove_twins(self.context, self.rtype, self.recorded, twins)
        if self.create_may_be_under_way() or not removed:
            return
        data = {key: value for key, value in self.recorded.data.items() if key != POSSIBLE_DUPLICATE}
        self.recorded = replace(self.recorded, data=data)

    def view(self) -> Any:
        """The observed resource together with extra reads, as the type sees it."""
        return {**(self.observed or {}), **self.reads} if self.reads else self.observed

    # Sending and recording.

    async def send(self, step: Send) -> None:
        """Send a request and apply its answer."""
        context = self.context
        if not step.remember.items() <= self.recorded.data.items():
            self.recorded = replace(self.recorded, data={**self.recorded.data, **step.remember})
            await self.save()
        context.check()
        first, self.fresh = self.fresh, False
        self.waiting_since = None
        self.stale_list = True
        try:
            answer = await context.dispatch.send(step.request)
        except CloudError as error:
            if error.ambiguous and not self.recorded.confirmed:
                context.unconfirmed.unanswered(self.recorded.token, asyncio.get_running_loop().time())
            if first and not self.rtype.carries_token and not error.ambiguous:
                self.recorded = replace(self.recorded, data={**self.recorded.data, REFUSED: "yes"})
            if not step.into or step.request.method != "GET":
                self.observed, self.reads = NOT_OBSERVED, {}
            self.recorded = replace(self.recorded, request_id=error.request_id)
            raise
        self.error_count = self.conflict_count = 0
        if step.forget:
            data = {key: value for key, value in self.recorded.data.items() if key not in step.forget}
            self.recorded = replace(self.recorded, data=data)
        if step.into:
            self.reads[step.into] = answer.body
            return
        self.reads = {}
        self.apply_response(step, answer.body, answer.request_id)

    def apply_response(self, step: Send, body: Any, request_id: str) -> None:
        """A write succeeded. Its answer is the newest state."""
        shown = self.rtype.extract(body, self.recorded)
        data = {key: value for key, value in self.recorded.data.items() if key != REFUSED}
        self.recorded = replace(self.recorded, request_id=request_id, data=data)
        self.observed = shown if shown is not None else NOT_OBSERVED

    async def save(self) -> None:
        """Store the record if it differs from what is stored; sealed, if what is stored was."""
        self.recorded = replace(self.recorded, seal=self.seal())
        if self.recorded != self.saved:
            self.recorded = self.saved = await self.context.store.save(self.recorded)
            self.context.written[self.recorded.key] = self.recorded

    def seal(self) -> str:
        """The seal of the record as it is now."""
        return seals.of(self.context.digester, self.recorded) if self.is_proven() else seals.NONE

    def is_proven(self) -> bool:
        """Whether the record is the operator's own, or its resource was found to be."""
        return self.proven or seals.holds(self.context.digester, self.saved)

    async def drop(self, recorded: Recorded) -> None:
        """Remove a record."""
        await self.context.store.delete(recorded)
        self.context.deleted.add(recorded.key)
        self.context.unconfirmed.forget(recorded.token)

    async def wait(self, step: Wait) -> None:
        """The cloud is working. Save the record and look again at the next tick, without a slot in between."""
        self.report(step.reason)
        now = asyncio.get_running_loop().time()
        self.waiting_since = now if self.waiting_since is None else self.waiting_since
        if now - self.waiting_since > self.rtype.patience:
            reason = f"{step.reason} for {self.rtype.patience / 60:.0f} minutes, and no end is in sight"
            raise self.failure(reason, Fault.RESOURCE)
        if self.recorded.state == "Ready" or self.leaving:
            self.recorded = replace(self.recorded, state=self.verb)
        await self.save()
        context = self.context
        context.check()
        if not self.rtype.service:
            await context.control.pause(LOCAL_LOOK)
            return
        self.reads = {}
        self.stale_list = True
        look = context.observer_of(self.rtype).next_look(self.rtype, self.recorded, leaving=self.leaving)
        self.observed = await context.control.wait_for(look)
        self.error_count = self.conflict_count = 0
        context.check()

    async def pause(self, step: Pause) -> None:
        """Let the time pass, and record that it has."""
        if step.seconds:
            self.report(step.reason)
            await self.save()
            await self.context.control.pause(step.seconds)
        self.recorded = replace(self.recorded, data={**self.recorded.data, **step.remember})

    def expected_form(self) -> AbstractContextManager[None]:
        """Turns what a type cannot read in an answer of the cloud into a CloudError."""
        return expected_form(self.rtype.service) if self.rtype.service else nullcontext()

    def report(self, message: str = "", fault: Fault | None = None, request_id: str = "") -> None:
        """Report the state of the resource."""
        progress = ResourceProgress(
            self.recorded.type, self.verb, message, fault, request_id, self.recorded.physical_id or ""
        )
        self.context.progress.move(self.recorded.name, progress)

    def begin(self, action: Action) -> None:
        """Note the first decision, and log it if it changes anything. Raises HookPending."""
        if self.action is None:
            self.recorded = self.context.policy.hooks.before(action.phase, self.recorded, self.hooks)
            self.action = action
            if action.changes:
                log.info("resources.%s: %s", self.recorded.name, action.describe())

    @property
    def hooks(self) -> frozenset[str]:
        """The hooks of the resource in its template or record."""
        return frozenset()

    # Errors.

    async def handle_cloud_error(self, error: CloudError) -> None:
        """Sleep on retriable errors; raise :class:`ResourceError` for permanent ones."""
        self.error_count += 1
        self.conflict_count = self.conflict_count + 1 if error.fault is Fault.CONFLICT else 0
        if error.fault not in RETRIED or self.conflict_count > CONFLICT_TRIES:
            raise self.failure(error.message, error.fault, error.property, error.request_id) from error
        self.report(error.message, error.fault, error.request_id)
        delay = RETRY.delay(self.error_count, random.uniform(0.7, 1.3))  # noqa: S311
        await self.context.control.pause(max(delay, error.retry_after or 0.0))

    def failure(self, reason: str, fault: Fault, prop: str = "", request_id: str = "") -> ResourceError:
        """The error that ends the work on this resource."""
        at = f"properties.{prop}" if prop else ""
        request_id = request_id or self.recorded.request_id
        return ResourceError(self.recorded.name, self.recorded.type, reason, fault, at=at, request_id=request_id)

    async def check(self) -> None:
        """Raise if the reconciliation has to end. Before that, store an id that was just learned."""
        try:
            self.context.check()
        except (ReconciliationEnded, TimedOut):
            if self.recorded.confirmed and not self.saved.confirmed:
                await self.save()
            raise

    @abstractmethod
    async def advance(self) -> Any:
        """Do the next step. Any result but None ends the driver's work."""

    async def run(self) -> Any:
        """Advance until done. Raises :class:`ResourceError`, ReconciliationEnded, TimedOut."""
        async with self.context.control.working():
            return await self.drive()

    async def drive(self) -> Any:
        """Advance until done, as part of another driver's work, which already holds the slot."""
        while True:
            await self.check()
            try:
                done = await self.advance()
            except CloudError as error:
                await self.handle_cloud_error(error)
            else:
                if done is not None:
                    return done


def identified(rtype: ResourceType, recorded: Recorded) -> Recorded:
    """The record with its physical id, if the id follows from the data that was recorded before the first call."""
    if recorded.physical_id is not None or not recorded.key:
        return recorded
    if IMPORTED_ID in recorded.data:
        return replace(recorded, physical_id=recorded.data[IMPORTED_ID], confirmed=True)
    return replace(recorded, physical_id=rtype.identity(recorded))


def intended_name(context: ReconcileContext, logical_name: str, serial: int, rtype: ResourceType) -> tuple[str, str]:
    """Token and physical name of the serial-th resource of this name."""
    policy = context.policy
    token = identifiers.token(policy.stack_uid, logical_name, serial)
    *above, local = logical_name.split("/")
    stack, identity = policy.stack, policy.stack_uid
    for part in above:
        stack, identity = nested_stack(stack, identity, part)
    return token, identifiers.physical_name(stack, local, token, rtype.schema.name_limit)
