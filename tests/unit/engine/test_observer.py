"""How often one list is asked for, for all that wait: seldom while nothing ends, soon while one after another does."""

import asyncio
import itertools
from typing import Any

from harness import virtual

from reconcilers import registry
from reconcilers.cloud.calls import Caller
from reconcilers.cloud.observer import FIRST_LOOK, SLOWEST_LOOK, Observer
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Recorded, Request

SERVER = registry.find("OS::Nova::Server")


class Nova:
    """Servers that become ACTIVE at given times (seconds); ``looks`` are the times of the lists."""

    def __init__(self, active_at: dict[str, float]) -> None:
        self.active_at = active_at
        self.looks: list[float] = []

    async def list(self, request: Request, plural: str, _caller: Any = None) -> list[dict[str, Any]]:
        now = asyncio.get_running_loop().time()
        self.looks.append(round(now, 2))
        return [{"id": key, "status": "ACTIVE" if now >= at else "BUILD"} for key, at in self.active_at.items()]

    async def send(self, request: Request, _caller: Any = None) -> Any:
        raise AssertionError("one alone is not waited for here")


def looks(active_at: dict[str, float], until: float) -> list[float]:
    async def life() -> list[float]:
        nova = Nova(active_at)
        observer = Observer(nova)  # type: ignore[arg-type]

        async def wait(key: str) -> None:
            recorded = Recorded(key, key, "OS::Nova::Server", "token", key, physical_id=key)
            assert SERVER is not None
            while (await observer.next_look(SERVER, recorded))["status"] != "ACTIVE":
                pass

        tasks = [asyncio.ensure_future(wait(key)) for key in active_at]
        await asyncio.sleep(until)
        for task in tasks:
            task.cancel()
        return nova.looks

    return virtual.run(life())


def test_while_nothing_ends_looks_become_seldom_up_to_a_bound() -> None:
    seen = looks({"a": 1e6, "b": 1e6}, 60)
    pauses = [after - before for before, after in itertools.pairwise([0.0, *seen])]
    assert round(pauses[0], 2) == FIRST_LOOK
    assert all(later >= sooner - 0.02 for sooner, later in itertools.pairwise(pauses))
    assert round(pauses[-1], 1) == SLOWEST_LOOK


def test_while_one_after_the_other_ends_the_next_look_is_soon() -> None:
    seen = looks({"a": 20.0, "b": 20.5, "c": 1e6, "d": 1e6}, 40)
    first = next(time for time in seen if time >= 20.0)
    after = seen[seen.index(first) + 1]
    assert round(after - first, 2) == FIRST_LOOK


class Silent(Nova):
    """A service that is asked in vain: each list ends with an error after a minute."""

    async def list(self, request: Request, plural: str, _caller: Any = None) -> list[dict[str, Any]]:
        self.looks.append(asyncio.get_running_loop().time())
        await asyncio.sleep(60)
        raise CloudError(Fault.TRANSIENT, "compute: no answer")


def test_all_that_wait_for_a_list_hear_of_its_failure_at_once() -> None:
    async def life() -> tuple[list[float], int]:
        nova = Silent({})
        observer = Observer(nova)  # type: ignore[arg-type]
        assert SERVER is not None

        async def wait() -> float:
            try:
                await observer.snapshot(SERVER, since=0.0)
            except CloudError:
                return asyncio.get_running_loop().time()
            raise AssertionError("there is no list")

        return list(await asyncio.gather(*(wait() for _ in range(20)))), len(nova.looks)

    heard, looks = virtual.run(life())
    assert set(heard) == {60.0}
    assert looks == 1


def test_a_caller_that_has_had_enough_leaves_a_list_to_the_others() -> None:
    async def life() -> tuple[float, float]:
        observer = Observer(Silent({}))  # type: ignore[arg-type]
        assert SERVER is not None
        superseded = asyncio.Event()

        def check() -> None:
            if superseded.is_set():
                raise LookupError

        async def wait(caller: Caller) -> float:
            try:
                await observer.snapshot(SERVER, since=0.0, caller=caller)
            except (CloudError, LookupError):
                return asyncio.get_running_loop().time()
            raise AssertionError("there is no list")

        asyncio.get_running_loop().call_later(5.0, superseded.set)
        first, second = await asyncio.gather(wait(Caller(check, superseded)), wait(Caller()))
        return first, second

    assert virtual.run(life()) == (5.0, 60.0)
