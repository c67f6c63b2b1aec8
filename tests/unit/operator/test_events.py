"""Kubernetes Events are few, bounded and without secrets."""

import asyncio

import pytest

from kiln.api.kinds import EVENTS
from kiln.kube.errors import Forbidden, Unreachable
from kiln.kube.event_recorder import MAX_MESSAGE, WINDOW, EventRecorder

pytestmark = [pytest.mark.looptime(start=0), pytest.mark.asyncio]


@pytest.fixture
async def events(kube):
    made = EventRecorder(kube, redact=lambda text: text.replace("s3cret", "***"))
    task = asyncio.ensure_future(made.run())
    yield made
    task.cancel()


def written(kube):
    return [obj for (plural, _, _), obj in kube.objects.items() if plural == EVENTS.plural]


async def test_an_event_names_its_object(kube, events, stack):
    events.emit(stack(), "QuotaExceeded", "no more ports", "Warning")
    await events.flush()
    (event,) = written(kube)
    assert event["involvedObject"]["name"] == "web"
    assert event["involvedObject"]["uid"] == "uid-web"
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "QuotaExceeded", "no more ports")


async def test_the_same_event_is_counted_up(kube, events, stack):
    for _ in range(3):
        events.emit(stack(), "Succeeded", "done")
    events.emit(stack(), "Succeeded", "done again")
    events.emit(stack(name="other"), "Succeeded", "done")
    await events.flush()
    assert sorted(event["count"] for event in written(kube)) == [1, 1, 3]


async def test_after_a_while_it_is_news_again(kube, events, stack):
    events.emit(stack(), "Succeeded", "done")
    await events.flush()
    await asyncio.sleep(WINDOW + 1)
    events.emit(stack(), "Succeeded", "done")
    await events.flush()
    assert [event["count"] for event in written(kube)] == [1, 1]


async def test_an_event_that_was_deleted_is_written_anew(kube, events, stack):
    events.emit(stack(), "Succeeded", "done")
    await events.flush()
    kube.objects.clear()
    events.emit(stack(), "Succeeded", "done")
    await events.flush()
    assert len(written(kube)) == 1


async def test_messages_are_redacted_and_cut(kube, events, stack):
    events.emit(stack(), "Failed", "s3cret" + "x" * 5000)
    await events.flush()
    (event,) = written(kube)
    assert event["message"].startswith("***x")
    assert len(event["message"]) == MAX_MESSAGE


async def test_a_failing_api_server_stops_nothing(kube, events, stack):
    kube.fail = [Forbidden(403, "Forbidden", "namespace is being terminated"), Unreachable(0, "Reset", "reset")]
    for number in range(3):
        events.emit(stack(), "Succeeded", f"done {number}")
    await events.flush()
    assert [event["message"] for event in written(kube)] == ["done 2"]


async def test_a_flood_is_dropped_and_never_blocks(kube, stack):
    made = EventRecorder(kube, redact=str)
    for number in range(5000):
        made.emit(stack(), "Succeeded", str(number))
    await made.flush(timeout=1)
    assert written(kube) == []
