"""What users of Heat, Terraform and Kiln reported as wrong, each as the Stacks of the report, on the real cloud.

The templates are in ``reported/``; a report with several has their names after a dot.
"""

import itertools
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import lab
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.stacks import Namespace

pytestmark = pytest.mark.lifecycle

REPORTED = Path(__file__).parent / "reported"
ADMIN = "admin"
LOOKS = 25.0
"""Seconds in which a Stack that is looked at every ten seconds shows what it does wrong."""
SECOND_LOOK = 30
"""Seconds within which outputs are read for the second time after an update (docs/deviations.md)."""
OFTEN = {"resyncInterval": "10s"}


def template(name: str) -> str:
    """The text of a report's template."""
    return (REPORTED / f"{name}.yaml").read_text()


class Place:
    """A namespace and a project of the tests' own, with an operator for the one and the other."""

    def __init__(self, directory: Path) -> None:
        self.space = Namespace()
        self.project = Project()
        admin = yaml.safe_load(Path(lab.environment()["OS_CLIENT_CONFIG_FILE"]).read_text())["clouds"][ADMIN]
        own = yaml.safe_load(self.project.clouds_yaml)["clouds"][CLOUD]
        self.space.credentials(yaml.safe_dump({"clouds": {CLOUD: own, ADMIN: admin}}))
        self.cloud = self.project.connection()
        self.kiln = Operator(directory, namespaces=(self.space.name,), log_level="debug", arguments=("--no-lease",))
        self.kiln.start()
        self._numbers = itertools.count(1)

    def new(self) -> str:
        """A name for a Stack."""
        return f"s{next(self._numbers)}"

    def apply(self, stack: str, name: str, *, cloud: str = CLOUD, **spec: Any) -> None:
        """Apply a report's template."""
        self.space.stack(stack, template(name), cloud=cloud, **spec)

    def ready(self, stack: str, name: str, *, cloud: str = CLOUD, **spec: Any) -> dict[str, Any]:
        """Apply a report's template, and wait until the Stack is Ready; its status."""
        self.apply(stack, name, cloud=cloud, **spec)
        found: dict[str, Any] = self.space.ready(stack, 120)["status"]
        return found

    def id(self, stack: str, name: str) -> str:
        """The physical id of a resource."""
        found: str = self.space.resources(stack)[name]["status"]["physicalID"]
        return found

    def get(self, service: str, path: str, **params: Any) -> Any:
        """What the project's user reads."""
        return getattr(self.cloud, service).get(path, params=params).json()

    def server(self, stack: str, name: str = "srv") -> dict[str, Any]:
        """A server as Nova shows it."""
        found: dict[str, Any] = self.get("compute", f"/servers/{self.id(stack, name)}")["server"]
        return found

    def done_to(self, server: str) -> list[str]:
        """What was asked of a server, in order."""
        actions = self.get("compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
        return [one["action"] for one in reversed(actions)]

    def port(self, stack: str, name: str = "p") -> dict[str, Any]:
        """A port as Neutron shows it."""
        found: dict[str, Any] = self.get("network", f"/ports/{self.id(stack, name)}")["port"]
        return found

    def events(self, stack: str) -> list[dict[str, Any]]:
        """The Events of a Stack."""
        return [one for one in self.space.get("events") if one["involvedObject"]["name"] == stack]

    def image(self, name: str) -> str:
        """A new image of this name."""
        made = self.cloud.image.create_image(
            name=name, data=b"nothing", disk_format="raw", container_format="bare", wait=True, allow_duplicates=True
        )
        return str(made.id)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("reported"))
    yield made
    made.space.close()
    made.kiln.stop()
    for image in made.cloud.image.images(visibility="private"):
        made.cloud.image.delete_image(image)
    made.project.close()


@pytest.fixture
def stack(place: Place) -> Iterator[str]:
    """A name for a Stack, which is deleted at the end."""
    name = place.new()
    yield name
    place.space.delete(name, 120)


def restarted(place: Place) -> None:
    place.kiln.stop()
    place.kiln.start()


def test_a_newer_image_under_its_name_rebuilds_no_server(place: Place, stack: str) -> None:
    old = place.image("golden")
    place.ready(stack, "image-made-anew-under-its-name.first", **OFTEN)
    place.cloud.image.update_image(old, name="golden-old")
    place.image("golden")
    other = place.new()
    place.ready(other, "image-made-anew-under-its-name.second")
    restarted(place)
    time.sleep(LOOKS)
    assert place.done_to(place.id(stack, "srv")) == ["create"]
    assert place.server(stack)["image"]["id"] == old
    assert place.space.condition(stack)["status"] == "True"
    place.space.delete(other)


def test_a_rule_for_all_ports_is_ready_and_asked_for_once(place: Place, stack: str) -> None:
    place.ready(stack, "rule-for-all-ports", **OFTEN)
    group = place.get("network", f"/security-groups/{place.id(stack, 'sg')}")["security_group"]
    made = {rule["id"] for rule in group["security_group_rules"]}
    time.sleep(4)
    group = place.get("network", f"/security-groups/{place.id(stack, 'sg')}")["security_group"]
    assert {rule["id"] for rule in group["security_group_rules"]} == made
    assert place.space.condition(stack)["status"] == "True"


def test_groups_that_let_each_other_in_go_by_an_update_and_with_their_stack(place: Place, stack: str) -> None:
    def groups() -> int:
        found = place.get("network", "/security-groups", project_id=place.project.id)["security_groups"]
        return sum(one["name"] != "default" for one in found)

    place.ready(stack, "groups-that-let-each-other-in.stack")
    place.ready(stack, "groups-that-let-each-other-in.removed-by-update")
    assert groups() == 0
    place.ready(stack, "groups-that-let-each-other-in.stack")
    place.space.delete(stack, 60)
    assert groups() == 0


def test_a_server_has_no_port_of_a_try_that_failed(place: Place, stack: str) -> None:
    place.apply(stack, "ports-of-a-failed-try.first")
    eventually(lambda: "resources.srv" in place.space.condition(stack).get("message", ""), 90)
    place.ready(stack, "ports-of-a-failed-try.mended")
    ports = place.get("network", "/ports", device_id=place.id(stack, "srv"))["ports"]
    assert [port["security_groups"] for port in ports] == [[place.id(stack, "sg")]]
    assert [port["allowed_address_pairs"] for port in ports] == [[]]


def test_a_flavor_that_the_stack_makes_is_found_at_once(place: Place, stack: str) -> None:
    warm = place.new()
    place.ready(warm, "flavor-of-the-same-stack.warm", cloud=ADMIN)
    status = place.ready(stack, "flavor-of-the-same-stack.stack", cloud=ADMIN, onFailure="Rollback")
    assert status["lastOperation"]["result"] == "Succeeded"
    place.space.delete(warm)


def test_a_name_of_a_network_that_was_made_anew_means_the_new_one(place: Place, stack: str) -> None:
    place.ready(stack, "flavor-of-the-same-stack.recreated")
    place.space.delete(stack)
    place.ready(stack, "flavor-of-the-same-stack.recreated")


def test_a_stack_whose_image_was_deleted_stays_ready_with_its_outputs(place: Place, stack: str) -> None:
    image = place.image("retired")
    outputs = place.ready(stack, "retired-image", **OFTEN)["outputs"]
    place.cloud.image.delete_image(image)
    restarted(place)
    time.sleep(LOOKS)
    found = place.space.get("stack", stack)["status"]
    assert place.space.condition(stack)["status"] == "True"
    assert found["outputs"] == outputs
    place.image("retired")
    place.image("retired")
    restarted(place)
    time.sleep(LOOKS)
    assert place.space.condition(stack)["status"] == "True"
    assert place.done_to(place.id(stack, "srv")) == ["create"]


def test_outputs_of_a_ready_stack_are_those_of_the_end(place: Place, stack: str) -> None:
    outputs = place.ready(stack, "outputs-that-later-resources-change", resyncInterval="0s")["outputs"]
    floating = place.get("network", f"/floatingips/{place.id(stack, 'f')}")["floatingip"]
    assert outputs["subnets"] == [place.id(stack, "sub")]

    def addresses() -> str:
        return json.dumps(place.space.ready(stack, 30)["status"]["outputs"]["addresses"])

    # Nova hears of it from Neutron a moment later, and nothing else looks again with this resyncInterval.
    eventually(lambda: floating["floating_ip_address"] in addresses(), SECOND_LOOK)
    assert outputs["port_of_floating"] == place.id(stack, "p")
    assert outputs["fixed"] == floating["fixed_ip_address"]
    assert outputs["volume"] == "in-use"
    assert [one["server_id"] for one in outputs["attachments"]] == [place.id(stack, "srv")]
    assert outputs["port"] == place.port(stack)["status"]


def test_an_empty_key_and_an_empty_zone_are_none(place: Place, stack: str) -> None:
    place.ready(stack, "empty-key-and-zone")
    assert place.server(stack)["key_name"] is None


def test_naming_the_subnet_that_a_server_is_on_changes_nothing(place: Place, stack: str) -> None:
    before = place.ready(stack, "network-to-subnet.first")["outputs"]
    ports = place.get("network", "/ports", device_id=place.id(stack, "srv"))["ports"]
    assert place.ready(stack, "network-to-subnet.second")["outputs"] == before
    after = place.get("network", "/ports", device_id=place.id(stack, "srv"))["ports"]
    assert [port["id"] for port in after] == [port["id"] for port in ports]


def test_metadata_and_tags_of_others_stay_when_the_stack_changes_its_own(place: Place, stack: str) -> None:
    place.ready(stack, "metadata-of-others.first")
    server, volume = place.id(stack, "srv"), place.id(stack, "vol")
    place.cloud.compute.post(f"/servers/{server}/metadata", json={"metadata": {"backup": "daily"}})
    place.cloud.compute.put(f"/servers/{server}/tags/theirs", microversion="2.26")
    place.cloud.block_storage.post(f"/volumes/{volume}/metadata", json={"metadata": {"backup": "daily"}})
    place.ready(stack, "metadata-of-others.second")
    shown = place.cloud.compute.get(f"/servers/{server}", microversion="2.26").json()["server"]
    assert (shown["metadata"]["a"], shown["metadata"]["backup"]) == ("2", "daily")
    assert sorted(shown["tags"]) == ["t1", "t2", "theirs"]
    shown = place.get("block_storage", f"/volumes/{volume}")["volume"]
    assert (shown["metadata"]["a"], shown["metadata"]["backup"]) == ("2", "daily")


def test_the_default_group_of_an_admin_is_that_of_its_project(place: Place, stack: str) -> None:
    place.ready(stack, "default-group-as-admin", cloud=ADMIN)
    admin = place.project.admin
    port = admin.network.get(f"/ports/{place.id(stack, 'p')}").json()["port"]
    group = admin.network.get(f"/security-groups/{port['security_groups'][0]}").json()["security_group"]
    assert (group["name"], group["project_id"]) == ("default", admin.current_project_id)


def test_outputs_stay_when_an_update_fails(place: Place, stack: str) -> None:
    outputs = place.ready(stack, "outputs-after-a-failed-update.first")["outputs"]
    place.apply(stack, "outputs-after-a-failed-update.second")
    eventually(lambda: place.space.condition(stack).get("status") == "False", 60)
    eventually(lambda: place.space.condition(stack).get("reason") == "InvalidProperty", 60)
    status = place.space.get("stack", stack)["status"]
    assert status["outputs"] == outputs
    assert not status.get("outputErrors")


def test_no_drift_is_reported_of_a_creation(place: Place, stack: str) -> None:
    place.ready(stack, "attachment-without-drift", drift="Report", **OFTEN)
    time.sleep(3)
    assert not [one["reason"] for one in place.events(stack) if "Drift" in one["reason"]]


def test_a_description_may_be_as_long_as_neutron_takes(place: Place, stack: str) -> None:
    place.ready(stack, "long-description", **OFTEN)
    asked = yaml.safe_load(template("long-description"))["resources"]["sg"]["properties"]["description"]
    shown = place.get("network", f"/security-groups/{place.id(stack, 'sg')}")["security_group"]
    assert shown["description"] == asked


def test_a_renamed_resource_takes_over_what_there_can_be_once(place: Place, stack: str) -> None:
    place.ready(stack, "renamed-resources.first")
    place.ready(stack, "renamed-resources.renamed")
    assert {"uplink", "key"} <= place.space.resources(stack).keys()
    assert not {"ri", "k"} & place.space.resources(stack).keys()
    ports = place.get("network", "/ports", device_id=place.id(stack, "r"))["ports"]
    assert len(ports) == 1
    assert [one["keypair"]["name"] for one in place.get("compute", "/os-keypairs")["keypairs"]] == ["c19"]


def test_a_subnet_changes_under_a_floating_ip(place: Place, stack: str) -> None:
    place.ready(stack, "new-cidr-under-a-floating-ip.stack", parameters={"cidr": "10.63.0.0/24"})
    address = place.get("network", f"/floatingips/{place.id(stack, 'f')}")["floatingip"]["floating_ip_address"]
    place.ready(stack, "new-cidr-under-a-floating-ip.stack", parameters={"cidr": "10.63.1.0/24"})
    floating = place.get("network", f"/floatingips/{place.id(stack, 'f')}")["floatingip"]
    assert floating["floating_ip_address"] == address
    assert floating["port_id"] == place.id(stack, "p")
    assert floating["fixed_ip_address"].startswith("10.63.1.")


def test_a_port_with_a_floating_ip_takes_a_second_subnet(place: Place, stack: str) -> None:
    place.ready(stack, "new-cidr-under-a-floating-ip.second-subnet")
    first = place.port(stack)["fixed_ips"]
    more = yaml.safe_load(template("new-cidr-under-a-floating-ip.second-subnet"))
    more["resources"]["p"]["properties"]["fixed_ips"].append({"subnet": {"get_resource": "s2"}})
    place.space.stack(stack, yaml.safe_dump(more), cloud=CLOUD)
    place.space.ready(stack, 60)
    after = place.port(stack)["fixed_ips"]
    assert len(after) == 2
    assert all(ip in after for ip in first)


def test_outputs_that_are_too_large_together_are_named(place: Place, stack: str) -> None:
    value = {"type": "OS::Heat::Value", "properties": {"value": "y" * 30000}}
    outputs = {f"o{number}": {"value": {"get_attr": ["v", "value"]}} for number in range(75)}
    made = {"heat_template_version": "2021-04-16", "resources": {"v": value}, "outputs": outputs}
    place.space.stack(stack, json.dumps(made), cloud=CLOUD)
    status = place.space.ready(stack, 60)["status"]
    errors = status["outputErrors"]
    assert errors
    assert status.get("outputs", {}).keys() | errors.keys() == outputs.keys()
    assert len(json.dumps(status)) < 1_000_000


def test_a_server_group_without_a_policy_is_refused_at_its_property(place: Place, stack: str) -> None:
    place.apply(stack, "server-group-without-policy")
    eventually(lambda: place.space.condition(stack).get("status") == "False", 30)
    assert "resources.g.properties" in place.space.condition(stack)["message"]
    assert "InternalError" not in json.dumps(place.space.condition(stack))


def test_port_security_goes_off_in_an_update(place: Place, stack: str) -> None:
    place.ready(stack, "port-security-off.first")
    place.ready(stack, "port-security-off.second")
    assert place.port(stack)["port_security_enabled"] is False
    assert place.port(stack)["security_groups"] == []


def test_a_name_in_a_domain_is_found(place: Place, stack: str) -> None:
    place.ready(stack, "name-in-a-domain", cloud=ADMIN)


def test_a_failure_that_stays_the_same_is_one_event_and_one_write(place: Place, stack: str) -> None:
    place.apply(stack, "failure-that-stays-the-same", **OFTEN)
    place.space.reason(stack, "InvalidProperty", 60)
    time.sleep(2)
    before = place.space.get("stack", stack)
    earlier = [one["time"] for one in before["metadata"]["managedFields"] if one.get("subresource") == "status"]
    time.sleep(10)
    after = place.space.get("stack", stack)
    told = [one for one in place.events(stack) if one["reason"] == "InvalidProperty"]
    assert sum(one.get("count") or 1 for one in told) == 1
    managers = [one["time"] for one in after["metadata"]["managedFields"] if one.get("subresource") == "status"]
    assert managers == earlier


def test_servers_of_a_group_change_one_after_another(place: Place, stack: str) -> None:
    place.ready(stack, "rolling-update", parameters={"v": "one"})
    place.ready(stack, "rolling-update", parameters={"v": "two"})
    begun = []
    for number in range(3):
        server = place.id(stack, f"g/{number}")
        actions = place.get("compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
        begun += [one["start_time"] for one in actions if one["action"] == "rebuild"]
    begun.sort()
    moments = [datetime.fromisoformat(one).timestamp() for one in begun]
    assert len(moments) == 3
    assert all(later - earlier >= 5 for earlier, later in itertools.pairwise(moments))
