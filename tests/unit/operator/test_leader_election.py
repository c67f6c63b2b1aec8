"""Who leads, on a clock that jumps."""

import asyncio

import pytest

from kiln.api.kinds import LEASES
from kiln.kube.errors import Unreachable
from kiln.kube.leader_election import Lease, LeaseLost

pytestmark = [pytest.mark.looptime(start=100), pytest.mark.asyncio]


def lease_of(kube, identity: str) -> Lease:
    return Lease(kube, "ns", "kiln", identity, now=asyncio.get_running_loop().time)


def holder(kube) -> str:
    return kube.objects[LEASES.plural, "ns", "kiln"]["spec"]["holderIdentity"]


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_the_first_one_gets_it(kube):
    lease = lease_of(kube, "a")
    assert not lease.valid()
    await lease.acquire()
    assert lease.valid()
    assert holder(kube) == "a"


async def test_it_is_kept_by_renewing(kube):
    lease = lease_of(kube, "a")
    await lease.acquire()
    holding = asyncio.ensure_future(lease.hold())
    await asyncio.sleep(1000)
    assert lease.valid()
    assert not holding.done()
    holding.cancel()


async def test_a_second_one_takes_over_within_13_seconds_of_a_death(kube):
    first, second = lease_of(kube, "a"), lease_of(kube, "b")
    await first.acquire()
    holding = asyncio.ensure_future(first.hold())
    waiting = asyncio.ensure_future(second.acquire())
    await asyncio.sleep(60)
    assert not waiting.done()
    holding.cancel()
    died = now()
    await waiting
    assert now() - died <= 13
    assert holder(kube) == "b"


async def test_a_release_lets_the_second_one_in_at_once(kube):
    first, second = lease_of(kube, "a"), lease_of(kube, "b")
    await first.acquire()
    waiting = asyncio.ensure_future(second.acquire())
    await asyncio.sleep(5)
    released = now()
    await first.release()
    assert not first.valid()
    await waiting
    assert now() - released <= 2
    assert second.valid()


async def test_the_two_are_never_valid_at_one_time(kube):
    first, second = lease_of(kube, "a"), lease_of(kube, "b")
    await first.acquire()
    waiting = asyncio.ensure_future(second.acquire())
    while not waiting.done():
        assert not (first.valid() and second.valid())
        await asyncio.sleep(0.25)
    assert not first.valid()


async def test_a_stopped_and_continued_holder_knows_before_it_asks(kube):
    lease = lease_of(kube, "a")
    await lease.acquire()
    await asyncio.sleep(7.1)
    assert not lease.valid()


async def test_the_holder_that_cannot_renew_for_seven_seconds_has_lost(kube):
    lease = lease_of(kube, "a")
    await lease.acquire()
    acquired = now()
    kube.fail = [Unreachable(0, "Refused", "refused")] * 1000
    with pytest.raises(LeaseLost):
        await lease.hold()
    assert 6 <= now() - acquired <= 9
    assert not lease.valid()


async def test_a_hiccup_is_survived(kube):
    lease = lease_of(kube, "a")
    await lease.acquire()
    kube.fail = [Unreachable(0, "Refused", "refused")] * 3
    holding = asyncio.ensure_future(lease.hold())
    await asyncio.sleep(60)
    assert not holding.done()
    assert lease.valid()
    holding.cancel()


async def test_a_lease_that_somebody_took_is_lost_at_the_next_renewal(kube):
    lease = lease_of(kube, "a")
    await lease.acquire()
    spec = kube.objects[LEASES.plural, "ns", "kiln"]["spec"]
    kube.put(LEASES, "kiln", spec={**spec, "holderIdentity": "b"})
    with pytest.raises(LeaseLost):
        await lease.hold()
    assert holder(kube) == "b"


async def test_what_is_not_held_is_not_released(kube):
    first, second = lease_of(kube, "a"), lease_of(kube, "b")
    await first.acquire()
    await second.release()
    assert holder(kube) == "a"


async def test_a_lease_that_was_lost_for_a_moment_never_counts_as_held_again(kube, monkeypatch):
    lease = lease_of(kube, "a")
    await lease.acquire()
    patch, slow = kube.patch, [0.0]

    async def slowly(*given, **options):
        await asyncio.sleep(slow[0])
        return await patch(*given, **options)

    monkeypatch.setattr(kube, "patch", slowly)
    holding = asyncio.ensure_future(lease.hold())
    await asyncio.sleep(4)
    slow[0] = 6.5
    seen = []
    for _ in range(90):
        await asyncio.sleep(0.1)
        seen.append(lease.valid())
    slow[0] = 0.0
    await asyncio.sleep(20)
    assert seen == sorted(seen, reverse=True)
    assert not seen[-1]
    assert not lease.valid()
    with pytest.raises(LeaseLost):
        await holding


@pytest.mark.parametrize("steps", range(12))
async def test_a_cancellation_at_any_moment_of_a_renewal_ends_the_holding(kube, steps: int):
    lease = lease_of(kube, "a")
    await lease.acquire()
    holding = asyncio.ensure_future(lease.hold())
    await asyncio.sleep(1.5)
    for _ in range(steps):
        await asyncio.sleep(0)
    holding.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(holding, return_exceptions=True)
    assert holding.cancelled()
