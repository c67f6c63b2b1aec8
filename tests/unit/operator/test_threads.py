"""Threads are shared fairly: whoever hangs holds up itself alone."""

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from kiln.clouds.fair_executor import FairThreadPoolExecutor, tenant


@pytest.fixture
def pool():
    made = FairThreadPoolExecutor(4, 2, "test")
    yield made
    made.shutdown(wait=False, cancel_futures=True)


def submit(pool, whose, call, *args):
    token = tenant.set(whose)
    try:
        return pool.submit(call, *args)
    finally:
        tenant.reset(token)


def test_a_tenant_that_hangs_leaves_threads_to_others(pool):
    release = threading.Event()
    hanging = [submit(pool, "evil", release.wait, 10) for _ in range(50)]
    try:
        assert submit(pool, "good", lambda: 7).result(5) == 7
        assert sum(one.running() for one in hanging) == 2
    finally:
        release.set()
    assert all(one.result(5) for one in hanging)


def test_those_who_wait_take_turns(pool):
    release, order = threading.Event(), []
    held = [submit(pool, whose, release.wait, 10) for whose in ("x", "x", "y", "y")]
    for number in range(6):
        submit(pool, "many", order.append, f"many {number}")
    last = submit(pool, "one", order.append, "one")
    release.set()
    last.result(5)
    for one in held:
        one.result(5)
    done = submit(pool, "many", lambda: None)
    done.result(5)
    assert order.index("one") <= 3


def test_errors_reach_the_one_who_waits(pool):
    def fails():
        raise KeyError("x")

    with pytest.raises(KeyError):
        submit(pool, "a", fails).result(5)
    assert submit(pool, "a", lambda: 1).result(5) == 1


def test_what_waits_at_the_end_is_cancelled(pool):
    release = threading.Event()
    first = [submit(pool, "a", release.wait, 10) for _ in range(3)]
    pool.shutdown(wait=False)
    release.set()
    with pytest.raises(CancelledError):
        first[2].result(5)
    with pytest.raises(RuntimeError):
        pool.submit(int).result(5)


async def test_asyncio_takes_it_as_its_own_pool(pool):
    asyncio.get_running_loop().set_default_executor(pool)
    seen = []

    def work():
        seen.append(tenant.get())

    async def one(whose):
        tenant.set(whose)
        await asyncio.to_thread(work)

    await asyncio.gather(asyncio.create_task(one("a")), asyncio.create_task(one("b")))
    assert sorted(seen) == ["a", "b"]
