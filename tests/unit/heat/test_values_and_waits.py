from dataclasses import replace

import pytest

from reconcilers import registry
from reconcilers.heat.delay import Delay, TestResource
from reconcilers.heat.none import Nothing
from reconcilers.heat.value import Value
from reconcilers.model import Desired, Failed, Fault, Gone, Pause, Ready, Recorded, Replace

RECORDED = Recorded(key="k", name="r", type="t", token="1f7a-token", physical_name="stack-r-x")
TEST = {"value": "one", "fail": False, "update_replace": False, "wait_secs": 0}


def desired(changed: set[str] | None = None, **properties: object) -> Desired:
    given = set(properties) if changed is None else changed
    return Desired("r", "stack-r-x", properties, frozenset(given), key=lambda: b"s" * 32)


def after(pause: Pause, recorded: Recorded) -> Recorded:
    return replace(recorded, data={**recorded.data, **pause.remember})


# Value.


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (None, {"any": ["thing", 1]}, {"any": ["thing", 1]}),
        ("string", 5, "5"),
        ("number", "5", 5),
        ("number", "5.5", 5.5),
        ("boolean", "true", True),
        ("boolean", "yes", True),
        ("boolean", "Off", False),
        ("boolean", False, False),
        ("json", {"a": 1}, {"a": 1}),
        ("comma_delimited_list", ["a", "b"], ["a", "b"]),
    ],
)
def test_a_value_is_turned_into_its_type(kind, given, expected):
    wanted = desired(value=given, type=kind)
    assert isinstance(Value().step(wanted, RECORDED, None), Ready)
    found = Value().attributes(wanted, RECORDED, None)["value"]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "given"),
    [("number", "five"), ("boolean", "perhaps"), ("json", "text"), ("comma_delimited_list", "a,b")],
)
def test_a_value_that_is_not_of_its_type_is_refused(kind, given):
    outcome = Value().step(desired(value=given, type=kind), RECORDED, None)
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.property) == (Fault.INVALID, "value")


def test_a_value_that_goes_needs_no_value():
    assert Value().step(None, RECORDED, None) == Gone()
    assert Value().attributes(None, RECORDED, None) == {}


# None.


def test_none_has_no_attributes_and_an_id_of_its_own():
    assert Nothing().attributes(desired(), RECORDED, None) == {}
    assert Nothing().identity(RECORDED) == "1f7a-token"
    assert isinstance(Nothing().step(desired(), RECORDED, None), Ready)


def test_types_that_are_no_longer_do_nothing_either():
    assert isinstance(registry.find("OS::Glance::Image"), Nothing)
    assert registry.find("OS::No::Such") is None


# TestResource.


def test_a_test_resource_waits_once_and_is_ready():
    wanted = desired(**{**TEST, "wait_secs": 2})
    pause = TestResource().step(wanted, RECORDED, None)
    assert isinstance(pause, Pause)
    assert pause.seconds == 2
    assert TestResource().step(wanted, after(pause, RECORDED), None) == Ready(applies=wanted.changed)


def test_a_test_resource_that_shall_fail_fails_after_its_wait():
    wanted = desired(**{**TEST, "fail": True})
    pause = TestResource().step(wanted, RECORDED, None)
    assert isinstance(pause, Pause)
    outcome = TestResource().step(wanted, after(pause, RECORDED), None)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.INVALID


def test_a_changed_test_resource_waits_anew_only_for_its_value():
    pause = TestResource().step(desired(**TEST), RECORDED, None)
    assert isinstance(pause, Pause)
    made = after(pause, RECORDED)
    new = {**TEST, "value": "two", "action_wait_secs": {"update": 3}}
    changed_value = TestResource().step(desired({"value"}, **new), made, None)
    changed_else = TestResource().step(desired({"action_wait_secs"}, **new), made, None)
    assert isinstance(changed_value, Pause)
    assert isinstance(changed_else, Pause)
    assert (changed_value.seconds, changed_else.seconds) == (3, 0)


def test_an_unchanged_test_resource_is_at_rest():
    assert TestResource().step(desired(set(), **{**TEST, "wait_secs": 9, "fail": True}), RECORDED, None) == Ready()


def test_the_wait_of_a_deletion_follows_from_the_record_alone():
    wanted = desired(**{**TEST, "action_wait_secs": {"delete": 4}})
    recorded = replace(RECORDED, data=TestResource().intent(wanted))
    pause = TestResource().step(None, recorded, None)
    assert isinstance(pause, Pause)
    assert pause.seconds == 4
    assert TestResource().step(None, after(pause, recorded), None) == Gone()


def test_a_negative_wait_has_no_end():
    pause = TestResource().step(desired(**{**TEST, "wait_secs": -1}), RECORDED, None)
    assert isinstance(pause, Pause)
    assert pause.seconds == float("inf")


def test_a_changed_value_replaces_only_if_that_is_asked_for():
    kind = TestResource()
    assert kind.replacement(desired({"value"}, **TEST), RECORDED, None) is None
    assert isinstance(kind.replacement(desired({"value"}, **{**TEST, "update_replace": True}), RECORDED, None), Replace)
    assert isinstance(kind.replacement(desired({"update_replace_value"}, **TEST), RECORDED, None), Replace)
    assert kind.attributes(desired(**TEST), RECORDED, None) == {"output": "one"}


# Delay.

DELAY = {"min_wait": 5, "max_jitter": 10, "jitter_multiplier": 2.0, "actions": ["CREATE", "DELETE"]}


def test_a_delay_lies_between_its_bounds_and_is_the_same_at_each_look():
    first, again = (Delay().step(desired(**DELAY), RECORDED, None) for _ in range(2))
    assert isinstance(first, Pause)
    assert 5 <= first.seconds < 25
    assert first == again


def test_a_delay_for_other_actions_does_not_wait_for_the_creation():
    pause = Delay().step(desired(**{**DELAY, "actions": ["DELETE"]}), RECORDED, None)
    assert isinstance(pause, Pause)
    assert pause.seconds == 0


def test_a_changed_delay_does_not_wait_but_notes_the_new_wait_of_its_deletion():
    pause = Delay().step(desired(**{**DELAY, "max_jitter": 0}), RECORDED, None)
    assert isinstance(pause, Pause)
    changed = Delay().step(
        desired({"min_wait"}, **{**DELAY, "max_jitter": 0, "min_wait": 7}), after(pause, RECORDED), None
    )
    assert isinstance(changed, Pause)
    assert changed.seconds == 0
    assert Delay().step(None, after(changed, RECORDED), None) == Pause(7.0, Delay.why, {"waited": "deleted"})
