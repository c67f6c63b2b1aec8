"""StackSnapshots when the process ends in between: nothing is doubled, and nothing is left over."""

import asyncio
from typing import Any

import pytest
from harness import virtual
from harness.stack_with_snapshots import NOTHING, SnapshotStack, deployed, snapped
from harness.universe import Killed, Killer

from kiln.api.v1alpha1 import Key
from kiln.controller.workqueue import Run


def killed_at(web: SnapshotStack, at: int) -> Killer:
    """From now on the process ends at one of its requests and writes, before or after the effect."""
    killer = Killer(at)
    web.cloud.point = killer.point
    patch = web.kube.patch

    async def patched(*arguments: Any, **options: Any) -> Any:
        await killer.point()
        result = await patch(*arguments, **options)
        await killer.point()
        return result

    web.kube.patch = patched  # type: ignore[method-assign]
    return killer


async def restarted(web: SnapshotStack) -> SnapshotStack:
    """Another process, with the same objects and the same cloud."""
    other = SnapshotStack()
    other.kube.objects = web.kube.objects
    other.kube._versions, other.kube._of_stack = web.kube._versions, web.kube._of_stack
    other.cloud.tables, other.cloud._ids = web.cloud.tables, web.cloud._ids
    other.services.unconfirmed.since = asyncio.get_running_loop().time()
    other.generation = web.generation
    for plural in ("stacksnapshots", "stackoperations"):
        for name in other.kube.named(plural):
            other.see(plural, name, "ADDED")
    return other


async def _begin_snapshot() -> SnapshotStack:
    web = await deployed()
    web.snapshot()
    return web


async def _begin_restore() -> SnapshotStack:
    web = await snapped()
    web.restore("snap")
    return web


async def _begin_deletion() -> SnapshotStack:
    web = await snapped()
    await web.drop_snapshot()
    return web


async def _begin_end() -> SnapshotStack:
    web = await snapped()
    await web.delete()
    return web


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        (_begin_snapshot, {"images": 1, "backups": 1, "snapshots": 0}),
        (_begin_restore, {"images": 1, "backups": 1, "snapshots": 0}),
        (_begin_deletion, NOTHING),
        (_begin_end, NOTHING),
    ],
    ids=["snapshot", "restore", "deletion of the snapshot", "deletion of the Stack"],
)
def test_a_kill_at_any_point_doubles_nothing_and_leaves_nothing_over(begin: Any, expected: dict[str, int]) -> None:
    async def life(at: int) -> int:
        web: SnapshotStack = await begin()
        killer = killed_at(web, at)
        await asyncio.sleep(1)
        try:
            await web.reconciler.run(Key("ns", "web"), Run())
        except Killed:
            web = await restarted(web)
            for _ in range(4):
                await web.pass_()
                await asyncio.sleep(100)
        assert web.copies() == expected, f"killed at point {at}"
        if begin is _begin_snapshot:
            assert web.of()["readyToUse"], web.of()
        if begin is _begin_restore:
            assert len(web.cloud.all("servers")) == len(web.cloud.all("volumes")) == 1
            assert web.cloud.all("servers")[0]["image"]["id"] == web.of()["items"][0]["id"]
        return killer.count

    points = virtual.run(life(0))
    assert points > 3
    for at in range(1, points + 1, 3):
        virtual.run(life(at))
