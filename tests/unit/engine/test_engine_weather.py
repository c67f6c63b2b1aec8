"""Answers that do not come, come late, or say no for now."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.fake_openstack import LATE, LATENESS, LOST
from harness.universe import Universe

from reconcilers.cloud.unconfirmed_creates import UNDER_WAY
from reconcilers.engine.control import ReconciliationEnded
from reconcilers.engine.driver import CONFLICT_TRIES
from reconcilers.model import Fault

NET = {"resources": {"net": {"type": "OS::Neutron::Net", "properties": {"name": "net"}}}}


def once(method: str, fault: Refused | str, times: int = 1) -> Callable[[Any], Refused | str | None]:
    """The first so many requests of this method go wrong in this way."""
    left = [times]

    def decide(request: Any) -> Refused | str | None:
        if request.method != method or not left[0]:
            return None
        left[0] -= 1
        return fault

    return decide


def test_a_creation_whose_answer_is_lost_is_found_by_its_token_and_not_repeated() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = once("POST", LOST)
        result = await universe.once(NET)
        assert result.complete
        assert len(universe.cloud.sent("POST")) == 1
        assert universe.physical("net") == universe.cloud.all("networks")[0]["id"]

    virtual.run(life())


def test_a_creation_that_failed_is_sent_again_once_it_is_certain_that_it_was_not_carried_out() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = once("POST", Refused(500, "oops"), 3)
        await universe.settle(NET)
        assert len(universe.cloud.sent("POST")) == 4
        assert universe.inventory() == {"networks": ["net"]}

    virtual.run(life())


def test_a_twin_that_turns_up_late_goes_with_the_next_pass() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.lag = 3.5
        universe.cloud.fault = once("POST", LOST)
        assert (await universe.once(NET)).complete
        assert universe.inventory() == {"networks": ["net", "net"]}
        assert universe.last.has_possible_duplicates
        await asyncio.sleep(5)
        await universe.settle(NET)
        assert universe.inventory() == {"networks": ["net"]}
        assert universe.physical("net") == universe.cloud.all("networks")[0]["id"]

    virtual.run(life())


def test_a_twin_that_is_made_long_after_its_request_goes_too() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = once("POST", LATE)
        await universe.settle(NET)
        assert asyncio.get_running_loop().time() > LATENESS
        assert universe.inventory() == {"networks": ["net"]}
        assert universe.physical("net") == universe.cloud.all("networks")[0]["id"]

    virtual.run(life())


@pytest.mark.parametrize("killed", [False, True])
def test_a_record_outlives_a_creation_that_may_still_be_under_way(killed: bool) -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = once("POST", LATE)
        task = asyncio.ensure_future(universe.once(NET))
        await asyncio.sleep(0.2)
        universe.control.superseded.set()
        with pytest.raises(ReconciliationEnded):
            await task
        if killed:
            universe.start()
        await universe.settle(None)
        await asyncio.sleep(2 * LATENESS)
        assert universe.inventory() == {}

    virtual.run(life())


def test_the_records_of_what_was_never_sent_go_at_once() -> None:
    async def life() -> None:
        universe = Universe()
        universe.policy = replace(universe.policy, concurrency=1)
        universe.cloud.latency = 10.0
        resources = {f"net{i}": NET["resources"]["net"] for i in range(5)}
        task = asyncio.ensure_future(universe.once({"resources": resources}))
        await asyncio.sleep(5)
        universe.control.superseded.set()
        with pytest.raises(ReconciliationEnded):
            await task
        universe.cloud.latency = 0.0
        begun = asyncio.get_running_loop().time()
        await universe.settle(None)
        assert asyncio.get_running_loop().time() - begun < UNDER_WAY / 2
        assert universe.inventory() == {}

    virtual.run(life())


def test_a_twin_goes_with_its_resource() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.lag = 3.5
        universe.cloud.fault = once("POST", LOST)
        await universe.once(NET)
        await asyncio.sleep(5)
        await universe.settle(None)
        assert universe.inventory() == {}

    virtual.run(life())


def test_of_twins_the_oldest_is_kept() -> None:
    async def life() -> None:
        universe = Universe()
        universe.start(kill_at=4)
        await universe.settle(NET)
        first = universe.cloud.all("networks")[0]
        universe.cloud.make("networks", name="net", description=first["description"])
        universe.cloud.make("networks", name="net", description=first["description"])
        held = universe.records.load()[0]
        universe.records.held.clear()
        await universe.settle(NET)
        assert [one["id"] for one in universe.cloud.all("networks")] == [first["id"]]
        assert universe.records.load()[0].token == held.token

    virtual.run(life())


def test_a_service_that_asks_for_patience_gets_it() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = once("POST", Refused(429, "slow down", **{"Retry-After": "30"}))
        await universe.once(NET)
        assert asyncio.get_running_loop().time() > 30

    virtual.run(life())


def test_while_it_waits_the_resource_says_for_what() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = once("POST", Refused(503, "database is down"), 2)
        running = asyncio.create_task(universe.once(NET))
        await asyncio.sleep(0.5)
        standing = universe.progress.resources["net"]
        assert (standing.message, standing.fault) == ("database is down", Fault.TRANSIENT)
        await running
        assert universe.progress.resources["net"].fault is None

    virtual.run(life())


def test_a_conflict_at_a_deletion_is_waited_out(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(NET)
        port = universe.cloud.make("ports", network_id=universe.physical("net"))
        running = asyncio.create_task(universe.settle(None))
        await asyncio.sleep(20)
        assert universe.inventory()["networks"] == ["net"]
        universe.cloud.drop("ports", port["id"])
        await running
        assert universe.inventory() == {}

    virtual.run(life())


def test_a_conflict_that_stays_is_a_failure_at_last() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = once("POST", Refused(409, "somebody has it"), 1000)
        result = await universe.once(NET)
        assert [error.fault for error in result.failures] == [Fault.CONFLICT]
        assert len(universe.cloud.sent("POST")) == CONFLICT_TRIES + 1

    virtual.run(life())


@pytest.mark.parametrize(
    ("status", "message", "fault"),
    [
        (403, "Quota exceeded for resources: ['network'].", Fault.QUOTA),
        (400, "Invalid input", Fault.INVALID),
    ],
)
def test_what_does_not_pass_by_itself_fails_at_once(status: int, message: str, fault: Fault) -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = once("POST", Refused(status, message), 1000)
        result = await universe.once(NET)
        assert [(error.fault, error.reason) for error in result.failures] == [(fault, message)]
        assert len(universe.cloud.sent("POST")) == 1

    virtual.run(life())


def test_a_server_that_goes_to_error_is_made_anew_a_bounded_number_of_times(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        made = universe.cloud._made

        def broken(plural: str, body: Any) -> Any:
            item = made(plural, body)
            if plural == "servers":
                item["status"] = "ERROR"
            return item

        universe.cloud._made = broken  # type: ignore[method-assign]
        result = await universe.once(template())
        assert [error.fault for error in result.failures] == [Fault.RESOURCE]
        assert "ERROR" in result.failures[0].reason
        assert len(universe.cloud.sent("POST", "servers")) == 4
        assert universe.inventory()["servers"] == ["server"]
        universe.cloud._made = made  # type: ignore[method-assign]
        await universe.settle(template())
        assert universe.inventory()["servers"] == ["server"]

    virtual.run(life())


def test_a_port_that_a_failed_boot_took_along_is_made_anew_soon(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        made, broken = universe.cloud._made, []

        def first_broken(plural: str, body: Any) -> Any:
            item = made(plural, body)
            if plural == "servers" and not broken:
                broken.append(item)
                item["status"] = "ERROR"
                del universe.cloud.tables["ports"][body["networks"][0]["port"]]
            return item

        universe.cloud._made = first_broken  # type: ignore[method-assign]
        result = await universe.once(template())
        # Not INVALID, after which a Stack waits for somebody to change it.
        assert [error.fault for error in result.failures] == [Fault.RESOURCE]
        await universe.settle(template())
        assert universe.inventory()["servers"] == ["server"]
        assert universe.inventory()["ports"].count("port") == 1

    virtual.run(life())


def test_a_server_that_fails_once_ends_well_in_the_same_pass(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        made, broken = universe.cloud._made, []

        def first_broken(plural: str, body: Any) -> Any:
            item = made(plural, body)
            if plural == "servers" and not broken:
                broken.append(item)
                item["status"] = "ERROR"
            return item

        universe.cloud._made = first_broken  # type: ignore[method-assign]
        assert (await universe.once(template())).complete
        assert len(universe.cloud.sent("POST", "servers")) == 2
        assert universe.physical("server") != broken[0]["id"]

    virtual.run(life())


def test_a_name_that_cannot_be_looked_up_is_told_of_the_resource_that_has_it(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        wanted = template()
        wanted["resources"]["server"]["properties"]["flavor"] = "m1.nothing"
        universe.cloud.fault = once("GET", Refused(503, "down"))
        result = await universe.once(wanted)
        assert [error.path for error in result.failures] == ["resources.server.properties.flavor"]
        assert "m1.nothing" in result.failures[0].reason
        assert universe.progress.resources.keys() == wanted["resources"].keys()
        assert universe.progress.resources["server"].state == "Failed"

    virtual.run(life())
