"""Restores of Stacks from StackSnapshots."""

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.one_stack import NET
from harness.stack_with_snapshots import NOTHING, SERVER, TEMPLATE, deployed, snapped


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
