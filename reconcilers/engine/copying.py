"""Makes and deletes copies of resources: for snapshots of a Stack, and before a deletion that keeps the data.

A copy is driven like a resource: its record is stored before the request, and its token finds it after a lost answer.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from typing_extensions import override

from reconcilers import identifiers
from reconcilers.capabilities import Snapshottable
from reconcilers.copies import SOURCE, CopyType
from reconcilers.digests import WHOLE
from reconcilers.engine import recovery
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.driver import NOT_OBSERVED, ResourceDriver
from reconcilers.errors import CloudError
from reconcilers.model import (
    POSSIBLE_DUPLICATE,
    Desired,
    Failed,
    Fault,
    Gone,
    Pause,
    Ready,
    Recorded,
    Replace,
    Send,
    Wait,
)
from reconcilers.resource_type import ResourceType

log = logging.getLogger(__name__)

SIZE: Final = "size"
"""In a copy's data: its size in bytes."""
BEGUN: Final = "copying"
"""In the data of a resource that is being deleted: a copy may have been asked for."""
COPY: Final = "copy"
"""In the same data: the id of the copy."""
COPIED: Final = "copied"
"""In the same data: the copy is complete, or there is nothing to copy."""
ERRORS: Final = 8
"""Errors of the cloud in a row after which a copy counts as failed: about two minutes."""

Keep = Callable[[Recorded], Awaitable[Recorded]]
"""Stores the record of a copy, and returns what is stored."""


class CopyDriver(ResourceDriver):
    """Makes one copy. ``source`` is the physical id of what is copied."""

    verb = "Copying"

    def __init__(self, context: ReconcileContext, rtype: CopyType, recorded: Recorded, source: str, keep: Keep) -> None:
        super().__init__(context, rtype, recorded)
        self.copy_type = rtype
        self.source = source
        self._keep = keep

    @override
    async def save(self) -> None:
        if self.recorded != self.saved:
            self.recorded = self.saved = await self._keep(self.recorded)

    @override
    async def advance(self) -> Recorded | None:
        if self.observed is NOT_OBSERVED:
            self.observed = await self.look()
        recorded = self.recorded
        if self.observed is None and recorded.confirmed:
            raise self.failure("the copy is gone: OpenStack gave it up, or somebody deleted it", Fault.RESOURCE)
        desired = Desired(recorded.name, recorded.physical_name, {SOURCE: self.source}, frozenset({SOURCE}))
        with self.expected_form():
            outcome = self.copy_type.step(desired, recorded, self.view())
        match outcome:
            case Ready():
                return await self.settle()
            case Send():
                self.report("a copy is being made")
                await self.save()
                await self.send(outcome)
            case Wait():
                await self.wait(Wait(f"its copy {outcome.reason}"))
            case Pause():
                await self.pause(outcome)
            case Failed():
                raise self.failure(f"its copy {outcome.reason}{self.hint}", outcome.fault)
            case Gone() | Replace():
                raise self.failure("its copy is gone", Fault.RESOURCE)
        return None

    @override
    def apply_response(self, step: Send, body: object, request_id: str) -> None:
        super().apply_response(step, body, request_id)
        if step.creates and self.observed is not NOT_OBSERVED:
            identity = next(iter(self.rtype.identify(self.observed)))
            self.recorded = replace(self.recorded, physical_id=identity, confirmed=True)

    async def settle(self) -> Recorded:
        """The copy is complete. What an earlier request of unknown outcome may have made as well is deleted."""
        while POSSIBLE_DUPLICATE in self.recorded.data:
            await self.remove_duplicates()
            if POSSIBLE_DUPLICATE in self.recorded.data:
                await self.context.control.pause(recovery.LONG_PATIENCE[-1])
        size = str(self.copy_type.size(self.observed))
        self.recorded = replace(self.recorded, state="Ready", message="", data={**self.recorded.data, SIZE: size})
        await self.save()
        return self.recorded

    @property
    def hint(self) -> str:
        """What may help, for messages."""
        return f"; {self.copy_type.hint}" if self.copy_type.hint else ""

    @override
    async def handle_cloud_error(self, error: CloudError) -> None:
        if self.error_count + 1 >= ERRORS and error.fault is Fault.TRANSIENT:
            raise self.failure(error.message + self.hint, error.fault, request_id=error.request_id) from error
        await super().handle_cloud_error(error)


def needs_copy(recorded: Recorded, rtype: ResourceType) -> bool:
    """Whether a copy has to be made before the resource is deleted: not of what was never complete, as in Heat."""
    return (
        recorded.copied
        and WHOLE in recorded.digests
        and COPIED not in recorded.data
        and isinstance(rtype, Snapshottable)
    )


async def copy_before_deletion(driver: ResourceDriver) -> None:
    """Make the copy that ``deletion_policy: Snapshot`` asks for. It stays, and belongs to nobody.

    Raises ResourceError, CloudError, ReconciliationEnded, TimedOut.
    """
    context, rtype, parent = driver.context, driver.rtype, driver.recorded
    if not isinstance(rtype, Snapshottable):
        raise TypeError(f"{rtype.type} cannot be copied")
    observed = await context.observer_of(rtype).read(rtype, parent, context.caller) if parent.physical_id else None
    begun = BEGUN in parent.data
    kind = "" if observed is None else rtype.copy_kind(observed, frozenset())
    if not kind and not begun:
        context.note("NotCopied", f"resources.{parent.name}: there is nothing left to copy before it is deleted")
        await _mark(driver, **{COPIED: "nothing"})
        return
    if not begun:
        await _mark(driver, **{BEGUN: "yes"})
    copy = Recorded(
        key=f"{parent.key}-copy",
        name=parent.name,
        type=parent.type,
        token=identifiers.token(parent.token, "copy", 0),
        physical_name=parent.physical_name,
        physical_id=parent.data.get(COPY),
        confirmed=COPY in parent.data,
    )

    async def keep(recorded: Recorded) -> Recorded:
        if recorded.physical_id is not None and driver.recorded.data.get(COPY) != recorded.physical_id:
            await _mark(driver, **{COPY: recorded.physical_id})
        return recorded

    maker = CopyDriver(context, rtype.copies[kind or rtype.kept_as], copy, parent.physical_id or "", keep)
    maker.fresh = not begun
    if maker.fresh:
        context.unconfirmed.intended(copy.token)
    made = await maker.drive()
    context.note("Copied", f"resources.{parent.name}: the {maker.copy_type.kind} {made.physical_id} keeps its data")
    log.info("resources.%s: copied to %s before its deletion", parent.name, made.physical_id)
    await _mark(driver, **{COPIED: str(made.physical_id)})


async def _mark(driver: ResourceDriver, **data: str) -> None:
    driver.recorded = replace(driver.recorded, data={**driver.recorded.data, **data})
    await driver.save()
