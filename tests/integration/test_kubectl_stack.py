"""``kubectl stack`` as its users have it: the program, kubectl, a real API server, a real cloud."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from harness import lab
from harness.operator import Operator, eventually
from harness.stacks import SECRET, Namespace

pytestmark = pytest.mark.lifecycle

NETWORK = """
heat_template_version: 2021-04-16
parameters:
  cidr: {type: string, default: 10.20.0.0/24, constraints: [{custom_constraint: net_cidr}]}
  secret: {type: string, hidden: true}
  pool: {type: string, default: 10.20.0.10}
resources:
  net: {type: OS::Neutron::Net}
  subnet:
    type: OS::Neutron::Subnet
    properties:
      network: {get_resource: net}
      cidr: {get_param: cidr}
      allocation_pools: [{start: {get_param: pool}, end: 10.20.0.99}]
  port:
    type: OS::Neutron::Port
    properties: {network: {get_resource: net}, fixed_ips: [{subnet: {get_resource: subnet}}]}
outputs:
  gateway: {value: {get_attr: [subnet, gateway_ip]}}
  url: {value: {str_replace: {template: "db://PW@host", params: {PW: {get_param: secret}}}}}
"""


class Plugin:
    """The program, in one namespace."""

    def __init__(self, space: Namespace) -> None:
        self.space = space

    def command(self, *arguments: str) -> list[str]:
        name, *rest = arguments
        return [sys.executable, "-m", "kiln.kubectl.cli", name, "-n", self.space.name, *rest]

    def __call__(self, *arguments: str, code: int = 0, stdin: str | None = None) -> str:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            env=lab.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture
def plugin(own_kiln: Operator, space: Namespace) -> Plugin:
    own_kiln.start()
    space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"pw": "Abc12345xyz"}})
    return Plugin(space)


def manifest(space: Namespace, **parameters: str) -> dict[str, Any]:
    return {
        "apiVersion": "kiln.dev/v1alpha1",
        "kind": "Stack",
        "metadata": {"name": "web", "namespace": space.name},
        "spec": {
            "cloudCredentialsRef": {"secretName": SECRET, "cloudName": lab.environment()["OS_CLOUD"]},
            "templateBody": NETWORK,
            "parameters": parameters,
            "parametersFrom": [{"name": "secret", "secretKeyRef": {"name": "db", "key": "pw"}}],
        },
    }


def test_the_life_of_a_stack_by_the_plugin(plugin: Plugin, space: Namespace) -> None:
    planned = plugin("diff", "-f", "-", code=1, stdin=json.dumps(manifest(space)))
    assert "Plan: 3 Create" in planned
    assert space.get("stacks") == []  # nothing was stored
    space.apply(manifest(space))
    assert "stack/web ready" in plugin("wait", "web", "--timeout", "120s")

    tree = plugin("tree", "web", "--by", "need")
    assert tree.index("port") < tree.index("subnet")
    assert "Ready=True" in tree
    assert [one["name"] for one in json.loads(plugin("list", "-o", "json"))] == ["web"]
    assert "nothing blocks it" in plugin("why", "web")
    assert "Succeeded" in plugin("events", "web")
    assert plugin("outputs", "web", "gateway") == "10.20.0.1\n"
    assert "Abc12345xyz" not in plugin("outputs", "web")
    assert plugin("outputs", "web", "url", "--show-hidden") == "db://Abc12345xyz@host\n"
    assert "Plan: nothing to do" in plugin("diff", "web")

    # An apply that would change something, that the template refuses, and one with a changed parameter.
    assert "subnet" in plugin("diff", "-f", "-", code=1, stdin=json.dumps(manifest(space, pool="10.20.0.20")))
    assert "unknown" in plugin("diff", "-f", "-", code=2, stdin=json.dumps(manifest(space, unknown="x")))
    assert "custom_constraint" not in plugin("edit-param", "web", "colour=red", code=1)
    plugin("edit-param", "web", "pool=10.20.0.20")
    plugin("wait", "web", "--timeout", "120s")
    assert "parameters.pool" in plugin("history", "web")
    assert "+  pool: 10.20.0.20" in plugin("history", "web", "--diff", "1")

    # Back, and the spec stays.
    assert "Rollback Succeeded" in plugin("undo", "web", "--timeout", "120s")
    cloud = lab.connection()
    subnet = cloud.network.get_subnet(space.resources("web")["subnet"]["status"]["physicalID"])
    assert subnet.allocation_pools[0]["start"] == "10.20.0.10"
    assert space.get("stack", "web")["spec"]["parameters"] == {"pool": "10.20.0.20"}
    assert "no revision 9" in plugin("undo", "web", "--to-revision", "9", code=1)

    assert "Plan: 3 Delete" in plugin("diff", "web", "--delete", code=1)
    space.kubectl("delete", "stack", "web", "--wait=false")
    assert "deleted" in plugin("wait", "web", "--for", "deleted", "--timeout", "120s")


def test_a_failure_is_explained_and_tried_again(plugin: Plugin, space: Namespace) -> None:
    space.apply(manifest(space, pool="10.99.0.1"))
    waited = plugin("wait", "web", "--timeout", "120s", code=1)
    assert "kubectl stack why web" in waited
    found = json.loads(plugin("why", "web", "-o", "json", code=1))
    first = found["causes"][0]
    assert first["where"] == "resources.subnet"
    assert first["requestID"].startswith("req-")
    assert first["service"] == "Neutron"
    assert first["blocks"] == ["port"]
    assert "waits for subnet" in plugin("tree", "web")
    assert "Retry Failed" in plugin("retry", "web", "--timeout", "120s", code=1)
    assert "InvalidProperty" in plugin("list", "--not-ready")
    plugin("edit-param", "web", "pool-")
    plugin("wait", "web", "--timeout", "120s")


def test_ctrl_c_ends_the_view_and_nothing_else(plugin: Plugin, space: Namespace) -> None:
    space.apply({**manifest(space), "spec": {**manifest(space)["spec"], "paused": True}})
    assert "is paused" in plugin("wait", "web", code=1)
    # A shell that runs the tests in the background has them ignore Ctrl-C, and so whatever they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watching = subprocess.Popen(
        plugin.command("events", "web", "-f"), env=lab.environment(), stdout=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, before)
    time.sleep(3)
    space.kubectl("patch", "stack", "web", "--type=merge", "-p", '{"spec": {"paused": false}}')
    space.ready("web")
    time.sleep(5)  # an Event is written after the status, and read a moment later
    watching.send_signal(signal.SIGINT)
    said, _ = watching.communicate(timeout=20)
    assert watching.returncode == 130
    assert "Succeeded" in said
    assert space.condition("web")["status"] == "True"


def test_a_reader_sees_all_but_hidden_outputs(plugin: Plugin, space: Namespace, tmp_path: Path) -> None:
    space.apply(manifest(space))
    space.ready("web")
    rule = {"apiGroups": ["kiln.dev"], "resources": ["stacks", "stackresources", "stackrevisions"]}
    rbac = "rbac.authorization.k8s.io/v1"
    rules = [{**rule, "verbs": ["get", "list", "watch"]}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    space.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}},
        {"apiVersion": rbac, "kind": "Role", "metadata": {"name": "reader"}, "rules": rules},
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": space.name}],
        },
    )
    kubeconfig = tmp_path / "kubeconfig"
    settings = json.loads(lab.kubectl("config", "view", "--raw", "-o", "json"))
    token = space.kubectl("create", "token", "reader").strip()
    settings["users"] = [{"name": user["name"], "user": {"token": token}} for user in settings["users"]]
    kubeconfig.write_text(json.dumps(settings))
    as_reader = ("--kubeconfig", str(kubeconfig))
    eventually(lambda: "web" in plugin("list", *as_reader), 20)
    assert "port" in plugin("tree", "web", *as_reader)
    assert "ready" in plugin("wait", "web", *as_reader)
    refused = plugin("outputs", "web", "--show-hidden", *as_reader, code=1)
    assert "secrets" in refused
    assert "Abc12345xyz" not in refused
    assert "edit-param" in plugin("edit-param", "web", "pool=10.20.0.30", *as_reader, code=1)


def test_kubectl_finds_the_plugin_and_completes_its_arguments(plugin: Plugin, space: Namespace, tmp_path: Path) -> None:
    space.apply(manifest(space))
    for name, module in (("kubectl-stack", "cli"), ("kubectl_complete-stack", "completion")):
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kiln.kubectl.{module} "$@"\n')
        script.chmod(0o755)
    environment = {**lab.environment(), "PATH": f"{tmp_path}{os.pathsep}{lab.environment()['PATH']}"}

    def kubectl(*arguments: str) -> str:
        return subprocess.run(
            ["kubectl", *arguments], env=environment, capture_output=True, text=True, timeout=180, check=True
        ).stdout

    assert "web" in kubectl("stack", "list", "-n", space.name)
    assert "web" in kubectl("__complete", "stack", "tree", "-n", space.name, "w")
    assert "history" in kubectl("__complete", "stack", "h")
