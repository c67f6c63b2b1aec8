"""Where templates of the field met a translator that was stricter, or laxer, than Heat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hot_translator import Limits, Translation, parse_environment
from hot_translator.members import Batching

Translate = Callable[..., Translation]
Refuse = Callable[..., list[str]]

# environments


SHARED = """
    heat_template_version: 2018-08-31
    parameters: {a: {type: string, default: ""}, b: {type: string}}
    resources:
      word: {type: OS::Heat::TestResource, properties: {value: {list_join: ["", [{get_param: a}, {get_param: b}]]}}}
"""
ENVIRONMENT = "parameters: {b: from-env, of_another_template: x}\n"


def test_an_environment_is_shared_with_other_templates_when_parameters_are_given_beside_it(
    translated: Translate, cloud: Any
) -> None:
    made = translated(SHARED, environment=ENVIRONMENT, parameters={"a": "A"})
    assert made.definitions["word"].resolve(cloud())["value"] == "Afrom-env"
    (warning,) = made.warnings
    assert "no template declares the parameter of_another_template of the environment" in str(warning)


def test_without_such_parameters_the_environment_is_this_templates_own(refused: Refuse) -> None:
    (problem,) = refused(SHARED, environment=ENVIRONMENT)
    assert "The Parameter (of_another_template) was not defined in template" in problem


def test_a_parameter_given_by_itself_must_be_declared(refused: Refuse) -> None:
    (problem,) = refused(SHARED, environment="parameters: {b: b}", parameters={"c": "C"})
    assert "The Parameter (c) was not defined in template" in problem


def test_a_parameter_of_an_inner_template_is_not_left_out(refused: Refuse) -> None:
    inner = "heat_template_version: 2018-08-31\nparameters: {of_another_template: {type: string}}\n"
    (problem,) = refused(SHARED, environment=ENVIRONMENT, parameters={"a": "A"}, files={"in.yaml": inner})
    assert "The Parameter (of_another_template) was not defined in template" in problem


def test_what_a_later_environment_has_for_no_template_is_told(translated: Translate) -> None:
    environments = [
        parse_environment("parameters: {a: A}", name="one.yaml"),
        parse_environment("parameters: {b: B, c: C, d: null}", name="two.yaml"),
    ]
    (warning,) = translated(SHARED, environment=environments).warnings
    assert (warning.path, warning.source) == ("parameters.c", "two.yaml")


# sections


def test_a_strange_word_in_an_output_is_a_warning(translated: Translate) -> None:
    text = "heat_template_version: 2018-08-31\noutputs:\n  o:\n    value: 1\n    valeu: [x]\n"
    (warning,) = translated(text, name="t.yaml").warnings
    assert (warning.path, warning.line) == ("outputs.o.valeu", 5)
    assert "did you mean value?" in warning.reason
    outer = "heat_template_version: 2018-08-31\nresources: {n: {type: in.yaml}}\n"
    (warning,) = translated(outer, files={"in.yaml": text}).warnings
    assert (warning.path, warning.source, warning.line) == ("resources.n<in.yaml>.outputs.o.valeu", "in.yaml", 5)


@pytest.mark.parametrize(
    "key",
    ["properties", "metadata", "update_policy", "deletion_policy", "description", "condition", "external_id"],
)
def test_a_section_that_is_null_is_refused(refused: Refuse, key: str) -> None:
    text = f"heat_template_version: 2018-08-31\nresources: {{r: {{type: OS::Heat::None, {key}: null}}}}\n"
    (problem,) = refused(text)
    assert problem.startswith(f"resources.r.{key}: Resource r {key} must be a ")
    cfn = {"condition": None, "external_id": None}.get(key, "".join(part.title() for part in key.split("_")))
    if cfn:
        text = f"HeatTemplateFormatVersion: '2012-12-12'\nResources: {{R: {{Type: OS::Heat::None, {cfn}: null}}}}\n"
        (problem,) = refused(text)
        assert problem.startswith(f"Resources.R.{cfn}: ")


# nested templates


TYPES = """
heat_template_version: 2016-10-14
parameters:
  s: {type: string, default: d}
  n: {type: number, default: 5}
  b: {type: boolean, default: true}
  l: {type: comma_delimited_list, default: "x"}
  j: {type: json, default: {k: v}}
resources:
  all:
    type: OS::Heat::Value
    properties: {value: [{get_param: s}, {get_param: n}, {get_param: b}, {get_param: l}, {get_param: j}]}
"""


@pytest.mark.parametrize("null", ["null", "{get_attr: [port, fixed_ips, 5, ip_address]}"])
def test_null_for_a_nested_parameter_is_the_empty_value_of_its_type(
    translated: Translate, cloud: Any, null: str
) -> None:
    properties = ", ".join(f"{name}: {null}" for name in "snblj")
    outer = f"""
    heat_template_version: 2016-10-14
    resources:
      port: {{type: OS::Neutron::Port, properties: {{network: net}}}}
      inner: {{type: types.yaml, properties: {{{properties}}}}}
    """
    made = translated(outer, files={"types.yaml": TYPES})
    scope = cloud({}, {("port", "fixed_ips"): []})
    assert made.definitions["inner/all"].resolve(scope)["value"] == ["", 0, False, [], {}]


def test_a_property_that_is_not_given_is_the_parameters_default(translated: Translate, cloud: Any) -> None:
    outer = (
        "heat_template_version: 2021-04-16\nresources: {inner: {type: types.yaml, properties: {s: {if: [false, x]}}}}\n"
    )
    value = translated(outer, files={"types.yaml": TYPES}).definitions["inner/all"].resolve(cloud())["value"]
    assert value == ["d", 5, True, ["x"], {"k": "v"}]


def test_null_meets_the_constraints_of_the_nested_parameter(refused: Refuse) -> None:
    inner = "heat_template_version: 2018-08-31\nparameters: {s: {type: string, constraints: [{length: {min: 1}}]}}\n"
    outer = "heat_template_version: 2018-08-31\nresources: {inner: {type: in.yaml, properties: {s: null}}}\n"
    (problem,) = refused(outer, files={"in.yaml": inner})
    assert "length (0) is out of range" in problem


CLOUDFORMATION = """
    HeatTemplateFormatVersion: '2012-12-12'
    Parameters: {Data: {Type: Json, Default: '{"a": "b"}'}}
    Resources:
      Word: {Type: OS::Heat::RandomString}
      Inner:
        Type: AWS::CloudFormation::Stack
        Properties: {TemplateURL: inner.yaml, Parameters: PARAMETERS}
"""


@pytest.mark.parametrize(
    ("kind", "result"), [("String", ["{'a': 'b'}", "{'w': 'W'}"]), ("Json", [{"a": "b"}, {"w": "W"}])]
)
def test_a_map_for_a_cloudformation_stacks_parameter_becomes_what_the_parameter_is(
    translated: Translate, cloud: Any, kind: str, result: list[Any]
) -> None:
    inner = f"""
HeatTemplateFormatVersion: '2012-12-12'
Parameters: {{Data: {{Type: {kind}}}, Later: {{Type: {kind}}}}}
Resources:
  Value: {{Type: OS::Heat::Value, Properties: {{value: [{{Ref: Data}}, {{Ref: Later}}]}}}}
"""
    outer = CLOUDFORMATION.replace("PARAMETERS", "{Data: {Ref: Data}, Later: {w: {Ref: Word}}}")
    value = translated(outer, files={"inner.yaml": inner}).definitions["Inner/Value"]
    assert value.resolve(cloud({"Word": "W"}))["value"] == result


@pytest.mark.parametrize(
    ("parameters", "reason"), [("{}", "(Data) was not provided"), ("{Data: x, Dato: y}", "did you mean 'Data'?")]
)
def test_a_cloudformation_stacks_parameters_are_those_of_its_template(
    refused: Refuse, parameters: str, reason: str
) -> None:
    inner = "HeatTemplateFormatVersion: '2012-12-12'\nParameters: {Data: {Type: String}}\n"
    (problem,) = refused(CLOUDFORMATION.replace("PARAMETERS", parameters), files={"inner.yaml": inner})
    assert problem.startswith("Resources.Inner.properties.Parameters") or "Properties.Parameters" in problem
    assert reason in problem


@pytest.mark.parametrize(
    "properties",
    [
        "{TemplateURL: {Ref: Inner}}",
        "{TemplateURL: inner.yaml, Parameters: {Data: {Ref: Inner}}}",
        "{TemplateURL: inner.yaml, Parameters: {Data: {Ref: Other}}}",
    ],
)
def test_a_cloudformation_stack_made_of_itself_is_a_circle(refused: Refuse, properties: str) -> None:
    inner = "HeatTemplateFormatVersion: '2012-12-12'\nParameters: {Data: {Type: String}}\n"
    text = f"""
    HeatTemplateFormatVersion: '2012-12-12'
    Resources:
      Inner: {{Type: AWS::CloudFormation::Stack, Properties: {properties}}}
      Other:
        Type: AWS::CloudFormation::Stack
        Properties: {{TemplateURL: inner.yaml, Parameters: {{Data: {{Ref: Inner}}}}}}
    """
    problems = refused(text, files={"inner.yaml": inner})
    assert any("Circular dependency" in problem for problem in problems), problems


def test_a_template_url_from_a_resource_is_refused_once(refused: Refuse) -> None:
    text = CLOUDFORMATION.replace("inner.yaml", "{Ref: Word}").replace("PARAMETERS", "{}")
    (problem,) = refused(text)
    assert problem.startswith("Resources.Inner.Properties.TemplateURL: TemplateURL must be text")


def chain(length: int, *, group: bool) -> dict[str, str]:
    """Templates t1.yaml, t2.yaml, ..., each in the one before, perhaps as the member of a group."""
    files = {}
    for number in range(1, length + 1):
        inner = f"t{number + 1}.yaml" if number < length else "OS::Heat::RandomString"
        resource = f"{{type: {inner}}}"
        if group and number < length:
            resource = f"{{type: OS::Heat::ResourceGroup, properties: {{count: 1, resource_def: {resource}}}}}"
        files[f"t{number}.yaml"] = f"heat_template_version: 2018-08-31\nresources: {{r: {resource}}}\n"
    return files


@pytest.mark.parametrize(
    ("length", "group", "fits"), [(6, False, True), (7, False, False), (3, True, True), (4, True, False)]
)
def test_groups_count_in_the_depth_as_templates_do(
    translated: Translate, refused: Refuse, length: int, group: bool, fits: bool
) -> None:
    files = chain(length, group=group)
    if fits:
        assert translated(files["t1.yaml"], files=files).definitions
    else:
        assert "nested deeper than 5: each group counts" in refused(files["t1.yaml"], files=files)[0]


def test_a_group_without_members_counts_too(refused: Refuse) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources: {g: {type: OS::Heat::ResourceGroup, properties: {count: 0, resource_def: {type: OS::Heat::None}}}}
    """
    (problem,) = refused(text, limits=Limits(depth=0))
    assert problem.startswith("resources.g.type: Templates are nested deeper than 0")


# groups


@pytest.mark.parametrize("version", ["2013-05-23", "2018-08-31"])
def test_the_message_of_a_members_attribute_names_the_group(translated: Translate, version: str) -> None:
    text = f"""
    heat_template_version: {version}
    resources:
      servers:
        type: OS::Heat::ResourceGroup
        properties: {{count: 2, resource_def: {{type: OS::Neutron::Port, properties: {{network: n}}}}}}
    outputs: {{o: {{value: {{get_attr: [servers, fixd_ips]}}}}}}
    """
    (warning,) = translated(text).warnings
    assert warning.reason == (
        "The Referenced Attribute (servers fixd_ips) is incorrect: the members (OS::Neutron::Port) have no attribute "
        'fixd_ips; did you mean "fixed_ips"?'
    )


def test_the_size_of_a_scaling_group_must_be_a_number(refused: Refuse) -> None:
    text = """
    heat_template_version: 2018-08-31
    parameters: {sizes: {type: json, default: {}}}
    resources:
      g:
        type: OS::Heat::AutoScalingGroup
        properties:
          min_size: 1
          max_size: 3
          desired_capacity: {get_param: [sizes, web]}
          resource: {type: OS::Heat::None}
    """
    (problem,) = refused(text)
    assert problem == "resources.g.properties.desired_capacity: Value '' is not an integer"


def test_groups_say_in_which_batches_their_members_are_created_and_changed(translated: Translate) -> None:
    text = """
    heat_template_version: 2018-08-31
    parameters: {pause: {type: number, default: 5}}
    resources:
      g:
        type: OS::Heat::ResourceGroup
        update_policy:
          rolling_update: {max_batch_size: "2", min_in_service: 1, pause_time: {get_param: pause}}
          batch_create: {max_batch_size: 2}
        properties: {count: 2, resource_def: {type: OS::Heat::None}}
      plain: {type: OS::Heat::ResourceGroup, properties: {count: 2, resource_def: {type: OS::Heat::None}}}
      a:
        type: OS::Heat::AutoScalingGroup
        properties: {min_size: 1, max_size: 1, rolling_updates: {max_batch_size: 3}, resource: {type: OS::Heat::None}}
      b:
        type: OS::Heat::AutoScalingGroup
        properties: {min_size: 1, max_size: 1, resource: {type: OS::Heat::None}}
    """
    found = translated(text)
    assert found.warnings == ()
    batches = {name: (group.creation, group.update) for name, group in found.groups.items()}
    assert batches == {
        "g": (Batching(2), Batching(2, 1, 5.0)),
        "plain": (None, None),
        "a": (None, Batching(3)),
        "b": (None, Batching(1)),
    }


# implicit dependencies


APP = """
heat_template_version: 2018-08-31
parameters: {public: {type: string, default: public}}
resources:
  router: {type: OS::Neutron::Router, properties: {external_gateway_info: {network: {get_param: public}}}}
  address: {type: OS::Neutron::FloatingIP, properties: {floating_network: {get_param: public}}}
"""


@pytest.mark.parametrize("public", ["", "properties: {public: {get_resource: ext}}"])
@pytest.mark.parametrize("group", [False, True])
def test_implicit_dependencies_do_not_lead_into_other_nested_templates(
    translated: Translate, public: str, group: bool
) -> None:
    one = f"{{type: app.yaml, {public}}}"
    if group:
        resources = f"g: {{type: OS::Heat::ResourceGroup, properties: {{count: 2, resource_def: {one}}}}}"
        names = ["g/0", "g/1"]
    else:
        resources = f"one: {one}\n      two: {one}"
        names = ["one", "two"]
    text = f"""
    heat_template_version: 2018-08-31
    resources:
      ext: {{type: OS::Neutron::Net}}
      {resources}
    """
    definitions = translated(text, files={"app.yaml": APP}).definitions
    for name in names:
        assert {need for need in definitions[f"{name}/address"].requires if need.endswith("router")} == {
            f"{name}/router"
        }


def test_they_lead_to_what_is_around_and_to_the_only_ones_of_a_network(translated: Translate) -> None:
    net = """
heat_template_version: 2018-08-31
parameters: {net: {type: string}}
resources: {subnet: {type: OS::Neutron::Subnet, properties: {network: {get_param: net}, cidr: 10.0.0.0/24}}}
"""
    port = """
heat_template_version: 2018-08-31
parameters: {net: {type: string}}
resources:
  port: {type: OS::Neutron::Port, properties: {network: {get_param: net}}}
  address: {type: OS::Neutron::FloatingIP, properties: {floating_network: public}}
"""
    text = """
    heat_template_version: 2018-08-31
    resources:
      net: {type: OS::Neutron::Net}
      router: {type: OS::Neutron::Router, properties: {external_gateway_info: {network: public}}}
      subnets: {type: net.yaml, properties: {net: {get_resource: net}}}
      ports: {type: port.yaml, properties: {net: {get_resource: net}}}
    """
    definitions = translated(text, files={"net.yaml": net, "port.yaml": port}).definitions
    assert "subnets/subnet" in definitions["ports/port"].requires
    assert "router" in definitions["ports/address"].requires


def test_an_existing_resource_needs_no_properties(translated: Translate, cloud: Any) -> None:
    text = "heat_template_version: 2018-08-31\nresources: {f: {type: OS::Neutron::FloatingIP, external_id: x}}\n"
    assert translated(text).definitions["f"].resolve(cloud()) == {}


def test_rules_are_told_with_their_places_and_refuse_no_translation(translated: Translate) -> None:
    head = "heat_template_version: 2018-08-31\n"
    inner = f"{head}resources:\n  s:\n    type: OS::Neutron::SecurityGroup\n    properties:\n      name: default\n"
    subnet = "{type: OS::Neutron::Subnet, properties: {network: n}}"
    outer = f"{head}resources: {{n: {{type: in.yaml}}, s: {subnet}}}\n"
    made = translated(outer, files={"in.yaml": inner}, name="t.yaml")
    assert [(one.path, one.source, one.line) for one in made.broken_rules] == [
        ("resources.n<in.yaml>.resources.s.properties.name", "in.yaml", 6),
        ("resources.s.properties", "t.yaml", 2),
    ]
