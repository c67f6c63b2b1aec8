"""Between Kiln and Kubernetes things go wrong: records vanish, edits pour in, namespaces and Secrets go."""

import concurrent.futures
import json
import time
from typing import Any

import pytest
from harness import lab
from harness.cloud import difference, inventory
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.stacks import SECRET, Namespace

pytestmark = pytest.mark.faults


def template(dns: str = "9.9.9.9") -> dict[str, Any]:
    net = {"get_resource": "net"}
    return {
        "heat_template_version": "2021-04-16",
        "resources": {
            "net": {"type": "OS::Neutron::Net"},
            "subnet": {
                "type": "OS::Neutron::Subnet",
                "properties": {"network": net, "cidr": "10.0.0.0/24", "dns_nameservers": [dns]},
            },
            "port": {"type": "OS::Neutron::Port", "properties": {"network": net}},
            "server": {
                "type": "OS::Nova::Server",
                "properties": {
                    "image": "cirros",
                    "flavor": "m1.tiny",
                    "networks": [{"port": {"get_resource": "port"}}],
                },
            },
        },
    }


def physical(space: Namespace) -> dict[str, str]:
    return {name: one["status"]["physicalID"] for name, one in space.resources("web").items()}


def uids(space: Namespace) -> dict[str, str]:
    return {name: one["metadata"]["uid"] for name, one in space.resources("web").items()}


def test_a_record_deleted_by_hand_hands_its_resource_over(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    own_kiln.start()
    space.stack("web", template(), cloud=CLOUD)
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
    space.stack("web", template(), cloud=CLOUD)
    space.ready("web")
    before, old = physical(space), uids(space)
    everything = inventory(project.connection())
    own_kiln.stop()
    for one in space.get("stackresources"):
        name = one["metadata"]["name"]
        patch = json.dumps({"metadata": {"finalizers": None}})
        space.kubectl("patch", "stackresource", name, "--type=merge", "-p", patch)
        space.kubectl("delete", "stackresource", name)
    assert not space.get("stackresources")
    own_kiln.start()
    space.stack("web", template("8.8.8.8"), cloud=CLOUD)
    space.ready("web")
    assert physical(space) == before
    assert not set(uids(space).values()) & set(old.values())
    assert difference(everything, inventory(project.connection())) == {}


def test_fifty_edits_in_ten_seconds_end_at_the_last(space: Namespace, own_kiln: Operator, project: Project) -> None:
    own_kiln.start()
    cloud = project.connection()
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for number in range(1, 51):
            pool.submit(space.stack, "web", template(f"9.9.9.{number}"), cloud=CLOUD)
    print(f"50 edits in {time.monotonic() - begun:.1f} s")
    status = space.ready("web")["status"]
    assert status["observedGeneration"] == 50
    assert cloud.network.get_subnet(physical(space)["subnet"]).dns_nameservers == ["9.9.9.50"]
    counted = {kind: len(items) for kind, items in inventory(cloud).items()}
    assert (counted["networks"], counted["subnets"], counted["ports"], counted["servers"]) == (1, 1, 1, 1)
    assert len(space.get("stackrevisions")) <= 12


def test_a_stack_is_deleted_while_it_is_being_created_and_made_again_under_the_same_name(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    own_kiln.start()
    for pause in (0.0, 0.7, 1.5, 3.0):
        space.stack("web", template(), cloud=CLOUD)
        time.sleep(pause)
        space.kubectl("delete", "stack", "web", "--wait=false")
        # An edit of the one that goes, or, if that was quick to go, a new one.
        space.stack("web", template(), cloud=CLOUD)
        space.delete("web", 60)
        assert difference(before, inventory(cloud)) == {}
    space.stack("web", template(), cloud=CLOUD)
    space.ready("web")
    space.delete("web")
    assert difference(before, inventory(cloud)) == {}


def test_a_namespace_is_deleted_with_all_in_it(kiln: Operator, space: Namespace, project: Project) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    # The operator lives elsewhere: its own rights would go with the namespace.
    space.stack("web", template(), cloud=CLOUD)
    space.ready("web")
    space.stack("more", template(), cloud=CLOUD)
    lab.kubectl("delete", "namespace", space.name, "--timeout=90s", timeout=100)
    assert difference(before, inventory(cloud)) == {}


def test_credentials_that_go_before_their_stack_are_asked_for_and_the_deletion_goes_on(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    own_kiln.start()
    space.stack("web", template(), cloud=CLOUD)
    space.ready("web")
    space.kubectl("delete", "secret", SECRET)
    space.kubectl("delete", "stack", "web", "--wait=false")
    told = space.reason("web", "CredentialsNotFound")["message"]
    assert "restore them, or set spec.deletionPolicy to Orphan" in told
    space.credentials(project.clouds_yaml)
    space.kubectl("wait", "--for=delete", "stack/web", "--timeout=60s", timeout=70)
    assert difference(before, inventory(cloud)) == {}
