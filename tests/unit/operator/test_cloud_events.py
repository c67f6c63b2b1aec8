"""CloudEvents about operations: what is sent, what is sent again, what is dropped."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web as http
from aiohttp.test_utils import TestServer
from harness.one_stack import FAILS, NET, OneStack

from kiln import metrics
from kiln.process import cloud_events
from kiln.process.cloud_events import CloudEvents, read_url
from kiln.stack.history import Entry
from reconcilers.backoff import Backoff

STACK = {"metadata": {"namespace": "ns", "name": "web", "uid": "u"}, "spec": {"stackName": "Shop", "tags": ["a", "b"]}}


class Endpoint:
    """An HTTP endpoint that answers with ``statuses``, then with 202, and keeps what it got."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.asked = 0
        self.got: list[dict[str, Any]] = []
        application = http.Application()
        application.router.add_post("/", self._take)
        self.server = TestServer(application)

    async def _take(self, request: http.Request) -> http.Response:
        self.asked += 1
        assert request.content_type == "application/cloudevents+json"
        status = self.statuses.pop(0) if self.statuses else 202
        if status < 300:
            self.got.append(await request.json())
        return http.Response(status=status)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    await made.server.start_server()
    yield made
    await made.server.close()


@pytest.fixture
async def sink(endpoint: Endpoint) -> AsyncIterator[CloudEvents]:
    made = CloudEvents(str(endpoint.server.make_url("/")), delays=Backoff(first=0.001, longest=0.002))
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()


def entry(status: str = "Complete", action: str = "Update") -> Entry:
    return Entry("2026-01-01T00:00:00Z", "", action, status, message="fine", requested_by="kubectl")


def results(result: str) -> float:
    found: float = metrics.CLOUD_EVENTS.labels(result)._value.get()
    return found


async def test_an_event_has_heat_s_type_and_the_stack(sink: CloudEvents, endpoint: Endpoint) -> None:
    for status in ("InProgress", "Complete", "Failed"):
        sink.tell(STACK, entry(status))
    await asyncio.wait_for(sink._queue.join(), 30)
    assert [one["type"].removeprefix("orchestration.stack.") for one in endpoint.got] == [
        "update.start",
        "update.end",
        "update.error",
    ]
    event = endpoint.got[1]
    assert event["specversion"] == "1.0"
    assert event["source"] == "/apis/kiln.dev/v1alpha1/namespaces/ns/stacks/web"
    assert event["data"] == {
        "stack_identity": "u",
        "stack_name": "Shop",
        "namespace": "ns",
        "state": "UPDATE_COMPLETE",
        "state_reason": "fine",
        "create_at": "",
        "user_identity": "kubectl",
        "tags": ["a", "b"],
    }
    assert len({one["id"] for one in endpoint.got}) == 3


async def test_an_event_is_sent_again_until_it_is_taken(sink: CloudEvents, endpoint: Endpoint) -> None:
    endpoint.statuses = [503, 429, 500]
    sink.tell(STACK, entry())
    await asyncio.wait_for(sink._queue.join(), 30)
    assert (endpoint.asked, len(endpoint.got)) == (4, 1)


@pytest.mark.parametrize("status", [400, 404, 301])
async def test_a_refusal_drops_the_event_and_the_next_one_is_sent(
    sink: CloudEvents, endpoint: Endpoint, status: int
) -> None:
    endpoint.statuses = [status]
    before = results("dropped")
    sink.tell(STACK, entry())
    sink.tell(STACK, entry("Failed"))
    await asyncio.wait_for(sink._queue.join(), 30)
    assert [one["type"] for one in endpoint.got] == ["orchestration.stack.update.error"]
    assert results("dropped") == before + 1


async def test_an_endpoint_that_does_not_answer_costs_events_only(endpoint: Endpoint) -> None:
    url = str(endpoint.server.make_url("/"))
    await endpoint.server.close()
    made = CloudEvents(url, delays=Backoff(first=0.001, longest=0.002))
    before = results("dropped")
    for _ in range(cloud_events.QUEUED + 5):
        made.tell(STACK, entry())
    assert results("dropped") == before + 5
    async with aiohttp.ClientSession() as session:
        assert not await made._send(session, made._queue.get_nowait())


async def test_operations_of_a_stack_are_told_from_its_creation_to_its_deletion() -> None:
    web = OneStack()
    told: list[str] = []
    web.services.history.tell = lambda stack, one: told.append(cloud_events.event_of(stack, one)["type"])
    web.apply({"net": NET})
    await web.run()
    await web.run()
    web.apply({"net": NET, "bad": FAILS}, onFailure="Halt")
    await web.run()
    await web.delete()
    await web.run()
    assert [one.removeprefix("orchestration.stack.") for one in told] == [
        "create.start",
        "create.end",
        "update.start",
        "update.error",
        "delete.start",
        "delete.end",
    ]


def test_the_url_comes_from_the_option_or_from_a_file_and_is_in_no_message(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("https://user:hunter2@events.example/x\n")
    assert read_url("", str(file)) == "https://user:hunter2@events.example/x"
    assert read_url("http://events", "") == "http://events"
    assert read_url("", "") == ""
    with pytest.raises(ValueError, match="not a http or https URL") as raised:
        read_url("ftp://user:hunter2@x", "")
    assert "hunter2" not in str(raised.value)
