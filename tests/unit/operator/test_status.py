"""What a pass knows, as a status; and how often it is written."""

import asyncio
import datetime
from typing import Any

import pytest
from harness.fake_kube import FakeKube

from kiln.api.kinds import STACKS
from kiln.api.v1alpha1 import Operation, Reason, Result
from kiln.kube.errors import Conflict
from kiln.stack import status, status_writer
from kiln.stack.redacted_status import redacted
from kiln.stack.status import ReadyState, StatusUpdate
from reconcilers.engine.progress import ProgressTracker, ResourceProgress
from reconcilers.model import Fault

WORKING = ReadyState(ready=False, reconciling=True, reason="Progressing", message="1/2 resources ready")
DONE = ReadyState(ready=True, reconciling=False, reason="Succeeded", message="as asked")
STUCK = ReadyState(ready=False, reconciling=True, reason="QuotaExceeded", message="no more", stalled=True)


def conditions(composed: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in composed["conditions"]}


@pytest.mark.parametrize(
    ("state", "expected"),
    [(WORKING, ("False", "True", "False")), (DONE, ("True", "False", "False")), (STUCK, ("False", "False", "True"))],
)
def test_reconciling_and_stalled_are_never_both_true(state: ReadyState, expected: tuple[str, str, str]) -> None:
    found = conditions(status.build_status({}, StatusUpdate(1, state), "t1"))
    assert tuple(found[kind][0] for kind in ("Ready", "Reconciling", "Stalled")) == expected


def test_a_condition_keeps_its_transition_time_while_its_status_stays() -> None:
    first = status.build_status({}, StatusUpdate(1, WORKING), "t1")
    second = status.build_status(first, StatusUpdate(1, STUCK), "t2")
    third = status.build_status(second, StatusUpdate(2, DONE), "t3")
    times = [
        {one["type"]: one["lastTransitionTime"] for one in composed["conditions"]}
        for composed in (first, second, third)
    ]
    assert [one["Ready"] for one in times] == ["t1", "t1", "t3"]
    assert [one["Stalled"] for one in times] == ["t1", "t2", "t3"]
    assert third["observedGeneration"] == 2


def test_an_operation_keeps_its_start_until_it_ends() -> None:
    first = status.build_status({}, StatusUpdate(1, WORKING, operation=Operation.CREATE), "t1")
    second = status.build_status(
        first, StatusUpdate(1, DONE, operation=Operation.CREATE, result=Result.SUCCEEDED), "t2"
    )
    third = status.build_status(second, StatusUpdate(2, WORKING, operation=Operation.UPDATE), "t3")
    assert second["lastOperation"] == {
        "type": "Create",
        "result": "Succeeded",
        "startTime": "t1",
        "completionTime": "t2",
    }
    assert (third["lastOperation"]["startTime"], third["lastOperation"].get("completionTime")) == ("t3", None)


def test_what_a_report_does_not_say_stays_and_what_is_empty_goes() -> None:
    old = status.build_status({}, StatusUpdate(1, DONE, current_revision="web-1", outputs={"a": 1}), "t1")
    assert status.build_status(old, StatusUpdate(1, WORKING), "t2")["currentRevision"] == "web-1"
    assert status.build_status(old, StatusUpdate(1, WORKING), "t2")["outputs"] == {"a": 1}
    assert "outputs" not in status.build_status(old, StatusUpdate(1, WORKING, outputs={}), "t2")


def test_drift_is_told_with_its_resources() -> None:
    found = status.build_status({}, StatusUpdate(1, DONE, drifted={"net": "name"}, synced=True), "t1")
    assert conditions(found)["DriftDetected"] == ("True", "Drifted")
    assert status.build_status(found, StatusUpdate(1, DONE, synced=True), "t2")["conditions"][-1]["status"] == "False"


def test_failed_resources_come_first_and_are_at_most_ten() -> None:
    progress = ProgressTracker()
    for number in range(8):
        progress.move(
            f"waits{number}", ResourceProgress("OS::Neutron::Net", "Creating", "503", Fault.TRANSIENT, "req-1")
        )
        progress.move(f"x{number}", ResourceProgress("OS::Neutron::Net", "Failed", "400", Fault.INVALID))
    progress.move("fine", ResourceProgress("OS::Neutron::Net", "Ready"))
    found = status.failures_of(progress)
    assert [one["name"] for one in found] == [*(f"x{n}" for n in range(8)), "waits0", "waits1"]
    assert found[-1]["requestID"] == "req-1"
    assert status.counts_of(progress)["summary"] == "1/17"


def test_hidden_values_are_in_no_text() -> None:
    report = StatusUpdate(
        *(1, ReadyState(ready=False, reconciling=True, reason="x", message="with s3cret")),
        operation_message="s3cret",
        drifted={"a": "s3cret"},
        failed=({"name": "a", "message": "s3cret"},),
        output_errors={"o": "s3cret"},
    )
    shown = status.build_status({}, redacted(report, lambda text: text.replace("s3cret", "***")), "t1")
    assert "s3cret" not in str(shown)


def test_times_alone_are_no_reason_to_write() -> None:
    old = status.build_status({}, StatusUpdate(1, DONE, synced=True, pass_id="a"), "t1")
    assert not status_writer.needs_write(
        old, status.build_status(old, StatusUpdate(1, DONE, synced=True, pass_id="b"), "t2")
    )
    assert status_writer.needs_write(old, status.build_status(old, StatusUpdate(2, DONE, synced=True), "t2"))


def test_an_output_that_looks_like_a_request_id_is_written_when_it_changes() -> None:
    old, new = (
        status.build_status({}, StatusUpdate(1, DONE, synced=True, outputs={"o": value}), "t1")
        for value in ("req-1", "req-2")
    )
    assert status_writer.needs_write(old, new)


def test_an_invalid_template_and_missing_credentials_are_told_apart() -> None:
    bad = status.build_status({}, status.invalid(1, Reason.INVALID_TEMPLATE, "resources.a: no"), "t1")
    assert conditions(bad)["TemplateValid"] == ("False", "InvalidTemplate")
    gone = status.unreachable(status.invalid(1, Reason.CREDENTIALS_NOT_FOUND, "no Secret"))
    assert conditions(status.build_status({}, gone, "t1"))["CloudReachable"] == ("False", "CredentialsNotFound")
    assert conditions(bad)["Stalled"][0] == "True"


@pytest.mark.parametrize(("interval", "age"), [(600.0, 3600), (0.0, 3600), (7200.0, 7200)])
def test_a_sync_time_is_written_again_when_it_is_older_than_an_hour_or_the_interval(interval: float, age: int) -> None:
    def synced(seconds: int) -> dict[str, Any]:
        stamp = datetime.datetime.fromtimestamp(1_800_000_000 + seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return status.build_status({}, StatusUpdate(1, DONE, synced=True), stamp)

    assert not status_writer.sync_time_is_stale(synced(0), synced(age - 1), interval)
    assert status_writer.sync_time_is_stale(synced(0), synced(age), interval)


def writer(kube: FakeKube, *, fence: bool = True) -> status_writer.StatusWriter:
    stack = kube.find("stacks", "web") or kube.put(STACKS, "web")
    return status_writer.StatusWriter(kube, stack, lambda: "t", lambda: fence)  # type: ignore[arg-type]


def written(kube: FakeKube) -> int:
    return [verb for verb, _, _ in kube.calls].count("patch")


@pytest.mark.looptime
async def test_a_stack_that_moves_is_written_about_once_a_second() -> None:
    kube = FakeKube()
    one = writer(kube)
    for number in range(50):
        one.later(lambda number=number: StatusUpdate(number, WORKING))  # type: ignore[misc]
        await asyncio.sleep(0.1)
    assert 4 <= written(kube) <= 6
    await one.now(StatusUpdate(99, DONE))
    assert kube.objects["stacks", "ns", "web"]["status"]["observedGeneration"] == 99
    before = written(kube)
    await asyncio.sleep(5)
    assert written(kube) == before


async def test_who_leads_no_longer_writes_nothing() -> None:
    kube = FakeKube()
    await writer(kube, fence=False).now(StatusUpdate(1, DONE))
    assert written(kube) == 0


async def test_the_status_of_another_stack_of_the_name_is_not_written() -> None:
    kube = FakeKube()
    old = writer(kube)
    del kube.objects["stacks", "ns", "web"]
    await old.now(StatusUpdate(1, DONE))
    kube.put(STACKS, "web")
    with pytest.raises(Conflict):
        await old.now(StatusUpdate(1, WORKING))
    assert "status" not in kube.objects["stacks", "ns", "web"]


@pytest.mark.looptime
async def test_a_try_that_fails_as_the_one_before_writes_nothing() -> None:
    kube = FakeKube()
    for number in range(3):
        one = writer(kube)
        failed = f"resources.p: refused [req-{number}]"
        one.later(lambda: StatusUpdate(1, WORKING, operation=Operation.CREATE, result=Result.RUNNING))
        await asyncio.sleep(0.5)
        state = ReadyState(ready=False, reconciling=False, reason="InvalidProperty", message=failed, stalled=True)
        await one.now(
            StatusUpdate(1, state, operation=Operation.CREATE, result=Result.FAILED, operation_message=failed)
        )
        assert written(kube) == 1
