"""The work queue, on a clock that jumps."""

import asyncio
import logging

import pytest

from kiln.controller.workqueue import Key, Run, WorkQueue
from kiln.stack.requeue import PassEnd, Requeue

pytestmark = [pytest.mark.looptime(start=0), pytest.mark.asyncio]

A, B = Key("one", "a"), Key("one", "b")


class Recorder:
    """A handler that notes when it started for whom, waits as told, and returns as told."""

    def __init__(self, *, takes: float = 0.0, again: float | None = None, raises: int = 0) -> None:
        self.takes = takes
        self.again = again
        self.raises = raises
        self.starts: list[tuple[float, Key]] = []
        self.superseded: list[float] = []
        self.together = 0
        self.most = 0

    async def __call__(self, key: Key, run: Run) -> Requeue:
        now = asyncio.get_running_loop().time
        self.starts.append((round(now(), 3), key))
        self.together += 1
        self.most = max(self.most, self.together)
        try:
            await asyncio.wait_for(run.superseded.wait(), self.takes)
            self.superseded.append(round(now(), 3))
        except TimeoutError:
            pass
        finally:
            self.together -= 1
        if self.raises:
            self.raises -= 1
            raise RuntimeError("broken")
        return Requeue(PassEnd.AT_REST, self.again)

    def times(self, key: Key) -> list[float]:
        return [when for when, started in self.starts if started == key]


def queue_of(handler: Recorder, **options: object) -> WorkQueue:
    queue = WorkQueue(handler, jitter=lambda _low, high: high, **options)  # type: ignore[arg-type]
    queue.start()
    return queue


async def test_a_key_that_is_added_twice_before_it_starts_runs_once() -> None:
    handler = Recorder()
    queue = WorkQueue(handler)
    queue.add(A)
    queue.add(A)
    assert queue.depth == 1
    queue.start()
    await asyncio.sleep(1)
    assert handler.times(A) == [0]


async def test_nothing_runs_before_start() -> None:
    handler = Recorder()
    queue = WorkQueue(handler)
    queue.add(A)
    queue.add_after(B, 1)
    await asyncio.sleep(5)
    assert handler.starts == []
    queue.start()
    await asyncio.sleep(1)
    assert handler.starts == [(5, A), (5, B)]


async def test_a_key_that_is_added_while_it_runs_runs_again_afterwards_and_never_twice_at_one_time() -> None:
    handler = Recorder(takes=10)
    queue = queue_of(handler)
    queue.add(A)
    await asyncio.sleep(1)
    queue.add(A)
    queue.add(A)
    await asyncio.sleep(30)
    assert handler.times(A) == [0, 10]
    assert handler.most == 1


async def test_different_keys_run_at_one_time() -> None:
    handler = Recorder(takes=10)
    queue = queue_of(handler)
    queue.add(A)
    queue.add(B)
    await asyncio.sleep(1)
    assert queue.active == 2
    assert queue.oldest() == pytest.approx(1)


async def test_the_handler_says_when_the_next_run_is() -> None:
    handler = Recorder(again=60)
    queue = queue_of(handler)
    queue.add(A)
    await asyncio.sleep(130)
    assert handler.times(A) == [0, 60, 120]


async def test_none_means_no_further_run() -> None:
    handler = Recorder()
    queue = queue_of(handler)
    queue.add(A)
    await asyncio.sleep(10_000)
    assert handler.times(A) == [0]


async def test_the_earliest_of_several_delays_counts_and_answers_for_all() -> None:
    handler = Recorder()
    queue = queue_of(handler)
    queue.add_after(A, 50)
    queue.add_after(A, 10)
    queue.add_after(A, 30)
    await asyncio.sleep(100)
    assert handler.times(A) == [10]


async def test_a_run_in_between_replaces_what_was_due_later() -> None:
    handler = Recorder(again=60)
    queue = queue_of(handler)
    queue.add(A)
    await asyncio.sleep(30)
    queue.add(A)
    await asyncio.sleep(65)
    assert handler.times(A) == [0, 30, 90]


async def test_new_intent_supersedes_the_running_pass_and_runs_again_at_once() -> None:
    handler = Recorder(takes=100)
    queue = queue_of(handler)
    queue.add(A)
    await asyncio.sleep(5)
    queue.interrupt(A)
    await asyncio.sleep(1)
    assert handler.superseded == [5]
    assert handler.times(A) == [0, 5]


async def test_an_exception_is_logged_and_answered_with_growing_backoff(caplog: pytest.LogCaptureFixture) -> None:
    handler = Recorder(raises=4)
    queue = queue_of(handler)
    with caplog.at_level(logging.ERROR):
        queue.add(A)
        await asyncio.sleep(100)
    assert handler.times(A) == [0, 1, 3, 7, 15]
    # asyncio has a word of its own for what earlier tests left to the garbage collector.
    assert (
        sum("one/a" in record.getMessage() for record in caplog.records if record.name == "kiln.controller.workqueue")
        == 4
    )


async def test_backoff_is_bounded_and_forgotten_after_a_success() -> None:
    handler = Recorder(raises=12)
    queue = queue_of(handler)
    queue.add(A)
    await asyncio.sleep(3000)
    gaps = [later - earlier for earlier, later in zip(handler.times(A), handler.times(A)[1:], strict=False)]
    assert max(gaps) == 300
    handler.raises = 1
    before = len(handler.starts)
    queue.add(A)
    await asyncio.sleep(10)
    assert [when - handler.times(A)[before] for when in handler.times(A)[before:]] == [0, 1]


async def test_new_intent_forgets_the_backoff() -> None:
    handler = Recorder(raises=3)
    queue = queue_of(handler)
    queue.add(A)
    await asyncio.sleep(5)
    queue.interrupt(A)
    await asyncio.sleep(0.1)
    assert handler.times(A) == [0, 1, 3, 5]
    assert queue._failures == {}


async def test_a_namespace_with_many_keys_does_not_hold_up_another() -> None:
    handler = Recorder(takes=10)
    queue = queue_of(handler, max_active=4, max_active_per_namespace=4)
    many = [Key("many", str(number)) for number in range(100)]
    for key in many:
        queue.add(key)
    await asyncio.sleep(1)
    queue.add(B)
    await asyncio.sleep(11)
    assert handler.times(B) == [10]


async def test_a_namespace_never_has_more_than_its_share() -> None:
    handler = Recorder(takes=10)
    queue = queue_of(handler, max_active_per_namespace=3)
    for number in range(10):
        queue.add(Key("many", str(number)))
    queue.add(A)
    await asyncio.sleep(1)
    assert handler.times(A) == [0]
    assert queue.active == 4
    assert queue.depth == 7
    await asyncio.sleep(60)
    assert len(handler.starts) == 11
    assert handler.most == 4


async def test_stop_supersedes_what_runs_and_waits_for_it() -> None:
    handler = Recorder(takes=100)
    queue = queue_of(handler)
    queue.add(A)
    await asyncio.sleep(1)
    assert await queue.stop()
    assert handler.superseded == [1]
    queue.add(B)
    await asyncio.sleep(10)
    assert handler.times(B) == []


async def test_stop_cancels_what_does_not_end_in_time() -> None:
    async def stubborn(_key: Key, _superseded: asyncio.Event) -> float | None:
        await asyncio.sleep(1000)
        return None

    queue = WorkQueue(stubborn)
    queue.start()
    queue.add(A)
    await asyncio.sleep(1)
    before = asyncio.get_running_loop().time()
    assert not await queue.stop(grace=25)
    assert asyncio.get_running_loop().time() - before == pytest.approx(25, abs=1.5)
    assert queue.active == 0


async def test_nothing_is_kept_of_keys_at_rest() -> None:
    handler = Recorder()
    queue = queue_of(handler)
    for number in range(50):
        queue.add(Key(f"ns{number}", "a"))
    await asyncio.sleep(1)
    assert (queue._namespaces, list(queue._turns), queue._dirty, queue._runs) == ({}, [], set(), {})
