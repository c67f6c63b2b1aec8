"""OS::Heat::Stack as a pure type: what it asks for, and when."""

from typing import Any

import pytest

from reconcilers import registry
from reconcilers.heat.stack import CHILD_STACKS, parameter_text
from reconcilers.model import Failed, Fault, Gone, Power, Ready, Replace, Send, Wait

TYPE = "OS::Heat::Stack"
TOKEN = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture
def rtype() -> Any:
    return registry.find(TYPE)


def shown(**more: Any) -> dict[str, Any]:
    plain = {
        "id": "web-inner-0123456789",
        "name": "web-inner-x",
        "status": "READY",
        "summary": "all resources match the Stack",
        "deleting": False,
        "current": True,
        "edited": [],
        "retain": False,
        "power_state": "Running",
        "metadata": {"kiln-token": TOKEN},
        "outputs": {},
    }
    return {**plain, **more}


def test_the_name_follows_from_the_token_and_is_a_label(rtype: Any, record: Any) -> None:
    name = rtype.identity(record(token=TOKEN, physical_name="My_Stack-inner.x-abcdefghijkl"))
    assert name == "my-stack-inner-x-0123456789"
    assert len(rtype.identity(record(token=TOKEN, physical_name="x" * 250))) <= 63


def test_a_creation_goes_through_the_transport_of_children_with_the_token(rtype: Any, desire: Any, record: Any) -> None:
    wanted = desire(TYPE, {"template": "text", "parameters": {"a": 1, "b": None}}, hidden=frozenset({"parameters.a"}))
    step = rtype.step(wanted, record(physical_id=None, token=TOKEN, confirmed=False), None)
    assert isinstance(step, Send)
    assert step.creates
    assert (step.request.transport, step.request.method) == (CHILD_STACKS, "POST")
    body = step.request.body["stack"]
    assert body["parameters"] == {"a": 1}
    assert body["hidden"] == ["a"]
    assert body["metadata"] == {"kiln-token": TOKEN}


@pytest.mark.parametrize("place", ["template", "context", "context.region_name", "timeout"])
def test_what_cannot_be_hidden_in_a_child_is_refused(rtype: Any, desire: Any, record: Any, place: str) -> None:
    wanted = desire(TYPE, {"template": "text"}, hidden=frozenset({place}))
    step = rtype.step(wanted, record(physical_id=None, token=TOKEN), None)
    assert isinstance(step, Failed)
    assert (step.fault, step.property) == (Fault.INVALID, place.partition(".")[0])


@pytest.mark.parametrize("place", ["*", "parameters"])
def test_where_the_hidden_parameters_are_not_known_all_are_hidden(
    rtype: Any, desire: Any, record: Any, place: str
) -> None:
    wanted = desire(TYPE, {"template": "text", "parameters": {"a": 1, "b": 2}}, hidden=frozenset({place}))
    assert rtype.whole(wanted, record(token=TOKEN))["hidden"] == ["a", "b"]


def test_a_failed_child_is_changed_by_a_new_template_and_never_made_anew(rtype: Any, desire: Any, record: Any) -> None:
    failed = shown(status="FAILED", reason="no more networks; in resources.net", fault="QuotaExceeded", lasting=False)
    same = rtype.step(desire(TYPE, {"template": "text"}, set()), record(token=TOKEN), failed)
    assert same == Failed("no more networks; in resources.net", Fault.QUOTA, kept=True)
    step = rtype.step(desire(TYPE, {"template": "new"}, {"template"}), record(token=TOKEN), failed)
    assert isinstance(step, Send)
    assert step.request.method == "PUT"


@pytest.mark.parametrize(
    ("fault", "lasting", "expected"),
    [
        ("ResourceFailed", False, Fault.RESOURCE),
        ("TimedOut", False, Fault.RESOURCE),
        ("InvalidTemplate", True, Fault.INVALID),
        ("AuthenticationFailed", True, Fault.AUTH),
        ("QuotaExceeded", False, Fault.QUOTA),
    ],
)
def test_the_class_of_a_failure_comes_from_the_child(
    rtype: Any, desire: Any, record: Any, fault: str, lasting: bool, expected: Fault
) -> None:
    failed = shown(status="FAILED", reason="why", fault=fault, lasting=lasting)
    outcome = rtype.step(desire(TYPE, {"template": "text"}, set()), record(token=TOKEN), failed)
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.kept) == (expected, True)


@pytest.mark.parametrize("difference", [{"current": False}, {"retain": True}, {"power_state": "Suspended"}])
def test_what_the_parent_hands_down_is_kept_as_it_is(
    rtype: Any, desire: Any, record: Any, difference: dict[str, Any]
) -> None:
    wanted = desire(TYPE, {"template": "text"}, set())
    assert rtype.step(wanted, record(token=TOKEN), shown()) == Ready()
    assert isinstance(rtype.step(wanted, record(token=TOKEN), shown(**difference)), Send)


def test_only_another_region_replaces(rtype: Any, desire: Any, record: Any) -> None:
    old = record(token=TOKEN, data={"region": "one"})
    other = desire(TYPE, {"template": "t", "context": {"region_name": "two"}}, {"context"})
    same = desire(TYPE, {"template": "t", "context": {"region_name": "one", "insecure": True}}, {"context"})
    assert isinstance(rtype.replacement(other, old, shown()), Replace)
    assert rtype.replacement(same, old, shown()) is None


def test_a_deletion_waits_until_the_child_is_gone_and_says_why_it_is_not(rtype: Any, record: Any) -> None:
    recorded = record(token=TOKEN)
    first = rtype.step(None, recorded, shown())
    assert isinstance(first, Send)
    assert (first.request.method, first.deletes) == ("DELETE", False)
    waiting = rtype.step(None, recorded, shown(deleting=True, status="IN_PROGRESS", summary="2 resources left"))
    assert waiting == Wait("its Stack web-inner-0123456789 is being deleted: 2 resources left")
    stuck = shown(deleting=True, status="FAILED", reason="in use", fault="Conflict", lasting=False)
    assert rtype.step(None, recorded, stuck) == Failed("in use", Fault.CONFLICT, kept=True)
    assert rtype.step(None, recorded, None) == Gone()


def test_suspending_sets_the_power_state_and_waits_for_the_child(rtype: Any, record: Any) -> None:
    recorded = record(token=TOKEN, power=Power.SUSPENDING)
    step = rtype.suspend(recorded, shown())
    assert isinstance(step, Send)
    assert (step.request.method, step.request.body) == ("PATCH", {"stack": {"power_state": "Suspended"}})
    assert isinstance(rtype.suspend(recorded, shown(power_state="Suspended", status="IN_PROGRESS")), Wait)
    assert rtype.suspend(recorded, shown(power_state="Suspended")) == Ready()


def test_a_plan_foresees_what_a_creation_brings_about(rtype: Any, desire: Any, record: Any) -> None:
    recorded = record(token=TOKEN)
    step = rtype.step(desire(TYPE, {"template": "text"}), recorded, None)
    after = rtype.foresee(step, recorded, None)
    assert rtype.step(desire(TYPE, {"template": "text"}, set()), recorded, after) == Ready()


def test_parameters_are_texts_that_a_template_reads() -> None:
    assert parameter_text("a") == "a"
    assert parameter_text(["a", 1]) == "a,1"
    assert parameter_text({"b": [1]}) == '{"b": [1]}'
