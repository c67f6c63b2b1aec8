"""StackSnapshots: what is copied and deleted."""

import asyncio
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.fake_openstack import LOST
from harness.one_stack import NET
from harness.stack_with_snapshots import NOTHING, SERVER, TEMPLATE, SnapshotStack, copies_something, deployed, snapped

from kiln.api.kinds import STACKS


def test_a_snapshot_has_an_image_of_each_server_and_a_backup_of_each_volume() -> None:
    async def life() -> None:
        web = await snapped()
        status = web.of()
        assert status["phase"] == "Succeeded"
        assert status["revision"] == web.status["currentRevision"]
        assert {"startTime", "completionTime"} <= status.keys()
        found = {one["resource"]: one for one in status["items"]}
        assert {name: (one["kind"], one["state"]) for name, one in found.items()} == {
            "server": ("Image", "Ready"),
            "volume": ("Backup", "Ready"),
        }
        assert found["server"]["size"] == 1024
        assert found["volume"]["size"] == 2 * 1024**3
        assert web.copies() == {"images": 1, "backups": 1, "snapshots": 0}
        assert web.condition() == ("True", "Succeeded")
        before = len(web.cloud.calls)
        await web.pass_()
        assert {one.method for one in web.cloud.calls[before:]} <= {"GET"}

    virtual.run(life())


def test_a_snapshot_waits_until_its_stack_is_at_rest() -> None:
    async def life() -> None:
        web = SnapshotStack()
        broken = {**SERVER, "properties": {**SERVER["properties"], "image": "nobody"}}
        web.apply({"server": broken})
        web.snapshot()
        await web.pass_()
        assert web.of() == {}
        web.apply({"server": SERVER})
        await web.pass_()
        assert web.of()["readyToUse"]

    virtual.run(life())


def test_the_deletion_of_a_snapshot_leaves_nothing() -> None:
    async def life() -> None:
        web = await snapped()
        await web.drop_snapshot()
        assert web.kube.find("stacksnapshots", "snap") is not None
        await web.pass_()
        assert web.kube.find("stacksnapshots", "snap") is None
        assert web.copies() == NOTHING

    virtual.run(life())


def test_the_copies_of_an_orphaned_snapshot_stay_and_are_named() -> None:
    async def life() -> None:
        web = await snapped(deletionPolicy="Orphan")
        await web.drop_snapshot()
        await web.pass_()
        assert web.kube.find("stacksnapshots", "snap") is None
        assert web.copies() == {"images": 1, "backups": 1, "snapshots": 0}
        assert web.services.told.reasons.count("LeftInCloud") == 2

    virtual.run(life())


@pytest.mark.parametrize(("policy", "left"), [("Delete", 0), ("Orphan", 1)])
def test_snapshots_are_deleted_with_their_stack(policy: str, left: int) -> None:
    async def life() -> None:
        web = await snapped()
        web.apply(TEMPLATE, deletionPolicy=policy)
        await web.pass_()
        await web.delete()
        await web.pass_()
        assert web.kube.find(STACKS.plural, "web") is None
        assert web.kube.find("stacksnapshots", "snap") is None
        assert web.copies() == {"images": left, "backups": left, "snapshots": 0}

    virtual.run(life())


def test_a_volume_with_a_snapshot_is_deleted_after_that() -> None:
    async def life() -> None:
        web = await deployed()
        web.snapshot(volumes="Snapshot")
        await web.pass_()
        assert web.copies() == {"images": 1, "backups": 0, "snapshots": 1}
        await web.delete()
        await web.pass_()
        assert web.kube.find(STACKS.plural, "web") is None
        assert web.copies() == NOTHING
        assert web.cloud.all("volumes") == []

    virtual.run(life())


def test_a_cloud_without_a_backup_service_fails_the_snapshot_and_says_what_helps() -> None:
    async def life() -> None:
        web = await deployed()
        no_service = Refused(503, "Service cinder-backup could not be found.")
        web.cloud.fault = lambda one: no_service if (one.method, one.path) == ("POST", "/backups") else None
        web.snapshot()
        await web.pass_()
        assert web.of()["phase"] == "Failed"
        assert "cinder-backup could not be found" in web.of()["message"]
        assert "spec.volumes: Snapshot" in web.of()["message"]

    virtual.run(life())


def test_a_copy_that_goes_wrong_fails_the_snapshot_and_is_deleted_with_it() -> None:
    async def life() -> None:
        web = await deployed()
        made = web.cloud._made

        def broken(plural: str, body: Any) -> Any:
            item = made(plural, body)
            if plural == "backups":
                item |= {"status": "error", "fail_reason": "the disk is full"}
            return item

        web.cloud._made = broken  # type: ignore[method-assign]
        web.snapshot()
        await web.pass_()
        assert web.of()["phase"] == "Failed"
        assert "resources.volume: its copy went to status error: the disk is full" in web.of()["message"]
        assert "spec.volumes: Snapshot" in web.of()["message"]  # no backup service may look like this too
        await web.drop_snapshot()
        await web.pass_()
        assert web.copies() == NOTHING

    virtual.run(life())


@pytest.mark.parametrize("failed", [True, False])
def test_a_backup_that_cinder_cannot_delete_is_left_only_if_it_was_never_complete(failed: bool) -> None:
    """Without a backup service Cinder takes a backup, sets it to error, and answers 404 to its deletion."""

    async def life() -> None:
        web = await snapped()
        backup = web.cloud.all("backups")[0]
        if failed:
            items = web.kube.objects["stacksnapshots", "ns", "snap"]["status"]["items"]
            next(one for one in items if one["kind"] == "Backup")["state"] = "Failed"
            backup["status"] = "error"
        no_service = Refused(404, "Service cinder-backup could not be found.")
        web.cloud.fault = lambda one: no_service if one.method == "DELETE" and "/backups/" in one.path else None
        await web.drop_snapshot()
        await web.pass_()
        assert web.cloud.sent("DELETE", "backups")
        assert len(web.cloud.sent("DELETE", "backups")) == 1
        assert (web.kube.find("stacksnapshots", "snap") is None) == failed
        if not failed:
            assert "cinder-backup could not be found" in web.of()["message"]
            web.cloud.fault = lambda _one: None
            await web.pass_()
            assert web.copies() == NOTHING
        else:
            assert "LeftInCloud" in web.services.told.reasons

    virtual.run(life())


def test_a_snapshot_has_the_time_of_an_operation() -> None:
    async def life() -> None:
        web = await deployed(timeout="60s")
        web.cloud.fault = lambda one: Refused(503, "away", **{"Retry-After": "20"}) if copies_something(one) else None
        web.snapshot()
        await asyncio.wait_for(web.pass_(), 400)
        assert web.of()["phase"] == "Failed"

    virtual.run(life())


def test_only_so_many_snapshots_of_a_stack_are_made() -> None:
    async def life() -> None:
        web = await deployed({"net": NET})
        for number in range(33):
            web.snapshot(f"snap{number}")
        await web.pass_()
        failed = [name for name in web.kube.named("stacksnapshots") if web.of(name)["phase"] == "Failed"]
        assert failed
        assert "at most 32" in web.of(failed[0])["message"]

    virtual.run(life())


def test_the_snapshot_of_a_stack_that_does_not_exist_says_so() -> None:
    async def life() -> None:
        web = SnapshotStack()
        web.snapshot()
        await web.pass_()
        assert web.of()["phase"] == "Failed"
        assert web.of()["message"] == "there is no Stack web"

    virtual.run(life())


def test_a_snapshot_whose_stack_was_removed_by_force_lets_go_and_names_what_is_left() -> None:
    async def life() -> None:
        web = await snapped()
        del web.kube.objects["stacks", "ns", "web"]
        await web.drop_snapshot()
        await web.pass_()
        assert web.kube.find("stacksnapshots", "snap") is None
        left = [one for one in web.services.told.messages if "the Image" in one or "the Backup" in one]
        assert len(left) == 2

    virtual.run(life())


def test_copies_whose_creation_was_not_answered_are_found_again() -> None:
    async def life() -> None:
        web = await deployed()
        lost = iter([LOST, LOST])
        web.cloud.fault = lambda one: next(lost, None) if copies_something(one) else None
        web.snapshot()
        await web.pass_()
        assert web.of()["readyToUse"]
        assert web.copies() == {"images": 1, "backups": 1, "snapshots": 0}

    virtual.run(life())
