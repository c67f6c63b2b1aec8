"""Templates with LBaaS become templates with Octavia that the translator takes."""

import json
from typing import Any

import pytest
import yaml

from hot_translator import Pseudo, TranslationError, parse_environment, parse_template, translate
from kiln.cli import main
from kiln.tools.convert import convert

SECOND = """\
heat_template_version: 2016-10-14
# A web site.
resources:
  balancer:
    type: OS::Neutron::LBaaS::LoadBalancer   # the front
    properties: {vip_subnet: public, description: "OS::Neutron::LBaaS::Pool is old"}
  pool:
    type: "OS::Neutron::LBaaS::Pool"
    properties:
      loadbalancer: {get_resource: balancer}
      protocol: HTTP
      lb_algorithm: ROUND_ROBIN
outputs:
  address: {value: {get_attr: [balancer, vip_address]}}
"""

FIRST = """\
heat_template_version: 2013-05-23
resources:
  web1: {type: OS::Nova::Server, properties: {flavor: m1.small, image: cirros}}
  web2: {type: OS::Nova::Server, properties: {flavor: m1.small, image: cirros}}
  monitor:
    type: OS::Neutron::HealthMonitor
    properties: {type: TCP, delay: 3, max_retries: 5, timeout: 5}
  pool:
    type: OS::Neutron::Pool
    properties:
      protocol: HTTP
      monitors: [{get_resource: monitor}]
      subnet_id: private
      lb_method: ROUND_ROBIN
      vip: {protocol_port: 80, address: 10.0.0.9, session_persistence: {type: HTTP_COOKIE}}
  lb:
    type: OS::Neutron::LoadBalancer
    properties:
      protocol_port: 8080
      pool_id: {get_resource: pool}
      members: [{get_resource: web1}, {get_resource: web2}]
  single:
    type: OS::Neutron::PoolMember
    properties: {pool_id: {get_resource: pool}, address: 10.0.0.50, protocol_port: 80}
  after: {type: OS::Heat::Value, depends_on: lb, properties: {value: x}}
outputs:
  url: {value: {list_join: ['', ['http://', {get_attr: [pool, vip, address]}]]}}
  method: {value: {get_attr: [pool, lb_method]}}
"""


def definitions(text: str) -> dict[str, Any]:
    pseudo = Pseudo(stack_name="web", stack_id="id", project_id="p", region="r")
    return dict(translate(parse_template(text), pseudo=pseudo).definitions)


def test_types_of_version_2_change_where_they_stand_and_all_else_stays() -> None:
    text, problems = convert(SECOND, "web.yaml")
    assert problems == []
    assert text == SECOND.replace("type: OS::Neutron::LBaaS::", "type: OS::Octavia::").replace(
        '"OS::Neutron::LBaaS::Pool"\n', '"OS::Octavia::Pool"\n'
    )
    assert {one.type for one in definitions(text).values()} == {"OS::Octavia::LoadBalancer", "OS::Octavia::Pool"}


def test_a_template_as_json_stays_json() -> None:
    template = {"heat_template_version": "2016-10-14", "resources": {"rule": {"type": "OS::Neutron::LBaaS::L7Rule"}}}
    text, _ = convert(json.dumps(template), "web.json")
    assert json.loads(text)["resources"]["rule"]["type"] == "OS::Octavia::L7Rule"


def test_a_pool_of_version_1_becomes_a_load_balancer_a_listener_and_a_pool() -> None:
    text, problems = convert(FIRST, "web.yaml")
    assert problems == []
    made = yaml.safe_load(text)["resources"]
    assert made["pool_balancer"] == {
        "type": "OS::Octavia::LoadBalancer",
        "properties": {"vip_subnet": "private", "vip_address": "10.0.0.9"},
    }
    assert made["pool_listener"]["properties"] == {
        "loadbalancer": {"get_resource": "pool_balancer"},
        "protocol": "HTTP",
        "protocol_port": 80,
    }
    assert made["pool"]["properties"] == {
        "listener": {"get_resource": "pool_listener"},
        "lb_algorithm": "ROUND_ROBIN",
        "session_persistence": {"type": "HTTP_COOKIE"},
        "protocol": "HTTP",
    }
    assert made["monitor"]["properties"]["pool"] == {"get_resource": "pool"}
    assert made["lb_member_1"]["properties"] == {
        "pool": {"get_resource": "pool"},
        "address": {"get_attr": ["web2", "first_address"]},
        "protocol_port": 8080,
    }
    assert made["single"]["properties"]["pool"] == {"get_resource": "pool"}
    assert made["after"]["depends_on"] == ["lb_member_0", "lb_member_1"]
    outputs = yaml.safe_load(text)["outputs"]
    assert outputs["url"]["value"]["list_join"][1][1] == {"get_attr": ["pool_balancer", "vip_address"]}
    assert outputs["method"]["value"] == {"get_attr": ["pool", "show", "lb_algorithm"]}


def test_what_comes_out_is_a_valid_template() -> None:
    text, _ = convert(FIRST, "web.yaml")
    found = definitions(text)
    assert "pool_listener" in found["pool"].requires
    assert sum(one.type == "OS::Octavia::PoolMember" for one in found.values()) == 3


@pytest.mark.parametrize(
    ("resources", "path", "word"),
    [
        ({"lb": {"type": "OS::Neutron::LoadBalancer", "properties": {"pool_id": "p"}}}, "resources.lb", "beside"),
        ({"m": {"type": "OS::Neutron::HealthMonitor", "properties": {}}}, "resources.m", "needs a pool"),
        (
            {"p": {"type": "OS::Neutron::Pool", "properties": {"vip": {"get_param": "vip"}, "monitors": ["id"]}}},
            "resources.p",
            "another Stack",
        ),
        (
            {"b": {"type": "OS::Neutron::LBaaS::LoadBalancer", "properties": {"provider": "haproxy"}}},
            "resources.b",
            "haproxy",
        ),
        (
            {
                "lb": {"type": "OS::Neutron::LoadBalancer", "properties": {"members": [{"get_resource": "s"}]}},
                "group": {"type": "X", "properties": {"lbs": [{"get_resource": "lb"}]}},
            },
            "resources.lb",
            "refers to it",
        ),
    ],
)
def test_what_needs_a_hand_is_told(resources: dict[str, Any], path: str, word: str) -> None:
    _, problems = convert(yaml.safe_dump({"heat_template_version": "2013-05-23", "resources": resources}), "t.yaml")
    assert any(where == path and word in reason for where, reason in problems)


def test_a_template_without_such_types_stays_as_it_is() -> None:
    text = "heat_template_version: 2013-05-23\n# nothing\nresources: {}\n"
    assert convert(text, "t.yaml") == (text, [])


def test_the_command_prints_the_template_and_what_is_left(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(SECOND)
    assert main(["convert", "-t", str(path)]) == 0
    assert "OS::Octavia::LoadBalancer" in capsys.readouterr().out
    path.write_text(SECOND.replace("vip_subnet: public", "vip_subnet: public, provider: haproxy"))
    assert main(["convert", "-t", str(path)]) == 1
    assert "resources.balancer: Octavia has no provider haproxy" in capsys.readouterr().err
    path.write_text("a: [")
    assert main(["convert", "-t", str(path)]) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("OS::Neutron::LBaaS::Listener", "OS::Octavia::Listener"),
        ("OS::Neutron::Pool", "OS::Octavia::Pool"),
        ("OS::Quantum::PoolMember", "OS::Octavia::PoolMember"),
        ("OS::Neutron::LoadBalancer", "OS::Octavia::PoolMember"),
    ],
)
def test_a_type_that_is_gone_is_refused_with_the_name_of_the_one_in_its_place(old: str, new: str) -> None:
    with pytest.raises(TranslationError) as caught:
        definitions(yaml.safe_dump({"heat_template_version": "2013-05-23", "resources": {"it": {"type": old}}}))
    assert caught.value.path == "resources.it.type"
    assert f"use {new} (`kiln convert` rewrites the template)" in caught.value.reason


def test_an_environment_may_still_put_something_else_in_its_place() -> None:
    template = yaml.safe_dump(
        {"heat_template_version": "2013-05-23", "resources": {"it": {"type": "OS::Neutron::Pool"}}}
    )
    environment = {"resource_registry": {"OS::Neutron::Pool": "OS::Heat::None"}}
    pseudo = Pseudo(stack_name="web", stack_id="id", project_id="p", region="r")
    found = translate(parse_template(template), environment=parse_environment(environment), pseudo=pseudo).definitions
    assert found["it"].type == "OS::Heat::None"
