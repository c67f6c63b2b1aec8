from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hot_translator import UNKNOWN, Limits, ResolutionError, Translation

Translate = Callable[..., Translation]
Refuse = Callable[..., list[str]]

OUTER = """
    heat_template_version: 2018-08-31
    resources:
      net: {type: OS::Neutron::Net}
      app:
        type: app.yaml
        metadata: {role: web}
        deletion_policy: retain
        properties:
          network: {get_resource: net}
          ports: [{get_resource: net}, fixed]
          options: {size: 2, name: {get_attr: [net, name]}}
    outputs:
      id: {value: {get_resource: app}}
      address: {value: {get_attr: [app, addresses, 0]}}
      inner: {value: {get_attr: [app, resource.port]}}
      deep: {value: {get_attr: [app, resource.port.fixed_ips, 0, ip_address]}}
      all: {value: {get_attr: [app]}}
      show: {value: {get_attr: [app, show, stack_name]}}
"""
APP = """
heat_template_version: 2018-08-31
parameters:
  network: {type: string}
  ports: {type: comma_delimited_list, default: ""}
  options: {type: json, default: {}}
  count: {type: number, default: 3}
resources:
  port:
    type: OS::Neutron::Port
    properties:
      network: {get_param: network}
      name: {get_param: [ports, 1]}
      value_specs: {get_param: options}
  value:
    type: OS::Heat::Value
    properties:
      value:
        role: {resource_facade: metadata}
        policy: {resource_facade: deletion_policy}
        update: {resource_facade: update_policy}
        stack: {get_param: OS::stack_name}
outputs:
  addresses: {value: {get_attr: [port, fixed_ips]}}
  size: {value: {get_param: [options, size]}}
"""


def app(translated: Translate, **kwargs: Any) -> Translation:
    return translated(OUTER, files={"app.yaml": APP}, **kwargs)


def test_what_is_inside_becomes_definitions_of_the_same_stack(translated: Translate, cloud: Any) -> None:
    translation = app(translated)
    assert set(translation.definitions) == {"net", "app", "app/port", "app/value"}
    outer = translation.definitions["app"]
    assert (outer.virtual, outer.kind, outer.written_type) == (True, "nested", "app.yaml")
    assert outer.requires >= {"app/port", "app/value"}
    port = translation.definitions["app/port"]
    assert (port.local_name, port.parent, port.requires) == ("port", "app", frozenset({"net"}))
    assert port.resolve(cloud())["network"] is UNKNOWN
    resolved = port.resolve(cloud({"net": "n1"}, {("net", "name"): "nn"}))
    assert resolved["network"] == "n1"
    assert resolved["name"] == "fixed"
    assert resolved["value_specs"] == {"size": 2, "name": "nn"}


def test_what_is_inside_can_read_the_resource_that_it_stands_for(translated: Translate, cloud: Any) -> None:
    value = app(translated).definitions["app/value"].resolve(cloud())["value"]
    assert value["role"] == {"role": "web"}
    assert value["policy"] == "Retain"
    assert value["update"] == {}
    assert value["stack"].startswith("stack-app-")


def test_outputs_are_attributes(translated: Translate, cloud: Any) -> None:
    translation = app(translated)
    there = cloud({"app/port": "p1"}, {("app/port", "fixed_ips"): [{"ip_address": "10.0.0.1"}], ("net", "name"): "n"})
    values = {name: output.resolve(there) for name, output in translation.outputs.items()}
    assert values["address"] == {"ip_address": "10.0.0.1"}
    assert values["inner"] == "p1"
    assert values["deep"] == "10.0.0.1"
    assert values["all"]["size"] == 2
    assert values["id"].startswith("arn:openstack:heat::project:stacks/stack-app-")
    assert values["show"].startswith("stack-app-")
    assert translation.outputs["address"].requires == {"app", "app/port"}


def test_the_output_os_stack_id_is_what_refers_to_it(translated: Translate, cloud: Any) -> None:
    inner = APP + "  OS::stack_id: {value: {get_resource: port}}\n"
    translation = translated(OUTER, files={"app.yaml": inner})
    assert translation.outputs["id"].resolve(cloud({"app/port": "p9"})) == "p9"


def test_a_parameter_from_a_resource_is_checked_when_it_is_known(translated: Translate, cloud: Any) -> None:
    inner = """
heat_template_version: 2018-08-31
parameters:
  n: {type: number, constraints: [{range: {max: 3}}]}
  l: {type: comma_delimited_list, default: "x"}
  m: {type: json, default: {}}
  s: {type: string, default: d}
resources:
  v: {type: OS::Heat::Value, properties: {value: [{get_param: n}, {get_param: l}, {get_param: m}, {get_param: s}]}}
"""
    outer = """
    heat_template_version: 2018-08-31
    resources:
      net: {type: OS::Neutron::Net}
      in:
        type: in.yaml
        properties:
          n: {get_attr: [net, mtu]}
          l: {get_attr: [net, subnets]}
          m: {get_attr: [net, show]}
          s: {get_attr: [net, name]}
    """
    value = translated(outer, files={"in.yaml": inner}).definitions["in/v"]
    there = {("net", "mtu"): "2", ("net", "subnets"): ["a", 1], ("net", "show"): {"k": 1}, ("net", "name"): None}
    assert value.resolve(cloud({}, there))["value"] == [2, ["a", "1"], {"k": 1}, ""]
    as_text = there | {("net", "show"): '{"k": 2}', ("net", "name"): 5}
    assert value.resolve(cloud({}, as_text))["value"][2:] == [{"k": 2}, "5"]
    maps = there | {("net", "subnets"): [{"a": 1}, {"b": 2}]}
    assert value.resolve(cloud({}, maps))["value"][1] == [".member.0.a=1", ".member.1.b=2"]
    assert value.resolve(cloud({}, {}))["value"] == [UNKNOWN] * 4
    with pytest.raises(Exception, match="Parameter 'n' is invalid: 7 is out of range"):
        value.resolve(cloud({}, there | {("net", "mtu"): 7}))


def test_a_template_may_be_registered_for_a_type_and_use_that_type_itself(translated: Translate) -> None:
    inner = """
heat_template_version: 2018-08-31
parameters: {name: {type: string}, extra: {type: string}}
resources:
  real: {type: OS::Neutron::Net, properties: {name: {list_join: ["", [{get_param: name}, {get_param: extra}]]}}}
"""
    environment = """
    resource_registry: {"OS::Neutron::Net": lib/net.yaml}
    parameter_defaults: {extra: "-x"}
    """
    outer = "heat_template_version: 2018-08-31\nresources: {n: {type: OS::Neutron::Net, properties: {name: a}}}\n"
    translation = translated(outer, environment=environment, files={"lib/net.yaml": inner})
    assert translation.definitions["n"].written_type == "OS::Neutron::Net"
    assert translation.definitions["n/real"].type == "OS::Neutron::Net"
    assert translation.definitions["n/real"].properties["name"] == "a-x"


def test_files_are_found_beside_the_template_that_names_them(translated: Translate) -> None:
    files = {
        "lib/mid.yaml": "heat_template_version: 2018-08-31\nresources: {i: {type: ./sub/in.yaml}}\n",
        "lib/sub/in.yaml": "heat_template_version: 2018-08-31\nresources:\n"
        "  v: {type: OS::Heat::Value, properties: {value: {get_file: ../note.txt}}}\n",
        "lib/note.txt": "hello",
    }
    outer = "heat_template_version: 2018-08-31\nresources: {m: {type: ./lib/mid.yaml}}\n"
    translation = translated(outer, files=files)
    assert translation.definitions["m/i/v"].properties["value"] == "hello"


def test_a_stack_by_url_is_a_nested_template_too(translated: Translate, cloud: Any) -> None:
    inner = (
        "heat_template_version: 2018-08-31\nparameters: {p: {type: string}}\noutputs: {o: {value: {get_param: p}}}\n"
    )
    outer = """
    heat_template_version: 2018-08-31
    resources:
      s:
        type: AWS::CloudFormation::Stack
        properties: {TemplateURL: "http://example.com/a.template", Parameters: {p: v}}
    outputs: {o: {value: {get_attr: [s, Outputs.o]}}}
    """
    translation = translated(outer, files={"http://example.com/a.template": inner})
    assert translation.outputs["o"].resolve(cloud()) == "v"


def test_a_stack_by_url_needs_the_url_and_the_file(refused: Refuse) -> None:
    outer = """
    heat_template_version: 2018-08-31
    resources:
      a: {type: AWS::CloudFormation::Stack, properties: {TemplateURL: {get_resource: b}}}
      b: {type: AWS::CloudFormation::Stack, properties: {TemplateURL: http://x/y.yaml}}
    """
    problems = "\n".join(refused(outer))
    assert "TemplateURL must be text that is known" in problems
    assert 'The template "http://x/y.yaml" of the type AWS::CloudFormation::Stack is not among the files' in problems


def test_templates_nest_no_deeper_than_the_limit(refused: Refuse, translated: Translate) -> None:
    files = {
        f"t{n}.yaml": f"heat_template_version: 2018-08-31\nresources: {{r: {{type: t{n + 1}.yaml}}}}\n"
        for n in range(9)
    }
    outer = "heat_template_version: 2018-08-31\nresources: {r: {type: t0.yaml}}\n"
    assert "Templates are nested deeper than 5" in refused(outer, files=files)[0]
    itself = {"t0.yaml": outer}
    assert "nested deeper than 3" in refused(outer, files=itself, limits=Limits(depth=3))[0]


def test_the_whole_tree_counts_for_the_limit_of_resources(refused: Refuse) -> None:
    assert "more than 3 resources" in refused(OUTER, files={"app.yaml": APP}, limits=Limits(resources=3))[0]


@pytest.mark.parametrize(
    ("properties", "path", "reason"),
    [
        ("{}", "resources.app.properties", "Property network not assigned"),
        ("{network: a, netwrk: b}", "resources.app.properties.netwrk", 'did you mean "network"?'),
        ("{network: {a: 1}}", "resources.app.properties.network", ""),
        ("{network: a, count: many}", "resources.app.properties.count", "many"),
        ("{get_attr: [net, show]}", "resources.app.properties", "known before anything is created"),
        ("{network: {get_attr: [app, size]}}", "resources.app.properties", "made of its own outputs"),
    ],
)
def test_wrong_properties_of_a_nested_template(refused: Refuse, properties: str, path: str, reason: str) -> None:
    text = f"""
    heat_template_version: 2018-08-31
    resources:
      net: {{type: OS::Neutron::Net}}
      app: {{type: app.yaml, properties: {properties}}}
    """
    problems = refused(text, files={"app.yaml": APP})
    assert any(problem.startswith(path) and reason in problem for problem in problems), problems


@pytest.mark.parametrize("reference", ["[app, nope]", "[app, sise]"])
def test_wrong_attributes_of_a_nested_template(refused: Refuse, reference: str) -> None:
    text = OUTER + f"      bad: {{value: {{get_attr: {reference}}}}}\n"
    (problem,) = refused(text, files={"app.yaml": APP})
    assert problem.startswith("outputs.bad.value.get_attr: The Referenced Attribute (app ")


@pytest.mark.parametrize("reference", ["[app, resource.nope]", "[app, resource.port, 1]", "[app, resource.port.nope]"])
def test_what_an_output_does_not_find_inside_of_a_nested_template_is_a_warning(
    translated: Translate, reference: str
) -> None:
    text = OUTER + f"      bad: {{value: {{get_attr: {reference}}}}}\n"
    (warning,) = translated(text, files={"app.yaml": APP}).warnings
    assert str(warning).startswith("outputs.bad.value.get_attr: The Referenced Attribute (app resource.")


def test_problems_inside_name_the_file_and_its_lines(translated: Translate) -> None:
    inner = "heat_template_version: 2018-08-31\nresources:\n  v:\n    type: OS::Heat::Valeu\n"
    outer = "heat_template_version: 2018-08-31\nresources: {n: {type: in.yaml}}\n"
    with pytest.raises(Exception, match=r"resources\.n<in\.yaml>\.resources\.v\.type: .*OS::Heat::Valeu") as error:
        translated(outer, files={"in.yaml": inner}, name="out.yaml")
    assert (error.value.source, error.value.line) == ("in.yaml", 4)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("inner", "path"),
    [
        (
            "heat_template_version: 2018-08-31\nparameters: {p: {type: strng}}\n",
            "resources.n<in.yaml>.parameters.p.type",
        ),
        ("heat_template_version: 2018-08-31\nresources: {a: 1, b: 2}\n", "resources.n<in.yaml>.resources.a"),
        ("a: [", "resources.n<in.yaml>.template"),
    ],
)
def test_a_nested_template_that_cannot_be_read(refused: Refuse, inner: str, path: str) -> None:
    outer = """
    heat_template_version: 2018-08-31
    resources: {n: {type: in.yaml}, r: {type: OS::Heat::Value, properties: {value: {get_attr: [n, x]}}}}
    outputs: {o: {value: {get_attr: [n]}}, i: {value: {get_resource: n}}}
    """
    assert refused(outer, files={"in.yaml": inner})[0].startswith(path)


def test_the_size_of_a_group_must_not_depend_on_a_resource(refused: Refuse) -> None:
    inner = """
heat_template_version: 2018-08-31
parameters: {p: {type: string}}
conditions: {c: {equals: [{get_param: p}, x]}}
resources:
  g: {type: OS::Heat::ResourceGroup, properties: {count: {if: [c, 1, 2]}, resource_def: {type: OS::Heat::None}}}
"""
    outer = """
    heat_template_version: 2018-08-31
    resources:
      net: {type: OS::Neutron::Net}
      n: {type: in.yaml, properties: {p: {get_resource: net}}}
    """
    (problem,) = refused(outer, files={"in.yaml": inner})
    assert "must be known before anything is created" in problem


def test_resource_facade_has_no_meaning_in_the_root(translated: Translate, cloud: Any) -> None:
    text = "heat_template_version: 2018-08-31\noutputs: {o: {value: {resource_facade: metadata}}}\n"
    with pytest.raises(ResolutionError, match="only in a template that stands for a resource"):
        translated(text).outputs["o"].resolve(cloud())


def test_hidden_parameters_taint_what_is_read_through_a_nested_template(translated: Translate) -> None:
    inner = """
heat_template_version: 2018-08-31
parameters: {p: {type: string, hidden: true}}
outputs: {o: {value: {get_param: p}}, plain: {value: 1}}
"""
    outer = """
    heat_template_version: 2018-08-31
    resources:
      a: {type: in.yaml, properties: {p: pw}}
      v: {type: OS::Heat::Value, properties: {value: {get_attr: [a, o]}}}
    outputs: {o: {value: {get_attr: [a, o]}}, o2: {value: {get_attr: [a, o]}}, p: {value: {get_attr: [a, plain]}}}
    """
    translation = translated(outer, files={"in.yaml": inner})
    hidden = {name: output.hidden for name, output in translation.outputs.items()}
    assert hidden == {"o": True, "o2": True, "p": False}
    assert "pw" in translation.hidden_values
    assert translation.definitions["v"].hidden_properties == {"value"}
