"""Plans that are approved and executed on the real Kubernetes and the real OpenStack, call for call."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from harness import lab, policies
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.proxy import FaultProxy
from harness.relay import Call
from harness.stacks import Namespace

pytestmark = pytest.mark.lifecycle

MANUAL = {"updateApproval": "Manual"}
VERSION = re.compile(r"^.*?/v\d+(\.\d+)?(/[0-9a-f]{32})?(?=/)")
IDENTITY = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\{[^}]*\}")


def reference(name: str) -> dict[str, str]:
    return {"get_resource": name}


def template(dns: str = "9.9.9.9", flavor: str = "m1.tiny", names: tuple[str, ...] = ("old",)) -> dict[str, Any]:
    """A network with a subnet, a router with a leg, a server on a port, a volume, and some networks."""
    nets = {name: {"type": "OS::Neutron::Net", "properties": {"name": f"plan-{name}"}} for name in names}
    subnet = {"network": reference("net"), "cidr": "10.9.0.0/24", "dns_nameservers": [dns]}
    nics = [{"port": reference("port")}]
    server = {"image": "cirros", "flavor": flavor, "flavor_update_policy": "REPLACE", "networks": nics}
    resources = {
        "net": {"type": "OS::Neutron::Net"},
        "subnet": {"type": "OS::Neutron::Subnet", "properties": subnet},
        "port": {
            "type": "OS::Neutron::Port",
            "depends_on": "subnet",
            "properties": {"network": reference("net")},
        },
        "router": {"type": "OS::Neutron::Router"},
        "leg": {
            "type": "OS::Neutron::RouterInterface",
            "properties": {"router": reference("router"), "subnet": reference("subnet")},
        },
        "server": {"type": "OS::Nova::Server", "properties": server},
        "volume": {"type": "OS::Cinder::Volume", "properties": {"size": 1, "name": f"plan-{dns}"}},
        **nets,
    }
    return {"heat_template_version": "2021-04-16", "resources": resources}


def networks(*names: str) -> dict[str, Any]:
    resources = {name: {"type": "OS::Neutron::Net", "properties": {"name": f"plan-{name}"}} for name in names}
    return {"heat_template_version": "2021-04-16", "resources": resources}


def planned(space: Namespace, name: str) -> Counter[str]:
    """The requests of a plan, without ids and services."""
    status = space.get("stackchangeset", name)["status"]
    calls = [call for change in status["changes"] for call in change.get("calls", ())]
    assert not [change for change in status["changes"] if change.get("moreCalls")]
    return Counter(IDENTITY.sub("ID", re.sub(r" \S+ ", " ", call)) for call in calls)


def sent(calls: list[Call]) -> Counter[str]:
    """The requests that changed something, in the same form."""
    changes = [call for call in calls if call.service != "identity"]
    return Counter(IDENTITY.sub("ID", f"{call.method} {VERSION.sub('', call.path)}") for call in changes)


@pytest.fixture
def recorded(space: Namespace, project: Project) -> Iterator[FaultProxy]:
    """A way to the project's cloud that records all requests."""
    with FaultProxy(project.clouds_yaml, CLOUD) as proxy:
        space.credentials(proxy.clouds_yaml)
        yield proxy
        space.kubectl("delete", "stacks", "--all", "--timeout=120s", check=False, timeout=140)


@pytest.fixture
def running(own_kiln: Operator) -> Operator:
    own_kiln.start()
    return own_kiln


def test_a_plan_is_executed_exactly_call_for_call(running: Operator, space: Namespace, recorded: FaultProxy) -> None:
    def approve_and_compare(wanted: dict[str, Any], *calls: str) -> None:
        space.stack("web", wanted, cloud=CLOUD, maxConcurrency=1, **MANUAL)
        name = space.awaits("web")
        plan = planned(space, name)
        assert set(calls) <= set(plan)
        before = len(recorded.changes)
        space.approve(name)
        space.ready("web")
        eventually(lambda: space.change_sets("web", "Succeeded")[-1:] and not space.change_sets("web", "Running"), 60)
        assert sent(recorded.changes[before:]) == plan

    approve_and_compare(template(), "POST /networks", "POST /servers", "PUT /routers/ID/add_router_interface")
    # In place, replaced with its port, created, and deleted.
    changed = template("8.8.8.8", "m1.small", ("new",))
    approve_and_compare(changed, "PUT /subnets/ID", "POST /servers", "DELETE /servers/ID", "DELETE /networks/ID")
    assert len(space.change_sets("web", "Succeeded")) == 2


def test_an_approval_comes_too_late(running: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    space.stack("web", networks("a", "b"))
    space.ready("web")
    space.stack("web", networks("a", "b", "c"), **MANUAL)
    old = space.awaits("web")
    identity = space.resources("web")["a"]["status"]["physicalID"]
    cloud.network.delete_network(identity)
    space.approve(old)
    eventually(lambda: space.change_sets("web", "Stale") == [old], 60)
    new = space.awaits("web")
    assert new != old
    assert (
        f"the approval of {old} came too late: a: nothing was planned, now Recreate"
        in (space.condition("web")["message"])
    )
    assert cloud.network.find_network("plan-c") is None
    space.approve(new)
    space.ready("web")
    eventually(lambda: space.change_sets("web", "Succeeded") == [new], 60)
    assert space.resources("web")["a"]["status"]["physicalID"] != identity


def test_an_approved_update_survives_a_kill_in_the_middle(own_kiln: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    own_kiln.start()
    space.stack("web", networks("a"))
    space.ready("web")
    names = [f"n{number}" for number in range(20)]
    space.stack("web", networks("a", *names), maxConcurrency=1, **MANUAL)
    name = space.awaits("web")
    assert set(space.resources("web")) == {"a"}
    own_kiln.kill()
    space.approve(name)
    own_kiln.start()
    eventually(lambda: len(space.resources("web")) > 3, 60, 0.05)
    own_kiln.kill()
    assert space.change_sets("web", "Running") == [name]
    assert len(space.resources("web")) < 21
    own_kiln.start()
    space.ready("web")
    eventually(lambda: space.change_sets("web", "Succeeded") == [name], 60)
    assert space.change_sets("web", "Ready") == []
    found = [one.name for one in cloud.network.networks() if one.name in {f"plan-{one}" for one in names}]
    assert Counter(found) == Counter(f"plan-{one}" for one in names)


def test_a_protected_resource_is_not_replaced_and_its_stack_is_not_deleted(running: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    volume = {"type": "OS::Cinder::Volume", "properties": {"size": 2, "name": "plan-data"}}
    wanted = {**networks("a"), "resources": {**networks("a")["resources"], "data": volume}}
    space.stack("web", wanted, protectedResources=["dat*"])
    space.ready("web")
    identity, net = (space.resources("web")[name]["status"]["physicalID"] for name in ("data", "a"))
    volume["properties"] = {**volume["properties"], "availability_zone": "elsewhere"}
    space.stack("web", wanted, protectedResources=["dat*"])
    assert "resources.data: spec.protectedResources" in space.reason("web", "Protected")["message"]
    space.kubectl("delete", "stack", "web", "--wait=false")
    eventually(lambda: "forbids to delete data" in space.condition("web").get("message", ""), 60)
    assert cloud.block_storage.get(f"/volumes/{identity}").status_code == 200
    assert cloud.network.find_network(net) is not None
    space.kubectl("patch", "stack", "web", "--type=merge", "-p", json.dumps({"spec": {"protectedResources": []}}))
    eventually(lambda: space.get("stack", "web") is None, 120)
    assert cloud.block_storage.get(f"/volumes/{identity}").status_code == 404


def test_a_proposal_is_planned_and_approved_before_the_stack_is_changed(running: Operator, space: Namespace) -> None:
    space.stack("web", networks("a"))
    space.ready("web")
    space.stack("web", networks("a"), **MANUAL)
    body = {"apiVersion": "kiln.dev/v1alpha1", "kind": "StackChangeSet", "metadata": {"name": "next"}}
    space.apply({**body, "spec": {"stackName": "web", "proposed": {"template": networks("a", "b")}}})
    eventually(lambda: space.change_sets("web", "Ready") == ["next"], 60)
    assert "1 Create" in space.kubectl("get", "stkcs", "next")
    patch = json.dumps({"spec": {"proposed": {"template": networks("a", "c")}}})
    refused = space.kubectl("patch", "stkcs", "next", "--type=merge", "-p", patch, check=False)
    assert "proposed cannot be changed" in refused
    space.approve("next")
    space.stack("web", networks("a", "b"), **MANUAL)
    space.ready("web")
    eventually(lambda: space.change_sets("web", "Succeeded") == ["next"], 60)
    assert set(space.resources("web")) == {"a", "b"}


def test_approving_is_a_right_of_its_own(installed: None, space: Namespace) -> None:
    verbs = ["get", "create", "update", "patch"]
    write = {"apiGroups": ["kiln.dev"], "resources": ["stackchangesets", "stacks"], "verbs": verbs}
    approve = {"apiGroups": ["kiln.dev"], "resources": ["stacks"], "verbs": ["approve"], "resourceNames": ["web"]}
    policies.allow(space, "writer", write)
    policies.allow(space, "approver", write, approve)
    for stack in ("web", "other"):
        space.stack(stack, networks(), paused=True, **MANUAL)
        metadata = {"name": stack}
        body = {"apiVersion": "kiln.dev/v1alpha1", "kind": "StackChangeSet", "metadata": metadata}
        space.apply({**body, "spec": {"stackName": stack}})

    def patch(user: str, kind: str, name: str, **spec: Any) -> str:
        text = json.dumps({"spec": spec})
        return space.kubectl("patch", kind, name, "--as", user, "--type=merge", "-p", text, check=False)

    def refused() -> bool:
        # It may pass until the API server has taken the policy in.
        patch("writer", "stkcs", "web", approved=False)
        text = patch("writer", "stkcs", "web", approved=True)
        return "you lack the right to approve changes of the Stack web" in text

    with policies.enforced(space, "approvals"):
        eventually(refused, 30)
        off = "you lack the right to switch off spec.updateApproval of the Stack web"
        assert off in patch("writer", "stack", "web", updateApproval="Automatic")
        assert "patched" in patch("writer", "stack", "web", timeout="30m")
        assert "you lack the right" in patch("approver", "stkcs", "other", approved=True)
        assert "patched" in patch("approver", "stkcs", "web", approved=True)
        assert "patched" in patch("writer", "stkcs", "web", ttlAfterFinished="1h")
        assert "patched" in patch("approver", "stack", "web", updateApproval="Automatic")
    for stack in ("web", "other"):
        patch_off = json.dumps({"metadata": {"finalizers": None}})
        space.kubectl("patch", "stack", stack, "--type=merge", "-p", patch_off, check=False)
