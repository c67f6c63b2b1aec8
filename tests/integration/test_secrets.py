"""Hidden values appear in no object but the Secrets that are to hold them, and in no event, log line or metric.

The operator logs at debug level. Values are looked for as they are, in the middle of base64, and, since each has a part
that no encoding changes, in JSON, URLs, HTML and reprs.
"""

import base64
import json
import signal
import urllib.request
import uuid

import pytest
import yaml
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.stacks import SECRET, Namespace

TEMPLATE = """
heat_template_version: 2021-04-16
parameters:
  password: {type: string, hidden: true}
  token: {type: string}
  many: {type: json, hidden: true}
resources:
  net: {type: OS::Neutron::Net}
  subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 10.30.0.0/24}}
  key: {type: OS::Nova::KeyPair, properties: {name: {get_param: "OS::stack_id"}, save_private_key: true}}
  server:
    type: OS::Nova::Server
    depends_on: subnet
    properties:
      image: cirros
      flavor: m1.tiny
      networks: [{network: {get_resource: net}}]
      admin_pass: {get_param: password}
      metadata: {part: {get_param: [many, deep, 0]}}
      user_data_format: RAW
      user_data:
        str_replace:
          template: {get_file: boot.sh}
          params: {$password: {get_param: password}, $token: {get_param: token}}
  passed_on: {type: OS::Heat::Value, properties: {value: {get_param: password}}}
  key_passed_on: {type: OS::Heat::Value, properties: {value: {get_attr: [key, private_key]}}}
  config: {type: OS::Heat::SoftwareConfig, properties: {config: {get_file: boot.sh}}}
outputs:
  clear: {value: {get_attr: [server, name]}}
  hidden: {value: {list_join: ["-", [a, {get_param: password}]]}}
  not_declared: {value: {get_param: token}}
  roundabout: {value: {get_attr: [passed_on, value]}}
  part: {value: {str_split: [canary, {get_attr: [passed_on, value]}, 1]}}
  file: {value: {get_file: boot.sh}}
  config: {value: {get_attr: [config, config]}}
  show: {value: {get_attr: [server, show]}}
  private: {value: {get_attr: [key, private_key]}}
  private_roundabout: {value: {get_attr: [key_passed_on, value]}}
"""
NEW = """
  failing:
    type: {type}
    properties: {properties}
outputs:
"""
FAILURES = {
    # What the translator refuses.
    "resolution": ("OS::Heat::Value", {"value": {"digest": [{"get_param": "password"}, "text"]}}, "InvalidTemplate"),
    "property": ("OS::Neutron::Subnet", {"network": "x", "ip_version": {"get_param": "password"}}, "InvalidTemplate"),
    # What the cloud does not have.
    "name": ("OS::Neutron::Port", {"network": {"get_param": "password"}}, "InvalidProperty"),
    # What a service refuses, and quotes: Nova does so with a key, and with user data that are too long.
    "key": ("OS::Nova::KeyPair", {"name": "k", "public_key": {"get_param": "token"}}, "InvalidProperty"),
    "user data": (
        "OS::Nova::Server",
        {
            "image": "cirros",
            "flavor": "m1.tiny",
            "networks": [{"network": {"get_resource": "net"}}],
            "user_data_format": "RAW",
            "user_data": {"list_join": ["", [{"get_param": "token"}, {"get_file": "filler"}]]},
        },
        "InvalidProperty",
    ),
    # What is known only when a resource is there.
    "value": (
        "OS::Heat::Value",
        {"value": {"digest": [{"get_attr": ["passed_on", "value"]}, "text"]}},
        "InvalidProperty",
    ),
}


OUTPUTS = "web-outputs"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Canaries:
    """Values that shall be seen nowhere."""

    def __init__(self) -> None:
        self.cores = {name: uuid.uuid4().hex for name in ("password", "token", "many", "file", "number")}
        self.values = {name: f'canary"/{core}&+<é' for name, core in self.cores.items()}

    def watch(self, name: str, core: str) -> None:
        """Look for this one too."""
        self.cores[name] = core

    def found_in(self, text: str) -> list[str]:
        """Names of the values that stand in a text."""
        return [name for name, core in self.cores.items() if any(form in text for form in forms(core))]


def forms(core: str) -> list[str]:
    """A value, and what base64 makes of it in the middle of something."""
    shifted = [base64.b64encode(b"#" * before + core.encode()).decode() for before in range(3)]
    return [core, *(form[4:-4] for form in shifted)]


def objects(space: Namespace) -> dict[str, list[dict]]:
    """Everything that the namespace holds, by kind: Kubernetes' own kinds and ours."""
    kinds = space.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    kinds = [kind for kind in kinds if "." not in kind or kind.endswith((".kiln.dev", ".k8s.io"))]
    return {
        kind: json.loads(space.kubectl("get", kind, "-o", "json", "--show-managed-fields"))["items"] for kind in kinds
    }


@pytest.fixture
def canaries(space: Namespace, project: Project) -> Canaries:
    """The Secrets that hold them."""
    made = Canaries()
    auth = yaml.safe_load(project.clouds_yaml)["clouds"][CLOUD]["auth"]
    made.watch("the user's password", auth["password"])
    data = {
        "password": encoded(made.values["password"]),
        "token": encoded(made.values["token"]),
        "many": encoded(json.dumps({"deep": [made.values["many"]], "other": "x"})),
        "number": encoded(made.values["number"]),
    }
    script = f"#!/bin/sh\necho $password $token\necho {made.cores['file']}\n"
    secrets = {"given": data, "files": {"boot.sh": encoded(script)}}
    for name, content in secrets.items():
        space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": content})
    space.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "filler"}, "data": {"filler": "x" * 70_000}}
    )
    return made


def sources(*names: str) -> list[dict]:
    return [{"name": name, "secretKeyRef": {"name": "given", "key": name}} for name in names]


def test_hidden_values_leave_no_trace(space: Namespace, canaries: Canaries, own_kiln: Operator) -> None:
    files = [{"secretRef": {"name": "files"}}, {"configMapRef": {"name": "filler"}}]
    spec = {"parametersFrom": sources("password", "token", "many"), "filesFrom": files, "cloud": CLOUD}
    own_kiln.start()
    space.stack("web", TEMPLATE, **spec)
    eventually(lambda: space.get("stackresources"))
    own_kiln.send(signal.SIGUSR2)
    status = space.ready("web", 90)["status"]
    assert status["outputs"].keys() == {"clear"}, status["outputs"]
    assert len(status["hiddenOutputs"]) == TEMPLATE.split("outputs:")[1].count("value:") - 1
    for name, (rtype, properties, reason) in FAILURES.items():
        template = TEMPLATE.replace("outputs:\n", NEW.format(type=rtype, properties=json.dumps(properties)), 1)
        space.stack("web", template, **spec)
        told = space.reason("web", reason, 60)
        assert "failing" in told["message"], (name, told)
    # A value that its parameter does not take.
    numbered = TEMPLATE.replace("parameters:\n", "parameters:\n  number: {type: number, hidden: true}\n", 1)
    space.stack("web", numbered, **{**spec, "parametersFrom": sources("password", "token", "many", "number")})
    assert "number" in space.reason("web", "InvalidParameter", 60)["message"]
    space.stack("web", TEMPLATE.replace("cidr:", "dns_nameservers: [9.9.9.9], cidr:"), **spec)
    space.ready("web", 90)
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{own_kiln.metrics_port}/metrics").read().decode()
    held = objects(space)
    space.delete("web")
    eventually(lambda: not space.get("stackresources"))
    log = own_kiln.log.read_text()
    assert "resources.server (OS::Nova::Server)" in log
    assert "web waits at" in log
    assert canaries.found_in(metrics) == []
    assert canaries.found_in(log) == []
    assert "PRIVATE KEY" not in log
    assert held["stacks.kiln.dev"]
    assert held["stackrevisions.kiln.dev"]
    for kind, items in held.items():
        if kind != "secrets":
            text = json.dumps(items)
            assert canaries.found_in(text) == [], f"{kind} hold hidden values"
            assert "PRIVATE KEY" not in text, kind
    assert_only_where_meant(held["secrets"], canaries)


def assert_only_where_meant(secrets: list[dict], canaries: Canaries) -> None:
    """The user's own Secrets have what he put there, a revision's its inputs, the Stack's its key and credentials,
    and that of its outputs the hidden ones.
    """
    found = {}
    for secret in secrets:
        text = " ".join(base64.b64decode(value).decode("latin-1") for value in secret.get("data", {}).values())
        name = secret["metadata"]["name"]
        owner = (secret["metadata"].get("ownerReferences") or [{"kind": name}])[0]["kind"]
        found.setdefault(name if name == OUTPUTS else owner, set()).update(canaries.found_in(text))
        assert name == OUTPUTS or "PRIVATE KEY" not in text
    credentials = {"the user's password"}
    inputs = {"password", "token", "many", "file"}
    assert found.pop("StackRevision") == inputs
    assert found.pop(OUTPUTS) >= {"password", "token", "file"}
    assert found.pop("Stack") == credentials
    assert found == {"given": inputs - {"file"} | {"number"}, "files": {"file"}, SECRET: credentials}


def test_rolling_back_hides_what_failed_and_what_comes_back(
    space: Namespace, canaries: Canaries, own_kiln: Operator
) -> None:
    template = """
heat_template_version: 2021-04-16
parameters: {secret: {type: string, hidden: true}}
resources:
  user_data: {type: OS::Heat::Value, properties: {value: {get_param: secret}}}
  port: {type: OS::Neutron::Net, properties: {name: n}}
outputs: {clear: {value: {get_resource: port}}}
"""
    failing = template.replace("properties: {name: n}", "properties: {name: n, qos_policy: {get_param: secret}}")
    old, new = ({"name": "secret", "secretKeyRef": {"name": "given", "key": key}} for key in ("password", "token"))
    own_kiln.start()
    space.stack("web", template, cloud=CLOUD, parametersFrom=[old], onFailure="Rollback")
    space.ready("web", 90)
    space.stack("web", failing, cloud=CLOUD, parametersFrom=[new], onFailure="Rollback")
    told = space.reason("web", "RolledBack", 60)
    held = objects(space)
    assert "there is no single qos policy of this name" in told["message"]
    assert canaries.found_in(own_kiln.log.read_text()) == []
    for kind, items in held.items():
        assert kind == "secrets" or canaries.found_in(json.dumps(items)) == [], kind
