"""Outputs on the real Kubernetes and the real OpenStack: in Secrets and ConfigMaps, and from Stack to Stack."""

import base64
import json
from typing import Any

import pytest
from harness import lab
from harness.operator import Operator, eventually
from harness.stacks import Namespace

pytestmark = pytest.mark.lifecycle

PASSWORD = "integration-password-1"


def base(name: str = "first", *, hidden: str = PASSWORD) -> dict[str, Any]:
    return {
        "heat_template_version": "2021-04-16",
        "parameters": {"password": {"type": "string", "hidden": True, "default": hidden}},
        "resources": {"net": {"type": "OS::Neutron::Net", "properties": {"name": f"outputs-{name}"}}},
        "outputs": {
            "network": {"value": {"get_resource": "net"}},
            "name": {"value": {"get_attr": ["net", "name"]}},
            "password": {"value": {"get_param": "password"}},
        },
    }


APP = {
    "heat_template_version": "2021-04-16",
    "parameters": {
        "network": {"type": "string", "constraints": [{"custom_constraint": "neutron.network"}]},
        "password": {"type": "string"},
    },
    "resources": {
        "subnet": {
            "type": "OS::Neutron::Subnet",
            "properties": {"network": {"get_param": "network"}, "cidr": "10.77.0.0/24"},
        }
    },
    "outputs": {"password": {"value": {"get_param": "password"}}, "on": {"value": {"get_param": "network"}}},
}
USES = [{"name": name, "stackOutputRef": {"stack": "base", "output": name}} for name in ("network", "password")]


def secret(space: Namespace, name: str) -> dict[str, str]:
    found = space.get("secret", name)
    return {key: base64.b64decode(text).decode() for key, text in ((found or {}).get("data") or {}).items()}


def stored(space: Namespace, *kinds: str) -> str:
    return json.dumps([space.get(kind) for kind in kinds])


def test_two_stacks_created_in_the_wrong_order_changed_and_deleted_in_the_wrong_order(
    kiln: Operator, space: Namespace
) -> None:
    cloud = lab.connection()
    space.stack("app", APP, parametersFrom=USES)
    condition = space.reason("app", "WaitingForStack", 60)
    assert "there is no Stack 'base'" in condition["message"]
    assert space.condition("app", "Reconciling")["status"] == "True"
    assert space.condition("app", "Stalled")["status"] == "False"

    space.stack("base", base())
    first = space.ready("base")["status"]["outputs"]["network"]
    app = space.ready("app")
    assert app["status"]["outputs"]["on"] == first
    assert app["status"]["hiddenOutputs"] == ["password"]
    assert secret(space, "app-outputs") == {"password": PASSWORD}
    revisions = [one for one in space.get("stackrevisions") if one["spec"]["stackName"] == "app"]
    assert PASSWORD not in json.dumps([app, revisions, space.get("stackhistories"), space.get("events")])

    # A hidden output alone changes, and is followed.
    space.stack("base", base(hidden="another-password-2"))
    eventually(lambda: secret(space, "app-outputs") == {"password": "another-password-2"}, 60)

    space.kubectl("delete", "stack", "base", "--wait=false")
    condition = space.reason("base", "DeletionBlocked", 60)
    assert "app" in condition["message"]
    assert cloud.network.find_network(first) is not None
    space.delete("app")
    eventually(lambda: space.get("stack", "base") is None, 60)
    assert cloud.network.find_network(first) is None
    eventually(lambda: space.get("secret", "base-outputs") is None, 60)


def test_a_forced_deletion_does_not_wait(kiln: Operator, space: Namespace) -> None:
    space.stack("base", base())
    space.ready("base")
    user = {**APP, "resources": {}}
    space.stack("app", user, parametersFrom=USES)
    space.ready("app")
    space.kubectl("delete", "stack", "base", "--wait=false")
    space.reason("base", "DeletionBlocked", 60)
    space.kubectl("annotate", "stack", "base", "kiln.dev/force-delete=true")
    eventually(lambda: space.get("stack", "base") is None, 60)
    space.reason("app", "WaitingForStack", 60)
    space.delete("app")


def test_two_stacks_deleted_together_with_their_namespace(kiln: Operator, space: Namespace) -> None:
    cloud = lab.connection()
    space.stack("base", base("gone"))
    network = space.ready("base")["status"]["outputs"]["network"]
    space.stack("app", APP, parametersFrom=USES)
    space.ready("app")
    space.kubectl("delete", "namespace", space.name, "--wait=false")
    eventually(lambda: lab.kubectl("get", "namespace", space.name, "--ignore-not-found") == "", 120)
    assert cloud.network.find_network(network) is None


def test_stacks_in_a_circle_say_so_and_can_be_deleted(kiln: Operator, space: Namespace) -> None:
    template = {
        "heat_template_version": "2021-04-16",
        "parameters": {"p": {"type": "string"}},
        "outputs": {"o": {"value": {"get_param": "p"}}},
        "resources": {},
    }
    for one, other in (("a", "b"), ("b", "a")):
        source = {"name": "p", "stackOutputRef": {"stack": other, "output": "o"}}
        space.stack(one, template, parametersFrom=[source])
    for name in "ab":
        message = space.reason(name, "CircularReference", 60)["message"]
        assert message.endswith("a -> b -> a" if name == "a" else "b -> a -> b")
    space.kubectl("delete", "stack", "a", "b", "--timeout=60s")


def test_outputs_are_written_where_the_spec_asks_and_nowhere_else(kiln: Operator, space: Namespace) -> None:
    space.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"name": "theirs"}})
    wanted = [
        {"secret": {"name": "all", "labels": {"app": "shop"}}},
        {"configMap": {"name": "public", "keys": {"NETWORK": "network"}, "annotations": {"note": "x"}}},
    ]
    space.stack("web", base("written"), outputsTo=wanted)
    outputs = space.ready("web")["status"]["outputs"]
    assert secret(space, "all") == {**outputs, "password": PASSWORD}
    assert secret(space, "web-outputs") == {"password": PASSWORD}
    assert space.get("configmap", "public")["data"] == {"NETWORK": outputs["network"]}
    assert space.get("secret", "all")["metadata"]["labels"]["app"] == "shop"

    # What somebody deletes comes back at once; labels and objects that are not asked for any more go.
    space.kubectl("delete", "secret", "all")
    eventually(lambda: space.get("secret", "all") is not None, 30)
    space.stack("web", base("written"), outputsTo=[{"secret": {"name": "all"}}])
    eventually(lambda: space.get("configmap", "public") is None, 30)
    eventually(lambda: "app" not in space.get("secret", "all")["metadata"]["labels"], 30)

    space.stack("web", base("written"), outputsTo=[{"configMap": {"name": "theirs"}}])
    condition = space.reason("web", "NameTaken", 60)
    assert "spec.outputsTo[0].configMap" in condition["message"]
    assert space.get("configmap", "theirs")["data"] == {"name": "theirs"}
    space.stack("web", base("written"), outputsTo=[])
    space.ready("web")
    space.delete("web")
    eventually(lambda: space.get("secret", "web-outputs") is None, 60)
    assert space.get("configmap", "theirs") is not None


def test_what_the_crd_refuses(installed: None, space: Namespace) -> None:
    def refused(**spec: Any) -> str:
        credentials = {"secretName": "openstack", "cloudName": "demo"}
        body = {"cloudCredentialsRef": credentials, "template": {}, **spec}
        stack = {"apiVersion": "kiln.dev/v1alpha1", "kind": "Stack", "metadata": {"name": "no"}, "spec": body}
        return space.kubectl("apply", "-f", "-", "--dry-run=server", stdin=json.dumps(stack), check=False)

    assert "exactly one of secret and configMap" in refused(outputsTo=[{}])
    assert "exactly one of secretKeyRef, configMapKeyRef and stackOutputRef" in refused(parametersFrom=[{"name": "p"}])
    assert "spec.stackName" in refused(stackName="1-wrong")
    assert "spec.tags" in refused(tags=["a,b"])
    space.stack("named", {"heat_template_version": "2021-04-16"}, stackName="Shop", paused=True)
    patch = json.dumps({"spec": {"stackName": "Other"}})
    said = space.kubectl("patch", "stack", "named", "--type=merge", "-p", patch, check=False)
    assert "spec.stackName cannot be changed" in said
