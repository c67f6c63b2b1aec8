"""The life of one resource within a pass.

Ask its type what to do, do it, look again, until it is at rest, gone or failed.

:class:`Life` knows how to look, send, record and wait; :class:`Converging` brings a resource to what is desired,
:class:`Removing` makes it go. Both can be left at any await and taken up again by a later pass from what is recorded
and observed.
"""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, final

from typing_extensions import override

from reconcilers import identifiers
from reconcilers.engine import recovery
from reconcilers.engine.context import ReconcileContext, ResourceError, ResourceProgress, Superseded, TimedOut
from reconcilers.errors import RETRIED, CloudError
from reconcilers.model import POSSIBLE_DUPLICATE, Failed, Fault, Gone, Pause, Ready, Recorded, Send, Wait
from reconcilers.resource_type import Association, ResourceType, RestResource

log = logging.getLogger(__name__)

CONFLICT_TRIES = 12
"""How often a 409 is tried again before the resource counts as failed: about two minutes."""
LONGEST_BACKOFF = 30.0
"""Seconds."""
REFUSED = "refused"
"""In a record's data: the very first request for it was refused, so what stands there is not its own."""
LOCAL_LOOK = 0.5
"""Seconds between looks at something that only takes time (a delay)."""


@final
class NotObserved:
    """The type of ``UNSEEN``: nobody has looked yet."""


NOT_OBSERVED: Final = NotObserved()


class Life(ABC):
    """What converging and removing have in common.

    ``recorded`` is kept up to date; ``saved`` is what the memory holds of it.
    """

    verb: str
    leaving = False
    """The resource shall go: that a list shows it no longer is enough to know that it went."""
    patience: tuple[float, ...] = recovery.PATIENCE
    """Seconds before each further look for what may have been made."""

    def __init__(self, world: ReconcileContext, rtype: ResourceType, recorded: Recorded) -> None:
        self.world = world
        self.rtype = rtype
        self.recorded = identified(rtype, recorded)
        self.saved = recorded
        self.observed: Any = NOT_OBSERVED
        self.reads: dict[str, Any] = {}
        self.fresh = False
        """The record was made in this pass and no call has left yet: there is nothing to look for."""
        self.stale_list = False
        """Something was sent since the pass's first look."""
        self.tries = 0

    # Looking.

    async def look(self) -> Any:
        """The resource as it is in the cloud, or None; never None by mistake of a list."""
        if self.fresh or not self.rtype.service:
            return None
        if self.recorded.physical_id is None:
            return await self.recover()
        if self.rtype.listing and self.recorded.confirmed and not self.stale_list:
            found = self.world.seen(self.rtype, self.recorded.physical_id)
            if found is not None:
                return found
        observed = await self.world.observer.read(self.rtype, self.recorded)
        if observed is None and self.recorded.confirmed and self.rtype.read(self.recorded).path == self.rtype.listing:
            # The decisive read is a list too, and a list may lag behind.
            await self.world.pause(recovery.PATIENCE[0])
            observed = await self.world.observer.read(self.rtype, self.recorded)
        if observed is not None and not self.recorded.confirmed:
            return self.claim(observed)
        return observed

    def claim(self, observed: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A resource stands under the id that we chose, and nobody recorded its creation: it, if it is ours."""
        if self.rtype.find(self.recorded) is not None:
            foreign = not self.rtype.owned(observed, self.recorded)
        else:
            # Without a token there is only this: what OpenStack refused to make, somebody else made.
            foreign = REFUSED in self.recorded.data
        if foreign:
            return self.foreign()
        self.recorded = replace(self.recorded, confirmed=True)
        return observed

    def foreign(self) -> Mapping[str, Any] | None:
        """What is there is not ours: what that means for this life."""
        reason = f"{self.recorded.physical_id} exists already, and this Stack did not make it"
        raise CloudError(Fault.INVALID, reason)

    async def recover(self) -> Any:
        """Find the resource of an intent whose answer never came, by its token.

        Of several the oldest is kept, the others go.
        """
        begun_elsewhere = self.recorded.state == "Creating"
        ours = await recovery.find(self.world, self.rtype, self.recorded, self.patience if begun_elsewhere else ())
        if not ours:
            if begun_elsewhere and self.rtype.find(self.recorded) is not None:
                self.recorded = replace(self.recorded, data={**self.recorded.data, POSSIBLE_DUPLICATE: "yes"})
            return None
        await recovery.remove_twins(self.world, self.rtype, self.recorded, ours[1:])
        physical_id = next(iter(self.rtype.identify(ours[0])))
        log.info("resources.%s: %s carries its token: taken over, not made anew", self.recorded.name, physical_id)
        self.recorded = replace(self.recorded, physical_id=physical_id, confirmed=True)
        return await self.world.observer.read(self.rtype, self.recorded)

    def in_doubt(self) -> bool:
        """Whether a creation of unknown outcome may still be under way."""
        return asyncio.get_running_loop().time() < self.world.attempts.doubtful_until(self.recorded.token)

    async def clear_doubt(self) -> None:
        """Remove what was made besides the resource, by a creation of which nobody knew whether it worked."""
        ours = await recovery.find(self.world, self.rtype, self.recorded, ())
        twins = [one for one in ours if self.recorded.physical_id not in set(self.rtype.identify(one))]
        await recovery.remove_twins(self.world, self.rtype, self.recorded, twins)
        if self.in_doubt():
            return
        data = {key: value for key, value in self.recorded.data.items() if key != POSSIBLE_DUPLICATE}
        self.recorded = replace(self.recorded, data=data)

    def view(self) -> Any:
        """What the type sees: the observed resource with the extra reads in it."""
        return {**(self.observed or {}), **self.reads} if self.reads else self.observed

    # Sending and recording.

    async def send(self, step: Send) -> None:
        """Send a request and take in its answer."""
        world = self.world
        if not step.remember.items() <= self.recorded.data.items():
            self.recorded = replace(self.recorded, data={**self.recorded.data, **step.remember})
            await self.save()
        world.check()
        first, self.fresh = self.fresh, False
        self.stale_list = True
        try:
            answer = await world.dispatch.send(step.request)
        except CloudError as error:
            if error.ambiguous and not self.recorded.confirmed:
                world.attempts.unanswered(self.recorded.token, asyncio.get_running_loop().time())
            if first and isinstance(self.rtype, Association) and not error.ambiguous:
                self.recorded = replace(self.recorded, data={**self.recorded.data, REFUSED: "yes"})
            if not step.into or step.request.method != "GET":
                self.observed, self.reads = NOT_OBSERVED, {}
            self.recorded = replace(self.recorded, request_id=error.request_id)
            raise
        if step.into:
            self.reads[step.into] = answer.body
            return
        self.reads = {}
        self.took(step, answer.body, answer.request_id)

    def took(self, step: Send, body: Any, request_id: str) -> None:
        """A write was carried out: what the answer shows is the newest state."""
        shown = self.rtype.extract(body, self.recorded)
        data = {key: value for key, value in self.recorded.data.items() if key != REFUSED}
        self.recorded = replace(self.recorded, request_id=request_id, data=data)
        self.observed = shown if shown is not None else NOT_OBSERVED

    async def save(self) -> None:
        """Store the record if it differs from what is stored."""
        if self.recorded != self.saved:
            self.recorded = self.saved = await self.world.records.save(self.recorded)
            self.world.written[self.recorded.key] = self.recorded

    async def drop(self, recorded: Recorded) -> None:
        """Remove a record."""
        await self.world.records.forget(recorded)
        self.world.forgotten.add(recorded.key)
        self.world.attempts.forget(recorded.token)

    async def wait(self, step: Wait) -> None:
        """The cloud is at work: record what is known, and look again at the next tick."""
        self.stand(step.reason)
        if self.recorded.state == "Ready" or self.leaving:
            self.recorded = replace(self.recorded, state=self.verb)
        await self.save()
        self.world.check()
        if not self.rtype.service:
            await self.world.pause(LOCAL_LOOK)
            return
        self.reads = {}
        self.stale_list = True
        self.observed = await self.world.observer.next_look(self.rtype, self.recorded, leaving=self.leaving)
        self.world.check()

    async def pause(self, step: Pause) -> None:
        """Let the time pass, and remember that it has."""
        if step.seconds:
            self.stand(step.reason)
            await self.save()
            await self.world.pause(step.seconds)
        self.recorded = replace(self.recorded, data={**self.recorded.data, **step.remember})

    def stand(self, message: str = "", fault: Fault | None = None, request_id: str = "") -> None:
        """Tell where the resource stands."""
        standing = ResourceProgress(self.recorded.type, self.verb, message, fault, request_id)
        self.world.progress.move(self.recorded.name, standing)

    # Weather.

    async def weather(self, error: CloudError) -> None:
        """Wait out what passes by itself; raise :class:`ResourceError` for what does not."""
        self.tries += 1
        lasting = error.fault not in RETRIED or (error.fault is Fault.CONFLICT and self.tries > CONFLICT_TRIES)
        if lasting:
            raise self.failure(error.message, error.fault, request_id=error.request_id) from error
        self.stand(error.message, error.fault, error.request_id)
        backoff = min(2.0 ** min(self.tries, 8) / 2, LONGEST_BACKOFF) * random.uniform(0.7, 1.3)  # noqa: S311
        await self.world.pause(max(backoff, error.retry_after or 0.0))

    def failure(self, reason: str, fault: Fault, prop: str = "", request_id: str = "") -> ResourceError:
        """The error that ends this resource's part in the pass."""
        path = f"resources.{self.recorded.name}" + (f".properties.{prop}" if prop else "")
        return ResourceError(path, self.recorded.type, reason, fault, request_id or self.recorded.request_id)

    async def check(self) -> None:
        """Whether to go on; if not, an id that has just been learned is stored first."""
        try:
            self.world.check()
        except (Superseded, TimedOut):
            if self.recorded.confirmed and not self.saved.confirmed:
                await self.save()
            raise

    @abstractmethod
    async def turn(self) -> Any:
        """Do the next thing; anything but None ends the life."""

    async def run(self) -> Any:
        """Turn until done. Raises :class:`ResourceError`, Superseded, TimedOut."""
        while True:
            await self.check()
            try:
                done = await self.turn()
            except CloudError as error:
                await self.weather(error)
            else:
                if done is not None:
                    return done


class Removing(Life):
    """Makes one recorded resource go, from its record alone; then its record goes."""

    verb = "Deleting"
    leaving = True
    patience: tuple[float, ...] = recovery.LONG_PATIENCE

    @override
    def foreign(self) -> None:
        """There is nothing of ours to remove."""
        return

    @override
    async def look(self) -> Any:
        """What may still be made is waited for: without its record it would be nobody's."""
        if self.recorded.confirmed and unseen(self.rtype):
            # It is ours, whatever state it is in: a look would change nothing, and a list of ports costs Neutron more
            # than their deletion.
            return {"id": self.recorded.physical_id}
        observed = await super().look()
        uncertain = self.rtype.service and not self.recorded.confirmed and self.recorded.state == "Creating"
        while observed is None and uncertain and self.in_doubt():
            await self.linger()
            self.patience = ()
            observed = await super().look()
        return observed

    @override
    async def turn(self) -> bool | None:
        """True when nothing is left."""
        recorded = self.recorded
        if recorded.retain or recorded.external:
            await self.drop(recorded)
            return True
        if self.observed is NOT_OBSERVED:
            self.observed = await self.look()
        if POSSIBLE_DUPLICATE in self.recorded.data and self.recorded.confirmed:
            await self.clear_doubt()
        outcome = self.rtype.step(
            None, self.recorded, self.view()
        )  # also when it is gone: something beside it may be left
        match outcome:
            case Gone() | Ready():
                return await self.forget()
            case Send():
                self.stand("being deleted")
                await self.send(outcome)
                if outcome.request.method == "DELETE" and getattr(self.rtype, "delete_is_final", False):
                    return await self.forget()
            case Wait():
                await self.wait(outcome)
            case Pause():
                await self.pause(outcome)
            case Failed():
                raise self.failure(outcome.reason, outcome.fault, outcome.property)
        return None

    async def forget(self) -> bool | None:
        """Remove the record, unless a twin may still appear."""
        if POSSIBLE_DUPLICATE in self.recorded.data and self.in_doubt():
            await self.linger()
            return None
        await self.drop(self.recorded)
        return True

    async def linger(self) -> None:
        """Let some time pass before the next look for what may still be made."""
        self.stand("its creation may still be under way")
        await self.world.pause(recovery.LONG_PATIENCE[-1])


def unseen(rtype: ResourceType) -> bool:
    """Whether a resource of this type is deleted without a look at it."""
    return isinstance(rtype, RestResource) and rtype.deletes_without_read


def identified(rtype: ResourceType, recorded: Recorded) -> Recorded:
    """The record with its physical id where that follows from what was recorded before the first call."""
    if recorded.physical_id is not None or not recorded.key:
        return recorded
    return replace(recorded, physical_id=rtype.identity(recorded))


def intended_name(world: ReconcileContext, logical_name: str, serial: int, rtype: ResourceType) -> tuple[str, str]:
    """Token and physical name of the serial-th resource of this name."""
    token = identifiers.token(world.goal.stack_uid, logical_name, serial)
    return token, identifiers.physical_name(world.goal.stack, logical_name, token, rtype.schema.name_limit)
