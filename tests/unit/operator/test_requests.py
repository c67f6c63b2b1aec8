"""The index of open requests, and when finished ones are deleted."""

from typing import Any

import pytest
from harness.fake_kube import FakeKube

from kiln.api.kinds import STACK_OPERATIONS
from kiln.api.v1alpha1 import Key
from kiln.stack.requests import RequestIndex, delete_expired

WEB = Key("ns", "web")
ENDED = "2026-01-01T00:00:00Z"
ENDED_AT = 1767225600.0


def operation(name: str, created: str = "2026-01-01T00:00:00Z", **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "generation": 1, "creationTimestamp": created}
    spec = {"stackName": "web", "type": "Retry", "ttlAfterFinished": "1h"}
    return {"metadata": metadata, "spec": spec, **content}


@pytest.fixture
def index() -> RequestIndex:
    return RequestIndex()


def names(index: RequestIndex) -> list[str]:
    return [one.name for one in index.open(WEB, STACK_OPERATIONS)]


def test_a_new_request_is_news_for_its_stack_and_its_status_is_not(index: RequestIndex) -> None:
    assert index.observe("stackoperations", "ADDED", operation("a")) == WEB
    running = operation("a", status={"phase": "Running"})
    assert index.observe("stackoperations", "MODIFIED", running) is None
    assert names(index) == ["a"]


def test_open_requests_come_oldest_first(index: RequestIndex) -> None:
    index.observe("stackoperations", "ADDED", operation("a", created="2026-01-02T00:00:00Z"))
    index.observe("stackoperations", "ADDED", operation("b", created="2026-01-01T00:00:00Z"))
    index.observe("stackoperations", None, operation("c", created="2026-01-01T00:00:00Z"))
    assert names(index) == ["b", "c", "a"]


def test_a_finished_request_is_no_longer_open(index: RequestIndex) -> None:
    index.observe("stackoperations", "ADDED", operation("a"))
    ended = operation("a", status={"phase": "Failed", "completionTime": ENDED})
    assert index.observe("stackoperations", "MODIFIED", ended) is None
    assert names(index) == []


def test_a_deleted_request_is_no_longer_open_and_its_stack_hears_of_it(index: RequestIndex) -> None:
    index.observe("stackoperations", "ADDED", operation("a"))
    assert index.observe("stackoperations", "DELETED", operation("a")) == WEB
    assert names(index) == []


async def test_a_finished_request_is_deleted_when_its_time_to_live_has_passed(index: RequestIndex) -> None:
    kube = FakeKube()
    ended = operation("a", status={"phase": "Succeeded", "completionTime": ENDED})
    kube.put(STACK_OPERATIONS, "a", **ended)
    index.observe("stackoperations", None, ended)
    await delete_expired(kube, index, ENDED_AT + 3599)  # type: ignore[arg-type]
    assert kube.find("stackoperations", "a") is not None
    await delete_expired(kube, index, ENDED_AT + 3600)  # type: ignore[arg-type]
    assert kube.find("stackoperations", "a") is None
