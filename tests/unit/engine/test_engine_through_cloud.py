"""What ``Cloud`` does for a reconciliation: pages of lists, pauses that a service asks for, the fence, its messages."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.universe import Universe

from reconcilers.engine.control import EndReason, ReconciliationEnded, TimedOut
from reconcilers.model import Request

NETS: dict[str, Any] = {
    "resources": {
        f"net{number}": {"type": "OS::Neutron::Net", "properties": {"name": f"n{number}"}} for number in range(7)
    }
}


def test_what_stands_on_later_pages_of_a_list_is_not_made_again() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.page = 2
        await universe.settle(NETS)
        universe.start()
        universe.cloud.calls.clear()
        assert (await universe.once(NETS)).complete
        assert [one.params.get("marker") is not None for one in universe.cloud.calls] == [False, True, True, True]
        assert len(universe.inventory()["networks"]) == 7

    virtual.run(life())


def test_a_service_that_asks_for_a_pause_gets_it_from_all_that_is_under_way() -> None:
    async def life() -> None:
        universe = Universe()
        asked: list[float] = []

        def fault(request: Request) -> Refused | None:
            asked.append(asyncio.get_running_loop().time())
            return Refused(429, "slowly", **{"Retry-After": "40"}) if len(asked) == 1 else None

        universe.policy = replace(universe.policy, concurrency=1)
        universe.cloud.fault = fault
        assert (await universe.once(NETS)).complete
        assert asked[1] >= 40

    virtual.run(life())


@pytest.mark.parametrize("how", ["superseded", "deadline"])
def test_what_waits_for_a_pause_to_end_is_not_sent_once_the_reconciliation_is_over(how: str) -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = lambda _request: Refused(429, "slowly", **{"Retry-After": "300"})
        deadline = 20.0 if how == "deadline" else float("inf")
        running = asyncio.ensure_future(universe.once(NETS, deadline=deadline))
        await asyncio.sleep(10)
        sent = len(universe.cloud.calls)
        if how == "superseded":
            universe.control.superseded.set()
        with pytest.raises((ReconciliationEnded, TimedOut)):
            await running
        assert asyncio.get_running_loop().time() <= 21
        universe.cloud.fault = lambda _request: None
        await asyncio.sleep(600)
        assert len(universe.cloud.calls) == sent
        assert universe.inventory() == {}

    virtual.run(life())


def test_a_request_that_waited_for_its_turn_does_not_leave_once_the_lease_is_lost() -> None:
    async def life() -> None:
        universe = Universe()
        leads = [True]
        universe.cloud.connect(concurrency=1, fence=lambda: leads[0])
        universe.cloud.latency = 1.0
        running = asyncio.ensure_future(universe.once(NETS))
        await asyncio.sleep(1.2)
        leads[0] = False
        universe.control.fence = lambda: leads[0]
        with pytest.raises(ReconciliationEnded) as ended:
            await running
        assert ended.value.reason is EndReason.LEASE_LOST
        assert len(universe.cloud.sent("POST")) == 1

    virtual.run(life())


def test_a_service_that_quotes_a_secret_of_the_request_does_not_pass_it_on() -> None:
    async def life() -> None:
        universe = Universe()
        server = {
            "type": "OS::Nova::Server",
            "properties": {"image": "cirros", "flavor": "m1.tiny", "admin_pass": "hunter2-x"},
        }
        universe.cloud.fault = lambda one: Refused(400, f"bad: {one.body}") if one.method == "POST" else None
        [failure] = (await universe.once({"resources": {"server": server}})).failures
        assert "bad:" in failure.reason
        assert "hunter2-x" not in failure.reason

    virtual.run(life())
