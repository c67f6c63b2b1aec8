"""StackOperations on the real Kubernetes and the real OpenStack, with the operator killed in the middle of some."""

import json
from typing import Any

import pytest
from harness import lab, policies
from harness.operator import Operator, eventually
from harness.stacks import Namespace

pytestmark = pytest.mark.lifecycle


def networks(*names: str, **more: Any) -> dict[str, Any]:
    resources = {name: {"type": "OS::Neutron::Net", "properties": {"name": f"ops-{name}"}} for name in names}
    return {"heat_template_version": "2021-04-16", "resources": {**resources, **more}}


def ids(space: Namespace, stack: str = "web") -> dict[str, str]:
    return {name: one["status"]["physicalID"] for name, one in space.resources(stack).items()}


def test_a_rollback_to_the_first_of_five_revisions_and_back(kiln: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    for count in range(1, 6):
        space.stack("web", networks(*(f"n{number}" for number in range(count))))
        space.ready("web")
    before = ids(space)
    phase, message = space.operated(space.operate("web", "Rollback", rollback={"revision": 1}))
    assert (phase, "rolled back to" in message) == ("Succeeded", True)
    assert ids(space) == {"n0": before["n0"]}
    assert [cloud.network.find_network(before[f"n{number}"]) is None for number in range(5)] == [False] + [True] * 4
    space.reason("web", "RolledBack")

    phase, _ = space.operated(space.operate("web", "Rollback", rollback={"revision": 3}))
    assert phase == "Succeeded"
    assert ids(space).keys() == {"n0", "n1", "n2"}

    phase, _ = space.operated(space.operate("web", "Retry"))
    assert phase == "Succeeded"
    assert space.ready("web")["status"]["resources"]["summary"] == "5/5"
    space.delete("web")


def test_a_rollback_is_finished_by_the_operator_that_comes_after_a_kill(own_kiln: Operator, space: Namespace) -> None:
    own_kiln.start()
    space.stack("web", networks("a"))
    space.ready("web")
    space.stack("web", networks("a", *(f"n{number}" for number in range(12))))
    space.ready("web")
    name = space.operate("web", "Rollback", rollback={"revision": 1})
    eventually(lambda: (space.get("stackoperation", name).get("status") or {}).get("phase") == "Running", 60, 0.05)
    own_kiln.kill()
    own_kiln.start()
    assert space.operated(name)[0] == "Succeeded"
    assert ids(space).keys() == {"a"}


@pytest.mark.parametrize("rollback", [True, False], ids=["with rollback", "without rollback"])
def test_an_update_is_cancelled_while_it_waits(kiln: Operator, space: Namespace, rollback: bool) -> None:
    space.stack("web", networks("b"))
    space.ready("web")
    wait = {"type": "OS::Heat::Delay", "depends_on": "c", "properties": {"min_wait": 120}}
    space.stack("web", networks("b", "c", wait=wait))
    eventually(lambda: "c" in ids_of_ready(space), 60)
    name = space.operate("web", "CancelUpdate", cancelUpdate={"rollback": rollback})
    assert space.operated(name, 60)[0] == "Succeeded"
    if rollback:
        space.reason("web", "RolledBack")
        assert ids(space).keys() == {"b"}
    else:
        space.reason("web", "Cancelled")
        assert {"b", "c"} <= ids_of_ready(space)
    space.delete("web")


def ids_of_ready(space: Namespace) -> set[str]:
    found = space.resources("web").items()
    return {name for name, one in found if (one.get("status") or {}).get("state") == "Ready"}


def test_a_resource_marked_unhealthy_is_replaced_once_though_the_operator_is_killed(
    own_kiln: Operator, space: Namespace
) -> None:
    cloud = lab.connection()
    own_kiln.start()
    server = {
        "type": "OS::Nova::Server",
        "properties": {"image": "cirros", "flavor": "m1.tiny", "networks": [{"port": {"get_resource": "port"}}]},
    }
    subnet = {"type": "OS::Neutron::Subnet", "properties": {"network": {"get_resource": "a"}, "cidr": "10.9.0.0/24"}}
    port = {
        "type": "OS::Neutron::Port",
        "depends_on": "subnet",
        "properties": {"network": {"get_resource": "a"}},
    }
    space.stack("web", networks("a", subnet=subnet, port=port, server=server))
    space.ready("web")
    before = ids(space)
    name = space.operate("web", "MarkUnhealthy", markUnhealthy={"resource": "server", "reason": "it does not answer"})
    eventually(lambda: (space.get("stackoperation", name).get("status") or {}).get("phase") == "Running", 60, 0.05)
    own_kiln.kill()
    own_kiln.start()
    assert space.operated(name)[0] == "Succeeded"
    after = ids(space)
    assert after["server"] != before["server"]
    assert {key: value for key, value in after.items() if key != "server"} == {
        key: value for key, value in before.items() if key != "server"
    }
    assert space.resources("web")["server"]["spec"]["serial"] == 1
    assert cloud.compute.find_server(before["server"]) is None


def test_a_check_names_what_differs_and_leaves_it(kiln: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    space.stack("web", networks("a"))
    space.ready("web")
    assert space.operated(space.operate("web", "Check"))[0] == "Succeeded"
    cloud.network.update_network(ids(space)["a"], name="theirs")
    phase, message = space.operated(space.operate("web", "Check"))
    assert (phase, "a: name" in message) == ("Failed", True)
    assert cloud.network.get_network(ids(space)["a"]).name == "theirs"
    space.delete("web")


def test_a_paused_stack_is_left_alone_until_the_pause_ends(kiln: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    space.stack("web", networks("a"))
    space.ready("web")
    space.stack("web", networks("a", "b"), paused=True)
    space.reason("web", "Paused")
    space.kubectl("delete", "stack", "web", "--wait=false")
    eventually(
        lambda: "the deletion of the Stack waits for it" in space.condition("web", "Paused").get("message", ""), 30
    )
    assert cloud.network.find_network("ops-b") is None
    space.stack("web", networks("a", "b"), paused=False)
    eventually(lambda: space.get("stack", "web") is None, 60)


def test_an_operation_cannot_be_changed_and_its_fields_fit_its_type(installed: None, space: Namespace) -> None:
    name = space.operate("web", "Retry")
    patch = json.dumps({"spec": {"type": "Check"}})
    refused = space.kubectl("patch", "stackoperation", name, "--type=merge", "-p", patch, check=False)
    assert "cannot be changed" in refused
    with pytest.raises(Exception, match="give rollback with the type Rollback"):
        space.operate("web", "Retry", rollback={"revision": 1})


def test_each_type_of_operation_is_a_right_of_its_own(installed: None, space: Namespace) -> None:
    def create(kind: str, **spec: Any) -> str:
        body = {
            "apiVersion": "kiln.dev/v1alpha1",
            "kind": "StackOperation",
            "metadata": {"generateName": "web-"},
            "spec": {"stackName": "web", "type": kind, **spec},
        }
        return space.kubectl("create", "--as", "alice", "-f", "-", stdin=json.dumps(body), check=False)

    policies.allow(
        space,
        "alice",
        {"apiGroups": ["kiln.dev"], "resources": ["stackoperations"], "verbs": ["create"]},
        {"apiGroups": ["kiln.dev"], "resources": ["stacks"], "verbs": ["retry"]},
    )
    with policies.enforced(space, "operations"):
        eventually(lambda: "you lack the right to Check" in create("Check"), 30)
        assert "created" in create("Retry")
