"""What holds an event loop is seen, with its length and its place."""

import asyncio
import gc
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import loop_holds
from harness.loop_holds import Hold


@pytest.fixture
def holds() -> Iterator[list[Hold]]:
    found: list[Hold] = []
    stop = loop_holds.watch(found.append)
    yield found
    stop()


async def _blocks(seconds: float) -> None:
    await asyncio.sleep(0)
    time.sleep(seconds)  # noqa: ASYNC251 - that is what is measured
    await asyncio.sleep(0)


def test_a_coroutine_that_blocks_is_noted_with_its_length_and_name(holds: list[Hold]) -> None:
    async def main() -> None:
        await asyncio.gather(_blocks(0.03), asyncio.sleep(0.05), asyncio.to_thread(time.sleep, 0.04))

    asyncio.run(main())
    [hold] = [one for one in holds if "_blocks" in one.what]
    assert 0.03 <= hold.seconds < 1
    assert hold.cpu < 0.02
    assert all("sleep" not in one.what.split()[0] for one in holds)


def test_the_longest_comes_first_and_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "holds"
    lines = [json.dumps({"seconds": seconds, "cpu": 0.0, "what": "a"}) for seconds in (0.02, 0.07, 0.03)]
    path.write_text("\n".join([*lines, '{"seconds": 9.0, "cp']))
    found = loop_holds.read(path)
    assert [one.seconds for one in found] == [0.07, 0.03, 0.02]
    assert loop_holds.summary(found)[0].startswith("longest hold of the event loop: 70 ms; 1 of 3 holds")


def test_without_holds_the_summary_says_so(tmp_path: Path) -> None:
    assert loop_holds.summary(loop_holds.read(tmp_path / "nothing")) == [
        "no callback held the event loop for 10 ms or longer"
    ]


def test_what_garbage_collections_took_of_a_hold_is_told(holds: list[Hold]) -> None:
    async def collects() -> None:
        await asyncio.sleep(0)
        time.sleep(0.01)  # noqa: ASYNC251 - long enough to be noted
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(collects())
    [hold] = [one for one in holds if "collects" in one.what]
    assert 0 < hold.collecting <= hold.seconds - 0.01
    assert "ms in garbage collections) " in loop_holds.summary([hold])[1]
