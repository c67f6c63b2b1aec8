"""Intents that are stored while the requirements of their resources are still in progress.

The definitions of these resources are constant, so their records need not wait for what they require.
"""

import asyncio
import contextlib
from typing import Any

from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.control import ReconciliationEnded
from reconcilers.engine.converger import ResourceConverger
from reconcilers.engine.progress import ResourceProgress
from reconcilers.errors import CloudError


class EarlyIntents:
    """A context in which intents are stored early. At its end, those of resources that never started are removed."""

    def __init__(self, context: ReconcileContext) -> None:
        self.context = context
        self._begun: dict[str, tuple[ResourceConverger, asyncio.Task[Any]]] = {}
        """Drivers of resources that have not started, with the task that stores their intents."""

    def store(self, driver: ResourceConverger) -> None:
        """Begin to store the intent of a driver's resource."""
        self._begun[driver.target.name] = driver, asyncio.ensure_future(driver.prepare())

    async def take(self, name: str) -> ResourceConverger | None:
        """The driver of a resource that starts now, if its intent was stored early."""
        driver, task = self._begun.pop(name, (None, None))
        if task is not None:
            with contextlib.suppress(CloudError):  # failed look-ups are repeated
                await task
        return driver

    async def __aenter__(self) -> None:
        """Nothing is stored yet."""

    async def __aexit__(self, *exception: object) -> None:
        left, self._begun = self._begun, {}
        await asyncio.gather(*(task for _, task in left.values()), return_exceptions=True)
        for name, (driver, _) in left.items():
            if driver.fresh:
                self.context.progress.move(name, ResourceProgress(driver.recorded.type, "Pending"))
                with contextlib.suppress(ReconciliationEnded):  # the next one finds the intent without a resource
                    await driver.drop(driver.recorded)
