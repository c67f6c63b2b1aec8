"""StackSnapshots: what is copied, restored and deleted, whatever happens in between."""

import asyncio
import uuid
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.fake_openstack import LOST
from harness.one_stack import NET, OneStack
from harness.universe import Killed, Killer

from kiln.api.kinds import STACK_OPERATIONS, STACK_SNAPSHOTS, STACKS
from kiln.api.v1alpha1 import Key
from kiln.controller.workqueue import Run
from reconcilers.model import Request

SERVER = {"type": "OS::Nova::Server", "properties": {"name": "server", "image": "cirros", "flavor": "m1.tiny"}}
VOLUME = {"type": "OS::Cinder::Volume", "properties": {"name": "volume", "size": 2}}
TEMPLATE = {"server": SERVER, "volume": VOLUME, "net": NET}


class Web(OneStack):
    def see(self, plural: str, name: str, kind: str = "MODIFIED") -> None:
        """The informer shows an object as it is now."""
        obj = self.kube.find(plural, name)
        if obj is not None:
            self.services.requests.observe(plural, kind, obj)

    def snapshot(self, name: str = "snap", **spec: Any) -> str:
        metadata = {
            "generation": 1,
            "creationTimestamp": f"2026-01-01T00:00:0{len(self.kube.named('stacksnapshots'))}Z",
        }
        self.kube.put(STACK_SNAPSHOTS, name, metadata=metadata, spec={"stackName": "web", **spec})
        self.see("stacksnapshots", name, "ADDED")
        return name

    def restore(self, snapshot: str) -> str:
        name = f"op-{uuid.uuid4().hex[:6]}"
        metadata = {"uid": f"uid-{name}", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
        spec = {"stackName": "web", "type": "Restore", "restore": {"snapshot": snapshot}}
        self.kube.put(STACK_OPERATIONS, name, metadata=metadata, spec=spec)
        self.see("stackoperations", name, "ADDED")
        return name

    async def drop_snapshot(self, name: str = "snap") -> None:
        await self.kube.delete(STACK_SNAPSHOTS, "ns", name)
        self.see("stacksnapshots", name)

    async def pass_(self) -> None:
        await asyncio.sleep(1)
        await self.run()
        for name in self.kube.named("stacksnapshots"):
            self.see("stacksnapshots", name)

    def of(self, name: str = "snap") -> dict[str, Any]:
        found = self.kube.find("stacksnapshots", name)
        assert found is not None
        return dict(found.get("status") or {})

    def result(self, name: str) -> tuple[str, str]:
        status = (self.kube.find("stackoperations", name) or {}).get("status") or {}
        return status.get("phase", ""), status.get("message", "")

    def copies(self) -> dict[str, int]:
        images = [one for one in self.cloud.all("images") if one["name"] != "cirros"]
        counts = {"images": len(images), "backups": len(self.cloud.all("backups"))}
        return {**counts, "snapshots": len(self.cloud.all("snapshots"))}


NOTHING = {"images": 0, "backups": 0, "snapshots": 0}


async def deployed(template: dict[str, Any] | None = None, **spec: Any) -> Web:
    web = Web()
    web.apply(template or TEMPLATE, **spec)
    await web.pass_()
    assert web.condition()[0] == "True"
    return web


async def snapped(**spec: Any) -> Web:
    web = await deployed()
    web.snapshot(**spec)
    await web.pass_()
    assert web.of()["readyToUse"], web.of()
    return web


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
        web = Web()
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


def test_a_restore_goes_back_to_the_data_and_is_done_once() -> None:
    async def life() -> None:
        web = await snapped()
        server = web.cloud.all("servers")[0]
        asked = web.restore("snap")
        await web.pass_()
        assert web.result(asked)[0] == "Succeeded"
        image = next(one["id"] for one in web.of()["items"] if one["kind"] == "Image")
        backup = next(one["id"] for one in web.of()["items"] if one["kind"] == "Backup")
        assert web.cloud.all("servers")[0]["id"] == server["id"]
        assert server["image"] == {"id": image}
        assert server["_rebuilt"] == 1
        volume = web.cloud.all("volumes")[0]
        assert volume["_restored"] == [backup]
        assert web.status["lastOperation"]["type"] == "Restore"
        await web.pass_()
        await web.pass_()
        assert (server["_rebuilt"], volume["_restored"]) == (1, [backup])
        again = web.restore("snap")
        await web.pass_()
        assert web.result(again)[0] == "Succeeded"
        assert (server["_rebuilt"], volume["_restored"]) == (2, [backup, backup])

    virtual.run(life())


@pytest.mark.parametrize("drift", ["Correct", "Report", "Ignore"])
def test_a_restore_after_the_server_was_deleted_by_hand(drift: str) -> None:
    async def life() -> None:
        web = await deployed(drift=drift)
        web.snapshot()
        await web.pass_()
        web.cloud.drop("servers", web.cloud.all("servers")[0]["id"])
        web.cloud.tables["servers"].clear()
        asked = web.restore("snap")
        await web.pass_()
        assert web.result(asked)[0] == "Succeeded"
        image = next(one["id"] for one in web.of()["items"] if one["kind"] == "Image")
        made = web.cloud.all("servers")
        assert [one["image"] for one in made] == [{"id": image}]
        assert "_rebuilt" not in made[0]

    virtual.run(life())


def test_a_restore_goes_back_to_the_revision_of_the_snapshot_and_keeps_it() -> None:
    async def life() -> None:
        web = await snapped()
        revision = web.of()["revision"]
        for number in range(4):
            web.apply({"net": {**NET, "properties": {"name": f"net{number}"}}}, revisionHistoryLimit=1)
            await web.pass_()
        assert web.cloud.all("servers") == []
        assert web.kube.find("stackrevisions", revision) is not None
        asked = web.restore("snap")
        await web.pass_()
        assert web.result(asked)[0] == "Succeeded", web.result(asked)
        assert web.condition() == ("False", "RolledBack")
        assert web.status["currentRevision"] == revision
        image = next(one["id"] for one in web.of()["items"] if one["kind"] == "Image")
        assert web.cloud.all("servers")[0]["image"] == {"id": image}

    virtual.run(life())


def test_what_was_restored_stays_until_the_template_itself_changes() -> None:
    async def life() -> None:
        web = await snapped()
        web.restore("snap")
        await web.pass_()
        server = web.cloud.all("servers")[0]
        image = server["image"]["id"]
        changed = {**SERVER, "properties": {**SERVER["properties"], "metadata": {"a": "b"}}}
        web.apply({**TEMPLATE, "server": changed})
        await web.pass_()
        assert server["image"]["id"] == image
        other = web.cloud.make("images", name="other")["id"]
        web.apply({**TEMPLATE, "server": {**SERVER, "properties": {**SERVER["properties"], "image": other}}})
        await web.pass_()
        assert web.cloud.all("servers")[0]["image"]["id"] == other
        assert [one["resource"] for one in web.status["restored"]] == ["volume"]

    virtual.run(life())


def test_a_volume_goes_back_to_its_snapshot_in_place() -> None:
    async def life() -> None:
        web = await deployed()
        web.snapshot(volumes="Snapshot")
        await web.pass_()
        volume = web.cloud.all("volumes")[0]
        asked = web.restore("snap")
        await web.pass_()
        assert web.result(asked)[0] == "Succeeded"
        assert [one["id"] for one in web.cloud.all("volumes")] == [volume["id"]]
        assert volume["_reverted"] == [one["id"] for one in web.cloud.all("snapshots")]

    virtual.run(life())


@pytest.mark.parametrize(
    ("name", "message"),
    [("nobody", "there is no StackSnapshot nobody of this Stack"), ("broken", "is not ready to use (Failed)")],
)
def test_a_restore_that_cannot_be_done_says_why(name: str, message: str) -> None:
    async def life() -> None:
        web = await deployed()
        web.cloud.fault = lambda request: Refused(403, "no") if "createImage" in (request.body or {}) else None
        web.snapshot("broken")
        await web.pass_()
        web.cloud.fault = lambda _request: None
        assert web.of("broken")["phase"] == "Failed"
        assert not web.of("broken")["readyToUse"]
        asked = web.restore(name)
        await web.pass_()
        assert web.result(asked)[0] == "Failed"
        assert message in web.result(asked)[1]
        await web.drop_snapshot("broken")
        await web.pass_()
        assert web.copies() == NOTHING

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
        web.cloud.fault = lambda one: Refused(503, "away", **{"Retry-After": "20"}) if _makes(one) else None
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
        web = Web()
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


def _makes(request: Request) -> bool:
    return "createImage" in (request.body or {}) or (request.method, request.path) == ("POST", "/backups")


def test_copies_whose_creation_was_not_answered_are_found_again() -> None:
    async def life() -> None:
        web = await deployed()
        lost = iter([LOST, LOST])
        web.cloud.fault = lambda one: next(lost, None) if _makes(one) else None
        web.snapshot()
        await web.pass_()
        assert web.of()["readyToUse"]
        assert web.copies() == {"images": 1, "backups": 1, "snapshots": 0}

    virtual.run(life())


def killed_at(web: Web, at: int) -> Killer:
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


async def restarted(web: Web) -> Web:
    """Another process, with the same objects and the same cloud."""
    other = Web()
    other.kube.objects = web.kube.objects
    other.kube._versions, other.kube._of_stack = web.kube._versions, web.kube._of_stack
    other.cloud.tables, other.cloud._ids = web.cloud.tables, web.cloud._ids
    other.services.unconfirmed.since = asyncio.get_running_loop().time()
    other.generation = web.generation
    for plural in ("stacksnapshots", "stackoperations"):
        for name in other.kube.named(plural):
            other.see(plural, name, "ADDED")
    return other


async def _begin_snapshot() -> Web:
    web = await deployed()
    web.snapshot()
    return web


async def _begin_restore() -> Web:
    web = await snapped()
    web.restore("snap")
    return web


async def _begin_deletion() -> Web:
    web = await snapped()
    await web.drop_snapshot()
    return web


async def _begin_end() -> Web:
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
        web: Web = await begin()
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
