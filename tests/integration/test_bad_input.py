"""Bad input ends in a condition and an event that name the path and the reason; mending the manifest heals it."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import lab
from harness.operator import Operator, eventually
from harness.stacks import Namespace

GOOD: dict[str, Any] = {"heat_template_version": "2021-04-16", "resources": {"net": {"type": "OS::Neutron::Net"}}}


def with_resource(**definition: Any) -> dict[str, Any]:
    return {**GOOD, "resources": {"net": {"type": "OS::Neutron::Net"}, "bad": definition}}


CASES = {
    "an unparsable template": ("resources: [", "InvalidTemplate", "line"),
    "no version": ({"resources": {}}, "InvalidTemplate", "version"),
    "an unknown type": (with_resource(type="OS::Nova::Servr"), "InvalidTemplate", "resources.bad.type"),
    "a missing parameter": (
        {**GOOD, "parameters": {"size": {"type": "number"}}},
        "InvalidParameter",
        "parameters.size",
    ),
    "an unknown property": (
        with_resource(type="OS::Neutron::Subnet", properties={"network": "x", "cidrr": "10.0.0.0/24"}),
        "InvalidTemplate",
        "resources.bad.properties.cidrr",
    ),
    "a wrong value": (
        with_resource(type="OS::Neutron::Subnet", properties={"network": "public", "cidr": "10.0.0.0/99"}),
        "InvalidTemplate",
        "resources.bad.properties.cidr",
    ),
    "a circular dependency": (
        {
            **GOOD,
            "resources": {
                "a": {"type": "OS::Neutron::Net", "depends_on": "b"},
                "b": {"type": "OS::Neutron::Net", "depends_on": "a"},
            },
        },
        "InvalidTemplate",
        "->",
    ),
    "a flavor that does not exist": (
        with_resource(
            type="OS::Nova::Server",
            properties={"image": "cirros", "flavor": "m1.gigantic", "networks": [{"network": {"get_resource": "net"}}]},
        ),
        "InvalidProperty",
        "m1.gigantic",
    ),
    "a parameter that names nothing in the cloud": (
        {
            **GOOD,
            "parameters": {
                "image": {"type": "string", "default": "nix", "constraints": [{"custom_constraint": "glance.image"}]}
            },
        },
        "InvalidParameter",
        "parameters.image",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said_and_mending_it_heals(case: str, kiln: Operator, space: Namespace) -> None:
    template, reason, words = CASES[case]
    space.stack("web", template)
    condition = space.reason("web", reason)
    assert words in condition["message"]
    assert space.condition("web", "Stalled")["status"] == "True"
    assert space.condition("web", "Reconciling")["status"] == "False"

    def told() -> bool:
        return any(one["reason"] == reason and words in one["message"] for one in space.get("events"))

    eventually(told)
    space.stack("web", GOOD)
    space.ready("web")


def credentials(space: Namespace, password: str | None = None) -> None:
    clouds = yaml.safe_load(Path(lab.environment()["OS_CLIENT_CONFIG_FILE"]).read_text())
    if password:
        clouds["clouds"][lab.environment()["OS_CLOUD"]]["auth"]["password"] = password
    text = base64.b64encode(yaml.safe_dump(clouds).encode()).decode()
    space.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "openstack"}, "data": {"clouds.yaml": text}}
    )


def test_wrong_credentials_and_then_right_ones(kiln: Operator, space: Namespace) -> None:
    credentials(space, password="certainly-wrong")
    space.stack("web", GOOD)
    condition = space.reason("web", "AuthenticationFailed")
    assert "spec.cloudCredentialsRef" in condition["message"]
    assert "certainly-wrong" not in condition["message"]
    assert space.condition("web", "CloudReachable")["status"] == "False"
    credentials(space)
    space.ready("web")


def test_a_missing_secret_and_then_one(kiln: Operator, space: Namespace) -> None:
    space.kubectl("delete", "secret", "openstack")
    space.stack("web", GOOD)
    condition = space.reason("web", "CredentialsNotFound")
    assert "openstack" in condition["message"]
    credentials(space)
    space.ready("web")


def test_a_quota_is_named_and_waited_for(kiln: Operator, space: Namespace) -> None:
    admin, project = lab.connection("admin"), lab.connection().session.get_project_id()
    used = len(lab.connection().compute.get("/os-server-groups").json()["server_groups"])
    admin.compute.put(f"/os-quota-sets/{project}", json={"quota_set": {"server_groups": used, "force": True}})
    try:
        space.stack("web", with_resource(type="OS::Nova::ServerGroup", properties={"policies": ["affinity"]}))
        condition = space.reason("web", "QuotaExceeded")
        assert "resources.bad" in condition["message"]
        assert space.condition("web", "Reconciling")["status"] == "True"
    finally:
        admin.compute.put(f"/os-quota-sets/{project}", json={"quota_set": {"server_groups": -1, "force": True}})
    space.ready("web", timeout=60)


def test_the_api_server_refuses_a_bad_manifest_with_a_message_that_helps(installed: None, space: Namespace) -> None:
    with pytest.raises(RuntimeError, match="exactly one of template"):
        space.stack("web", GOOD, templateBody="x")
    with pytest.raises(RuntimeError, match="resyncInterval"):
        space.stack("web", GOOD, resyncInterval="soon")
