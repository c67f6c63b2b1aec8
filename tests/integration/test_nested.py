"""Child Stacks (OS::Heat::Stack) on the real Kubernetes and OpenStack: made, changed, repaired, killed, deleted."""

import json
import random
import time
from typing import Any

import pytest
from harness import lab
from harness.operator import Operator, eventually
from harness.stacks import SECRET, Namespace

pytestmark = pytest.mark.lifecycle

PASSWORD = "child-integration-password"
NETWORK = """
heat_template_version: 2021-04-16
parameters:
  name: {type: string}
  password: {type: string, hidden: true, default: none-given}
resources:
  net: {type: OS::Neutron::Net, properties: {name: {get_param: name}}}
  subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 10.78.0.0/24}}
outputs:
  network: {value: {get_resource: net}}
  password: {value: {get_param: password}}
"""
FAILING = """
heat_template_version: 2021-04-16
resources:
  subnet:
    type: OS::Neutron::Subnet
    properties:
      network: {get_resource: net}
      cidr: 10.78.0.0/24
      allocation_pools: [{start: 10.99.0.5, end: 10.99.0.9}]
  net: {type: OS::Neutron::Net, properties: {name: child-failing}}
"""
SERVER = """
heat_template_version: 2021-04-16
resources:
  net: {type: OS::Neutron::Net, properties: {name: child-of-server}}
  subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 10.79.0.0/24}}
  server:
    type: OS::Nova::Server
    depends_on: subnet
    properties: {name: child-server, image: cirros, flavor: m1.tiny, networks: [{network: {get_resource: net}}]}
"""


def child(template: str, **properties: Any) -> dict[str, Any]:
    return {"type": "OS::Heat::Stack", "properties": {"template": template, **properties}}


def stack(resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"heat_template_version": "2021-04-16", "resources": resources, **more}


def nested(levels: int, innermost: str) -> str:
    """A template whose only resource is a child Stack, so many levels deep."""
    text = innermost
    for level in range(levels):
        text = json.dumps(stack({f"level{level}": child(text)}))
    return text


def children(space: Namespace) -> dict[str, dict[str, Any]]:
    """All child Stacks by name."""
    return {one["metadata"]["name"]: one for one in space.get("stacks") if one["metadata"].get("ownerReferences")}


def networks() -> list[str]:
    return sorted(one.name for one in lab.connection().network.networks() if one.name.startswith("child-"))


def test_a_child_is_made_changed_repaired_and_deleted(kiln: Operator, space: Namespace) -> None:
    space.kubectl("create", "secret", "generic", "given", f"--from-literal=password={PASSWORD}")
    parameters = {"password": {"type": "string", "hidden": True}}
    source = [{"name": "password", "secretKeyRef": {"name": "given", "key": "password"}}]
    outputs = {
        "network": {"value": {"get_attr": ["inner", "outputs", "network"]}},
        "password": {"value": {"get_attr": ["inner", "outputs", "password"]}},
    }

    def apply(name: str, **context: Any) -> None:
        given = {"name": name, "password": {"get_param": "password"}}
        uses = {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": ["inner", "outputs", "network"]}}}
        resources = {"inner": child(NETWORK, parameters=given, **context), "uses": uses}
        space.stack("web", stack(resources, parameters=parameters, outputs=outputs), parametersFrom=source)

    apply("child-one")
    first = space.ready("web")
    (name,) = children(space)
    made = children(space)[name]
    assert made["spec"]["parameters"] == {"name": "child-one"}
    assert {one["kind"] for one in made["metadata"]["ownerReferences"]} == {"Stack", "StackResource"}
    assert networks() == ["child-one"]
    assert first["status"]["hiddenOutputs"] == ["password"]
    readable = [space.get(kind) for kind in ("stacks", "stackresources", "stackrevisions", "stackhistories", "events")]
    assert PASSWORD not in json.dumps(readable)

    # Changed in place: the same child, the same network.
    apply("child-two", context={"region_name": "RegionOne"})
    eventually(lambda: space.condition("web").get("status") == "True" and len(children(space)) == 1, 240)
    (name,) = children(space)
    assert children(space)[name]["spec"]["cloudCredentialsRef"]["regionName"] == "RegionOne"
    assert networks() == ["child-two"]
    apply("child-three", context={"region_name": "RegionOne"})
    space.ready("web")
    assert list(children(space)) == [name]
    assert networks() == ["child-three"]

    # Somebody edits the child, then deletes it.
    wanted = children(space)[name]["spec"]
    edit = {"spec": {"parameters": {"name": "child-edited"}, "updateApproval": "Manual"}}
    space.kubectl("patch", "stack", name, "--type=merge", "-p", json.dumps(edit))
    eventually(lambda: children(space)[name]["spec"] == wanted, 60)
    space.ready(name)
    assert networks() == ["child-three"]
    uid = children(space)[name]["metadata"]["uid"]
    space.kubectl("delete", "stack", name, "--wait=false")
    eventually(lambda: name in children(space) and children(space)[name]["metadata"]["uid"] != uid, 180)
    space.ready(name)
    eventually(lambda: space.condition("web").get("status") == "True", 120)

    space.delete("web")
    assert space.get("stacks") == []
    assert networks() == []
    left = {one["metadata"]["name"] for one in space.get("secrets")}
    assert left == {SECRET, "given"}


def test_a_child_that_fails_three_deep_has_its_reason_at_the_top(kiln: Operator, space: Namespace) -> None:
    space.stack("deep", stack({"outer": child(nested(2, FAILING))}))
    condition = space.reason("deep", "InvalidProperty", 180)
    assert condition["message"].startswith("resources.outer: "), condition["message"]
    deepest = condition["message"].removeprefix("resources.outer: ")
    assert "in resources.subnet of the Stack" in deepest
    assert deepest.index("10.99.0.5") < deepest.index("; in resources.subnet") < deepest.index("; in resources.level0")
    assert len(children(space)) == 3
    space.stack("deep", stack({"outer": child(nested(2, NETWORK), parameters={})}))
    condition = space.reason("deep", "InvalidProperty", 180)
    eventually(lambda: "InvalidParameter: parameters.name" in space.condition("deep").get("message", ""), 120)
    space.delete("deep")
    assert space.get("stacks") == []
    assert networks() == []


def test_suspend_and_resume_reach_the_servers_of_a_child(kiln: Operator, space: Namespace) -> None:
    template = stack({"outer": child(SERVER)})

    def state() -> list[str]:
        return [one.status for one in lab.connection().compute.servers() if one.name == "child-server"]

    space.stack("sleepy", template)
    space.ready("sleepy")
    space.stack("sleepy", template, powerState="Suspended")
    eventually(lambda: state() == ["SUSPENDED"], 120)
    space.reason("sleepy", "Suspended", 60)
    space.stack("sleepy", template)
    eventually(lambda: state() == ["ACTIVE"], 120)
    space.ready("sleepy")
    space.delete("sleepy")
    assert networks() == []


def test_kills_while_children_are_made_changed_and_deleted(space: Namespace, own_kiln: Operator) -> None:
    dice = random.Random(7)

    def killed(times: int) -> None:
        for _ in range(times):
            own_kiln.start()
            time.sleep(dice.uniform(2.0, 4.0))
            own_kiln.kill()
        own_kiln.start()

    def apply(suffix: str) -> None:
        inner = {"inner": child(NETWORK, parameters={"name": f"child-inner-{suffix}"})}
        outer = child(json.dumps(stack(inner)))
        side = child(NETWORK, parameters={"name": f"child-side-{suffix}"})
        space.stack("web", stack({"outer": outer, "side": side}))

    apply("a")
    killed(4)
    space.ready("web")
    assert networks() == ["child-inner-a", "child-side-a"]
    assert len(children(space)) == 3
    own_kiln.kill()
    apply("b")
    killed(3)
    space.ready("web")
    assert networks() == ["child-inner-b", "child-side-b"]
    assert len(children(space)) == 3
    own_kiln.kill()
    space.kubectl("delete", "stack", "web", "--wait=false")
    killed(3)
    eventually(lambda: space.get("stacks") == [], 240)
    assert networks() == []
    assert {one["metadata"]["name"] for one in space.get("secrets")} == {SECRET}
