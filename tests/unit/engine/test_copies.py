"""``deletion_policy: Snapshot``: a copy is made and complete before anything is deleted, once, whatever happens."""

import asyncio
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.fake_openstack import LOST
from harness.universe import Killed, Universe

from reconcilers.model import Request

Template = dict[str, Any]


def server(*, image: str = "cirros", **more: Any) -> Template:
    return {
        "type": "OS::Nova::Server",
        "deletion_policy": "Snapshot",
        "properties": {"name": "server", "image": image, "flavor": "m1.tiny", **more},
    }


VOLUME = {"type": "OS::Cinder::Volume", "deletion_policy": "Snapshot", "properties": {"name": "volume", "size": 1}}


def both(**more: Any) -> Template:
    return {"resources": {"server": server(), "volume": VOLUME, **more}}


def copies(universe: Universe) -> tuple[int, int]:
    """How many images and backups there are."""
    images = [one for one in universe.cloud.all("images") if "kiln-token" in one]
    return len(images), len(universe.cloud.all("backups"))


def order(universe: Universe) -> list[str]:
    """Copies and deletions, in the order in which they were asked for."""
    words = {"/servers": "server", "/volumes": "volume", "/backups": "backup"}
    found = []
    for one in universe.cloud.calls:
        kind = words.get("/" + one.path.split("/")[1])
        if "createImage" in (one.body or {}):
            found.append("image")
        elif one.method == "DELETE" and kind:
            found.append(f"delete {kind}")
        elif one.method == "POST" and one.path == "/backups":
            found.append("backup")
    return found


def test_a_copy_is_complete_before_the_resource_is_deleted_and_stays() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(both())
        universe.cloud.calls.clear()
        await universe.settle(None)
        assert copies(universe) == (1, 1)
        assert universe.inventory() == {}
        done = order(universe)
        assert done.index("image") < done.index("delete server")
        assert done.index("backup") < done.index("delete volume")

    virtual.run(life())


def test_what_leaves_the_template_or_is_replaced_is_copied_too() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(both())
        await universe.settle({"resources": {"volume": VOLUME}})
        assert copies(universe) == (1, 0)
        await universe.settle(both())
        await universe.settle({"resources": {"server": server(config_drive=True), "volume": VOLUME}})
        assert copies(universe) == (2, 0)
        assert [item["name"] for item in universe.cloud.all("servers")] == ["server"]

    virtual.run(life())


def test_what_was_never_complete_is_not_copied() -> None:
    async def life() -> None:
        universe = Universe()
        universe.start(kill_at=12)
        with pytest.raises(Killed):
            await universe.once({"resources": {"server": server()}})
        universe.start()
        await universe.settle(None)
        assert copies(universe) == (0, 0)
        assert universe.inventory() == {}

    virtual.run(life())


def test_what_is_gone_or_in_error_is_deleted_without_a_copy() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(both())
        universe.cloud.all("servers")[0]["status"] = "ERROR"
        universe.cloud.tables["volumes"].clear()
        universe.start()
        await universe.settle(None)
        assert copies(universe) == (0, 0)
        assert universe.inventory() == {}

    virtual.run(life())


def test_a_copy_that_fails_keeps_the_resource() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle({"resources": {"volume": VOLUME}})
        no_service = Refused(503, "Service cinder-backup could not be found.")
        universe.cloud.fault = lambda one: no_service if (one.method, one.path) == ("POST", "/backups") else None
        result = await universe.once(None)
        assert "cinder-backup could not be found" in str(result.failures[0])
        assert [item["name"] for item in universe.cloud.all("volumes")] == ["volume"]
        universe.cloud.fault = lambda _one: None
        await universe.settle(None)
        assert copies(universe) == (0, 1)
        assert universe.inventory() == {}

    virtual.run(life())


def test_a_lost_answer_makes_no_second_copy() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(both())
        lost = iter([LOST, LOST])

        def fault(request: Request) -> str | None:
            makes = "createImage" in (request.body or {}) or (request.method, request.path) == ("POST", "/backups")
            return next(lost, None) if makes else None

        universe.cloud.fault = fault
        await universe.settle(None)
        assert copies(universe) == (1, 1)
        assert universe.inventory() == {}

    virtual.run(life())


def test_a_kill_at_any_point_of_a_deletion_makes_one_copy_of_each() -> None:
    async def all_kills() -> int:
        origin = Universe()
        await origin.settle(both())
        await asyncio.sleep(10)
        undisturbed = origin.copy()
        await undisturbed.settle(None)
        points = undisturbed.killer.count
        for at in range(1, points + 1, 2):
            universe = origin.copy()
            universe.start(kill_at=at)
            await universe.settle(None)
            assert copies(universe) == (1, 1), f"killed at point {at} of {points}"
            assert universe.inventory() == {}
        return points

    assert virtual.run(all_kills()) > 20
