"""Deletes a copy that a snapshot made."""

from dataclasses import replace

from typing_extensions import override

from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.copying import Keep
from reconcilers.engine.remover import ResourceRemover
from reconcilers.errors import CloudError
from reconcilers.model import Recorded
from reconcilers.resource_type import ResourceType


class CopyRemover(ResourceRemover):
    """Deletes one copy. Its record is marked and not dropped: one object holds the records of all copies."""

    def __init__(self, context: ReconcileContext, rtype: ResourceType, recorded: Recorded, keep: Keep) -> None:
        super().__init__(context, rtype, recorded)
        self._keep = keep
        self._complete = recorded.state == "Ready"
        self.left = ""
        """Why the copy was left in OpenStack; empty: it is gone."""

    @override
    async def advance(self) -> bool | None:
        """A copy that was never complete and that OpenStack cannot delete (without a backup service) is left."""
        try:
            return await super().advance()
        except CloudError as error:
            if error.status != 404 or self._complete:
                raise
            self.left = error.message
            return await self.forget()

    @override
    async def save(self) -> None:
        if self.recorded != self.saved:
            self.recorded = self.saved = await self._keep(self.recorded)

    @override
    async def drop(self, recorded: Recorded) -> None:
        self.recorded = replace(recorded, state="Deleted", message="")
        await self.save()
        self.context.unconfirmed.forget(recorded.token)
