from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hot_translator import UNKNOWN, Problems, ResolutionError, Translation, TranslationError
from hot_translator.errors import InvalidTemplate, raise_all, under

Translate = Callable[..., Translation]
Refuse = Callable[..., list[str]]

TWO = """
    heat_template_version: 2018-08-31
    parameters:
      secret: {type: string, hidden: true, default: s3cret}
      name: {type: string, default: web}
    resources:
      net:
        type: OS::Neutron::Net
        properties: {name: {get_param: name}}
      port:
        type: OS::Neutron::Port
        depends_on: other
        properties:
          network: {get_resource: net}
          name: {list_join: ["-", [{get_param: name}, {get_attr: [net, name]}]]}
          value_specs: {password: {get_param: secret}}
        metadata: {net: {get_resource: net}, plain: 1}
      other:
        type: OS::Heat::RandomString
    outputs:
      port: {value: {get_resource: port}, description: The port}
      all: {value: {get_attr: [net]}}
      secret: {value: {str_replace: {template: "<X>", params: {X: {get_param: secret}}}}}
      shown: {value: {get_attr: [net, show, id]}}
"""


def test_what_is_known_is_folded_and_the_rest_depends_on_resources(translated: Translate, cloud: Any) -> None:
    port = translated(TWO).definitions["port"]
    assert port.requires == {"net", "other"}
    assert not port.is_constant
    assert port.resolve(cloud())["network"] is UNKNOWN
    there = cloud({"net": "net-id"}, {("net", "name"): "n"})
    resolved = port.resolve(there)
    assert resolved["network"] == "net-id"
    assert resolved["name"] == "web-n"
    assert port.resolve_metadata(there) == {"net": "net-id", "plain": 1}


def test_a_definition_without_references_never_reads_the_cloud(translated: Translate, cloud: Any) -> None:
    net = translated(TWO).definitions["net"]
    scope = cloud()
    assert net.is_constant
    assert net.resolve(scope)["name"] == "web"
    assert scope.reads == []


def test_the_last_resolution_is_kept_while_what_was_read_stays_the_same(translated: Translate, cloud: Any) -> None:
    port = translated(TWO).definitions["port"]
    first = port.resolve(cloud({"net": "a"}, {("net", "name"): "n"}))
    assert port.resolve(cloud({"net": "a"}, {("net", "name"): "n"})) is first
    assert port.resolve(cloud({"net": "b"}, {("net", "name"): "n"}))["network"] == "b"


def test_outputs_know_what_they_are_made_of_and_whether_they_are_hidden(translated: Translate, cloud: Any) -> None:
    translation = translated(TWO)
    outputs = translation.outputs
    assert outputs["port"].requires == {"port"}
    assert outputs["port"].description == "The port"
    assert outputs["port"].resolve(cloud()) is UNKNOWN
    assert outputs["all"].resolve(cloud({}, {("net", "name"): "n"})) == {"name": "n"}
    assert outputs["secret"].hidden
    assert not outputs["port"].hidden
    assert outputs["secret"].resolve(cloud()) == "<s3cret>"
    assert translation.hidden_values == {"s3cret"}
    assert translation.parameters["secret"].text == "******"
    assert translation.parameters["name"].text == "web"
    assert translation.definitions["port"].hidden_properties == {"value_specs"}


def test_the_attributes_that_somebody_reads_are_known(translated: Translate) -> None:
    definitions = translated(TWO).definitions
    assert {"name", "show", "mtu"} <= definitions["net"].attributes_used
    assert definitions["port"].attributes_used == frozenset()


def test_order_and_waves_follow_the_dependencies(translated: Translate) -> None:
    translation = translated(TWO)
    assert translation.order.index("net") < translation.order.index("port")
    assert list(translation.waves()) == [("net", "other"), ("port",)]


def test_heats_implicit_dependencies_are_added(translated: Translate) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources:
      net: {type: OS::Neutron::Net}
      subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 10.0.0.0/24}}
      port: {type: OS::Neutron::Port, properties: {network: {get_resource: net}}}
    """
    assert translated(text).definitions["port"].requires == {"net", "subnet"}


def test_a_circle_is_written_out(refused: Refuse) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources:
      a: {type: OS::Heat::Value, properties: {value: {get_attr: [b, value]}}}
      b: {type: OS::Heat::Value, properties: {value: {get_attr: [c, value]}}}
      c: {type: OS::Heat::Value, depends_on: [a], properties: {value: 1}}
    """
    (problem,) = refused(text)
    assert "Circular dependency found: " in problem
    circle = problem.rpartition(": ")[2].split(" -> ")
    assert circle[0] == circle[-1]
    assert set(circle) == {"a", "b", "c"}


def test_every_problem_is_found_in_one_run_each_with_its_place(translated: Translate) -> None:
    text = """\
heat_template_version: 2018-08-31
parameters:
  p: {type: number}
resources:
  net:
    type: OS::Neutron::Nett
  port:
    type: OS::Neutron::Port
    properties:
      netwrk: {get_resource: nope}
      name: {get_attr: [server, adress]}
      admin_state_up: maybe
  server:
    type: OS::Nova::Server
    depends_on: nobody
    properties: {flavor: {get_param: missing}, image: {list_join: [",", 5]}}
outputs:
  o: {value: {digest: md5}}
"""
    with pytest.raises(Problems) as error:
        translated(text, parameters={"q": 1}, name="web.yaml")
    found = {(problem.path, problem.line) for problem in error.value.all}
    assert {
        ("parameters.q", 2),
        ("parameters.p", 3),
        ("resources.net.type", 6),
        ("resources.port.properties.netwrk", 10),
        ("resources.port.properties.netwrk.get_resource", 10),
        ("resources.port.properties.name.get_attr", 11),
        ("resources.port.properties.admin_state_up", 12),
        ("resources.server.depends_on", 15),
        ("resources.server.properties.flavor.get_param", 16),
        ("resources.server.properties.image.list_join", 16),
    } <= found
    reasons = "\n".join(str(problem) for problem in error.value.all)
    assert 'did you mean "OS::Neutron::Net"?' in reasons
    assert 'did you mean "addresses"?' in reasons
    assert all(problem.source == "web.yaml" for problem in error.value.all)
    assert error.value.kind == "InvalidTemplate"
    assert str(error.value).count("\n") == len(error.value.all) - 1


def test_what_is_certain_to_fail_in_an_output_is_a_warning_only(translated: Translate, cloud: Any) -> None:
    text = """
    heat_template_version: 2018-08-31
    outputs:
      bad: {value: [{str_split: [",", "a", 7]}]}
      gone: {value: {get_resource: nobody}}
    """
    translation = translated(text)
    assert [warning.path for warning in translation.warnings] == [
        "outputs.bad.value[0].str_split",
        "outputs.gone.value.get_resource",
    ]
    with pytest.raises(ResolutionError, match="should be between 0 and 0"):
        translation.outputs["bad"].resolve(cloud())


def test_a_function_that_refuses_what_the_cloud_gives_says_where(translated: Translate, cloud: Any) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources:
      net: {type: OS::Neutron::Net}
      value: {type: OS::Heat::Value, properties: {value: {list_join: [",", {get_attr: [net, name]}]}}}
    """
    value = translated(text).definitions["value"]
    with pytest.raises(ResolutionError) as error:
        value.resolve(cloud({}, {("net", "name"): "text"}))
    assert error.value.path == "resources.value.properties.value.list_join"


def test_an_attribute_that_nobody_knows_keeps_a_function_from_guessing(translated: Translate, cloud: Any) -> None:
    text = """
    heat_template_version: 2021-04-16
    resources:
      net: {type: OS::Neutron::Net}
    outputs:
      joined: {value: {list_join: [",", [{get_attr: [net, name]}, x]]}}
      path: {value: {get_attr: [net, subnets, {get_attr: [net, mtu]}]}}
      kept: {value: {a: {get_attr: [net, name]}, b: [{if: [true, 1]}, {if: [false, 1]}]}}
      other: {value: {if: [false, 1]}}
      concat: {value: {list_concat: [[{get_attr: [net, name]}], {get_attr: [net, subnets]}, {if: [false, [1]]}]}}
    """
    outputs = translated(text).outputs
    assert outputs["joined"].resolve(cloud()) is UNKNOWN
    assert outputs["path"].resolve(cloud()) is UNKNOWN
    assert outputs["path"].resolve(cloud({}, {("net", "subnets"): ["a", "b"], ("net", "mtu"): 1})) == "b"
    assert outputs["kept"].resolve(cloud()) == {"a": UNKNOWN, "b": [1]}
    assert outputs["other"].resolve(cloud()) is None
    there = cloud({}, {("net", "name"): "n", ("net", "subnets"): ["s"]})
    assert outputs["concat"].resolve(there) == ["n", "s"]


@pytest.mark.parametrize(
    ("policy", "meaning"), [("Retain", "Retain"), ("snapshot", "Snapshot"), ("{get_param: p}", "Delete")]
)
def test_deletion_policies(translated: Translate, policy: str, meaning: str) -> None:
    text = f"""
    heat_template_version: 2018-08-31
    parameters: {{p: {{type: string, default: delete}}}}
    resources:
      v: {{type: OS::Cinder::Volume, deletion_policy: {policy}, properties: {{size: 1}}}}
    """
    assert translated(text).definitions["v"].deletion_policy == meaning


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("deletion_policy: Snapshot", '"Snapshot" deletion policy not supported for OS::Heat::Value'),
        ("deletion_policy: Retian", 'Invalid deletion policy "Retian"'),
        ("deletion_policy: [a]", "deletion_policy type must be string"),
        ("deletion_policy: {get_resource: w}", "must not depend on a resource"),
        ("deletion_policy: {get_param: nope}", "was not provided"),
        ("deletion_policy: {list_join: x}", "Incorrect arguments"),
        ("metadata: text", "The metadata must be a map"),
        ("metadata: {a: {str_split: [',', a, 9]}}", "should be between"),
        ("properties: [1]", "The properties must be a map"),
        ("properties: {get_param: nope}", "was not provided"),
        ("update_policy: {nope: 1}", "nope"),
        ("external_id: [x]", "external_id type must be string"),
        ("external_id: x\n        depends_on: w", "must not depend on another"),
        ("condition: nope", 'Invalid condition "nope"'),
    ],
)
def test_wrong_sections_of_a_resource(refused: Refuse, line: str, reason: str) -> None:
    text = f"""
    heat_template_version: 2018-08-31
    resources:
      w: {{type: OS::Heat::Value}}
      v:
        type: OS::Heat::Value
        {line}
    """
    assert any(reason in problem for problem in refused(text))


def test_an_existing_resource_is_never_deleted_and_its_properties_count_for_nothing(translated: Translate) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources:
      net: {type: OS::Neutron::Net, external_id: abc, properties: {whatever: 1}}
    """
    net = translated(text).definitions["net"]
    assert (net.external_id, net.deletion_policy, net.properties) == ("abc", "Retain", {})


def test_a_resources_description_and_update_policy(translated: Translate) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources:
      g:
        type: OS::Heat::ResourceGroup
        description: Some
        update_policy: {rolling_update: {max_batch_size: "2"}}
        properties: {count: 0, resource_def: {type: OS::Heat::Value}}
    """
    group = translated(text).definitions["g"]
    assert group.description == "Some"
    assert group.update_policy["rolling_update"]["max_batch_size"] == 2


def test_paths_and_collections_of_errors() -> None:
    assert under("a", "b") == "a.b"
    assert under("a", 3) == "a[3]"
    assert under("", "b") == "b"
    raise_all([])
    one = InvalidTemplate("a", "r")
    with pytest.raises(InvalidTemplate):
        raise_all([one])
    with pytest.raises(Problems) as error:
        raise_all([one, Problems([one, one])])
    assert len(error.value.all) == 3
    assert isinstance(error.value, TranslationError)


def test_what_is_kept_with_properties_goes_when_they_are_resolved_anew(translated: Translate, cloud: Any) -> None:
    def named(name: str) -> Any:
        return cloud({}, {("a", "name"): name})

    definition = translated("""
        heat_template_version: 2021-04-16
        resources:
          a: {type: OS::Neutron::Net}
          b: {type: OS::Neutron::Net, properties: {name: {get_attr: [a, name]}}}
    """).definitions["b"]
    first = definition.resolve(named("one"))
    definition.beside(first)["digest"] = "of one"
    assert definition.beside(definition.resolve(named("one"))) == {"digest": "of one"}
    second = definition.resolve(named("two"))
    assert definition.beside(second) == {}
    assert definition.beside(first) == {}  # whoever still has the old ones keeps nothing with the new ones
