"""Objects vanish, edits pour in, namespaces and Secrets go: Kiln finds its way, and what it made, again."""

import concurrent.futures
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import lab
from harness.cloud import difference, inventory
from harness.operator import ACCOUNT, Operator, eventually
from harness.project import CLOUD, Project
from harness.samples import MACHINE, counts, machine
from harness.stacks import SECRET, Namespace

faults = pytest.mark.faults


def physical(space: Namespace) -> dict[str, str]:
    return {name: one["status"]["physicalID"] for name, one in space.resources("web").items()}


def uids(space: Namespace) -> dict[str, str]:
    return {name: one["metadata"]["uid"] for name, one in space.resources("web").items()}


@faults
def test_a_record_deleted_by_hand_hands_its_resource_over(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    before, old = physical(space), uids(space)
    everything = inventory(project.connection())
    space.kubectl("delete", "stackresources", "--all", "--wait=false")
    eventually(lambda: set(uids(space)) == set(old) and not set(uids(space).values()) & set(old.values()), 30)
    eventually(lambda: all(one.get("status", {}).get("state") == "Ready" for one in space.resources("web").values()))
    assert physical(space) == before
    assert difference(everything, inventory(project.connection())) == {}


def test_a_record_whose_finalizer_was_removed_is_found_again_by_its_token(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    before, old = physical(space), uids(space)
    everything = inventory(project.connection())
    own_kiln.stop()
    for one in space.get("stackresources"):
        name = one["metadata"]["name"]
        patch = json.dumps({"metadata": {"finalizers": None}})
        space.kubectl("patch", "stackresource", name, "--type=merge", "-p", patch)
        space.kubectl("delete", "stackresource", name)
    eventually(lambda: not space.get("stackresources"), 30)
    own_kiln.start()
    space.stack("web", machine("8.8.8.8"), cloud=CLOUD)
    space.ready("web")
    assert physical(space) == before
    assert not set(uids(space).values()) & set(old.values())
    assert difference(everything, inventory(project.connection())) == {}


@faults
def test_fifty_edits_in_ten_seconds_end_at_the_last(space: Namespace, own_kiln: Operator, project: Project) -> None:
    own_kiln.start()
    cloud = project.connection()
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for number in range(1, 51):
            pool.submit(space.stack, "web", machine(f"9.9.9.{number}"), cloud=CLOUD)
    print(f"50 edits in {time.monotonic() - begun:.1f} s")
    status = space.ready("web")["status"]
    assert status["observedGeneration"] == 50
    assert cloud.network.get_subnet(physical(space)["subnet"]).dns_nameservers == ["9.9.9.50"]
    counted = {kind: len(items) for kind, items in inventory(cloud).items()}
    assert (counted["networks"], counted["subnets"], counted["ports"], counted["servers"]) == (1, 1, 1, 1)
    assert len(space.get("stackrevisions")) <= 12


@faults
@pytest.mark.parametrize("pause", [0.0, 0.7, 1.5, 3.0])
def test_a_stack_is_deleted_while_it_is_being_created(
    pause: float, space: Namespace, own_kiln: Operator, project: Project
) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    time.sleep(pause)
    space.delete("web")
    assert difference(before, inventory(cloud)) == {}
    eventually(lambda: not space.get("stackresources"), 30)


@faults
def test_a_stack_is_made_again_under_the_same_name_while_it_is_being_deleted(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    old = space.ready("web")["metadata"]["uid"]
    servers = inventory(cloud)["servers"].keys()
    space.kubectl("delete", "stack", "web", "--wait=false")
    # As one would who does not know: what is being deleted is edited, and then there is a new one.
    space.stack("web", machine("8.8.8.8"), cloud=CLOUD)
    eventually(lambda: made_anew(space, old), 60)
    space.ready("web")
    assert space.get("stack", "web")["metadata"]["uid"] != old
    now = inventory(cloud)
    assert counts(before, now) == MACHINE
    assert not servers & now["servers"].keys()
    assert {one["dns_nameservers"][0] for one in now["subnets"].values()} == {"8.8.8.8"}
    space.delete("web")
    assert difference(before, inventory(cloud)) == {}


def made_anew(space: Namespace, old: str) -> bool:
    """Apply the Stack at the first moment at which its name is free."""
    found = space.get("stack", "web")
    if found is None:
        space.stack("web", machine("8.8.8.8"), cloud=CLOUD)
    return found is not None and found["metadata"]["uid"] != old


@pytest.fixture
def everywhere(space: Namespace, alone: None, tmp_path: Path) -> Iterator[Operator]:
    """An operator that lives in another namespace and keeps its rights when this one goes."""
    home = Namespace()
    own = Operator(tmp_path, namespaces=(home.name, space.name), log_level="debug", arguments=("--no-lease",))
    rules = home.get("role", ACCOUNT)["rules"]
    name = f"{ACCOUNT}-{home.name}"
    rights = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": home.name}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    home.apply({**rights, "kind": "ClusterRole", "rules": rules})
    home.apply({**rights, "kind": "ClusterRoleBinding", "subjects": [subject], "roleRef": role})
    yield own
    space.close()
    own.stop()
    lab.kubectl("delete", "clusterrole,clusterrolebinding", name, check=False)
    home.close()


@faults
def test_a_namespace_is_deleted_with_all_in_it(space: Namespace, everywhere: Operator, project: Project) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    everywhere.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    # One of the two is still being created.
    space.stack("more", machine(), cloud=CLOUD)
    lab.kubectl("delete", "namespace", space.name, "--timeout=200s", timeout=210)
    assert difference(before, inventory(cloud)) == {}


def test_the_credentials_secret_is_deleted_before_the_stack_and_restored(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    without_credentials(space)
    space.credentials(project.clouds_yaml)
    space.kubectl("wait", "--for=delete", "stack/web", "--timeout=200s", timeout=210)
    assert difference(before, inventory(cloud)) == {}


@faults
def test_the_credentials_secret_is_deleted_before_the_stack_and_the_resources_are_left(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    cloud = project.connection()
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    full = inventory(cloud)
    without_credentials(space)
    space.kubectl("patch", "stack", "web", "--type=merge", "-p", '{"spec": {"deletionPolicy": "Orphan"}}')
    space.kubectl("wait", "--for=delete", "stack/web", "--timeout=200s", timeout=210)
    eventually(lambda: not space.get("stackresources"), 60)
    assert difference(full, inventory(cloud)) == {}
    emptied(cloud)


def emptied(cloud: Any) -> None:
    """Delete by hand what was left."""
    compute, network = cloud.compute, cloud.network
    for kind, delete in (
        ("servers", compute.delete_server),
        ("ports", network.delete_port),
        ("networks", network.delete_network),
    ):
        for key in inventory(cloud)[kind]:
            delete(key)
        eventually(lambda kind=kind: not inventory(cloud)[kind])


def without_credentials(space: Namespace) -> None:
    """Delete the Secret, then the Stack, and see what its condition says."""
    space.kubectl("delete", "secret", SECRET)
    space.kubectl("delete", "stack", "web", "--wait=false")
    told = space.reason("web", "CredentialsNotFound")["message"]
    assert "4 resources remain" in told
    assert "restore them, or set spec.deletionPolicy to Orphan" in told


@faults
def test_a_stack_whose_finalizer_was_removed_leaves_nothing_that_is_stuck(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    cloud = project.connection()
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    before = physical(space)
    own_kiln.stop()
    space.kubectl("delete", "stack", "web", "--wait=false")
    space.kubectl("patch", "stack", "web", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    eventually(lambda: space.get("stack", "web") is None, 30)
    own_kiln.start()
    eventually(lambda: not space.get("stackresources") and space.get("secret", "web-kiln") is None, 60)
    # Nobody asked for the end of what they stood for: that it is there still is told.
    messages = [one["message"] for one in space.get("events") if one["reason"] == "LeftInCloud"]
    assert sorted(messages) == [
        f"resources.net: the OS::Neutron::Net {before['net']} stays in OpenStack",
        f"resources.port: the OS::Neutron::Port {before['port']} stays in OpenStack",
        f"resources.server: the OS::Nova::Server {before['server']} stays in OpenStack",
        f"resources.subnet: the OS::Neutron::Subnet {before['subnet']} stays in OpenStack",
    ]
    assert before["server"] in inventory(cloud)["servers"]
    # The name is free, and a new Stack of that name has nothing to do with what was left.
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    assert not set(physical(space).values()) & set(before.values())
    space.delete("web")
    emptied(cloud)
