"""Stacks that the real Heat made come under Kiln, and go back: only with LAB_HEAT=1."""

import argparse
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import lab
from harness.operator import Operator, eventually
from harness.proxy import FaultProxy
from harness.stacks import Namespace
from openstack.exceptions import HttpException

from kiln.tools import export, import_heat

pytestmark = [
    pytest.mark.lifecycle,
    pytest.mark.skipif(os.environ.get("LAB_HEAT") != "1", reason="needs the real Heat: LAB_HEAT=1"),
]

CLOUD = "demo"
LIMIT = 600.0


def template(dns: str = "9.9.9.9", *, server: bool = False) -> dict[str, Any]:
    """What Heat's users have most: a network of its own, a volume, a group, a password, and perhaps a server."""

    def of(name: str) -> dict[str, str]:
        return {"get_resource": name}

    machine = {
        "server": {
            "type": "OS::Nova::Server",
            "properties": {
                "image": "cirros",
                "flavor": "m1.tiny",
                "networks": [{"port": of("port")}],
                "metadata": {"purpose": "test"},
            },
        },
        "disk": {
            "type": "OS::Cinder::VolumeAttachment",
            "properties": {"volume_id": of("volume"), "instance_uuid": of("server")},
        },
    }
    return {
        "heat_template_version": "2018-08-31",
        "parameters": {"secret": {"type": "string", "hidden": True}, "size": {"type": "number", "default": 1}},
        "resources": {
            "net": {"type": "OS::Neutron::Net", "properties": {"value_specs": {"mtu": 1400}}},
            "subnet": {
                "type": "OS::Neutron::Subnet",
                "properties": {"network": of("net"), "cidr": "10.77.0.0/24", "dns_nameservers": [dns]},
            },
            "router": {"type": "OS::Neutron::Router"},
            "leg": {
                "type": "OS::Neutron::RouterInterface",
                "properties": {"router": of("router"), "subnet": of("subnet")},
            },
            "rules": {"type": "OS::Neutron::SecurityGroup", "properties": {"rules": [{"protocol": "icmp"}]}},
            "port": {
                "type": "OS::Neutron::Port",
                "properties": {"network": of("net"), "security_groups": [of("rules")]},
                "depends_on": "subnet",
            },
            "volume": {"type": "OS::Cinder::Volume", "properties": {"size": {"get_param": "size"}}},
            **(machine if server else {}),
            "password": {"type": "OS::Heat::RandomString", "properties": {"length": 20}},
            "nets": {
                "type": "OS::Heat::ResourceGroup",
                "properties": {"count": 2, "resource_def": {"type": "OS::Neutron::Net"}},
            },
        },
        "outputs": {"password": {"value": {"get_attr": ["password", "value"]}}},
    }


TAKEN = 9
"""Resources that have something in the cloud: all but the password and the group itself; a server adds two."""
MARKED = 8
"""Those of them that can carry the token: not the router's interface."""


class Heat:
    """The real Heat, and the stacks that one test made in it: no others are ever deleted."""

    def __init__(self) -> None:
        self.cloud = lab.connection(CLOUD)
        self.made: list[str] = []

    def name(self) -> str:
        """The name of a new stack."""
        self.made.append(f"kiln-adopt-{uuid.uuid4().hex[:6]}")
        return self.made[-1]

    def close(self) -> None:
        """Delete the test's stacks."""
        for name in self.made:
            self.cloud.orchestration.delete_stack(name, ignore_missing=True)


@pytest.fixture
def heat() -> Iterator[Heat]:
    made = Heat()
    yield made
    made.close()


def in_heat(heat: Heat, body: dict[str, Any]) -> str:
    """Let Heat make a stack. Returns its name."""
    name, connection = heat.name(), heat.cloud
    try:
        made = connection.orchestration.create_stack(name=name, template=body, parameters={"secret": "hush-hush-1"})
    except HttpException:  # on a busy machine Heat's API gives up before its engine answers, and the engine goes on
        made = eventually(lambda: connection.orchestration.find_stack(name), LIMIT)
    connection.orchestration.wait_for_status(made, "CREATE_COMPLETE", ["CREATE_FAILED"], interval=2, wait=LIMIT)
    return name


def imported(capsys: pytest.CaptureFixture[str], name: str, space: Namespace, *options: str) -> list[dict[str, Any]]:
    """The manifests that ``kiln import-heat`` prints."""
    parser = argparse.ArgumentParser()
    import_heat.add_command(parser.add_subparsers(), "")
    given = ["import-heat", name, "--os-cloud", CLOUD, "--name", "web", "-n", space.name, *options]
    arguments = parser.parse_args(given)
    capsys.readouterr()
    assert import_heat.main(arguments) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


def ids(heat: Heat, name: str) -> set[str]:
    """What Heat holds. The SDK's own list ends before the resources of nested stacks."""
    answer = heat.cloud.orchestration.get(f"/stacks/{name}/resources?nested_depth=5")
    return {one["physical_resource_id"] for one in answer.json()["resources"]}


def ready(space: Namespace, generation: int = 1) -> dict[str, Any]:
    """Wait until the Stack is Ready in this generation."""

    def look() -> dict[str, Any] | None:
        status = (space.get("stack", "web") or {}).get("status") or {}
        held = {one["type"]: one for one in status.get("conditions", ())}
        condition = held.get("Ready", {})
        done = condition.get("status") == "True" and condition.get("observedGeneration", 0) >= generation
        return held if done else None

    return eventually(look, LIMIT)


def changes(proxy: FaultProxy) -> list[tuple[str, str, str]]:
    """All writes but those of Keystone: tokens are asked for by POST."""
    return [(one.service, one.method, one.path) for one in proxy.changes if one.service != "identity"]


def test_a_stack_of_heat_is_taken_over_updated_and_deleted(
    space: Namespace, own_kiln: Operator, heat: Heat, capsys: pytest.CaptureFixture[str]
) -> None:
    name = in_heat(heat, template())
    before = ids(heat, name)
    text = Path(lab.environment()["OS_CLIENT_CONFIG_FILE"]).read_text()
    with FaultProxy(text, CLOUD) as proxy:
        space.credentials(proxy.clouds_yaml)
        own_kiln.start()
        manifests = imported(capsys, name, space, "--read-only")
        assert "hush-hush-1" not in json.dumps([one for one in manifests if one["kind"] != "Secret"])
        space.apply(*manifests)
        ready(space)
        assert changes(proxy) == []

        del manifests[-1]["spec"]["adopt"]["readOnly"]
        space.apply(*manifests)
        ready(space, 2)
        sent = changes(proxy)
        print("writes at adoption:", *sent, sep="\n  ")
        assert len(sent) == MARKED
        taken = {one["status"]["physicalID"] for one in space.get("stackresources") if one["status"].get("physicalID")}
        assert len(taken & before) >= TAKEN

        changed = template(dns="8.8.4.4")
        manifests[-1]["spec"]["templateBody"] = json.dumps(changed)
        space.apply(*manifests)
        ready(space, 3)
        more = changes(proxy)[len(sent) :]
        assert [(service, method) for service, method, _ in more] == [("network", "PUT")]
        subnet = next(
            one for one in heat.cloud.network.subnets(cidr="10.77.0.0/24") if one.dns_nameservers == ["8.8.4.4"]
        )
        assert subnet.id in before

        space.kubectl("delete", "stack", "web", "--timeout=180s", timeout=200)
    assert heat.cloud.network.find_subnet(subnet.id) is None


def test_kills_in_the_middle_of_an_adoption_and_a_move_lose_nothing(
    space: Namespace, own_kiln: Operator, heat: Heat, capsys: pytest.CaptureFixture[str]
) -> None:
    name = in_heat(heat, template(server=True))
    before = ids(heat, name)
    manifests = imported(capsys, name, space)
    own_kiln.start()
    space.apply(*manifests)
    eventually(lambda: len(space.get("stackresources")) >= 3, LIMIT)
    own_kiln.kill()
    own_kiln.start()
    ready(space)

    moved = template(server=True)
    moved["resources"]["machine"] = moved["resources"].pop("server")
    moved["resources"]["disk"]["properties"]["instance_uuid"] = {"get_resource": "machine"}
    moved["resources"]["pool"] = moved["resources"].pop("nets")
    spec = manifests[-1]["spec"]
    spec["templateBody"] = json.dumps(moved)
    spec["moves"] = [{"from": "server", "to": "machine"}, {"from": "nets", "to": "pool"}]
    space.apply(*manifests)
    eventually(lambda: any("logicalName" in one["status"] for one in space.get("stackresources")), LIMIT)
    own_kiln.kill()
    own_kiln.start()
    ready(space, 2)
    now = {one["status"].get("physicalID") for one in space.get("stackresources")}
    assert len(now & before) >= TAKEN + 1
    assert len([one for one in heat.cloud.compute.servers() if one.id in before]) == 1


def test_an_exported_stack_is_adopted_by_heat(
    space: Namespace, own_kiln: Operator, heat: Heat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_kiln.start()
    body = template()
    space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "p"}, "stringData": {"s": "hush-hush-1"}})
    given = [{"name": "secret", "secretKeyRef": {"name": "p", "key": "s"}}]
    space.stack("web", body, cloud=CLOUD, parametersFrom=given, deletionPolicy="Orphan")
    ready(space)
    made = {one["status"]["physicalID"] for one in space.get("stackresources")}
    for key, value in lab.environment().items():
        monkeypatch.setenv(key, value)
    parser = argparse.ArgumentParser()
    export.add_command(parser.add_subparsers(), "")
    path = tmp_path / "web.json"
    assert export.main(parser.parse_args(["export", "web", "-n", space.name, "-o", str(path)])) == 0
    assert path.stat().st_mode & 0o077 == 0
    space.kubectl("delete", "stack", "web", "--timeout=60s", timeout=80)
    name = heat.name()
    file = json.loads(path.read_text())
    answer = heat.cloud.orchestration.post(
        "/stacks",
        json={
            "stack_name": name,
            "adopt_stack_data": json.dumps(file),
            "environment": file["environment"],
            "files": {},
        },
    )
    if answer.status_code == 400 and "adopt" in answer.text.lower() and "not supported" in answer.text.lower():
        pytest.skip("this Heat was configured without enable_stack_adopt")
    assert answer.status_code == 201, answer.text

    def ended() -> str:
        """The SDK takes a stack in ADOPT_COMPLETE for one that does not exist."""
        status = heat.cloud.orchestration.get(f"/stacks/{name}").json()["stack"]["stack_status"]
        return str(status) if status != "ADOPT_IN_PROGRESS" else ""

    assert eventually(ended, LIMIT) == "ADOPT_COMPLETE"
    assert len(ids(heat, name) & made) >= TAKEN
