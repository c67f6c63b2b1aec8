"""``spec.updateApproval: Manual``: what waits, what an approval lets go, and which approvals come too late."""

import json
import random
import re
from typing import Any

import pytest
from harness.one_stack import FAILS, NET, OneStack

from kiln.stack.requeue import PassEnd

MANUAL = {"updateApproval": "Manual"}


def net(name: str) -> dict[str, Any]:
    return {**NET, "properties": {"name": name}}


SERVER = {"name": "server", "image": "cirros", "flavor": "m1.tiny", "flavor_update_policy": "REPLACE"}


def server(**properties: Any) -> dict[str, Any]:
    return {"type": "OS::Nova::Server", "properties": {**SERVER, **properties}}


@pytest.fixture
def web() -> OneStack:
    return OneStack()


async def created(web: OneStack, resources: dict[str, Any], **spec: Any) -> None:
    web.apply(resources, **spec)
    await web.run()
    web.apply(resources, **MANUAL, **spec)
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert web.change_sets() == {}


async def test_a_creation_waits_for_approval_and_says_how_to_give_it(web: OneStack) -> None:
    web.apply({"net": NET}, **MANUAL)
    assert (await web.run()).end is PassEnd.AWAITING_APPROVAL
    assert web.nets() == []
    (name,) = web.in_phase("Ready")
    assert web.condition() == ("False", "AwaitingApproval")
    assert web.condition("Reconciling") == ("False", "AwaitingApproval")
    assert web.condition("Stalled") == ("False", "AwaitingApproval")
    assert f"1 Create: StackChangeSet {name} waits for approval (kubectl patch stkcs {name}" in web.message()
    assert web.status["observedGeneration"] == 1
    assert "lastOperation" not in web.status
    await web.run()
    assert list(web.change_sets()) == [name]
    web.approve(name)
    await web.run()
    assert web.nets() == ["net"]
    assert web.condition() == ("True", "Succeeded")
    assert web.in_phase("Succeeded") == [name]


async def test_the_change_set_of_an_update_is_named_by_its_revision_and_holds_its_plan(web: OneStack) -> None:
    await created(web, {"net": NET})
    web.apply({"net": net("other"), "more": net("more")}, **MANUAL)
    await web.run()
    ((name, status),) = web.change_sets().items()
    identity = web.cloud.all("networks")[0]["id"]
    assert name.startswith(status["basis"]["targetRevision"] + "-")
    assert status["summary"] == "1 Create, 1 Update"
    assert status["basis"]["generation"] == 3
    assert status["changes"][0]["properties"] == [{"name": "name", "old": "net", "new": "other"}]
    assert status["changes"][0]["calls"] == [f"PUT network /networks/{identity}"]
    assert web.nets() == ["net"]


async def test_what_is_executed_is_what_was_approved_call_for_call(web: OneStack) -> None:
    await created(web, {"net": NET, "old": net("old"), "server": server()})
    web.cloud.make("flavors", id="2", name="m1.small")
    web.apply({"net": net("renamed"), "more": net("more"), "server": server(flavor="m1.small")}, **MANUAL)
    await web.run()
    ((name, status),) = web.change_sets().items()
    web.approve(name)
    before = len(web.cloud.calls)
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    sent = [f"{one.method} {one.service} {one.path}" for one in web.cloud.calls[before:] if one.method != "GET"]
    assert sorted(sent) == sorted(call for change in status["changes"] for call in change.get("calls", ()))
    assert len(sent) == 5
    assert "moreCalls" not in json.dumps(status)


async def test_an_approval_comes_too_late_if_the_cloud_has_changed(web: OneStack) -> None:
    await created(web, {"net": NET, "two": net("two")})
    web.apply({"net": net("other"), "two": net("two")}, **MANUAL)
    await web.run()
    (old,) = web.in_phase("Ready")
    two = next(one for one in web.cloud.all("networks") if one["name"] == "two")
    web.cloud.drop("networks", two["id"])
    web.approve(old)
    await web.run()
    assert web.condition() == ("False", "AwaitingApproval")
    assert web.in_phase("Stale") == [old]
    message = f"the approval of {old} came too late: two: nothing was planned, now Recreate"
    assert web.message().startswith(message)
    assert web.nets() == ["net"]
    (new,) = web.in_phase("Ready")
    web.approve(new)
    await web.run()
    assert web.nets() == ["other", "two"]
    assert web.in_phase("Succeeded") == [new]


async def test_an_approval_comes_too_late_if_the_spec_has_changed(web: OneStack) -> None:
    await created(web, {"net": NET})
    web.apply({"net": net("one")}, **MANUAL)
    await web.run()
    (old,) = web.in_phase("Ready")
    web.apply({"net": net("two")}, **MANUAL)
    web.approve(old)
    await web.run()
    assert web.nets() == ["net"]
    assert web.change_sets()[old]["message"] == "the Stack's spec asks for something else now"
    assert web.in_phase("Stale") == [old]
    assert len(web.in_phase("Ready")) == 1


async def test_a_plan_that_becomes_possible_again_has_to_be_approved_again(web: OneStack) -> None:
    await created(web, {"net": NET, "two": net("two")})
    web.apply({"net": net("other"), "two": net("two")}, **MANUAL)
    await web.run()
    (first,) = web.in_phase("Ready")
    two = next(one for one in web.cloud.all("networks") if one["name"] == "two")
    two["name"] = "by hand"
    await web.run()
    assert web.in_phase("Stale") == [first]
    two["name"] = "two"
    await web.run()
    assert web.in_phase("Ready") == [first]
    assert web.kube.objects["stackchangesets", "ns", first]["spec"]["approved"] is False
    assert web.nets() == ["net", "two"]


async def test_an_update_that_changes_nothing_in_the_cloud_does_not_wait(web: OneStack) -> None:
    await created(web, {"net": NET})
    web.apply({"net": NET}, **MANUAL)
    web.kube.objects["stacks", "ns", "web"]["spec"]["template"]["description"] = "another one"
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert web.change_sets() == {}


async def test_an_approved_update_goes_on_over_failures_and_restarts(web: OneStack) -> None:
    await created(web, {"net": NET})
    web.apply({"net": net("other"), "bad": FAILS}, **MANUAL)
    await web.run()
    (name,) = web.in_phase("Ready")
    web.approve(name)
    await web.run()
    assert web.condition() == ("False", "InvalidProperty")
    assert web.in_phase("Running") == [name]
    web.services.requests = type(web.services.requests)()  # a new process, whose informer has not seen it yet
    await web.run()
    assert web.condition() == ("False", "InvalidProperty")
    assert web.in_phase("Running") == [name]


async def test_a_rollback_does_not_wait_and_ends_the_change_set(web: OneStack) -> None:
    await created(web, {"net": NET}, onFailure="Rollback")
    web.apply({"net": net("other"), "bad": FAILS}, **MANUAL, onFailure="Rollback")
    await web.run()
    (name,) = web.in_phase("Ready")
    web.approve(name)
    await web.run()
    await web.run()
    assert web.condition() == ("False", "RolledBack")
    assert web.nets() == ["net"]
    assert web.in_phase("Failed") == [name]


async def test_a_deletion_does_not_wait(web: OneStack) -> None:
    await created(web, {"net": NET})
    await web.delete()
    await web.run()
    assert web.nets() == []


async def test_a_repair_in_place_does_not_wait_and_neither_does_a_resource_that_is_gone(web: OneStack) -> None:
    await created(web, {"net": NET, "two": net("two")})
    for one in web.cloud.all("networks"):
        if one["name"] == "net":
            one["name"] = "by hand"
        else:
            web.cloud.drop("networks", one["id"])
    await web.run()
    assert web.nets() == ["net", "two"]
    assert web.change_sets() == {}


async def test_a_repair_that_would_replace_a_resource_waits(web: OneStack) -> None:
    await created(web, {"net": NET, "server": server()})
    old = web.cloud.all("servers")[0]
    old["status"] = "ERROR"
    assert (await web.run()).end is PassEnd.AWAITING_APPROVAL
    assert web.condition() == ("False", "AwaitingApproval")
    assert [one["id"] for one in web.cloud.all("servers")] == [old["id"]]
    (name,) = web.in_phase("Ready")
    assert "1 Recreate: StackChangeSet" in web.message()
    await web.run()
    assert web.in_phase("Ready") == [name]
    web.approve(name)
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert old["id"] not in [one["id"] for one in web.cloud.all("servers")]
    assert len(web.cloud.all("servers")) == 1
    assert web.in_phase("Succeeded") == [name]


async def test_a_resource_that_somebody_marks_unhealthy_needs_no_approval(web: OneStack) -> None:
    await created(web, {"server": server()})
    old = web.cloud.all("servers")[0]["id"]
    web.ask("MarkUnhealthy", markUnhealthy={"resource": "server"})
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert old not in [one["id"] for one in web.cloud.all("servers")]


async def test_what_was_not_planned_is_not_replaced_in_the_middle_of_an_approved_update(web: OneStack) -> None:
    resources = {"net": NET, "server": server()}
    await created(web, resources)
    web.apply({**resources, "net": net("other"), "bad": FAILS}, **MANUAL)
    await web.run()
    (first,) = web.in_phase("Ready")
    web.approve(first)
    await web.run()
    old = web.cloud.all("servers")[0]
    old["status"] = "ERROR"
    await web.run()
    assert web.condition() == ("False", "AwaitingApproval")
    assert [one["id"] for one in web.cloud.all("servers")] == [old["id"]]
    assert web.in_phase("Failed") == [first]
    assert "server: nothing was planned, now Recreate" in web.change_sets()[first]["message"]
    assert len(web.in_phase("Ready")) == 1


async def test_an_update_that_is_overtaken_by_one_that_waits_is_not_shown_as_running(web: OneStack) -> None:
    await created(web, {"net": NET})
    web.apply({"net": net("other"), "bad": FAILS})
    await web.run()
    web.status["lastOperation"].update(result="Running")
    web.apply({"net": net("third")}, **MANUAL)
    await web.run()
    assert web.condition() == ("False", "AwaitingApproval")
    assert web.status["lastOperation"]["result"] == "Failed"
    assert "overtaken" in web.status["lastOperation"]["message"]


async def test_a_stack_that_is_switched_to_automatic_does_not_wait_any_more(web: OneStack) -> None:
    await created(web, {"net": NET})
    web.apply({"net": net("other")}, **MANUAL)
    await web.run()
    (name,) = web.in_phase("Ready")
    web.apply({"net": net("other")})
    await web.run()
    assert web.nets() == ["other"]
    assert web.in_phase("Stale") == [name]


def random_template(dice: random.Random) -> dict[str, Any]:
    """Networks with subnets and ports, a server and volumes, in many states."""
    found: dict[str, Any] = {}
    for number in range(3):
        if dice.random() < 0.8:
            found[f"net{number}"] = net(dice.choice(["x", "y"]))
            where = {"network": {"get_resource": f"net{number}"}}
            # A subnet whose addresses are in use cannot be replaced, so ports are in the last network.
            if number < 2:
                subnet = {**where, "cidr": f"10.{number}.{dice.randrange(2)}.0/24", "name": dice.choice("ab")}
                found[f"subnet{number}"] = {"type": "OS::Neutron::Subnet", "properties": subnet}
            else:
                found[f"port{number}"] = {
                    "type": "OS::Neutron::Port",
                    "properties": {**where, "name": dice.choice("ab")},
                }
    if dice.random() < 0.5:
        found["server"] = server(name=dice.choice("ab"), config_drive=dice.random() < 0.5)
    if dice.random() < 0.5:
        found["volume"] = {"type": "OS::Cinder::Volume", "properties": {"size": 1, "name": dice.choice("ab")}}
    return found


@pytest.mark.parametrize("seed", range(5))
async def test_the_requests_of_an_approved_plan_are_those_that_are_sent(web: OneStack, seed: int) -> None:
    dice = random.Random(seed)
    compared = 0
    for _ in range(4):
        web.apply(random_template(dice), **MANUAL, maxConcurrency=1)
        before = len(web.cloud.calls)
        if (await web.run()).end is not PassEnd.AWAITING_APPROVAL:
            continue  # nothing to do
        assert not [one for one in web.cloud.calls[before:] if one.method != "GET"]
        (name,) = web.in_phase("Ready")
        changes = web.change_sets()[name]["changes"]
        planned = [call for change in changes for call in change.get("calls", ())]
        assert not [change for change in changes if change.get("moreCalls")]
        web.approve(name)
        before = len(web.cloud.calls)
        await web.run()
        assert web.condition() == ("True", "Succeeded"), web.message()
        done = [f"{one.method} {one.service} {one.path}" for one in web.cloud.calls[before:] if one.method != "GET"]
        assert sorted(map(anonymous, done)) == sorted(map(anonymous, planned))
        compared += len(done)
    assert compared


def anonymous(call: str) -> str:
    """A request without ids."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\{[^}]*\}", "ID", call)
