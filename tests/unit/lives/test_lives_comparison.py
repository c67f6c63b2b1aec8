"""What the comparison with real Heat takes for a difference."""

from typing import Any

import pytest
import yaml
from harness import lab
from lives.compare import Difference, Explanations, compared
from lives.run import scenarios
from lives.values import Normalizer, differences

ID = "6d7b3c2e-0000-4000-8000-000000000001"
TOKEN = "6d7b3c2e-0000-4000-8000-0000000000ff"


@pytest.fixture
def normalizer() -> Normalizer:
    made = Normalizer('{"ip_address": "10.9.0.77"}', "web", {"qqka": "@S@"})
    made.labels[ID] = "<port>"
    return made


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        (ID, "<port>"),
        (f"device {ID}", "device <port>"),
        (TOKEN, "<id>"),
        (f"mine (kiln:{TOKEN})", "mine"),
        ("web-port-abcdefghij23", "<auto>"),
        ("web-group-abcdefghij23-0-bcdefghij234", "<auto>"),
        ("nameqqka", "name@S@"),
        ("10.9.0.12", "<ip4>"),
        ("10.9.0.77", "10.9.0.77"),
        ("10.9.0.0/24", "10.9.0.0/24"),
        ("fa:16:3e:aa:bb:cc", "<mac>"),
        ("fd00:a::f816:3eff:fee9:49a9", "<ip6>"),
        ("fd00:a::/64", "fd00:a::/64"),
        ("2026-01-01T00:00:00Z", "<time>"),
        ({"ids": [ID, 5, None]}, {"ids": ["<port>", 5, None]}),
    ],
)
def test_what_only_one_run_has_becomes_a_word(normalizer: Normalizer, value: Any, normal: Any) -> None:
    assert normalizer.normal(value) == normal


def test_nothing_and_empty_are_the_same_and_all_else_is_named_with_its_path() -> None:
    assert list(differences({"a": None, "b": {"c": 1}}, {"a": [], "b": {"c": 2}})) == [("b.c", 1, 2)]


def row(change: str = "same", state: str = "ready", live: Any = None) -> dict[str, Any]:
    return {"type": "OS::Neutron::Port", "id": ID, "state": state, "change": change, "live": live, "why": ""}


def seen(outcome: str = "complete", **resources: Any) -> dict[str, Any]:
    return {"outcome": outcome, "reason": "", "resources": resources, "outputs": {}, "left": {}}


def test_steps_that_end_alike_agree_also_if_both_fail() -> None:
    assert compared([seen(p=row())], [seen(p=row())]) == []
    assert compared([seen("failed", p=row(state="failed"))], [seen("refused")]) == []


def test_outcomes_resources_changes_and_live_objects_are_compared() -> None:
    ours = seen(a=row(), b=row("replaced"), c=row(live={"name": "x"}))
    theirs = seen(b=row(), c=row(live={"name": "y"}))
    found = [(one.what, one.where) for one in compared([ours], [theirs])]
    assert found == [("resource", "a"), ("change", "b"), ("live", "c name")]
    assert [one.what for one in compared([seen("complete")], [seen("timeout")])] == ["outcome"]


def test_what_follows_from_a_failure_is_not_told_again() -> None:
    heat = [seen("failed", p=row("none", "failed")), seen(p=row("new"))]
    kiln = [seen(p=row("replaced")), seen(p=row())]
    assert [(one.step, one.what) for one in compared(heat, kiln)] == [(0, "outcome")]


def test_members_of_scaling_groups_are_compared_whatever_their_names_are() -> None:
    assert compared([seen(**{"g/abcdefghij23": row()})], [seen(**{"g/bcdefghij234": row()})]) == []


def test_what_was_there_in_the_middle_of_the_step_before_is_a_matter_of_the_moment() -> None:
    begun = {"begun": True, "outcome": "begun", "reason": ""}
    assert compared([begun, seen(p=row("same"))], [begun, seen(p=row("new"))]) == []
    assert len(compared([seen(), seen(p=row("same"))], [seen(), seen(p=row("new"))])) == 1
    assert len(compared([begun, seen(p=row("replaced"))], [begun, seen(p=row("same"))])) == 1


def test_members_are_matched_by_what_they_are_and_not_by_their_names() -> None:
    """One side's new member comes first by its name, the other's comes last."""
    heat = seen(**{"g/aaaaaaaaaaaa": row("same"), "g/bbbbbbbbbbbb": row("new")})
    kiln = seen(**{"g/cccccccccccc": row("new"), "g/dddddddddddd": row("same")})
    assert compared([heat], [kiln]) == []
    assert len(compared([heat], [seen(**{"g/cccccccccccc": row("new"), "g/dddddddddddd": row("new")})])) == 1


def test_every_explanation_is_in_the_deviations_and_is_of_a_scenario() -> None:
    explanations = Explanations()
    assert explanations.unfounded((lab.ROOT / "docs/deviations.md").read_text()) == []
    assert explanations.of("value", Difference(3, "outcome", "refused/complete", "", ""))
    assert not explanations.of("value", Difference(3, "outcome", "complete/refused", "", ""))
    assert not explanations.of("value", Difference(3, "left", "ports", None, ["p"]))


def test_every_scenario_has_steps_that_can_be_read() -> None:
    found = list(scenarios([], ""))
    assert len(found) > 180
    assert len({scenario["name"] for scenario in found}) == len(found)
    for scenario in found:
        for step in scenario["steps"]:
            assert step.keys() & {"template", "delete", "call"} or "timeout" in step, scenario["name"]
            yaml.safe_load(step.get("template", "").replace("@S@", "word"))
    assert [scenario["name"] for scenario in scenarios([], "rename-p.* value")] == ["rename-port", "value"]
