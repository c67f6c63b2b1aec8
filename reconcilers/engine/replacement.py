"""Puts a new resource in the place of one that cannot be changed, or that went to ERROR."""

import dataclasses
import logging
from typing import TYPE_CHECKING, Final

from reconcilers.backoff import Backoff
from reconcilers.engine.remover import ResourceRemover
from reconcilers.model import Failed, Recorded, Replace

if TYPE_CHECKING:
    from reconcilers.engine.converger import ResourceConverger

log = logging.getLogger(__name__)

RECREATIONS: Final = 3
"""How often in a row a resource in ERROR is recreated within one reconciliation."""
RECREATE: Final = Backoff(first=2.0, longest=8.0)


async def replace(driver: "ResourceConverger", outcome: Replace) -> None:
    """Create a new resource. The old one is deleted at the end, or first if both cannot exist."""
    old = driver.recorded
    gone = old.confirmed and driver.observed is None and bool(driver.rtype.service)
    driver.report(outcome.why)
    log.info("resources.%s: replacing %s: %s", old.name, old.physical_id or "an unfinished resource", outcome.why)
    if gone:
        await driver.drop(old)
    elif outcome.delete_first:
        await _remove(driver, old)
    await _begin_anew(driver)


async def recreate(driver: "ResourceConverger", outcome: Failed) -> None:
    """The resource went to ERROR: remove it and create a new one, a bounded number of times."""
    old = driver.recorded
    if old.attempts >= RECREATIONS:
        log.warning("resources.%s: in ERROR again, giving up after %d new ones in a row", old.name, old.attempts)
    if old.attempts >= RECREATIONS or not old.confirmed:
        raise driver.failure(outcome.reason, outcome.fault, outcome.property)
    driver.report(outcome.reason, outcome.fault)
    if old.state == "Ready":
        driver.context.progress.drifted[old.name] = outcome.reason
    elif old.attempts:
        await driver.context.control.pause(RECREATE.delay(old.attempts))
    log.info("resources.%s: recreating %s, which went to ERROR", old.name, old.physical_id)
    await driver.save()
    await _remove(driver, dataclasses.replace(driver.recorded, copied=False))  # it is in ERROR
    await _begin_anew(driver, attempts=old.attempts + 1)
    driver.recreated = True


async def _begin_anew(driver: "ResourceConverger", attempts: int = 0) -> None:
    """Create a record of a new resource, with names resolved again."""
    driver.same = frozenset()
    driver.properties = await driver.references.look_up({}, driver.same)
    await driver.create_record(attempts=attempts)


async def _remove(driver: "ResourceConverger", old: Recorded) -> None:
    """Remove an old resource completely, now."""
    remover = ResourceRemover(driver.context, driver.rtype, dataclasses.replace(old, retain=False))
    remover.proven = driver.is_proven()
    remover.stale_list = driver.stale_list
    await remover.drive()
