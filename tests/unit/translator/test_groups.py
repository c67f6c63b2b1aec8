from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hot_translator import UNKNOWN, GroupState, Limits, Translation, TranslationError

Translate = Callable[..., Translation]
Refuse = Callable[..., list[str]]

GROUP = """
    heat_template_version: 2018-08-31
    parameters: {n: {type: number, default: 2}}
    resources:
      net: {type: OS::Neutron::Net}
      first: {type: OS::Heat::Value, properties: {value: 1}}
      group:
        type: OS::Heat::ResourceGroup
        depends_on: first
        properties:
          count: {get_param: n}
          resource_def:
            type: OS::Neutron::Port
            metadata: {role: "%index%"}
            properties:
              network: {get_resource: net}
              name: port-%index%
              value_specs: null
              device_owner: {list_join: ["-", [{get_attr: [net, name]}, "%index%"]]}
    outputs:
      refs: {value: {get_attr: [group, refs]}}
      second: {value: {get_attr: [group, refs, 1]}}
      map: {value: {get_attr: [group, refs_map]}}
      names: {value: {get_attr: [group, name]}}
      by_name: {value: {get_attr: [group, attributes, fixed_ips, 0, ip_address]}}
      one: {value: {get_attr: [group, resource.1]}}
      one_name: {value: {get_attr: [group, resource.1.name]}}
      removed: {value: {get_attr: [group, removed_rsrc_list]}}
      id: {value: {get_resource: group}}
      show: {value: {get_attr: [group, show, id]}}
      all: {value: {get_attr: [group]}}
"""


def test_members_are_resources_of_the_same_stack(translated: Translate, cloud: Any) -> None:
    translation = translated(GROUP)
    assert {"group", "group/0", "group/1"} < set(translation.definitions)
    group = translation.definitions["group"]
    assert (group.kind, group.virtual, group.type) == ("group", True, "OS::Heat::ResourceGroup")
    assert group.requires == {"first", "net", "group/0", "group/1"}
    member = translation.definitions["group/1"]
    assert member.requires == {"first", "net"}
    assert member.parent == "group"
    assert member.stack_name.startswith("stack-group-")
    resolved = member.resolve(cloud({"net": "n"}, {("net", "name"): "net-%index%"}))
    assert resolved["name"] == "port-1"
    assert resolved["device_owner"] == "net-1-1"
    assert member.resolve_metadata(cloud()) == {"role": "%index%"}
    assert translation.groups["group"].members == ("0", "1")


def test_attributes_are_those_of_the_members(translated: Translate, cloud: Any) -> None:
    translation = translated(GROUP)
    there = cloud(
        {"group/0": "p0", "group/1": "p1"},
        {
            ("group/0", "name"): "n0",
            ("group/1", "name"): "n1",
            ("group/0", "fixed_ips"): [{"ip_address": "10.0.0.1"}],
            ("group/1", "fixed_ips"): [],
        },
    )
    values = {name: output.resolve(there) for name, output in translation.outputs.items()}
    assert values["refs"] == ["p0", "p1"]
    assert values["second"] == "p1"
    assert values["map"] == {"0": "p0", "1": "p1"}
    assert values["names"] == ["n0", "n1"]
    assert values["by_name"] == {"0": "10.0.0.1", "1": None}
    assert values["one"] == "p1"
    assert values["one_name"] == "n1"
    assert values["removed"] == []
    assert values["id"] == values["show"]
    assert values["all"] == {"refs": ["p0", "p1"], "refs_map": {"0": "p0", "1": "p1"}}
    assert translation.outputs["refs"].requires == {"group", "group/0", "group/1"}
    assert translation.definitions["group/0"].attributes_used == {"name", "fixed_ips"}
    assert translation.outputs["refs"].resolve(cloud({"group/0": "p0"})) == ["p0", UNKNOWN]


def test_a_group_of_none_has_empty_lists_and_its_definition_is_not_looked_at(translated: Translate, cloud: Any) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources:
      group: {type: OS::Heat::ResourceGroup, properties: {count: 0, resource_def: {type: No::Such}}}
    outputs: {refs: {value: {get_attr: [group, refs]}}, names: {value: {get_attr: [group, whatever]}}}
    """
    translation = translated(text)
    assert set(translation.definitions) == {"group"}
    assert [output.resolve(cloud()) for output in translation.outputs.values()] == [[], []]


REMOVAL = """
    heat_template_version: 2018-08-31
    parameters: {gone: {type: json, default: []}, mode: {type: string, default: append}}
    resources:
      group:
        type: OS::Heat::ResourceGroup
        properties:
          count: 2
          removal_policies: {get_param: gone}
          removal_policies_mode: {get_param: mode}
          resource_def: {type: OS::Heat::RandomString}
    outputs: {removed: {value: {get_attr: [group, removed_rsrc_list]}}}
"""


def test_a_removed_name_is_never_used_again(translated: Translate, cloud: Any) -> None:
    members = {"group": {"0": "r0", "1": "r1"}}
    gone = [{"resource_list": ["r0", 7, "nobody"]}]
    first = translated(REMOVAL, parameters={"gone": gone}, groups={"group": GroupState(members["group"])})
    assert first.groups["group"].members == ("1", "2")
    removed = first.groups["group"].removed
    assert removed == frozenset({"0"})
    assert first.outputs["removed"].resolve(cloud()) == ["0"]
    later = translated(REMOVAL, groups={"group": GroupState({"1": "r1", "2": "r2"}, removed)})
    assert later.groups["group"].members == ("1", "2")
    more = translated(
        REMOVAL, parameters={"gone": [{"resource_list": ["2"]}]}, groups={"group": GroupState({}, removed)}
    )
    assert more.groups["group"].members == ("1", "3")
    anew = translated(
        REMOVAL,
        parameters={"gone": [{"resource_list": ["1"]}], "mode": "update"},
        groups={"group": GroupState({"1": "r1", "2": "r2"}, removed)},
    )
    assert anew.groups["group"].members == ("0", "2")


def test_groups_hold_nested_templates_and_groups(translated: Translate, cloud: Any) -> None:
    inner = """
heat_template_version: 2018-08-31
parameters: {name: {type: string}}
resources:
  pair:
    type: OS::Heat::ResourceGroup
    properties:
      count: 2
      index_var: $i$
      resource_def: {type: OS::Heat::Value, properties: {value: {list_join: ["/", [{get_param: name}, "$i$"]]}}}
outputs:
  values: {value: {get_attr: [pair, value]}}
"""
    outer = """
    heat_template_version: 2018-08-31
    resources:
      group:
        type: OS::Heat::ResourceGroup
        properties: {count: 2, resource_def: {type: in.yaml, properties: {name: "m%index%"}}}
    outputs: {all: {value: {get_attr: [group, values]}}, one: {value: {get_attr: [group, resource.0.values, 1]}}}
    """
    translation = translated(outer, files={"in.yaml": inner})
    value = translation.definitions["group/1/pair/0"]
    assert value.properties["value"] == "m1/0"
    there = cloud({}, {(f"group/{a}/pair/{b}", "value"): f"{a}{b}" for a in "01" for b in "01"})
    assert translation.outputs["all"].resolve(there) == [["00", "01"], ["10", "11"]]
    assert translation.outputs["one"].resolve(there) == "01"


def test_hooks_and_mappings_reach_single_members(translated: Translate) -> None:
    environment = """
    resource_registry:
      resources:
        group:
          "1": {hooks: pre-create, "OS::Neutron::Port": "OS::Heat::None"}
          "*": {restricted_actions: [replace]}
    """
    definitions = translated(GROUP, environment=environment).definitions
    assert definitions["group/1"].hooks == {"pre-create"}
    assert definitions["group/1"].type == "OS::Heat::None"
    assert definitions["group/0"].hooks == frozenset()
    assert definitions["group/0"].restricted_actions == {"replace"}


def test_a_chains_members_follow_each_other(translated: Translate, cloud: Any) -> None:
    text = """
    heat_template_version: 2018-08-31
    parameters: {c: {type: boolean, default: false}}
    resources:
      chain:
        type: OS::Heat::ResourceChain
        properties:
          resources: [OS::Heat::Value, OS::Heat::Value, OS::Heat::None]
          concurrent: {get_param: c}
          resource_properties: {value: 1}
    outputs: {refs: {value: {get_attr: [chain, refs]}}}
    """
    definitions = translated(text).definitions
    assert [definitions[f"chain/{n}"].requires for n in range(3)] == [
        frozenset(),
        frozenset({"chain/0"}),
        frozenset({"chain/1"}),
    ]
    assert definitions["chain/2"].type == "OS::Heat::None"
    beside = translated(text, parameters={"c": True}).definitions
    assert beside["chain/1"].requires == frozenset()


SCALING = """
    heat_template_version: 2018-08-31
    parameters: {desired: {type: number, default: 3}}
    resources:
      group:
        type: OS::Heat::AutoScalingGroup
        properties:
          min_size: 1
          max_size: 4
          desired_capacity: {get_param: desired}
          resource: {type: OS::Heat::Value, properties: {value: "%index%"}}
    outputs:
      size: {value: {get_attr: [group, current_size]}}
      map: {value: {get_attr: [group, outputs, value]}}
      list: {value: {get_attr: [group, outputs_list, value]}}
      last: {value: {get_attr: [group, resource.-1]}}
      first: {value: {get_attr: [group, resource.0.value]}}
      refs: {value: {get_attr: [group, refs]}}
"""


def test_a_scaling_groups_members_have_short_names_that_stay(translated: Translate, cloud: Any) -> None:
    first = translated(SCALING)
    names = first.groups["group"].members
    assert len(names) == 3
    assert all(len(name) == 12 for name in names)
    assert translated(SCALING).groups["group"].members == names
    existing = {"group": GroupState(dict.fromkeys(names, "ref"))}
    smaller = translated(SCALING, parameters={"desired": 2}, groups=existing)
    assert smaller.groups["group"].members == names[1:]
    larger = translated(SCALING, parameters={"desired": 4}, groups=existing)
    assert larger.groups["group"].members[:3] == names
    ids = {f"group/{name}": name for name in names}
    there = cloud(ids, {(key, "value"): key for key in ids})
    values = {name: output.resolve(there) for name, output in first.outputs.items()}
    assert values["size"] == 3
    assert values["map"] == {name: f"group/{name}" for name in names}
    assert values["list"] == [f"group/{name}" for name in names]
    assert values["last"] == names[2]
    assert values["first"] == f"group/{names[0]}"
    assert values["refs"] == list(names)
    assert first.definitions[f"group/{names[0]}"].properties["value"] == "%index%"


@pytest.mark.parametrize(
    ("group", "properties", "reason"),
    [
        (
            "ResourceGroup",
            "{count: {get_attr: [net, mtu]}, resource_def: {type: OS::Heat::None}}",
            "must be known before",
        ),
        ("ResourceGroup", "{count: many, resource_def: {type: OS::Heat::None}}", "many"),
        ("ResourceGroup", "{count: 999999, resource_def: {type: OS::Heat::None}}", "members are more than the"),
        ("ResourceGroup", "{count: 1}", "not assigned"),
        ("ResourceGroup", "{count: 1, resource_def: {type: {get_attr: [net, name]}}}", "type that is text"),
        ("ResourceGroup", "{count: 2, resource_def: {type: OS::Heat::Valeu}}", 'did you mean "OS::Heat::Value"?'),
        ("ResourceGroup", "{get_attr: [net, show]}", "must be known before anything is created"),
        ("ResourceGroup", "{count: 3, resource_def: {type: OS::Neutron::Port, properties: {netwrk: 1}}}", '"network"?'),
        ("AutoScalingGroup", "{min_size: 3, max_size: 1, resource: {type: OS::Heat::None}}", "greater than MaxSize"),
        (
            "AutoScalingGroup",
            "{min_size: 1, max_size: 2, desired_capacity: 5, resource: {type: OS::Heat::None}}",
            "desired_capacity must be between 1 and 2",
        ),
        (
            "AutoScalingGroup",
            "{min_size: 1, max_size: 2, resource: {type: {get_attr: [net, name]}}}",
            "type that is text",
        ),
        ("ResourceChain", "{resources: {get_attr: [net, subnets]}, resource_properties: {}}", "must be known before"),
    ],
)
def test_wrong_groups(refused: Refuse, group: str, properties: str, reason: str) -> None:
    text = f"""
    heat_template_version: 2018-08-31
    resources:
      net: {{type: OS::Neutron::Net}}
      group: {{type: "OS::Heat::{group}", properties: {properties}}}
    """
    problems = refused(text)
    assert any(reason in problem for problem in problems), problems
    assert len(problems) <= 2


@pytest.mark.parametrize(
    "reference",
    ["[group, resource.7]", "[group, resource.0, 1]", "[group, attributes]", "[group, attributes, 1]", "[group, nope]"],
)
def test_wrong_attributes_of_a_group_cost_an_output_its_value(
    translated: Translate, cloud: Any, reference: str
) -> None:
    translation = translated(GROUP + f"      bad: {{value: {{get_attr: {reference}}}}}\n")
    (warning,) = translation.warnings
    assert str(warning).startswith("outputs.bad.value.get_attr: The Referenced Attribute (group ")
    with pytest.raises(TranslationError, match="The Referenced Attribute"):
        translation.outputs["bad"].resolve(cloud())


@pytest.mark.parametrize("reference", ["[group, resource.9]", "[group, outputs_list]", "[group, resource.nope]"])
def test_wrong_attributes_of_a_scaling_group_cost_an_output_its_value(translated: Translate, reference: str) -> None:
    (warning,) = translated(SCALING + f"      bad: {{value: {{get_attr: {reference}}}}}\n").warnings
    assert "The Referenced Attribute (group " in str(warning)


@pytest.mark.parametrize("reference", ["[group, gone]", "[group, resource.7]", "[group, attributes]"])
def test_wrong_attributes_of_a_group_in_a_property_are_refused(refused: Refuse, reference: str) -> None:
    text = f"""
    heat_template_version: 2018-08-31
    resources:
      group:
        type: OS::Heat::ResourceGroup
        properties: {{count: 2, resource_def: {{type: OS::Heat::RandomString}}}}
      value: {{type: OS::Heat::Value, properties: {{value: {{get_attr: {reference}}}}}}}
    """
    (problem,) = refused(text)
    assert problem.startswith("resources.value.properties.value.get_attr: The Referenced Attribute (group ")


def test_properties_of_members_may_be_one_value_from_a_resource(translated: Translate, cloud: Any) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources:
      net: {type: OS::Neutron::Net}
      group:
        type: OS::Heat::ResourceGroup
        properties:
          count: 1
          resource_def:
            type: OS::Heat::Value
            properties: {map_merge: [{value: {get_attr: [net, name]}}, {type: null}]}
    """
    member = translated(text).definitions["group/0"]
    assert member.resolve(cloud()) == {"value": UNKNOWN, "type": UNKNOWN}
    assert member.resolve(cloud({}, {("net", "name"): "a%index%"}))["value"] == "a0"


def test_the_limit_of_resources_counts_members(refused: Refuse) -> None:
    assert "more than 3 resources" in refused(GROUP, limits=Limits(resources=3))[0]


def test_hidden_parameters_taint_the_members(translated: Translate) -> None:
    text = """
    heat_template_version: 2018-08-31
    parameters: {p: {type: string, hidden: true, default: pw}}
    resources:
      group:
        type: OS::Heat::ResourceGroup
        properties: {count: 1, resource_def: {type: OS::Heat::Value, properties: {value: {get_param: p}}}}
    """
    assert translated(text).definitions["group/0"].hidden_properties == {"value"}


def test_a_path_is_followed_on_the_client_side_in_the_first_version(translated: Translate, cloud: Any) -> None:
    text = GROUP.replace("2018-08-31", "2013-05-23")
    text = text[: text.index("      by_name")].replace("list_join", "Fn::Join")
    translation = translated(text + "      n0: {value: {get_attr: [group, name, 0]}}\n")
    assert translation.outputs["n0"].resolve(cloud({}, {("group/0", "name"): "n0"})) == "n0"
