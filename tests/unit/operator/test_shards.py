"""Which replica works on which Stack, on a clock that jumps; and that never two do."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from harness.fake_kube import FakeKube

from kiln.api.kinds import LEASES
from kiln.api.v1alpha1 import Key
from kiln.kube.errors import Forbidden
from kiln.kube.leader_election import LeaseLost
from kiln.kube.shards import ANNOTATION_SHARDS, Shard, lease_name, shard_of

pytestmark = [pytest.mark.looptime(start=100), pytest.mark.asyncio]

KEYS = [Key(f"ns-{i % 7}", f"stack-{i}") for i in range(3000)]


async def test_stacks_are_dealt_evenly_and_always_alike():
    for shards in range(1, 17):
        dealt = Counter(shard_of(key, shards) for key in KEYS)
        assert set(dealt) == set(range(shards))
        assert max(dealt.values()) - min(dealt.values()) < 3000 / shards
    # The hash of another release has to be the same: replicas of both run during an upgrade.
    assert [shard_of(Key("shop", f"s{i}"), 3) for i in range(12)] == [1, 2, 1, 0, 1, 0, 2, 2, 1, 1, 2, 2]


@pytest.mark.parametrize("shards", range(1, 16))
async def test_one_shard_more_moves_stacks_to_the_new_one_only(shards: int):
    moved = [key for key in KEYS if shard_of(key, shards) != shard_of(key, shards + 1)]
    assert all(shard_of(key, shards + 1) == shards for key in moved)
    assert len(moved) < 1.5 * len(KEYS) / (shards + 1)


FEW = KEYS[:20]
OWNERS = {shards: {key: shard_of(key, shards) for key in FEW} for shards in range(1, 6)}


class Replica:
    """A replica's way to work: it takes a shard, settles, and works until it is stopped or killed."""

    def __init__(self, kube: FakeKube, name: str, shards: int) -> None:
        self.shard = Shard(kube, "ns", "kiln", name, shards, now=asyncio.get_running_loop().time)  # type: ignore[arg-type]
        self.settled = False
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        await self.shard.acquire()
        holding = asyncio.ensure_future(self.shard.hold())
        try:
            await self.shard.settle()
            self.settled = True
            await holding
        finally:
            holding.cancel()

    def works_on(self, key: Key) -> bool:
        owner = OWNERS[self.shard.shards][key]
        return self.settled and owner == self.shard.number and self.shard.valid()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.settled = False
        await self.shard.release()

    def kill(self) -> None:
        """It writes nothing more; what it was about to send may still go on for as long as its Lease is valid."""
        self._task.cancel()

    @property
    def lost(self) -> bool:
        return self._task.done() and isinstance(self._task.exception(), LeaseLost)


def workers(replicas: list[Replica], key: Key) -> list[Replica]:
    return [one for one in replicas if one.works_on(key)]


async def watched(replicas: list[Replica], seconds: float) -> None:
    """Let time pass; never do two work on one Stack."""
    for _ in range(int(seconds * 2)):
        await asyncio.sleep(0.5)
        for key in FEW:
            assert len(workers(replicas, key)) <= 1, key


def all_are_served(replicas: list[Replica]) -> bool:
    return all(len(workers(replicas, key)) == 1 for key in FEW)


async def test_each_replica_takes_one_shard_and_a_spare_one_takes_over(kube):
    replicas = [Replica(kube, f"r{i}", 3) for i in range(4)]
    await watched(replicas, 10)
    assert all_are_served(replicas)
    assert sorted(one.shard.number for one in replicas if one.settled) == [0, 1, 2]
    next(one for one in replicas if one.settled).kill()
    await watched(replicas, 20)
    assert all_are_served(replicas)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 3), (3, 2), (3, 1), (2, 5)])
async def test_during_a_rolling_update_no_stack_has_two_and_afterwards_each_has_one(kube, before: int, after: int):
    old = [Replica(kube, f"old{i}", before) for i in range(before + 1)]
    await watched(old, 10)
    new = []
    for number in range(max(before, after) + 1):
        if number <= after:
            new.append(Replica(kube, f"new{number}", after))
        await watched(old + new, 5)
        if number <= before:
            await old[number].stop()
        await watched(old + new, 5)
    await watched(old + new, 10)
    assert all_are_served(new)


async def test_old_ones_go_on_until_they_are_stopped(kube):
    old = [Replica(kube, f"old{i}", 2) for i in range(2)]
    await watched(old, 10)
    new = [Replica(kube, f"new{i}", 3) for i in range(3)]
    await watched(old + new, 60)
    assert all_are_served(old)
    assert not any(one.settled for one in new)


async def test_a_crash_of_an_old_one_is_waited_for_until_its_lease_has_expired(kube):
    old = [Replica(kube, f"old{i}", 2) for i in range(2)]
    await watched(old, 10)
    new = [Replica(kube, f"new{i}", 3) for i in range(3)]
    await watched(old + new, 3)
    for one in old:
        one.kill()
    await watched(old + new, 30)
    assert all_are_served(new)


async def test_an_old_one_that_comes_back_waits_for_the_new_ones(kube):
    new = [Replica(kube, f"new{i}", 3) for i in range(3)]
    await watched(new, 10)
    late = Replica(kube, "late", 2)
    await watched([*new, late], 10)
    await next(one for one in new if one.shard.number == 1).stop()
    await watched([*new, late], 60)
    assert not late.settled


async def test_of_two_numbers_that_start_at_the_same_time_at_most_one_works(kube):
    both = [Replica(kube, f"{number}-{i}", number) for i in range(3) for number in (2, 3)]
    await watched(both, 60)


async def test_the_leases_say_how_many_shards_there_are(kube):
    replicas = [Replica(kube, f"r{i}", 2) for i in range(2)]
    await watched(replicas, 10)
    for shard in (0, 1):
        lease: dict[str, Any] = kube.objects[LEASES.plural, "ns", lease_name("kiln", shard)]
        assert lease["metadata"]["annotations"] == {ANNOTATION_SHARDS: "2"}
        assert lease["metadata"]["labels"] == {"kiln.dev/lease": "kiln"}
    await replicas[0].stop()
    again = Replica(kube, "again", 2)
    await watched([replicas[1], again], 10)
    assert all_are_served([replicas[1], again])


async def test_leases_of_other_releases_do_not_count(kube):
    other = Shard(kube, "ns", "team", "other", 2, now=asyncio.get_running_loop().time)
    await other.acquire()
    replicas = [Replica(kube, f"r{i}", 3) for i in range(3)]
    await watched(replicas, 10)
    assert all_are_served(replicas)


@pytest.mark.parametrize(("shards", "works"), [(1, True), (2, False)])
async def test_without_the_right_to_list_leases_one_replica_works_and_several_do_not(kube, shards: int, works: bool):
    def refuse(verb: str, plural: str, _body: Any) -> None:
        if (verb, plural) == ("list", LEASES.plural):
            raise Forbidden(403, "Forbidden", "leases")

    kube.refuse = refuse
    replicas = [Replica(kube, f"r{i}", shards) for i in range(shards)]
    await watched(replicas, 20)
    assert all(one.settled is works for one in replicas)
