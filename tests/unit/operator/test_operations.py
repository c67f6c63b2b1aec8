"""StackOperations: what each does to a Stack, and what it says of it."""

from typing import Any

import pytest
from harness.one_stack import FAILS, NET, OneStack, named

from kiln.api.kinds import STACK_OPERATIONS, STACKS
from kiln.api.v1alpha1 import Key
from kiln.controller.workqueue import Run

BAD = {**FAILS, "depends_on": "net"}


@pytest.fixture
def web() -> OneStack:
    return OneStack()


async def deploy(web: OneStack, *names: str, **spec: Any) -> None:
    web.apply({name: named(name) for name in names}, **spec)
    await web.run()
    assert web.condition() == ("True", "Succeeded")


async def test_a_retry_tries_again_what_was_rolled_back(web: OneStack) -> None:
    await deploy(web, "net")
    web.apply({"net": NET, "bad": BAD}, onFailure="Rollback")
    await web.run()
    await web.run()
    assert web.condition() == ("False", "RolledBack")
    retry = web.ask("Retry")
    await web.run()
    phase, message = web.result(retry)
    assert phase == "Failed"
    assert "resources.bad" in message
    await web.run()
    assert web.condition() == ("False", "RolledBack")


async def test_a_retry_of_a_healthy_stack_succeeds_and_changes_nothing(web: OneStack) -> None:
    await deploy(web, "net")
    before = len(web.cloud.sent("POST"))
    retry = web.ask("Retry")
    await web.run()
    assert web.result(retry)[0] == "Succeeded"
    assert len(web.cloud.sent("POST")) == before


async def test_a_rollback_goes_to_any_revision_and_stays_there(web: OneStack) -> None:
    for count in range(1, 6):
        await deploy(web, *(f"net{number}" for number in range(count)))
    back = web.ask("Rollback", rollback={"revision": 1})
    await web.run()
    assert web.result(back)[0] == "Succeeded"
    assert web.nets() == ["net0"]
    assert web.condition() == ("False", "RolledBack")
    await web.run()
    assert web.nets() == ["net0"]


async def test_a_rollback_of_a_rollback(web: OneStack) -> None:
    for names in (["a"], ["a", "b"], ["a", "b", "c"]):
        await deploy(web, *names)
    web.ask("Rollback", rollback={"revision": 1})
    await web.run()
    assert web.nets() == ["a"]
    web.ask("Rollback", rollback={"revision": 2})
    await web.run()
    assert web.nets() == ["a", "b"]
    again = web.ask("Retry")
    await web.run()
    assert web.nets() == ["a", "b", "c"]
    assert web.result(again)[0] == "Succeeded"
    assert "rollback" not in web.status


async def test_a_rollback_without_a_number_goes_to_the_revision_before(web: OneStack) -> None:
    await deploy(web, "a")
    await deploy(web, "a", "b")
    web.ask("Rollback", rollback={"revision": 0})
    await web.run()
    assert web.nets() == ["a"]


async def test_drift_of_a_stack_that_was_rolled_back_is_repaired(web: OneStack) -> None:
    await deploy(web, "a")
    await deploy(web, "a", "b")
    web.ask("Rollback", rollback={"revision": 1})
    await web.run()
    web.cloud.drop("networks", web.cloud.all("networks")[0]["id"])
    await web.run()
    assert web.nets() == ["a"]
    assert web.condition() == ("False", "RolledBack")


async def test_a_change_of_the_spec_ends_a_rollback(web: OneStack) -> None:
    await deploy(web, "a")
    await deploy(web, "a", "b")
    web.ask("Rollback", rollback={"revision": 1})
    await web.run()
    await deploy(web, "a", "c")
    assert web.nets() == ["a", "c"]
    assert "rollback" not in web.status


async def test_a_rollback_to_an_unknown_revision_says_which_there_are(web: OneStack) -> None:
    await deploy(web, "a")
    await deploy(web, "a", "b")
    back = web.ask("Rollback", rollback={"revision": 7})
    await web.run()
    assert web.result(back) == ("Failed", "there is no StackRevision with the number 7; the numbers: 1, 2")
    assert web.nets() == ["a", "b"]


async def test_a_cancelled_update_is_rolled_back(web: OneStack) -> None:
    await deploy(web, "a")
    web.apply({"a": named("a"), "b": named("b"), "bad": {**FAILS, "depends_on": "b"}})
    await web.run()
    assert web.nets() == ["a", "b"]
    cancel = web.ask("CancelUpdate")
    await web.run()
    assert web.nets() == ["a"]
    assert web.result(cancel)[0] == "Succeeded"
    assert web.condition() == ("False", "RolledBack")


async def test_a_cancelled_creation_is_taken_back(web: OneStack) -> None:
    web.apply({"b": named("b"), "bad": {**FAILS, "depends_on": "b"}})
    await web.run()
    cancel = web.ask("CancelUpdate")
    await web.run()
    assert web.nets() == []
    assert web.result(cancel)[0] == "Succeeded"


async def test_an_update_that_is_cancelled_without_rollback_stays_where_it_is(web: OneStack) -> None:
    await deploy(web, "a")
    web.apply({"a": named("a"), "b": named("b"), "bad": {**FAILS, "depends_on": "b"}})
    await web.run()
    cancel = web.ask("CancelUpdate", cancelUpdate={"rollback": False})
    await web.run()
    assert web.condition() == ("False", "Cancelled")
    assert web.condition("Stalled")[0] == "True"
    assert web.result(cancel)[0] == "Succeeded"
    await web.run()
    assert web.nets() == ["a", "b"]
    assert web.condition() == ("False", "Cancelled")
    await deploy(web, "a")
    assert web.nets() == ["a"]
    assert "cancelledRevision" not in web.status


async def test_nothing_is_cancelled_when_the_stack_is_at_rest(web: OneStack) -> None:
    await deploy(web, "a")
    cancel = web.ask("CancelUpdate")
    await web.run()
    assert web.result(cancel) == ("Failed", "no create or update is going on")
    assert web.condition() == ("True", "Succeeded")


async def test_a_check_reports_drift_and_repairs_nothing(web: OneStack) -> None:
    await deploy(web, "a", "b")
    fine = web.ask("Check")
    await web.run()
    assert web.result(fine) == ("Succeeded", "all resources are as they were applied")
    web.cloud.drop("networks", web.cloud.all("networks")[0]["id"])
    check = web.ask("Check")
    await web.run()
    assert web.result(check) == ("Failed", "1 resources differ from what was applied: a: gone from the cloud")
    assert web.nets() == ["b"]
    assert web.condition("DriftDetected") == ("True", "Drifted")
    await web.run()
    assert web.nets() == ["a", "b"]


async def test_a_resource_that_is_marked_unhealthy_is_replaced_once(web: OneStack) -> None:
    await deploy(web, "a", "b")
    before = {one["name"]: one["id"] for one in web.cloud.all("networks")}
    mark = web.ask("MarkUnhealthy", markUnhealthy={"resource": "a", "reason": "no answer on port 80"})
    await web.run()
    await web.run()
    after = {one["name"]: one["id"] for one in web.cloud.all("networks")}
    assert web.result(mark)[0] == "Succeeded"
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]
    assert len(web.cloud.sent("POST", "networks")) == 3


async def test_a_stack_that_was_rolled_back_can_be_checked_and_healed(web: OneStack) -> None:
    await deploy(web, "a")
    await deploy(web, "a", "b")
    web.ask("Rollback", rollback={"revision": 1})
    await web.run()
    check = web.ask("Check")
    await web.run()
    assert web.result(check)[0] == "Succeeded"
    mark = web.ask("MarkUnhealthy", markUnhealthy={"resource": "a"})
    before = web.cloud.all("networks")[0]["id"]
    await web.run()
    assert web.result(mark)[0] == "Succeeded"
    assert [one["id"] != before for one in web.cloud.all("networks")] == [True]


async def test_an_unknown_resource_cannot_be_marked(web: OneStack) -> None:
    await deploy(web, "a")
    mark = web.ask("MarkUnhealthy", markUnhealthy={"resource": "z"})
    await web.run()
    assert web.result(mark) == ("Failed", "there is no resource 'z' that exists; the first of all: a")


async def test_operations_run_one_after_the_other_oldest_first(web: OneStack) -> None:
    for names in (["a"], ["a", "b"], ["a", "b", "c"]):
        await deploy(web, *names)
    second = web.ask("Rollback", "x", created="2026-01-01T00:00:02Z", rollback={"revision": 2})
    first = web.ask("Rollback", "y", created="2026-01-01T00:00:01Z", rollback={"revision": 1})
    requeue = await web.run()
    assert (web.result(first)[0], web.result(second)[0]) == ("Succeeded", "")
    assert requeue.after is not None
    assert requeue.after < 1
    await web.run()
    assert web.result(second)[0] == "Succeeded"
    assert web.nets() == ["a", "b"]


async def test_a_cancellation_ends_an_operation_that_cannot_end(web: OneStack) -> None:
    await deploy(web, "a")
    web.apply({"a": named("a"), "b": named("b"), "bad": {**FAILS, "depends_on": "b"}})
    await web.run()
    web.kube.put(
        STACK_OPERATIONS,
        "old",
        metadata={"uid": "uid-old", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
        spec={"stackName": "web", "type": "MarkUnhealthy", "markUnhealthy": {"resource": "a"}},
        status={"phase": "Running"},
    )
    obj = web.kube.find("stackoperations", "old")
    assert obj is not None
    web.services.requests.observe("stackoperations", "ADDED", obj)
    web.ask("CancelUpdate", "stop", created="2026-01-01T00:00:09Z")
    await web.run()
    assert web.result("old") == ("Failed", "ended by StackOperation stop")
    assert web.nets() == ["a"]


async def test_an_operation_on_a_stack_that_does_not_exist_fails_at_once(web: OneStack) -> None:
    web.kube.put(
        STACK_OPERATIONS,
        "lost",
        metadata={"uid": "u", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
        spec={"stackName": "nothing", "type": "Retry"},
    )
    obj = web.kube.find("stackoperations", "lost")
    assert obj is not None
    web.services.requests.observe("stackoperations", None, obj)
    await web.reconciler.run(Key("ns", "nothing"), Run())
    assert web.result("lost") == ("Failed", "there is no Stack nothing")


async def test_an_operation_on_a_stack_that_is_being_deleted_fails(web: OneStack) -> None:
    await deploy(web, "a")
    op = web.ask("Retry")
    await web.delete()
    await web.run()
    assert web.result(op) == ("Failed", "the Stack is being deleted")
    assert web.kube.find(STACKS.plural, "web") is None


async def test_an_operation_whose_template_is_invalid_says_so(web: OneStack) -> None:
    await deploy(web, "a")
    web.apply({"a": {"type": "OS::No::Such"}})
    op = web.ask("Rollback", rollback={"revision": 1})
    await web.run()
    phase, message = web.result(op)
    assert phase == "Failed"
    assert "resources.a" in message
