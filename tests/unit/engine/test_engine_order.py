"""In what order things are done, and how much at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.fake_openstack import LOST
from harness.universe import Universe

from reconcilers.engine.control import ReconciliationEnded, TimedOut

NETS = {f"net{i}": {"type": "OS::Neutron::Net", "properties": {"name": f"net{i}"}} for i in range(20)}


def test_what_others_refer_to_comes_first(template: Callable[..., Any]) -> None:
    async def life() -> list[str]:
        universe = Universe()
        await universe.settle(template())
        return [one.path.split("/")[1] for one in universe.cloud.calls if one.method == "POST"]

    made = virtual.run(life())
    assert made.index("networks") < made.index("subnets") < made.index("ports") < made.index("servers")


def test_an_intent_is_stored_before_the_request_leaves(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        carry_out = universe.cloud.carry_out

        def watched(request: Any) -> Any:
            if request.method == "POST":
                name = next(iter(request.body.values()))["name"]
                assert ("intend", name) in universe.records.log
            return carry_out(request)

        universe.cloud.carry_out = watched  # type: ignore[method-assign]
        await universe.settle(template())

    virtual.run(life())


def test_what_does_not_depend_on_each_other_is_made_at_once_up_to_the_limit() -> None:
    routers = {f"router{i}": {"type": "OS::Neutron::Router"} for i in range(20)}

    async def seconds(limit: int) -> float:
        universe = Universe()
        universe.cloud.latency = 1.0
        await universe.once({"resources": routers}, concurrency=limit)
        return asyncio.get_running_loop().time()

    assert virtual.run(seconds(20)) == pytest.approx(1.0)
    assert virtual.run(seconds(5)) == pytest.approx(4.0)


def test_what_waits_for_its_turn_is_asked_for_together() -> None:
    async def life() -> list[int]:
        universe = Universe()
        universe.cloud.latency = 1.0
        await universe.once({"resources": NETS}, concurrency=4)
        assert len(universe.inventory()["networks"]) == 20
        assert len({one.physical_id for one in universe.records.load() if one.state == "Ready"}) == 20
        return [len(one.body.get("networks", [0])) for one in universe.cloud.sent("POST")]

    # Four at once; of the others as many together as leave no slot idle.
    sizes = virtual.run(life())
    assert sizes[:5] == [1, 1, 1, 1, 4]
    assert sum(sizes) == 20
    assert len(sizes) == 12


@pytest.mark.parametrize("fate", [LOST, Refused(500, "down"), Refused(503, "busy", **{"Retry-After": "1"})])
def test_nothing_is_lost_or_doubled_when_the_answer_for_several_is_not_what_was_hoped_for(fate: Any) -> None:
    async def life() -> None:
        universe = Universe()
        broken: list[Any] = []

        def fault(request: Any) -> Any:
            if request.method == "POST" and "networks" in request.body and not broken:
                broken.append(request)
                return fate
            return None

        universe.cloud.fault = fault
        await universe.settle({"resources": NETS}, concurrency=2)
        assert len(broken) == 1
        assert sorted(universe.inventory()["networks"]) == sorted(NETS)

    virtual.run(life())


def test_of_several_that_were_asked_for_together_only_the_guilty_one_fails() -> None:
    async def life() -> None:
        universe = Universe()

        def fault(request: Any) -> Any:
            bodies = request.body.get("networks") or [request.body.get("network")] if request.method == "POST" else []
            return Refused(400, "Invalid input") if any(body["name"] == "net13" for body in bodies) else None

        universe.cloud.fault = fault
        result = await universe.once({"resources": NETS}, concurrency=2)
        assert [error.path for error in result.failures] == ["resources.net13"]
        assert len(universe.inventory()["networks"]) == 19

    virtual.run(life())


def chain(length: int) -> dict[str, Any]:
    return {
        "resources": {
            f"n{i}": {"type": "OS::Neutron::Net", **({"depends_on": f"n{i - 1}"} if i else {})} for i in range(length)
        }
    }


def test_records_are_written_beside_the_calls_and_not_between_them() -> None:
    async def life() -> float:
        universe = Universe()
        universe.cloud.latency, universe.records.latency = 1.0, 0.1
        await universe.once(chain(10))
        assert all(one.state == "Ready" and one.physical_id for one in universe.records.load())
        return asyncio.get_running_loop().time()

    # The first intent and the last save are all that nothing hides.
    assert virtual.run(life()) == pytest.approx(10 + 2 * 0.1, abs=0.05)


def test_an_intent_that_was_stored_early_is_removed_if_what_it_waits_for_fails() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = lambda request: Refused(400, "no") if request.method == "POST" else None
        result = await universe.once(chain(3))
        assert result.blocked == ["n1", "n2"]
        assert ("intend", "n1") in universe.records.log
        assert [one.name for one in universe.records.load()] == ["n0"]
        assert universe.progress.resources["n1"].state == "Pending"
        universe.cloud.fault = lambda _request: None
        await universe.settle(chain(3))
        assert len(universe.inventory()["networks"]) == 3

    virtual.run(life())


def test_a_record_that_somebody_else_wrote_meanwhile_ends_the_pass_though_nobody_waited_for_the_write() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.latency, universe.records.latency = 1.0, 0.1
        running = asyncio.create_task(universe.once(chain(3)))
        await asyncio.sleep(0.5)
        (first,) = (one for one in universe.records.load() if one.name == "n0")
        universe.records.put(first)
        with pytest.raises(ReconciliationEnded):
            await running
        assert len(universe.inventory()["networks"]) == 2  # the second was under way
        await universe.settle(chain(3))
        assert len(universe.inventory()["networks"]) == 3
        assert len(universe.cloud.sent("POST", "networks")) == 3

    virtual.run(life())


def test_an_unchanged_stack_costs_one_list_a_kind_and_no_write(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        writes, calls = len(universe.records.log), len(universe.cloud.calls)
        await universe.settle(template())
        seen = [(one.method, one.path) for one in universe.cloud.calls[calls:]]
        assert sorted(seen) == sorted(
            ("GET", path)
            for path in ("/networks", "/subnets", "/ports", "/routers", "/servers/detail", "/volumes/detail")
        )
        assert len(universe.records.log) == writes

    virtual.run(life())


def test_three_writes_at_most_for_each_resource(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        for name in template()["resources"]:
            assert len([one for one in universe.records.log if one[1] == name]) <= 3

    virtual.run(life())


def test_deletion_goes_in_reverse_order_from_the_records_alone(template: Callable[..., Any]) -> None:
    async def life() -> list[str]:
        universe = Universe()
        await universe.settle(template())
        universe.start()
        await universe.settle(None)
        assert not universe.inventory()
        return [name for what, name in universe.records.log if what == "forget"]

    gone = virtual.run(life())
    assert gone.index("server") < gone.index("port")
    assert gone.index("port") < gone.index("net")
    assert gone.index("leg") < gone.index("router")


def test_a_newer_spec_ends_the_pass_before_the_next_request_and_the_next_pass_goes_on(
    template: Callable[..., Any],
) -> None:
    async def life() -> None:
        universe = Universe()
        running = asyncio.create_task(universe.once(template()))
        while not universe.cloud.sent("POST", "networks"):  # noqa: ASYNC110 - the time is not real
            await asyncio.sleep(0.01)
        universe.control.superseded.set()
        with pytest.raises(ReconciliationEnded):
            await running
        assert {one.path for one in universe.cloud.sent("POST")} <= {"/networks", "/routers", "/volumes"}
        # What was under way came to its end, and is recorded.
        assert universe.physical("net") in universe.cloud.tables["networks"]
        universe.start()
        lists = len(universe.cloud.sent("GET", "networks"))
        await universe.settle(template())
        assert len(universe.cloud.sent("POST", "networks")) == 1
        assert len(universe.cloud.sent("GET", "networks")) == lists + 1

    virtual.run(life())


def test_what_takes_too_long_ends_with_a_timeout_and_can_be_taken_up_again(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = lambda request: Refused(503, "down") if request.path == "/servers" else None
        with pytest.raises(TimedOut):
            await universe.once(template(), deadline=30.0)
        assert asyncio.get_running_loop().time() == pytest.approx(30.0, abs=1.5)
        universe.cloud.fault = lambda _request: None
        await universe.settle(template())
        assert universe.inventory()["servers"] == ["server"]

    virtual.run(life())


def test_a_failure_blocks_what_depends_on_it_and_nothing_else(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = lambda request: (
            Refused(400, "Invalid input for cidr") if request.method == "POST" and request.path == "/subnets" else None
        )
        result = await universe.once(template())
        assert [error.path for error in result.failures] == ["resources.subnet"]
        assert result.failures[0].request_id
        assert result.blocked == ["leg", "port", "server"]
        assert universe.inventory() == {"networks": ["net"], "routers": ["router"], "volumes": ["volume"]}
        failed = next(one for one in universe.records.load() if one.name == "subnet")
        assert (failed.state, failed.fault) == ("Failed", "InvalidProperty")
        assert "Invalid input" in failed.message
        universe.cloud.fault = lambda _request: None
        await universe.settle(template())
        assert universe.inventory()["servers"] == ["server"]

    virtual.run(life())


def test_nothing_is_removed_while_something_fails(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        universe.cloud.fault = lambda request: Refused(400, "no") if request.method == "PUT" else None
        result = await universe.once(template(dns="8.8.8.8", without=("volume",)))
        assert not result.complete
        assert universe.inventory()["volumes"] == ["volume"]
        universe.cloud.fault = lambda _request: None
        await universe.settle(template(dns="8.8.8.8", without=("volume",)))
        assert "volumes" not in universe.inventory()

    virtual.run(life())
