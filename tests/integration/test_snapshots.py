"""StackSnapshots on a real Nova, Glance and Cinder: make, restore, delete; and deletion_policy: Snapshot."""

import json
import threading
import time
from typing import Any

import pytest
from harness import lab
from harness.operator import Operator, eventually
from harness.stacks import Namespace

pytestmark = pytest.mark.lifecycle


def template(*, policy: str = "delete") -> dict[str, Any]:
    net = {"get_resource": "net"}
    return {
        "heat_template_version": "2021-04-16",
        "resources": {
            "net": {"type": "OS::Neutron::Net"},
            "subnet": {"type": "OS::Neutron::Subnet", "properties": {"network": net, "cidr": "10.9.0.0/24"}},
            "server": {
                "type": "OS::Nova::Server",
                "deletion_policy": policy,
                "properties": {"image": "cirros", "flavor": "m1.tiny", "networks": [{"network": net}]},
                "depends_on": "subnet",
            },
            "volume": {"type": "OS::Cinder::Volume", "properties": {"size": 1}},
        },
    }


def snapshot(space: Namespace, name: str = "snap", **spec: Any) -> None:
    space.apply(
        {
            "apiVersion": "kiln.dev/v1alpha1",
            "kind": "StackSnapshot",
            "metadata": {"name": name},
            "spec": {"stackName": "s", "volumes": "Snapshot", **spec},
        }
    )


def finished(space: Namespace, name: str = "snap", timeout: float = 240) -> dict[str, Any]:
    def status() -> dict[str, Any]:
        return dict((space.get("stacksnapshot", name) or {}).get("status") or {})

    try:
        eventually(lambda: status().get("completionTime"), timeout, space.every)
    except TimeoutError:
        raise TimeoutError(json.dumps(status(), indent=1)) from None
    return status()


def copies() -> set[str]:
    """Ids of all images, volume snapshots and backups that carry a token."""
    cloud = lab.connection()
    images = cloud.image.get("/images?limit=1000").json()["images"]
    volumes = cloud.block_storage
    found = [
        *volumes.get("/snapshots/detail").json()["snapshots"],
        *volumes.get("/backups/detail", microversion="3.43").json()["backups"],
    ]
    return {one["id"] for one in images if "kiln-token" in one} | {
        one["id"] for one in found if "kiln-token" in (one["metadata"] or {})
    }


def physical(space: Namespace, name: str) -> str:
    return str(space.resources("s")[name]["status"]["physicalID"])


def test_a_snapshot_is_restored_after_the_server_was_deleted_by_hand_and_leaves_nothing(
    kiln: Operator, space: Namespace
) -> None:
    before = copies()
    space.stack("s", template())
    space.ready("s", 500)
    snapshot(space)
    status = finished(space)
    assert status["readyToUse"], status
    items = {one["resource"]: one for one in status["items"]}
    assert {name: (one["kind"], one["state"]) for name, one in items.items()} == {
        "server": ("Image", "Ready"),
        "volume": ("Snapshot", "Ready"),
    }
    assert copies() - before == {one["id"] for one in items.values()}
    cloud = lab.connection()
    first = physical(space, "server")
    cloud.compute.delete(f"/servers/{first}")
    eventually(lambda: cloud.compute.get(f"/servers/{first}").status_code == 404, 60)
    phase, message = space.operated(space.operate("s", "Restore", restore={"snapshot": "snap"}))
    assert phase == "Succeeded", message
    space.ready("s", 500)
    server = cloud.compute.get(f"/servers/{physical(space, 'server')}").json()["server"]
    assert server["id"] != first
    assert server["image"]["id"] == items["server"]["id"]
    space.kubectl("delete", "stacksnapshot", "snap", "--timeout=120s", timeout=130)
    assert copies() == before
    space.delete("s")


def test_a_running_server_is_rebuilt_from_the_image(kiln: Operator, space: Namespace) -> None:
    space.stack("s", template())
    space.ready("s", 500)
    snapshot(space)
    image = next(one["id"] for one in finished(space)["items"] if one["kind"] == "Image")
    identity = physical(space, "server")
    assert space.operated(space.operate("s", "Restore", restore={"snapshot": "snap"}))[0] == "Succeeded"
    server = lab.connection().compute.get(f"/servers/{identity}").json()["server"]
    assert (server["id"], server["image"]["id"]) == (physical(space, "server"), image)


def test_snapshots_are_deleted_with_their_stack(kiln: Operator, space: Namespace) -> None:
    before = copies()
    space.stack("s", template())
    space.ready("s", 500)
    snapshot(space)
    assert finished(space)["readyToUse"]
    space.delete("s")
    assert space.get("stacksnapshot", "snap") is None
    assert copies() == before


def test_a_volume_that_was_deleted_by_hand_is_restored_from_its_backup(kiln: Operator, space: Namespace) -> None:
    before = copies()
    space.stack("s", template())
    space.ready("s", 500)
    snapshot(space, volumes="Backup")
    status = finished(space)
    assert status["readyToUse"], status
    backup = next(one["id"] for one in status["items"] if one["kind"] == "Backup")
    assert backup in copies() - before
    volumes = lab.connection().block_storage
    first = physical(space, "volume")
    volumes.delete(f"/volumes/{first}")
    eventually(lambda: volumes.get(f"/volumes/{first}").status_code == 404, 60)
    phase, message = space.operated(space.operate("s", "Restore", restore={"snapshot": "snap"}))
    assert phase == "Succeeded", message
    volume = volumes.get(f"/volumes/{physical(space, 'volume')}").json()["volume"]
    assert volume["id"] != first
    assert volume["metadata"]["src_backup_id"] == backup
    space.delete("s")
    assert copies() == before


def test_a_kill_while_a_snapshot_is_made_doubles_nothing(space: Namespace, own_kiln: Operator) -> None:
    before = copies()
    own_kiln.start()
    space.stack("s", template())
    space.ready("s", 500)
    for number, seconds in enumerate((0.6, 1.0, 1.6)):
        snapshot(space, f"snap{number}")
        timer = threading.Timer(seconds, own_kiln.kill)
        timer.start()
        timer.join()
        time.sleep(1)
        own_kiln.start()
        status = finished(space, f"snap{number}", 300)
        assert status["readyToUse"], status
    held = {one["id"] for number in range(3) for one in finished(space, f"snap{number}")["items"]}
    assert copies() - before == held
    space.delete("s")
    assert copies() == before


def test_the_deletion_policy_snapshot_keeps_an_image_and_names_it(kiln: Operator, space: Namespace) -> None:
    before = copies()
    space.stack("s", template(policy="snapshot"))
    space.ready("s", 500)
    space.delete("s")
    left = copies() - before
    assert len(left) == 1
    image = left.pop()
    events = space.get("events")
    assert any(image in one["message"] for one in events if one["reason"] == "Copied")
    assert lab.connection().image.get(f"/images/{image}").json()["status"] == "active"
    lab.connection().image.delete(f"/images/{image}")
