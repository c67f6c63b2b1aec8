"""Suspending and resuming on a real Nova: the order, what others do meanwhile, updates, and kills."""

import threading
import time
from typing import Any

import pytest
from harness import lab
from harness.operator import Operator, eventually
from harness.stacks import Namespace

pytestmark = pytest.mark.lifecycle


def server(*, after: str = "", **more: Any) -> dict[str, Any]:
    properties = {"image": "cirros", "flavor": "m1.tiny", "networks": [{"network": {"get_resource": "net"}}], **more}
    return {
        "type": "OS::Nova::Server",
        "properties": properties,
        "depends_on": ["subnet", *([after] if after else [])],
    }


def template(**more: Any) -> dict[str, Any]:
    """Two servers, of which ``web`` depends on ``db``."""
    net = {"get_resource": "net"}
    return {
        "heat_template_version": "2021-04-16",
        "resources": {
            "net": {"type": "OS::Neutron::Net"},
            "subnet": {"type": "OS::Neutron::Subnet", "properties": {"network": net, "cidr": "10.9.0.0/24"}},
            "db": server(),
            "web": server(after="db"),
            **more,
        },
    }


def statuses(space: Namespace, stack: str = "s") -> dict[str, str]:
    compute = lab.connection().compute
    found = space.resources(stack)
    ids = {
        name: one["status"]["physicalID"] for name, one in found.items() if one["spec"]["type"] == "OS::Nova::Server"
    }
    return {name: compute.get(f"/servers/{identity}").json()["server"]["status"] for name, identity in ids.items()}


def updated_at(space: Namespace, name: str) -> str:
    identity = space.resources("s")[name]["status"]["physicalID"]
    actions = lab.connection().compute.get(f"/servers/{identity}/os-instance-actions").json()["instanceActions"]
    return next(str(one["start_time"]) for one in actions if one["action"] in {"suspend", "resume"})


def test_a_stack_is_suspended_dependants_first_and_resumed_in_reverse(kiln: Operator, space: Namespace) -> None:
    space.stack("s", template())
    space.ready("s", 500)
    space.stack("s", template(), powerState="Suspended")
    assert space.ready("s", 500)["status"]["lastOperation"]["type"] == "Suspend"
    assert space.condition("s", "Suspended")["status"] == "True"
    assert statuses(space) == {"db": "SUSPENDED", "web": "SUSPENDED"}
    assert updated_at(space, "web") <= updated_at(space, "db")
    # Somebody else resumes one: that is drift. What is suspended is not woken by a comparison.
    identity = space.resources("s")["db"]["status"]["physicalID"]
    lab.connection().compute.post(f"/servers/{identity}/action", json={"resume": None})
    eventually(lambda: statuses(space)["db"] == "ACTIVE", 60)
    space.resync("s")
    eventually(lambda: statuses(space) == {"db": "SUSPENDED", "web": "SUSPENDED"}, 120)
    space.ready("s", 500)
    space.stack("s", template())
    assert space.ready("s", 500)["status"]["lastOperation"]["type"] == "Resume"
    assert statuses(space) == {"db": "ACTIVE", "web": "ACTIVE"}
    assert updated_at(space, "db") <= updated_at(space, "web")


def test_a_suspended_stack_is_updated_and_stays_suspended(kiln: Operator, space: Namespace) -> None:
    space.stack("s", template(), powerState="Suspended")
    space.ready("s", 500)
    volume = {"type": "OS::Cinder::Volume", "properties": {"size": 1}}
    attachment = {
        "type": "OS::Cinder::VolumeAttachment",
        "properties": {"volume_id": {"get_resource": "volume"}, "instance_uuid": {"get_resource": "db"}},
    }
    more = {"new": server(), "db": server(metadata={"a": "b"}), "volume": volume, "attachment": attachment}
    space.stack("s", template(**more), powerState="Suspended")
    assert space.ready("s", 500)["status"]["lastOperation"]["type"] == "Update"
    assert statuses(space) == {"db": "SUSPENDED", "web": "SUSPENDED", "new": "SUSPENDED"}


def test_a_suspension_in_the_middle_of_an_update(kiln: Operator, space: Namespace) -> None:
    space.stack("s", template())
    space.ready("s", 500)
    space.stack("s", template(new=server(after="web")))
    eventually(lambda: space.get("stack", "s")["status"]["lastOperation"]["type"] == "Update", 60)
    space.stack("s", template(new=server(after="web")), powerState="Suspended")
    space.ready("s", 500)
    assert statuses(space) == {"db": "SUSPENDED", "web": "SUSPENDED", "new": "SUSPENDED"}


def test_a_kill_in_the_middle_of_a_suspension_and_of_a_resumption(space: Namespace, own_kiln: Operator) -> None:
    own_kiln.start()
    space.stack("s", template())
    space.ready("s", 500)
    for state, expected in (("Suspended", "SUSPENDED"), ("Running", "ACTIVE")):
        space.stack("s", template(), powerState=state)
        timer = threading.Timer(1.2, own_kiln.kill)
        timer.start()
        timer.join()
        time.sleep(1)
        own_kiln.start()
        space.ready("s", 500)
        assert statuses(space) == {"db": expected, "web": expected}


def test_one_server_is_suspended_and_resumed_by_stack_operations(kiln: Operator, space: Namespace) -> None:
    space.stack("s", template())
    space.ready("s", 500)
    assert space.operated(space.operate("s", "Suspend", suspend={"resource": "web"}))[0] == "Succeeded"
    assert statuses(space) == {"db": "ACTIVE", "web": "SUSPENDED"}
    assert space.get("stack", "s")["status"]["suspendedResources"] == ["web"]
    phase, message = space.operated(space.operate("s", "Suspend", suspend={"resource": "net"}))
    assert phase == "Failed"
    assert "cannot" in message or "can be suspended" in message
    assert space.operated(space.operate("s", "Resume", resume={"resource": "web"}))[0] == "Succeeded"
    assert statuses(space) == {"db": "ACTIVE", "web": "ACTIVE"}
