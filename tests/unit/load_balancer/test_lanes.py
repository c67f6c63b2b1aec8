"""Changes of one load balancer leave one after another, each once it is at rest, and members together."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from harness import virtual

from reconcilers.cloud.dispatch import Dispatch
from reconcilers.cloud.lanes import PATIENCE
from reconcilers.cloud.session import Answer
from reconcilers.engine.control import EndReason, ReconciliationEnded
from reconcilers.errors import CloudError, classify
from reconcilers.load_balancer.octavia import BalancerLane
from reconcilers.load_balancer.pool_member import TOGETHER
from reconcilers.model import Fault, Request

WORK = 1.0
"""Seconds for which a change locks the load balancer."""


class Octavia:
    """Load balancers with pools (``lb-p`` is one of ``lb``), locked while one is changed."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str, str]] = []
        self.free_at: dict[str, float] = {}
        self.broken: set[str] = set()
        self.members: dict[str, list[dict[str, Any]]] = {}
        self.refuse: Callable[[dict[str, Any]], bool] = lambda _member: False
        self.over = False
        self.number = 0

    def check(self) -> None:
        if self.over:
            raise ReconciliationEnded(EndReason.SUPERSEDED)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def writes(self) -> list[tuple[float, str, str]]:
        return [(round(at, 1), method, path) for at, method, path in self.calls if method != "GET"]

    def lock(self, balancer: str, seconds: float = WORK) -> None:
        self.free_at[balancer] = self.now + seconds

    def status(self, balancer: str) -> str:
        if balancer in self.broken:
            return "ERROR"
        return "PENDING_UPDATE" if self.now < self.free_at.get(balancer, 0) else "ACTIVE"

    async def send(self, request: Request) -> Answer:
        await asyncio.sleep(0.02)
        self.calls.append((self.now, request.method, request.path))
        kind, identity = (
            request.path.split("/")[2:4] if request.path.count("/") > 2 else (request.path.split("/")[2], "")
        )
        if request.method == "GET":
            return Answer(200, self.show(request.path, kind, identity), "")
        balancer = identity.partition("-")[0] if identity else request.body["listener"]["loadbalancer_id"]
        if self.status(balancer) != "ACTIVE":
            raise classify("POST", 409, {}, '{"faultstring": "is immutable and cannot be updated"}', 0.0)
        if request.path.endswith("/members"):
            return self.make_members(request, identity, balancer)
        self.lock(balancer)
        self.number += 1
        made = {"id": str(self.number), "provisioning_status": "PENDING_CREATE"}
        return Answer(201, {"listener": made} if request.method == "POST" else None, "req-1")

    def show(self, path: str, kind: str, identity: str) -> Any:
        if kind == "loadbalancers":
            return {"loadbalancer": {"id": identity, "provisioning_status": self.status(identity)}}
        if path.endswith("/members"):
            return {"members": self.members.get(identity, [])}
        if "/members/" in path:
            return {"member": {"id": path.rpartition("/")[2]}}
        if kind == "pools":
            return {"pool": {"id": identity, "loadbalancers": [{"id": identity.partition("-")[0]}]}}
        return {kind[:-1]: {"id": identity, "provisioning_status": "ACTIVE"}}

    def make_members(self, request: Request, pool: str, balancer: str) -> Answer:
        wanted = request.body.get("members") or [request.body["member"]]
        held = self.members.setdefault(pool, [])
        if any(self.refuse(one) for one in wanted):
            raise classify("PUT", 400, {}, '{"faultstring": "no such subnet"}', 0.0)
        if request.method == "POST" and any(one["address"] == wanted[0]["address"] for one in held):
            raise classify("POST", 409, {}, '{"faultstring": "another member has it"}', 0.0)
        self.lock(balancer)
        held += [{**one, "id": f"m-{one['address']}"} for one in wanted]
        return Answer(202, None if request.method == "PUT" else {"member": held[-1]}, "req-1")


def listener(balancer: str) -> Request:
    lane = BalancerLane(path=f"/lbaas/loadbalancers/{balancer}", shown="listener")
    body = {"listener": {"loadbalancer_id": balancer}}
    return Request("load_balancer", "POST", "/lbaas/listeners", body, lane=lane)


def member(pool: str, address: str) -> Request:
    lane = BalancerLane(path=f"/lbaas/pools/{pool}", shown="member")
    body = {"member": {"address": address, "protocol_port": 80}}
    return Request("load_balancer", "POST", f"/lbaas/pools/{pool}/members", body, lane=lane, batch=TOGETHER)


def run(octavia: Octavia, scenario: Callable[[Dispatch], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await scenario(Dispatch(octavia.send, octavia.check, 16))

    return virtual.run(main())


async def ids(dispatch: Dispatch, *requests: Request) -> list[Any]:
    answers = await asyncio.gather(*(dispatch.send(one) for one in requests), return_exceptions=True)
    return [
        answer if isinstance(answer, BaseException) else next(iter(answer.body.values()))["id"] for answer in answers
    ]


def test_changes_of_one_load_balancer_wait_for_each_other_and_those_of_another_do_not() -> None:
    octavia = Octavia()
    run(octavia, lambda dispatch: ids(dispatch, listener("a"), listener("a"), listener("b"), listener("a")))
    times = [at for at, *_ in octavia.writes]
    assert len(times) == 4, "no 409"
    assert times[1] - times[0] < 0.1, "two load balancers at once"
    assert times[2] - times[0] >= WORK
    assert times[3] - times[2] >= WORK


def test_the_answer_shows_what_was_made_as_it_is_when_all_is_done() -> None:
    octavia = Octavia()
    answer = run(octavia, lambda dispatch: dispatch.send(listener("a")))
    assert answer.body == {"listener": {"id": "1", "provisioning_status": "ACTIVE"}}
    assert answer.request_id == "req-1"


def test_looks_at_the_load_balancer_follow_how_long_changes_take() -> None:
    octavia = Octavia()
    run(octavia, lambda dispatch: ids(dispatch, *(listener("a") for _ in range(30))))
    looks = [at for at, method, path in octavia.calls if method == "GET" and "loadbalancers" in path]
    late = [at for at in looks if at > octavia.writes[15][0]]
    assert len(late) / 14 < 2.5, "about two a change"
    assert octavia.writes[-1][0] < 30 * (WORK + 0.6)


def test_what_somebody_else_has_locked_is_waited_for_and_costs_one_refusal() -> None:
    octavia = Octavia()

    async def scenario(dispatch: Dispatch) -> Any:
        octavia.lock("a", 5.0)
        return await ids(dispatch, listener("a"), listener("a"))

    assert run(octavia, scenario) == ["1", "2"]
    times = [at for at, *_ in octavia.writes]
    assert len(times) == 3
    assert times[1] >= 5.0


def test_a_load_balancer_in_error_takes_no_changes() -> None:
    octavia = Octavia()
    octavia.broken.add("a")
    (error,) = run(octavia, lambda dispatch: ids(dispatch, listener("a")))
    assert isinstance(error, CloudError)
    assert (error.fault, error.message) == (Fault.RESOURCE, "load balancer a is in ERROR and takes no changes")


def test_one_that_is_locked_for_good_is_told_of_after_a_patience() -> None:
    octavia = Octavia()

    async def scenario(dispatch: Dispatch) -> Any:
        octavia.lock("a", 1e6)
        found = await ids(dispatch, listener("a"))
        return found, asyncio.get_running_loop().time()

    (error,), at = run(octavia, scenario)
    assert str(error) == "a has been PENDING_UPDATE for 10 minutes"
    assert PATIENCE <= at < PATIENCE + 10


def test_members_that_wait_go_together_pool_by_pool() -> None:
    octavia = Octavia()
    addresses = [f"10.0.0.{number}" for number in range(1, 21)]
    requests = [member(f"a-{number % 2}", address) for number, address in enumerate(addresses)]
    assert run(octavia, lambda dispatch: ids(dispatch, *requests)) == [f"m-{address}" for address in addresses]
    assert len(octavia.writes) <= 3
    pools = [path for _, method, path in octavia.calls if method == "GET" and path.count("/") == 3 and "pools" in path]
    assert len(pools) == 2, "which load balancer a pool has is asked once"


def test_a_member_that_is_there_already_is_not_overwritten() -> None:
    octavia = Octavia()
    octavia.members["a-0"] = [{"id": "theirs", "address": "10.0.0.2", "protocol_port": 80}]
    requests = [member("a-0", f"10.0.0.{number}") for number in (1, 2, 3)]
    first, second, third = run(octavia, lambda dispatch: ids(dispatch, *requests))
    assert (first, third) == ("m-10.0.0.1", "m-10.0.0.3")
    assert isinstance(second, CloudError)
    assert second.status == 409
    assert octavia.members["a-0"][0] == {"id": "theirs", "address": "10.0.0.2", "protocol_port": 80}


def test_of_two_equal_members_one_is_made() -> None:
    octavia = Octavia()
    requests = [member("a-0", "10.0.0.1"), member("a-0", "10.0.0.1"), member("a-0", "10.0.0.2")]
    found = run(octavia, lambda dispatch: ids(dispatch, *requests))
    assert sorted(str(one) for one in found if not isinstance(one, CloudError)) == ["m-10.0.0.1", "m-10.0.0.2"]
    assert len(octavia.members["a-0"]) == 2


def test_where_one_of_a_batch_is_refused_the_others_are_made() -> None:
    octavia = Octavia()
    octavia.refuse = lambda one: bool(one["address"] == "10.0.0.2")
    requests = [member("a-0", f"10.0.0.{number}") for number in (1, 2, 3)]
    first, second, third = run(octavia, lambda dispatch: ids(dispatch, *requests))
    assert (first, third) == ("m-10.0.0.1", "m-10.0.0.3")
    assert isinstance(second, CloudError)
    assert second.fault is Fault.INVALID


@pytest.mark.parametrize("way", ["cancelled", "over"])
def test_who_waits_no_longer_gets_the_id_of_what_was_made_at_once(way: str) -> None:
    octavia = Octavia()

    async def scenario(dispatch: Dispatch) -> Any:
        first, second = (asyncio.ensure_future(dispatch.send(listener("a"))) for _ in range(2))
        await asyncio.sleep(0.1)
        if way == "over":
            octavia.over = True
            answer = await first
            assert answer.body["listener"]["id"] == "1"
            with pytest.raises(ReconciliationEnded):
                await second
        else:
            second.cancel()
            first.cancel()
            await asyncio.wait({first, second})
            assert first.cancelled()
            assert second.cancelled()
        return asyncio.get_running_loop().time()

    assert run(octavia, scenario) < 1.0
    assert len(octavia.writes) == 1


def test_an_answer_that_never_came_is_no_reason_to_wait() -> None:
    octavia = Octavia()
    sound = octavia.send

    async def lost(request: Request) -> Answer:
        answer = await sound(request)
        if request.method == "POST":
            raise CloudError(Fault.TRANSIENT, "the connection broke", ambiguous=True)
        return answer

    async def scenario() -> Any:
        return await ids(Dispatch(lost, octavia.check, 16), listener("a"), listener("a"))

    first, second = virtual.run(scenario())
    assert isinstance(first, CloudError)
    assert first.ambiguous
    assert isinstance(second, CloudError)
