"""Removes one recorded resource."""

import logging
from dataclasses import replace
from typing import Any

from typing_extensions import override

from reconcilers.engine import copying, planner, recovery
from reconcilers.engine.action import Verb
from reconcilers.engine.driver import NOT_OBSERVED, ResourceDriver
from reconcilers.engine.hooks import recorded_hooks
from reconcilers.model import POSSIBLE_DUPLICATE, Failed, Gone, Pause, Ready, Send, Wait

log = logging.getLogger(__name__)


class ResourceRemover(ResourceDriver):
    """Deletes a resource by its record alone, then removes the record."""

    verb = "Deleting"
    leaving = True
    retry_delays: tuple[float, ...] = recovery.LONG_PATIENCE
    gone = False
    """The resource is gone. A duplicate of it may still appear."""

    @property
    @override
    def hooks(self) -> frozenset[str]:
        return recorded_hooks(self.recorded)

    @override
    def foreign(self) -> None:
        # It is not ours, so there is nothing to remove.
        return

    @override
    async def look(self) -> Any:
        if self.recorded.confirmed and self.rtype.deletes_without_read and self.is_proven() and not self.gone:
            # It is ours, and its state does not matter. A list of ports costs Neutron more than their deletion.
            return {"id": self.recorded.physical_id}
        observed = await super().look()
        uncertain = self.rtype.service and not self.recorded.confirmed and self.recorded.state == "Creating"
        # Wait for a resource that may still appear. Without its record it would have no owner.
        while observed is None and uncertain and self.create_may_be_under_way():
            await self.wait_for_late_create()
            self.retry_delays = ()
            observed = await super().look()
        if observed is not None and not self.is_proven() and self.rtype.carries_token:
            return await self.checked(observed)
        return observed

    async def checked(self, observed: Any) -> Any:
        """The resource if it carries the token: nothing else shows that this record is the operator's own.

        If it does not, the one that does, if there is one.
        """
        with self.expected_form():
            if self.rtype.owned(observed, self.recorded):
                self.proven = True
                return observed
        log.warning(
            "resources.%s: %s is not deleted: it does not carry the Stack's token, and Kiln did not write its record",
            self.recorded.name,
            self.recorded.physical_id,
        )
        self.recorded = replace(self.recorded, physical_id=None, confirmed=False)
        return await self.recover()

    @override
    async def advance(self) -> bool | None:
        """Return True when nothing is left."""
        policy = self.context.policy
        if not self.recorded.retain and not self.recorded.external and policy.guard.removal(self.recorded) is None:
            if self.observed is NOT_OBSERVED:
                self.observed = await self.look()
            if POSSIBLE_DUPLICATE in self.recorded.data and self.recorded.confirmed:
                await self.remove_duplicates()
        with self.expected_form():
            action, outcome = planner.decide_removal(self.rtype, self.recorded, self.view(), policy)
        self.begin(action)
        if action.verb is Verb.DELETE and copying.needs_copy(self.recorded, self.rtype):
            await copying.copy_before_deletion(self)
            return None
        match outcome:
            case Gone() | Ready():
                return await self.forget()
            case Send():
                self.report("being deleted")
                await self.send(outcome)
                if outcome.deletes:
                    return await self.forget()
            case Wait():
                await self.wait(outcome)
            case Pause():
                await self.pause(outcome)
            case Failed():
                raise self.failure(outcome.reason, outcome.fault, outcome.property)
        return None

    async def forget(self) -> bool | None:
        """Remove the record, unless a duplicate may still appear."""
        kept = self.recorded.retain or self.recorded.external
        if not kept and POSSIBLE_DUPLICATE in self.recorded.data and self.create_may_be_under_way():
            self.gone = True
            await self.wait_for_late_create()
            return None
        self.context.policy.hooks.after_deletion(self.recorded)
        await self.drop(self.recorded)
        return True

    async def wait_for_late_create(self) -> None:
        """Let some time pass before the next look for a resource that may still appear."""
        self.report("its creation may still be in progress")
        await self.context.control.pause(recovery.LONG_PATIENCE[-1])
