"""Operations that others overtake, undo or hold, with the operator killed in the middle of each."""

from collections import Counter
from typing import Any

import pytest
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.stacks import Namespace

pytestmark = pytest.mark.lifecycle


def reference(name: str) -> dict[str, str]:
    return {"get_resource": name}


def networks(*names: str) -> dict[str, Any]:
    resources = {name: {"type": "OS::Neutron::Net", "properties": {"name": name}} for name in names}
    return {"heat_template_version": "2021-04-16", "resources": resources}


def servers(*names: str, color: str) -> dict[str, Any]:
    """Servers on one network, with a color in their metadata."""
    subnet = {"network": reference("net"), "cidr": "10.9.0.0/24"}
    made = {
        name: {
            "type": "OS::Nova::Server",
            "depends_on": "subnet",
            "properties": {
                "name": name,
                "image": "cirros",
                "flavor": "m1.tiny",
                "networks": [{"network": reference("net")}],
                "metadata": {"color": color},
            },
        }
        for name in names
    }
    net = {"type": "OS::Neutron::Net", "properties": {"name": "net"}}
    base = {"net": net, "subnet": {"type": "OS::Neutron::Subnet", "properties": subnet}}
    return {"heat_template_version": "2021-04-16", "resources": {**base, **made}}


def states(space: Namespace, state: str) -> set[str]:
    """The resources in this state."""
    found = space.resources("web").items()
    return {name for name, one in found if (one.get("status") or {}).get("state") == state}


def phase(space: Namespace, operation: str) -> str:
    return str((space.get("stackoperation", operation).get("status") or {}).get("phase", ""))


def test_an_update_is_overtaken_twice_while_servers_build(
    own_kiln: Operator, space: Namespace, project: Project
) -> None:
    cloud = project.connection()
    own_kiln.start()
    space.stack("web", servers("one", "two", color="red"), cloud=CLOUD)
    eventually(lambda: states(space, "Creating") & {"one", "two"}, 90, 0.1)
    space.stack("web", servers("one", "two", "three", color="green"), cloud=CLOUD)
    eventually(lambda: "three" in space.resources("web"), 90, 0.1)
    own_kiln.kill()
    space.stack("web", servers("one", "three", "four", color="blue"), cloud=CLOUD)
    own_kiln.start()
    status = space.ready("web")["status"]
    assert status["resources"]["summary"] == "5/5"
    found = list(cloud.compute.servers())
    assert Counter(one.name for one in found) == Counter(["one", "three", "four"])
    assert {one.metadata["color"] for one in found} == {"blue"}
    assert [one.name for one in cloud.network.networks(project_id=project.id)] == ["net"]
    space.delete("web")
    assert list(cloud.compute.servers()) == []


def test_a_rollback_is_rolled_back_before_it_ends(own_kiln: Operator, space: Namespace, project: Project) -> None:
    cloud = project.connection()
    many = [f"n{number:02}" for number in range(16)]
    own_kiln.start()
    for names in (["a"], ["a", "b"], ["a", "b", *many]):
        space.stack("web", networks(*names), cloud=CLOUD, maxConcurrency=1)
        space.ready("web")
    first = space.operate("web", "Rollback", rollback={"revision": 1})
    eventually(lambda: phase(space, first) == "Running" and len(space.resources("web")) < 18, 60, 0.05)
    own_kiln.kill()
    second = space.operate("web", "Rollback", rollback={"revision": 2})
    own_kiln.start()
    assert space.operated(first)[0] == "Succeeded"
    assert space.operated(second)[0] == "Succeeded"
    found = Counter(one.name for one in cloud.network.networks(project_id=project.id))
    assert found == Counter(["a", "b"])
    assert set(space.resources("web")) == set(found)
    space.delete("web")


def test_a_hook_is_cleared_while_no_operator_runs(own_kiln: Operator, space: Namespace, project: Project) -> None:
    cloud = project.connection()
    own_kiln.start()
    wanted = networks("a", "b", "c")
    wanted["resources"]["c"]["depends_on"] = "b"
    space.stack("web", wanted, cloud=CLOUD, hooks=[{"resource": "b", "events": ["pre-create", "post-create"]}])
    space.reason("web", "HookPending")
    assert space.get("stack", "web")["status"]["pendingHooks"] == ["b:pre-create"]
    own_kiln.kill()
    before = space.operate("web", "ClearHook", clearHook={"resource": "b", "event": "pre-create"})
    own_kiln.start()
    assert space.operated(before)[0] == "Succeeded"
    eventually(lambda: space.get("stack", "web")["status"].get("pendingHooks") == ["b:post-create"], 60)
    assert sorted(one.name for one in cloud.network.networks(project_id=project.id)) == ["a", "b"]
    own_kiln.kill()
    own_kiln.start()
    after = space.operate("web", "ClearHook", clearHook={"resource": "b", "event": "post-create"})
    assert space.operated(after)[0] == "Succeeded"
    space.ready("web")
    found = Counter(one.name for one in cloud.network.networks(project_id=project.id))
    assert found == Counter(["a", "b", "c"])
    space.delete("web")
