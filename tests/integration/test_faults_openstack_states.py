"""OpenStack itself is in trouble: a service is away, a server breaks, a quota is reached."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from harness.cloud import difference, inventory
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.proxy import FaultProxy
from harness.relay import Call
from harness.samples import MACHINE, counts, machine, site, site_counts
from harness.stacks import Namespace

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture
def proxy(space: Namespace, project: Project) -> Iterator[FaultProxy]:
    """In front of the project's cloud; the namespace's credentials lead through it."""
    with FaultProxy(project.clouds_yaml, CLOUD) as running:
        space.credentials(running.clouds_yaml)
        yield running
        running.down.clear()
        space.kubectl("delete", "stacks", "--all", "--timeout=60s", check=False)


def says(space: Namespace, what: str) -> dict[str, Any]:
    condition = space.condition("web")
    return condition if what in condition.get("message", "") else {}


def physical(space: Namespace) -> dict[str, str]:
    return {name: one["status"]["physicalID"] for name, one in space.resources("web").items()}


@pytest.mark.parametrize(("service", "words"), [("network", "network: "), ("compute", "compute: ")])
def test_one_service_is_down_for_a_while(
    service: str, words: str, space: Namespace, own_kiln: Operator, project: Project, proxy: FaultProxy
) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    proxy.down = {service}
    timer = threading.Timer(30, proxy.down.clear)
    timer.start()
    space.stack("web", machine("8.8.8.8", drive=True), cloud=CLOUD)
    told = eventually(lambda: says(space, words), 25)
    assert told["reason"] == "CloudUnavailable"
    assert told["status"] == "False"
    assert space.condition("web", "Stalled")["status"] == "False"
    timer.join()
    space.ready("web")
    assert counts(before, inventory(cloud)) == MACHINE
    proxy.down = {service}
    threading.Timer(8, proxy.down.clear).start()
    space.delete("web")
    assert difference(before, inventory(cloud)) == {}


def test_the_way_in_is_down_for_a_while(
    space: Namespace, own_kiln: Operator, project: Project, proxy: FaultProxy
) -> None:
    proxy.down = {"identity"}
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    told = eventually(lambda: says(space, "identity"), 25)
    assert told["reason"] == "CloudUnavailable"
    assert space.condition("web", "CloudReachable")["status"] == "False"
    assert space.condition("web", "Stalled")["status"] == "False"
    proxy.down.clear()
    space.ready("web")


def test_a_server_goes_to_error_while_it_is_made_and_its_failed_boot_deletes_its_port(
    space: Namespace, own_kiln: Operator, project: Project, proxy: FaultProxy
) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    broken: list[str] = []

    def twist(call: Call, content: Any) -> Any:
        """The first server that is made goes to ERROR, and takes the port along."""
        if call.service != "compute" or not isinstance(content, dict):
            return content
        if call.method == "POST" and call.path.endswith("/servers") and "server" in content and not broken:
            broken.append(content["server"]["id"])
        for server in [*content.get("servers", ()), *([content["server"]] if "server" in content else ())]:
            if broken and server["id"] == broken[0] and "status" in server:
                if len(broken) == 1:
                    broken.append(next(iter(inventory(cloud)["ports"])))
                    project.admin.network.delete_port(broken[1])
                server["status"] = "ERROR"
                server["fault"] = {"code": 500, "message": "No valid host was found"}
        return content

    proxy.twist = twist
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    assert len(broken) == 2
    now = inventory(cloud)
    assert counts(before, now) == MACHINE
    assert broken[0] not in now["servers"]
    assert broken[1] not in now["ports"]
    assert physical(space)["server"] in now["servers"]
    assert physical(space)["port"] in now["ports"]
    assert now["ports"][physical(space)["port"]]["device_id"] == physical(space)["server"]
    space.delete("web")
    assert difference(before, inventory(cloud)) == {}


def test_a_server_in_error_and_a_port_that_is_gone_are_made_anew(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    cloud, admin = project.connection(), project.admin
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    old = physical(space)
    admin.compute.post(f"/servers/{old['server']}/action", json={"os-resetState": {"state": "error"}})
    admin.network.delete_port(old["port"])
    space.resync("web")
    eventually(lambda: all(renewed(space, name) for name in ("port", "server")), 60)
    new = physical(space)
    assert {name for name in old if old[name] != new[name]} == {"server", "port"}
    assert cloud.compute.find_server(old["server"]) is None
    assert cloud.compute.get_server(new["server"]).status == "ACTIVE"


def renewed(space: Namespace, name: str) -> bool:
    resource = space.resources("web")[name]
    return bool(resource["spec"]["serial"] and resource.get("status", {}).get("state") == "Ready")


def test_a_quota_is_reached_in_the_middle_and_raised_later(
    space: Namespace, own_kiln: Operator, project: Project
) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    project.admin.network.put(f"/quotas/{project.id}", json={"quota": {"network": 1}})
    own_kiln.start()
    space.stack("web", site(3), cloud=CLOUD)
    assert "Quota exceeded for resources: ['network']" in space.reason("web", "QuotaExceeded")["message"]
    # Neutron counts and creates in two steps, so creates side by side may overshoot a quota.
    assert 1 <= len(inventory(cloud)["networks"]) < 3
    project.unlimited()
    space.ready("web")
    assert counts(before, inventory(cloud)) == site_counts(3)
    space.delete("web")
    assert difference(before, inventory(cloud)) == {}
