"""``kiln import-heat``: manifests of a stack that a Heat shows."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from kiln.stack import adoption
from kiln.tools import heat_api, import_heat
from kiln.tools.import_heat import manifests_of, object_name
from kiln.tools.pack import Target

ROOT = "http://heat/v1/p/stacks/Web/root-id"
NESTED = "http://heat/v1/p/stacks/Web-group/nested-id"


def resource(name: str, kind: str, identity: str, *, stack: str = ROOT, nested: str = "", born: int = 0) -> Any:
    links = [{"rel": "self", "href": f"{stack}/resources/{name}"}, {"rel": "stack", "href": stack}]
    links += [{"rel": "nested", "href": nested}] if nested else []
    return {
        "resource_name": name,
        "resource_type": kind,
        "physical_resource_id": identity,
        "resource_status": "CREATE_COMPLETE",
        "creation_time": f"2026-01-01T00:00:0{born}Z",
        "links": links,
    }


RESOURCES = [
    resource("net", "OS::Neutron::Net", "net-id"),
    resource("group", "OS::Heat::ResourceGroup", "nested-id", nested=NESTED),
    resource("1", "OS::Neutron::Net", "second-id", stack=NESTED, born=2),
    resource("0", "OS::Neutron::Net", "first-id", stack=NESTED, born=1),
    resource("value", "OS::Heat::Value", "some-name"),
    resource("password", "OS::Heat::RandomString", "random-name"),
    resource("queue", "OS::Zaqar::Queue", "queue-id"),
    resource("port", "OS::Neutron::Port", ""),
]
TEMPLATE = {
    "heat_template_version": "2018-08-31",
    "parameters": {"secret": {"type": "string", "hidden": True}, "size": {"type": "number"}},
    "resources": {"net": {"type": "OS::Neutron::Net"}},
}
ENVIRONMENT = {
    "parameters": {"secret": "hush", "size": 3},
    "parameter_defaults": {},
    "resource_registry": {"resources": {}},
    "event_sinks": [],
    "encrypted_param_names": [],
}


def heat(path: str) -> Any:
    """The answers of a Heat with one stack."""
    base = "/stacks/Web/root-id"
    stack = {"stack_name": "Web", "id": "root-id", "disable_rollback": False, "timeout_mins": 30, "tags": ["a"]}
    return {
        "/stacks/Web": {"stack": stack},
        f"{base}/resources": {"resources": RESOURCES},
        f"{base}/template": TEMPLATE,
        f"{base}/environment": ENVIRONMENT,
        f"{base}/files": {"file:///x/boot.sh": "echo"},
        f"{base}/resources/password": {"resource": {"attributes": {"value": "generated-1"}}},
    }[urlsplit(path).path]


@pytest.fixture
def found() -> heat_api.HeatStack:
    return heat_api.read(heat, "Web")


def made(found: heat_api.HeatStack, **options: Any) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
    target = Target("web", "ns", options=import_heat.options(found))
    manifests, notes = manifests_of(found, target, read_only=options.get("read_only", False))
    return manifests[-1]["spec"], manifests, notes


def test_every_resource_of_the_cloud_is_named_with_its_path(found: heat_api.HeatStack) -> None:
    spec, _, _ = made(found)
    assert spec["adopt"]["resources"] == {
        "net": "net-id",
        "group/0": "first-id",
        "group/1": "second-id",
        "password": "random-name",
    }


def test_members_of_a_group_are_in_the_order_of_their_age(found: heat_api.HeatStack) -> None:
    assert list(found.resources["group"]["resources"]) == ["0", "1"]


def test_hidden_values_are_in_secrets_alone(found: heat_api.HeatStack) -> None:
    spec, manifests, _ = made(found)
    shown = json.dumps([one for one in manifests if one["kind"] != "Secret"])
    assert "hush" not in shown
    assert "generated-1" not in shown
    assert spec["parametersFrom"][0]["name"] == "secret"
    assert spec["parameters"] == {"size": "3"}


def test_the_secret_of_the_file_is_one_that_adopt_reads(found: heat_api.HeatStack) -> None:
    spec, manifests, _ = made(found)
    secret = next(one for one in manifests if one["metadata"]["name"] == spec["adopt"]["fromSecret"]["name"])
    read = adoption.parse(secret["stringData"]["stack.json"], "spec.adopt.fromSecret")
    assert read["password"].data == {"value": "generated-1"}
    assert read["group/1"].physical_id == "second-id"


def test_what_kiln_cannot_take_over_is_said(found: heat_api.HeatStack) -> None:
    _, _, notes = made(found)
    assert any(note.startswith("resources.queue: Kiln cannot converge OS::Zaqar::Queue") for note in notes)
    assert any(note.startswith("resources.port: Heat has no id") for note in notes)


def test_options_of_the_stack_come_along(found: heat_api.HeatStack) -> None:
    spec, _, _ = made(found, read_only=True)
    assert (spec["stackName"], spec["onFailure"], spec["timeout"], spec["tags"]) == ("Web", "Rollback", "30m", ["a"])
    assert spec["adopt"]["readOnly"] is True


@pytest.mark.parametrize(("name", "expected"), [("Web_1.x", "web-1-x"), ("--", "stack"), ("a" * 80, "a" * 63)])
def test_the_name_of_the_object_follows_from_heats(name: str, expected: str) -> None:
    assert object_name(name) == expected
