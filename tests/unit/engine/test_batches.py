"""Members of groups are created and changed in the batches that the template asks for."""

import asyncio
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.universe import Universe

from hot_translator.members import Batching, GroupResult
from reconcilers.engine.batches import MARK, arranged
from reconcilers.engine.result import Result

Moments = list[list[str]]


def group(count: int, name: str, **policy: Any) -> dict[str, Any]:
    member = {"type": "OS::Neutron::Net", "properties": {"name": f"{name}-%index%"}}
    made = {"type": "OS::Heat::ResourceGroup", "properties": {"count": count, "resource_def": member}}
    return {"resources": {"g": {**made, "update_policy": policy}}}


class Watched(Universe):
    """Notes when networks are created and changed."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[float, str]] = []
        self.refused = ""
        self.cloud.fault = self._seen

    def _seen(self, request: Any) -> Refused | None:
        if request.method in {"POST", "PUT"}:
            bodies = request.body.get("networks") or [request.body["network"]]
            names = [body["name"] for body in bodies]
            self.writes += [(asyncio.get_running_loop().time(), name) for name in names]
            if self.refused in names:
                return Refused(400, "no")
        return None

    async def batches(self, template: dict[str, Any], apart: float) -> tuple[Result, Moments]:
        """The result of one reconciliation, and what it wrote less than ``apart`` seconds apart."""
        self.writes.clear()
        result = await self.once(template)
        found: Moments = []
        last = -1000.0
        for moment, name in self.writes:
            if moment - last >= apart:
                found.append([])
            found[-1].append(name)
            last = moment
        return result, [sorted(names) for names in found]


def test_a_group_is_created_in_batches() -> None:
    async def life() -> None:
        universe = Watched()
        result, seen = await universe.batches(group(3, "n", batch_create={"max_batch_size": 2, "pause_time": 7}), 7)
        assert result.complete
        assert seen == [["n-0", "n-1"], ["n-2"]]

    virtual.run(life())


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"max_batch_size": 2, "pause_time": 5}, [["m-0", "m-1"], ["m-2", "m-3"], ["m-4"]]),
        ({"max_batch_size": 3, "min_in_service": 3, "pause_time": 5}, [["m-0", "m-1"], ["m-2", "m-3"], ["m-4"]]),
        ({"max_batch_size": 3, "min_in_service": 9, "pause_time": 5}, [["m-0"], ["m-1"], ["m-2"], ["m-3"], ["m-4"]]),
        ({"max_batch_size": 9, "pause_time": 5}, [["m-0", "m-1", "m-2", "m-3", "m-4"]]),
    ],
)
def test_a_group_is_changed_in_batches(policy: dict[str, Any], expected: Moments) -> None:
    async def life() -> None:
        universe = Watched()
        result, seen = await universe.batches(group(5, "n", rolling_update=policy), 5)
        assert (result.complete, len(seen)) == (True, 1), "a creation has no batches of its own"
        result, seen = await universe.batches(group(5, "m", rolling_update=policy), 5)
        assert (result.complete, seen) == (True, expected)
        before = asyncio.get_running_loop().time()
        result, seen = await universe.batches(group(5, "m", rolling_update=policy), 5)
        assert (result.complete, seen) == (True, [])
        assert asyncio.get_running_loop().time() - before < 5, "nothing changes, so there are no pauses"

    virtual.run(life())


def test_members_that_are_only_added_are_made_at_once() -> None:
    async def life() -> None:
        universe = Watched()
        policy = {"max_batch_size": 1, "pause_time": 5}
        await universe.batches(group(1, "n", rolling_update=policy), 5)
        assert (await universe.batches(group(4, "n", rolling_update=policy), 5))[1] == [["n-1", "n-2", "n-3"]]

    virtual.run(life())


def test_a_batch_that_fails_keeps_the_next_ones_as_they_are() -> None:
    async def life() -> None:
        universe = Watched()
        policy = {"max_batch_size": 1, "pause_time": 5}
        await universe.batches(group(4, "n", rolling_update=policy), 5)
        universe.refused = "m-1"
        result, seen = await universe.batches(group(4, "m", rolling_update=policy), 5)
        assert seen == [["m-0"], ["m-1"]]
        assert [error.name for error in result.failures] == ["g/1"]
        assert result.blocked == ["g/2", "g/3"]
        universe.refused = ""
        result, seen = await universe.batches(group(4, "m", rolling_update=policy), 5)
        assert (result.complete, seen) == (True, [["m-1"], ["m-2"], ["m-3"]])

    virtual.run(life())


def test_all_resources_of_a_member_are_in_its_batch_and_groups_in_groups_have_their_own() -> None:
    groups = {
        "g": GroupResult("t", ("0", "1", "2"), update=Batching(2)),
        "g/0/h": GroupResult("t", ("0", "1"), update=Batching(1)),
        "plain": GroupResult("t", ("0", "1")),
    }
    waiting = {f"g/{member}/{part}" for member in "012" for part in ("net", "port")}
    waiting |= {"g/0/h/0", "g/0/h/1", "plain/0", "plain/1", "other"}
    found = arranged(groups, waiting, frozenset(waiting))
    first, second = f"{MARK}g 1", f"{MARK}g/0/h 1"
    assert found.between.keys() == {first, second}
    assert found.before == {"g/2/net": {first}, "g/2/port": {first}, "g/0/h/1": {second}}
    assert found.between[first].after == waiting - {"g/2/net", "g/2/port", "plain/0", "plain/1", "other"}
    assert found.between[second].after == {"g/0/h/0"}


def test_barriers_that_would_close_a_circle_are_left_out() -> None:
    groups = {"g": GroupResult("t", ("0", "1"), update=Batching(1))}
    requires = {"g/0": frozenset({"between"}), "between": frozenset({"g/1"}), "g/1": frozenset[str]()}
    found = arranged(groups, requires, frozenset(requires))
    assert found.added_to(requires) == requires
    assert not found.between
