"""Progress and results: what is written and when, which Events there are, what is measured."""

import asyncio
import datetime
from typing import Any

import pytest
from harness.fake_kube import FakeKube
from harness.one_stack import Told

from kiln.api.kinds import STACKS
from kiln.api.v1alpha1 import Operation, Result
from kiln.metrics import REGISTRY
from kiln.stack.objective import Objective
from kiln.stack.reporter import StackReporter
from kiln.stack.status import ReadyState, StatusUpdate
from kiln.stack.status_writer import StatusWriter
from reconcilers.engine.progress import ResourceProgress
from reconcilers.model import Fault

CREATE = Objective(Operation.CREATE, None, None, None, 60.0)


class Reported:
    """A reporter with what it reports to."""

    def __init__(self, **status: Any) -> None:
        self.kube, self.told = FakeKube(), Told()
        stack = self.kube.put(STACKS, "web", metadata={"generation": 1}, status=status)
        stamp = lambda: datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: E731
        writer = StatusWriter(self.kube, stack, stamp, lambda: True)  # type: ignore[arg-type]
        self.reporter = StackReporter(stack, writer, self.told, "req-1")  # type: ignore[arg-type]

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.kube.objects["stacks", "ns", "web"].get("status") or {}
        return found

    def writes(self) -> int:
        return [verb for verb, _, _ in self.kube.calls].count("patch")


def failing(message: str, reason: str = "QuotaExceeded") -> StatusUpdate:
    return StatusUpdate(1, ReadyState(ready=False, reconciling=True, reason=reason, message=message))


@pytest.mark.looptime
async def test_a_stack_at_rest_costs_no_write_while_nothing_has_to_be_done() -> None:
    web = Reported()
    web.reporter.register(CREATE, [], None)
    for name in ("a", "b"):
        web.reporter.progress.move(name, ResourceProgress("OS::Neutron::Net", "Ready"))
    await asyncio.sleep(5)
    assert not web.reporter.started
    assert web.writes() == 0


@pytest.mark.looptime
async def test_the_first_change_of_a_resource_is_work_and_is_written() -> None:
    web = Reported()
    web.reporter.register(CREATE, [], None)
    web.reporter.progress.move("net", ResourceProgress("OS::Neutron::Net", "Creating"))
    await asyncio.sleep(5)
    assert web.reporter.started
    assert web.status["lastOperation"]["type"] == "Create"
    assert web.status["resources"]["summary"] == "0/1"
    assert web.status["passID"] == "req-1"


async def test_an_equal_failure_is_one_event_whatever_its_request_id() -> None:
    first = Reported()
    await first.reporter.report_final(failing("no more [req-aaaa-1]"))
    assert first.told.reasons == ["QuotaExceeded"]
    again = Reported(**first.status)
    await again.reporter.report_final(failing("no more [req-bbbb-2]"))
    assert again.told.reasons == []
    assert "req-aaaa-1" in str(again.status["conditions"])
    other = Reported(**first.status)
    await other.reporter.report_final(failing("no more ports"))
    assert other.told.messages == ["no more ports"]


async def test_hidden_values_reach_neither_status_nor_events() -> None:
    web = Reported()
    web.reporter.add_secrets({"s3cret-value"})
    web.reporter.progress.repaired["net"] = "name s3cret-value"
    web.reporter.report_repaired()
    await web.reporter.report_final(failing("refused: s3cret-value"))
    assert web.told.reasons == ["DriftCorrected", "QuotaExceeded"]
    assert "s3cret-value" not in str(web.told.messages) + str(web.status)


async def test_an_operation_that_succeeded_is_measured_once_it_is_known() -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("kiln_converge_seconds_count", {"operation": "Create"}) or 0.0

    web = Reported()
    before = count()
    web.reporter.observe_duration()
    web.reporter.register(CREATE, [], None)
    web.reporter.observe_duration()
    assert count() == before
    done = ReadyState(ready=True, reconciling=False, reason="Succeeded", message="as asked")
    await web.reporter.report_final(StatusUpdate(1, done, operation=Operation.CREATE, result=Result.SUCCEEDED))
    web.reporter.observe_duration()
    assert count() == before + 1


async def test_progress_before_there_is_an_objective_is_a_mistake() -> None:
    web = Reported()
    with pytest.raises(RuntimeError):
        await web.reporter.report_started()
    web.reporter.progress.move("net", ResourceProgress("OS::Neutron::Net", "Failed", "no", Fault.INVALID))
    assert web.writes() == 0
