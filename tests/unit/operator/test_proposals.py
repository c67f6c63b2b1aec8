"""StackChangeSets that users create: planned, kept up to date, executed by a change of the Stack, and ended."""

import json
from typing import Any

import pytest
from harness.one_stack import NET, OneStack

from kiln.stack import proposals
from kiln.stack.requests import RequestIndex

MANUAL = {"updateApproval": "Manual"}
TEMPLATE = {"heat_template_version": "2021-04-16", "resources": {"net": NET}}


def net(name: str) -> dict[str, Any]:
    return {**NET, "properties": {"name": name}}


def template(**resources: Any) -> dict[str, Any]:
    return {**TEMPLATE, "resources": resources}


@pytest.fixture
def web() -> OneStack:
    return OneStack()


async def test_proposed_inputs_are_planned_and_nothing_is_changed(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    name = web.propose("bigger", proposed={"template": template(net=net("other"), more=net("more"))})
    await web.run()
    status = web.change_sets()[name]
    assert (status["phase"], status["summary"]) == ("Ready", "1 Create, 1 Update")
    assert status["basis"]["currentRevision"] == web.status["currentRevision"]
    assert web.nets() == ["net"]
    assert web.condition() == ("True", "Succeeded")


async def test_what_is_not_proposed_is_as_the_stack_has_it(web: OneStack) -> None:
    web.apply({})
    spec = web.kube.objects["stacks", "ns", "web"]["spec"]
    spec["template"] = {
        **template(net=net("x")),
        "parameters": {"name": {"type": "string"}, "up": {"type": "boolean", "default": True}},
    }
    properties = {"name": {"get_param": "name"}, "admin_state_up": {"get_param": "up"}}
    spec["template"]["resources"]["net"]["properties"] = properties
    spec["parameters"] = {"name": "one", "up": True}
    await web.run()
    web.propose("two", proposed={"parameters": {"name": "two", "up": True}})
    await web.run()
    changes = web.change_sets()["two"]["changes"]
    assert [one["properties"] for one in changes] == [[{"name": "name", "old": "one", "new": "two"}]]


def test_a_proposed_template_takes_the_place_of_one_of_another_form() -> None:
    stack = {"metadata": {}, "spec": {"templateBody": "old", "environments": [1], "timeout": "1h"}}
    found = proposals.proposed_stack(stack, {"templateRef": {"configMapName": "c"}})["spec"]
    assert found == {"environments": [1], "timeout": "1h", "templateRef": {"configMapName": "c"}}


async def test_an_approval_of_proposed_inputs_counts_when_the_spec_asks_for_them(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    web.apply({"net": NET}, **MANUAL)
    name = web.propose("next", proposed={"template": template(net=net("other"))})
    await web.run()
    web.approve(name)
    await web.run()
    assert web.nets() == ["net"]
    web.apply({"net": net("other")}, **MANUAL)
    await web.run()
    assert web.nets() == ["other"]
    assert web.in_phase("Succeeded") == [name]
    assert list(web.change_sets()) == [name]


async def test_the_approval_of_other_inputs_does_not_count(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    web.apply({"net": NET}, **MANUAL)
    name = web.propose("next", proposed={"template": template(net=net("other"))})
    await web.run()
    web.approve(name)
    web.apply({"net": net("third")}, **MANUAL)
    await web.run()
    assert web.nets() == ["net"]
    assert web.condition() == ("False", "AwaitingApproval")
    assert name in web.in_phase("Ready")


async def test_an_approval_before_the_plan_is_refused(web: OneStack) -> None:
    web.apply({"net": NET}, **MANUAL)
    name = web.propose("blind", approved=True)
    await web.run()
    assert web.in_phase("Failed") == [name]
    assert "before its plan was made" in web.change_sets()[name]["message"]
    assert web.nets() == []


async def test_a_change_set_without_inputs_is_the_plan_of_what_is_pending(web: OneStack) -> None:
    web.apply({"net": NET}, **MANUAL)
    name = web.propose("mine")
    await web.run()
    first, second = web.in_phase("Ready")
    sets = web.change_sets()
    assert sets[first]["digest"] == sets[second]["digest"]
    web.approve(name)
    await web.run()
    assert web.nets() == ["net"]
    assert web.in_phase("Succeeded") == [name]


async def test_a_deletion_is_planned_and_ends_with_the_stack(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    name = web.propose("end", delete=True)
    await web.run()
    status = web.change_sets()[name]
    assert (status["phase"], status["counts"]) == ("Ready", {"Delete": 1})
    web.approve(name)
    await web.run()
    assert web.nets() == ["net"]
    await web.delete()
    await web.run()
    await web.run()
    assert web.in_phase("Succeeded") == [name]


@pytest.mark.parametrize("cause", ["cloud", "inputs"])
async def test_a_plan_that_is_out_of_date_becomes_stale_and_says_why(web: OneStack, cause: str) -> None:
    web.kube.config_map("inputs", **{"template.yaml": json.dumps(template(net=net("other")))})
    web.apply({"net": NET})
    await web.run()
    name = web.propose("next", proposed={"templateRef": {"configMapName": "inputs"}})
    await web.run()
    await web.run()
    assert web.in_phase("Ready") == [name]
    if cause == "cloud":
        web.apply({"net": net("third")})
    else:
        web.kube.config_map("inputs", **{"template.yaml": json.dumps(template(net=net("fourth")))})
    await web.run()
    assert web.in_phase("Stale") == [name]
    why = web.change_sets()[name]["message"]
    assert (
        why
        == {
            "cloud": "the values or the requests of the plan differ",
            "inputs": "the inputs changed: the Stack's spec, or an object that they refer to",
        }[cause]
    )


@pytest.mark.parametrize(
    ("proposed", "message"),
    [
        ({"template": {"resources": {}}}, "heat_template_version"),
        ({"template": template(net={"type": "OS::Neutron::Nett"})}, "resources.net"),
        ({"templateRef": {"configMapName": "nowhere"}}, "spec.proposed.templateRef: there is no ConfigMap 'nowhere'"),
    ],
)
async def test_inputs_that_cannot_be_planned_say_why(web: OneStack, proposed: dict[str, Any], message: str) -> None:
    web.apply({"net": NET})
    await web.run()
    name = web.propose("bad", proposed=proposed)
    await web.run()
    assert web.in_phase("Failed") == [name]
    assert message in web.change_sets()[name]["message"]
    assert web.condition() == ("True", "Succeeded")


async def test_inputs_are_planned_for_a_stack_whose_own_are_invalid(web: OneStack) -> None:
    web.apply({"net": {"type": "OS::Neutron::Nett"}})
    name = web.propose("fix", proposed={"template": template(net=NET)})
    await web.run()
    assert web.condition("Stalled")[0] == "True"
    assert web.change_sets()[name]["counts"] == {"Create": 1}


async def test_a_change_set_of_no_stack_fails(web: OneStack) -> None:
    name = web.propose("lost")
    await web.run()
    assert web.in_phase("Failed") == [name]
    assert web.change_sets()[name]["message"] == "there is no Stack web"


async def test_a_paused_stack_is_not_planned(web: OneStack) -> None:
    web.apply({"net": NET}, paused=True)
    name = web.propose("later")
    await web.run()
    assert web.in_phase("") == [name]
    web.apply({"net": NET})
    await web.run()
    assert web.in_phase("Ready") == [name]


async def test_a_hidden_parameter_of_the_proposal_is_in_no_status(web: OneStack) -> None:
    web.kube.secret("words", word="Hunter2-Secret")
    web.apply({"net": NET})
    await web.run()
    wanted = {**template(net=net("other")), "parameters": {"word": {"type": "string"}}}
    wanted["resources"]["more"] = net("pre-Hunter2-Secret")
    given = [{"name": "word", "secretKeyRef": {"name": "words", "key": "word"}}]
    web.propose("next", proposed={"template": wanted, "parametersFrom": given})
    broken = {**wanted, "resources": {"net": {"type": "Hunter2-Secret"}}}
    web.propose("broken", proposed={"template": broken, "parametersFrom": given})
    await web.run()
    sets = web.change_sets()
    assert (sets["next"]["phase"], sets["broken"]["phase"]) == ("Ready", "Failed")
    assert "Hunter2" not in json.dumps(sets)


async def test_a_stack_without_change_sets_costs_no_call_for_them(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    web.apply({"net": NET}, **MANUAL)
    await web.run()
    web.kube.calls.clear()
    await web.run()
    assert not [call for call in web.kube.calls if call[1] == "stackchangesets"]


async def test_a_finished_change_set_is_no_longer_open_and_expires(web: OneStack) -> None:
    index = RequestIndex()
    web.apply({"net": NET})
    await web.run()
    web.propose("bad", proposed={"template": {}})
    await web.run()
    ended = web.kube.find("stackchangesets", "bad")
    assert ended is not None
    assert index.observe("stackchangesets", "MODIFIED", ended) is None
    assert [one.name for one in index.expired(float("inf"))] == ["bad"]
