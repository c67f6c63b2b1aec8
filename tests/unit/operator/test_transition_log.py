"""What is told of resources while a pass works: log lines and counts."""

import logging

import pytest

from kiln import metrics
from kiln.stack.transition_log import TransitionLog
from reconcilers.engine.progress import ResourceProgress
from reconcilers.model import Fault

SERVER = "OS::Nova::Server"


def count(action: str, result: str) -> float:
    return metrics.ACTIONS.labels(action, result)._value.get()


def follow(*turns: ResourceProgress) -> None:
    actions = TransitionLog()
    for standing in turns:
        actions.record("web", standing)


@pytest.mark.parametrize(
    ("states", "action", "result"),
    [
        (["Creating", "Ready"], "create", "succeeded"),
        (["Creating", "Failed"], "create", "failed"),
        (["Updating", "Ready"], "update", "succeeded"),
        (["Updating", "Creating", "Deleting", "Ready"], "replace", "succeeded"),
        (["Deleting", "Deleted"], "delete", "succeeded"),
    ],
)
def test_what_was_done_is_counted_once_by_how_it_ended(states: list[str], action: str, result: str) -> None:
    before = count(action, result)
    follow(*(ResourceProgress(SERVER, state) for state in states))
    assert count(action, result) == before + 1


def test_a_resource_at_rest_is_neither_counted_nor_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kiln")
    follow(ResourceProgress(SERVER, "Pending"), ResourceProgress(SERVER, "Ready"))
    assert not caplog.records


def test_each_turn_is_told_once_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kiln")
    follow(
        ResourceProgress(SERVER, "Creating"),
        ResourceProgress(SERVER, "Creating", "is BUILD"),
        ResourceProgress(SERVER, "Creating", "port in use", Fault.CONFLICT, "req-1"),
        ResourceProgress(SERVER, "Failed", "went to ERROR", Fault.RESOURCE),
    )
    assert [record.getMessage() for record in caplog.records] == [
        "resources.web (OS::Nova::Server): Creating",
        "resources.web (OS::Nova::Server): Creating, Conflict, port in use",
        "resources.web (OS::Nova::Server): Failed, ResourceFailed, went to ERROR",
    ]
    assert caplog.records[1].request_id == "req-1"


def test_what_fails_before_it_was_begun_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kiln")
    follow(ResourceProgress(SERVER, "Failed", "there is no flavor 'm1.huge'", Fault.INVALID))
    assert "no flavor" in caplog.text
