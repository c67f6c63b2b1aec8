"""Work in dependency order: bounded in number, and without a long hold of the event loop."""

import asyncio
import gc

import pytest
from harness import loop_holds
from harness.loop_holds import Hold

from reconcilers.engine import graph
from reconcilers.engine.graph import run_in_dependency_order


async def test_only_so_many_run_at_one_time_and_all_come_to_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "AT_ONCE", 7)
    running, most, done = 0, 0, []

    async def work(name: str) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        done.append(name)
        return True

    requires = {f"first {number}": set[str]() for number in range(40)}
    requires |= {f"second {number}": {f"first {number}"} for number in range(40)}
    assert await run_in_dependency_order(requires, work) == frozenset()
    assert most == 7
    assert len(done) == 80
    assert all(done.index(f"first {number}") < done.index(f"second {number}") for number in range(40))


async def test_what_raises_ends_the_run_after_what_runs() -> None:
    done: list[str] = []

    async def work(name: str) -> bool:
        if name == "bad":
            raise ValueError(name)
        await asyncio.sleep(0.001)
        done.append(name)
        return True

    with pytest.raises(ValueError, match="bad"):
        await run_in_dependency_order({"bad": set(), "good": set(), "later": {"good"}}, work)
    assert done == ["good"]


async def test_what_fails_holds_up_what_requires_it() -> None:
    async def work(name: str) -> bool:
        return name != "bad"

    requires = {"bad": set[str](), "after": {"bad"}, "beside": set[str]()}
    assert await run_in_dependency_order(requires, work) == {"after"}


async def test_twenty_thousand_do_not_hold_the_event_loop() -> None:
    async def work(_name: str) -> bool:
        return True

    requires = {str(number): {"0"} if number else set[str]() for number in range(20_000)}
    holds: list[Hold] = []
    stop = loop_holds.watch(holds.append)
    gc.disable()  # what other tests have left is not of this one
    try:
        assert await run_in_dependency_order(requires, work) == frozenset()
    finally:
        gc.enable()
        stop()
    assert max((one.cpu for one in holds), default=0.0) < 0.1, loop_holds.summary(holds)
