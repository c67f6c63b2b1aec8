"""SIGKILL at random instants while a Stack is created, updated and deleted: nothing left over, doubled or missing."""

import os
import random
import time
from collections import Counter
from typing import Any

from harness import lab
from harness.cloud import Inventory, difference, inventory
from harness.operator import Operator, eventually
from harness.stacks import Namespace

KILLS = 10


def template(width: int, dns: str) -> dict[str, Any]:
    """Networks with subnets, ports, servers and volumes; ``dns`` changes in place, ``width`` adds and removes."""
    resources: dict[str, Any] = {
        "group": {"type": "OS::Neutron::SecurityGroup", "properties": {"rules": [{"protocol": "icmp"}]}}
    }
    for i in range(width):
        net = {"get_resource": f"net{i}"}
        resources[f"net{i}"] = {"type": "OS::Neutron::Net"}
        resources[f"subnet{i}"] = {
            "type": "OS::Neutron::Subnet",
            "properties": {"network": net, "cidr": f"10.{i}.0.0/24", "dns_nameservers": [dns]},
        }
        resources[f"port{i}"] = {
            "type": "OS::Neutron::Port",
            "properties": {"network": net, "security_groups": [{"get_resource": "group"}]},
        }
        resources[f"server{i}"] = {
            "type": "OS::Nova::Server",
            "properties": {
                "image": "cirros",
                "flavor": "m1.tiny",
                "networks": [{"port": {"get_resource": f"port{i}"}}],
            },
        }
        resources[f"volume{i}"] = {"type": "OS::Cinder::Volume", "properties": {"size": 1}}
    return {"heat_template_version": "2021-04-16", "resources": resources}


def of_stack(before: Inventory, now: Inventory) -> dict[str, Counter[str]]:
    """What came since ``before``: kind -> how many of each name."""
    return {
        kind: Counter(str(item.get("name")) for key, item in now[kind].items() if key not in before[kind])
        for kind in now
    }


def test_ten_kills_leave_nothing_over_nothing_doubled_nothing_missing(space: Namespace, own_kiln: Operator) -> None:
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    dice = random.Random(seed)
    cloud = lab.connection("alt")
    before = inventory(cloud)
    kills = 0

    def killed(goal: Any, until: Any, times: int) -> None:
        nonlocal kills
        goal()
        for _ in range(times):
            own_kiln.start()
            time.sleep(dice.uniform(1.5, 5.0))
            own_kiln.kill()
            kills += 1
        own_kiln.start()
        until()
        own_kiln.kill()

    killed(lambda: space.stack("web", template(3, "9.9.9.9"), cloud="alt"), lambda: space.ready("web", 150), 4)
    made = of_stack(before, inventory(cloud))
    assert {kind: made[kind].total() for kind in ("networks", "subnets", "ports", "servers", "volumes")} == {
        "networks": 3,
        "subnets": 3,
        "ports": 3,
        "servers": 3,
        "volumes": 3,
    }
    assert made["security_groups"].total() == 1
    killed(lambda: space.stack("web", template(4, "8.8.8.8"), cloud="alt"), lambda: space.ready("web", 150), 3)
    now = inventory(cloud)
    made = of_stack(before, now)
    assert {made[kind].total() for kind in ("networks", "subnets", "ports", "servers", "volumes")} == {4}
    new = [subnet for key, subnet in now["subnets"].items() if key not in before["subnets"]]
    assert all(subnet["dns_nameservers"] == ["8.8.8.8"] for subnet in new)

    def gone() -> None:
        space.kubectl("wait", "--for=delete", "stack/web", "--timeout=150s", timeout=160)

    killed(lambda: space.kubectl("delete", "stack", "web", "--wait=false"), gone, 3)
    assert kills == KILLS
    assert difference(before, inventory(cloud)) == {}
    # The last kill may have come between the Stack's end and that of its records: the next start releases them.
    own_kiln.start()
    eventually(lambda: not space.get("stackresources"), 60)
