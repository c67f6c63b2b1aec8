"""Hidden values appear in no object (but the Secrets that hold them), event, log line or metric."""

import base64
import json
import urllib.request
import uuid

from harness.operator import Operator, eventually
from harness.stacks import Namespace

TEMPLATE = """
heat_template_version: 2021-04-16
parameters:
  password: {type: string, hidden: true}
  token: {type: string}
resources:
  net: {type: OS::Neutron::Net}
  key: {type: OS::Nova::KeyPair, properties: {name: {get_param: "OS::stack_id"}, save_private_key: true}}
  server:
    type: OS::Nova::Server
    properties:
      image: cirros
      flavor: m1.tiny
      networks: [{network: {get_resource: net}}]
      admin_pass: {get_param: password}
      user_data_format: RAW
      user_data:
        str_replace:
          template: "#!/bin/sh\\necho $password $token"
          params: {$password: {get_param: password}, $token: {get_param: token}}
    depends_on: subnet
  subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 10.30.0.0/24}}
  passed_on: {type: OS::Heat::Value, properties: {value: {get_param: password}}}
outputs:
  clear: {value: {get_attr: [server, name]}}
  hidden: {value: {list_join: ["-", [a, {get_param: password}]]}}
  roundabout: {value: {get_attr: [passed_on, value]}}
  private: {value: {get_attr: [key, private_key]}}
"""


def test_hidden_values_leave_no_trace(space: Namespace, own_kiln: Operator) -> None:
    canaries = [f"canary{uuid.uuid4().hex}" for _ in range(2)]
    password, token = canaries
    encoded = base64.b64encode(token.encode()).decode()
    space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "given"}, "data": {"token": encoded}})
    given = [{"name": "token", "secretKeyRef": {"name": "given", "key": "token"}}]
    given.append({"name": "password", "secretKeyRef": {"name": "given", "key": "password"}})
    both = {"token": encoded, "password": base64.b64encode(password.encode()).decode()}
    space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "given"}, "data": both})
    with own_kiln:
        space.stack("web", TEMPLATE, parametersFrom=given)
        status = space.ready("web")["status"]
        assert set(status["hiddenOutputs"]) == {"hidden", "private", "roundabout"}
        assert status["outputs"].keys() == {"clear"}
        # A failure that quotes what it was given, and an update.
        space.stack("web", TEMPLATE.replace("flavor: m1.tiny", "flavor: {get_param: password}"), parametersFrom=given)
        space.reason("web", "InvalidProperty")
        space.stack("web", TEMPLATE.replace("cidr:", "dns_nameservers: [9.9.9.9], cidr:"), parametersFrom=given)
        space.ready("web")
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{own_kiln.metrics_port}/metrics").read().decode()
        objects = {
            kind: json.dumps(space.get(kind))
            for kind in ("stacks", "stackresources", "stackrevisions", "events", "configmaps")
        }
        space.delete("web")
        eventually(lambda: not space.get("stackresources"))
    log = own_kiln.log.read_text()
    assert log
    for canary in (*canaries, encoded, "PRIVATE KEY"):
        assert canary not in metrics
        assert canary not in log
        for kind, text in objects.items():
            assert canary not in text, f"{kind} hold a hidden value"
