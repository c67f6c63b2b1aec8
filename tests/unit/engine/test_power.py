"""Suspending and resuming resources: the order, crashes, what others do meanwhile, and updates."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.fake_openstack import FakeOpenStack
from harness.universe import Universe

from reconcilers.model import DriftPolicy, Power, Request

Template = dict[str, Any]


def server(*, after: str = "", flavor: str = "m1.tiny", **more: Any) -> Template:
    properties = {"image": "cirros", "flavor": flavor, **more}
    return {"type": "OS::Nova::Server", "properties": properties, **({"depends_on": after} if after else {})}


def chain(**more: Any) -> Template:
    """``web`` depends on ``app`` through a network, and ``app`` on ``db``."""
    between = {"type": "OS::Neutron::Net", "properties": {"name": "between"}, "depends_on": "app"}
    return {
        "resources": {
            "db": server(name="db"),
            "app": server(name="app", after="db"),
            "between": between,
            "web": server(name="web", after="between"),
            **more,
        }
    }


def actions(cloud: FakeOpenStack) -> list[tuple[str, str]]:
    """Suspends and resumes that were accepted, in order."""
    names = {item["id"]: item["name"] for item in cloud.tables["servers"].values()}
    found = [one for one in cloud.calls if one.path.endswith("/action")]
    return [(next(iter(one.body)), names[one.path.split("/")[2]]) for one in found]


def statuses(universe: Universe) -> dict[str, str]:
    return {item["name"]: universe.cloud._shown("servers", item)["status"] for item in universe.cloud.all("servers")}


def powers(universe: Universe) -> set[Power]:
    return {one.power for one in universe.records.load() if one.type == "OS::Nova::Server"}


SUSPENDED = {"db": "SUSPENDED", "app": "SUSPENDED", "web": "SUSPENDED"}
RUNNING = {"db": "ACTIVE", "app": "ACTIVE", "web": "ACTIVE"}


def test_dependants_are_suspended_first_and_resumed_last() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(chain(), all_suspended=True)
        assert actions(universe.cloud) == [("suspend", "web"), ("suspend", "app"), ("suspend", "db")]
        assert statuses(universe) == SUSPENDED
        assert powers(universe) == {Power.SUSPENDED}
        universe.cloud.calls.clear()
        result = await universe.once(chain())
        assert result.complete
        assert {str(action.verb) for action in result.actions.values()} == {"Resume"}
        assert actions(universe.cloud) == [("resume", "db"), ("resume", "app"), ("resume", "web")]
        assert statuses(universe) == RUNNING
        assert powers(universe) == {Power.RUNNING}

    virtual.run(life())


def test_what_is_suspended_costs_no_call_and_is_not_woken_by_drift() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(chain(), all_suspended=True)
        universe.cloud.calls.clear()
        assert (await universe.once(chain(), all_suspended=True)).complete
        assert {one.method for one in universe.cloud.calls} == {"GET"}
        for item in universe.cloud.all("servers"):
            item["name"] = "changed by others"
        universe.start()
        universe.cloud.calls.clear()
        await universe.settle(chain(), all_suspended=True)
        assert statuses(universe) == SUSPENDED
        assert [one.method for one in universe.cloud.calls if one.method != "GET"] == ["PUT"] * 3

    virtual.run(life())


@pytest.mark.parametrize(
    ("drift", "expected"),
    [(DriftPolicy.CORRECT, "SUSPENDED"), (DriftPolicy.REPORT, "ACTIVE"), (DriftPolicy.IGNORE, "ACTIVE")],
)
def test_one_that_others_resumed_is_drift(drift: DriftPolicy, expected: str) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(chain(), all_suspended=True)
        next(item for item in universe.cloud.all("servers") if item["name"] == "app")["status"] = "ACTIVE"
        universe.start()
        assert (await universe.once(chain(), all_suspended=True, drift=drift)).complete
        assert statuses(universe)["app"] == expected
        assert ("app" in universe.progress.drifted) == (drift is DriftPolicy.REPORT)
        assert ("app" in universe.progress.repaired) == (drift is DriftPolicy.CORRECT)

    virtual.run(life())


def test_what_others_suspended_or_stopped_is_left_alone() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(chain())
        by_name = {item["name"]: item for item in universe.cloud.all("servers")}
        by_name["db"]["status"] = "SUSPENDED"
        by_name["app"]["status"] = "SHUTOFF"
        universe.start()
        await universe.settle(chain())
        assert statuses(universe) == {"db": "SUSPENDED", "app": "SHUTOFF", "web": "ACTIVE"}
        await universe.settle(chain(), all_suspended=True)
        assert statuses(universe) == {"db": "SUSPENDED", "app": "SHUTOFF", "web": "SUSPENDED"}
        await universe.settle(chain())
        assert statuses(universe)["app"] == "SHUTOFF"
        assert statuses(universe)["web"] == "ACTIVE"

    virtual.run(life())


def test_single_resources_are_suspended_by_name_and_groups_with_all_below_them() -> None:
    async def life() -> None:
        universe = Universe()
        group = {
            "type": "OS::Heat::ResourceGroup",
            "properties": {"count": 2, "resource_def": server(name="member-%index%")},
        }
        template = {"resources": {"alone": server(name="alone"), "group": group, "grouped": server(name="grouped")}}
        names = frozenset({"alone", "group"})
        await universe.settle(template, suspended=names)
        held = {"alone": "SUSPENDED", "member-0": "SUSPENDED", "member-1": "SUSPENDED", "grouped": "ACTIVE"}
        assert statuses(universe) == held
        await universe.settle(template, suspended=frozenset({"alone"}))
        assert statuses(universe) == {**held, "member-0": "ACTIVE", "member-1": "ACTIVE"}

    virtual.run(life())


def test_an_update_resumes_only_what_changes_in_place_and_suspends_it_again() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(chain(), all_suspended=True)
        image = universe.cloud.make("images", name="newer")
        template = chain(app=server(name="app", after="db", image=image["id"]), new=server(name="new"))
        universe.start()
        universe.cloud.calls.clear()
        await universe.settle(template, all_suspended=True)
        assert statuses(universe) == {**SUSPENDED, "new": "SUSPENDED"}
        found = actions(universe.cloud)
        assert [one for one in found if one[1] == "app"] == [("resume", "app"), ("rebuild", "app"), ("suspend", "app")]
        assert {name for _, name in found} == {"app", "new"}

    virtual.run(life())


def test_metadata_changes_without_waking_the_server() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(chain(), all_suspended=True)
        universe.start()
        universe.cloud.calls.clear()
        await universe.settle(chain(app=server(name="app", after="db", metadata={"a": "b"})), all_suspended=True)
        assert actions(universe.cloud) == []
        assert next(item for item in universe.cloud.all("servers") if item["name"] == "app")["metadata"]["a"] == "b"

    virtual.run(life())


def test_a_volume_is_attached_to_a_suspended_server_by_resuming_it_for_that() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(chain(), all_suspended=True)
        volume = {"type": "OS::Cinder::Volume", "properties": {"name": "volume", "size": 1}}
        attachment = {
            "type": "OS::Cinder::VolumeAttachment",
            "properties": {"volume_id": {"get_resource": "volume"}, "instance_uuid": {"get_resource": "db"}},
        }
        universe.start()
        universe.cloud.calls.clear()
        await universe.settle(chain(volume=volume, attachment=attachment), all_suspended=True)
        assert actions(universe.cloud) == [("resume", "db"), ("suspend", "db")]
        assert statuses(universe) == SUSPENDED
        assert universe.cloud.all("volumes")[0]["attachments"]

    virtual.run(life())


@pytest.mark.parametrize("begin", [False, True], ids=["suspending", "resuming"])
def test_a_kill_at_any_point_changes_nothing_about_the_end(begin: bool) -> None:
    async def all_kills() -> int:
        origin = Universe()
        await origin.settle(chain(), all_suspended=begin)
        await asyncio.sleep(10)
        undisturbed = origin.copy()
        await undisturbed.settle(chain(), all_suspended=not begin)
        expected = RUNNING if begin else SUSPENDED
        assert statuses(undisturbed) == expected
        points = undisturbed.killer.count
        for at in range(1, points + 1):
            universe = origin.copy()
            universe.start(kill_at=at)
            await universe.settle(chain(), all_suspended=not begin)
            assert statuses(universe) == expected, f"killed at point {at} of {points}"
            assert powers(universe) == {Power.RUNNING if begin else Power.SUSPENDED}
            assert {one.state for one in universe.records.load()} == {"Ready"}
        return points

    assert virtual.run(all_kills()) > 20


def test_a_kill_in_the_middle_of_a_suspension_with_drift_that_is_only_reported() -> None:
    async def all_kills() -> None:
        origin = Universe()
        await origin.settle(chain())
        probe = origin.copy()
        await probe.settle(chain(), all_suspended=True)
        for at in range(1, probe.killer.count + 1):
            universe = origin.copy()
            universe.start(kill_at=at)
            await universe.settle(chain(), all_suspended=True, drift=DriftPolicy.REPORT)
            assert statuses(universe) == SUSPENDED, f"killed at point {at}"

    virtual.run(all_kills())


def refusing(what: str, answers: Iterator[Refused | None]) -> Any:
    def fault(request: Request) -> Refused | None:
        acts = request.path.endswith("/action") and what in request.body
        return next(answers, None) if acts else None

    return fault


def test_a_server_that_cannot_be_suspended_is_named_and_those_below_it_stay_running() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(chain())
        next(item for item in universe.cloud.all("servers") if item["name"] == "app")["status"] = "PAUSED"
        universe.start()
        result = await universe.once(chain(), all_suspended=True)
        assert [str(one) for one in result.failures] == [
            "resources.app: it is PAUSED, and Nova suspends only servers that are ACTIVE"
        ]
        assert statuses(universe) == {"db": "ACTIVE", "app": "PAUSED", "web": "SUSPENDED"}
        assert "db" in result.blocked
        next(item for item in universe.cloud.all("servers") if item["name"] == "app")["status"] = "ACTIVE"
        universe.start()
        await universe.settle(chain(), all_suspended=True)
        assert statuses(universe) == SUSPENDED

    virtual.run(life())


def test_a_refused_suspension_is_tried_again() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(chain())
        universe.cloud.fault = refusing("suspend", iter([Refused(503, "away"), Refused(409, "busy"), None, None]))
        await universe.settle(chain(), all_suspended=True)
        assert statuses(universe) == SUSPENDED

    virtual.run(life())


def test_a_suspension_without_effect_ends_as_a_failure() -> None:
    async def life() -> None:
        universe = Universe()
        template = {"resources": {"only": server(name="only")}}
        await universe.settle(template)
        held = universe.cloud.all("servers")[0]
        act = universe.cloud._act

        def idle(request: Request, item: Any) -> tuple[int, Any]:
            answer = act(request, item)
            item.update(status="ACTIVE", _acted=0.0)
            return answer

        universe.cloud._act = idle  # type: ignore[method-assign]
        result = await universe.once(template, all_suspended=True)
        assert "accepted the request 3 times" in str(result.failures[0])
        assert held["status"] == "ACTIVE"

    virtual.run(life())
