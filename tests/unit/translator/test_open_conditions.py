"""Conditions of nested templates on parameters that come from resources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hot_translator import UNKNOWN, ResolutionError, Translation

Translate = Callable[..., Translation]
Refuse = Callable[..., list[str]]

OUTER = """
    heat_template_version: 2018-08-31
    resources:
      net: {type: OS::Neutron::Net}
      in: {type: in.yaml, properties: {p: PROPERTY}}
    outputs: {o: {value: {get_attr: [in, o]}}}
"""
INNER = """
heat_template_version: 2021-04-16
parameters: {p: {type: TYPE, default: DEFAULT}}
conditions:
  c: CONDITION
  n: {not: c}
resources:
  aye: {type: OS::Heat::RandomString, condition: c}
  nay: {type: OS::Heat::RandomString, condition: n}
  after: {type: OS::Heat::RandomString, depends_on: [aye, nay]}
  value:
    type: OS::Heat::Value
    properties: {value: [{if: [c, {get_resource: aye}, {get_resource: nay}]}, {if: [c, here]}]}
outputs:
  o: {value: {get_attr: [aye, value]}, condition: c}
"""
ID, NAME = "{get_resource: net}", "{get_attr: [net, name]}"


def translation(
    run: Translate, condition: str, prop: str = ID, kind: str = "string", default: str = '""', **more: Any
) -> Translation:
    inner = INNER.replace("CONDITION", condition).replace("TYPE", kind).replace("DEFAULT", default)
    return run(OUTER.replace("PROPERTY", prop), files={"in.yaml": inner}, **more)


def whole(made: Translation) -> set[str]:
    return {name.removeprefix("in/") for name, it in made.definitions.items() if "/" in name and it.condition is None}


@pytest.mark.parametrize(
    ("condition", "prop", "kind", "holds"),
    [
        ('{equals: [{get_param: p}, ""]}', ID, "string", False),
        ('{not: {equals: ["", {get_param: p}]}}', ID, "string", True),
        ("{equals: [{get_param: p}, null]}", ID, "string", False),
        ("{equals: [{get_param: p}, {a: 1}]}", ID, "string", False),
        ("{equals: [{get_param: p}, {get_param: p}]}", NAME, "string", True),
        ("{equals: [{get_param: p}, []]}", f"[{ID}]", "comma_delimited_list", False),
        ("{equals: [{get_param: p}, []]}", ID, "comma_delimited_list", False),
        ("{equals: [{get_param: p}, [a, b]]}", f"[{ID}]", "comma_delimited_list", False),
        ('{equals: [{get_param: [p, 0]}, ""]}', f"[{ID}]", "comma_delimited_list", False),
        ("{equals: [{get_param: p}, {}]}", f"{{a: {ID}}}", "json", False),
        ('{and: [{equals: [{get_param: p}, ""]}, {equals: [{get_param: p}, x]}]}', ID, "string", False),
        ('{or: [{equals: [{get_param: p}, x]}, {not: {equals: [{get_param: p}, ""]}}]}', ID, "string", True),
    ],
)
def test_what_cannot_be_otherwise_is_decided_at_once(
    translated: Translate, condition: str, prop: str, kind: str, holds: bool
) -> None:
    made = translation(translated, condition, prop, kind)
    assert whole(made) == {"aye" if holds else "nay", "after", "value"}
    assert all(it.condition is None for it in made.definitions.values())


def test_the_rest_is_decided_when_it_is_known(translated: Translate, cloud: Any) -> None:
    made = translation(translated, "{equals: [{get_param: p}, blue]}", NAME)
    aye, nay, value = (made.definitions[f"in/{name}"] for name in ("aye", "nay", "value"))
    assert whole(made) == {"after", "value"}
    assert "net" in aye.requires
    assert made.definitions["in/after"].requires >= {"in/aye", "in/nay"}
    assert not aye.is_constant
    nothing = cloud()
    assert [aye.exists(nothing), nay.exists(nothing)] == [UNKNOWN, UNKNOWN]
    assert value.resolve(nothing)["value"] == [UNKNOWN, UNKNOWN]
    ids = {"in/aye": "Y", "in/nay": "N"}
    blue = cloud(ids, {("net", "name"): "blue", ("in/aye", "value"): "v"})
    assert [aye.exists(blue), nay.exists(blue)] == [True, False]
    assert value.resolve(blue)["value"] == ["Y", "here"]
    assert made.outputs["o"].resolve(blue) == "v"
    red = cloud(ids, {("net", "name"): "red"})
    assert [aye.exists(red), nay.exists(red)] == [False, True]
    assert value.resolve(red)["value"] == ["N"]
    assert made.outputs["o"].resolve(red) is None
    with pytest.raises(ResolutionError, match="does not hold"):
        aye.resolve(red)


@pytest.mark.parametrize(
    ("condition", "name", "holds"),
    [
        ("{and: [{equals: [{get_param: p}, a]}, true]}", "a", True),
        ("{or: [{equals: [{get_param: p}, a]}, {equals: [{get_param: p}, b]}]}", "b", True),
        ("{or: [{equals: [{get_param: p}, a]}, {equals: [{get_param: p}, b]}]}", "c", False),
        ("{contains: [b, {get_param: p}]}", "abc", True),
        ("{yaql: {expression: $.data.p = abc, data: {p: {get_param: p}}}}", "abc", True),
    ],
)
def test_every_function_of_conditions_can_wait(
    translated: Translate, cloud: Any, condition: str, name: str, holds: bool
) -> None:
    made = translation(translated, condition, NAME)
    scope = cloud({}, {("net", "name"): name})
    assert made.definitions["in/aye"].exists(scope) is holds
    assert made.definitions["in/nay"].exists(scope) is not holds


def test_a_boolean_parameter_from_a_resource_is_a_condition(translated: Translate, cloud: Any) -> None:
    made = translation(translated, "{get_param: p}", NAME, "boolean", "false")
    assert made.definitions["in/aye"].exists(cloud({}, {("net", "name"): "yes"})) is True
    text = translation(translated, "{get_param: p}", NAME)
    with pytest.raises(ResolutionError, match=r"conditions\.c: The condition is neither true nor false"):
        text.definitions["in/aye"].exists(cloud({}, {("net", "name"): "true"}))


def test_what_is_read_of_a_resource_that_does_not_exist_is_refused_then(translated: Translate, cloud: Any) -> None:
    inner = """
heat_template_version: 2018-08-31
parameters: {p: {type: string}}
resources:
  net: {type: OS::Neutron::Net, condition: {equals: [{get_param: p}, a]}}
  port: {type: OS::Neutron::Port, properties: {network: {get_resource: net}}}
"""
    outer = OUTER.replace("PROPERTY", NAME).partition("outputs")[0]
    port = translated(outer, files={"in.yaml": inner}).definitions["in/port"]
    assert port.resolve(cloud({"in/net": "N"}, {("net", "name"): "a"}))["network"] == "N"
    with pytest.raises(ResolutionError, match='"net" is incorrect: the condition of the resource does not hold'):
        port.resolve(cloud({}, {("net", "name"): "b"}))


def test_all_that_is_inside_of_a_nested_template_shares_its_condition(translated: Translate, cloud: Any) -> None:
    middle = """
heat_template_version: 2018-08-31
parameters: {p: {type: string}}
resources:
  deep: {type: deep.yaml, condition: {equals: [{get_param: p}, a]}, properties: {p: {get_param: p}}}
  group:
    type: OS::Heat::ResourceGroup
    condition: {equals: [{get_param: p}, a]}
    properties: {count: 1, resource_def: {type: OS::Heat::RandomString}}
"""
    deep = """
heat_template_version: 2018-08-31
parameters: {p: {type: string}}
resources:
  word: {type: OS::Heat::RandomString}
  never: {type: OS::Heat::RandomString, condition: {equals: [{get_param: p}, b]}}
"""
    outer = OUTER.replace("PROPERTY", NAME).partition("outputs")[0]
    made = translated(outer, files={"in.yaml": middle, "deep.yaml": deep})
    scope = cloud({}, {("net", "name"): "a"})
    found = {name: it.exists(scope) for name, it in made.definitions.items()}
    assert found == {
        "net": True,
        "in": True,
        "in/deep": True,
        "in/deep/word": True,
        "in/deep/never": False,
        "in/group": True,
        "in/group/0": True,
    }
    assert {it.exists(cloud({}, {("net", "name"): "c"})) for name, it in made.definitions.items() if "/" in name} == {
        False
    }


def test_a_branch_that_is_not_chosen_may_be_wrong(translated: Translate, cloud: Any) -> None:
    inner = """
heat_template_version: 2018-08-31
parameters: {p: {type: string}}
resources:
  v:
    type: OS::Heat::Value
    properties: {value: {if: [{equals: [{get_param: p}, a]}, ok, {get_attr: [nothing, x]}]}}
"""
    outer = OUTER.replace("PROPERTY", NAME).partition("outputs")[0]
    value = translated(outer, files={"in.yaml": inner}).definitions["in/v"]
    assert value.resolve(cloud({}, {("net", "name"): "a"}))["value"] == "ok"
    with pytest.raises(ResolutionError, match="nothing"):
        value.resolve(cloud({}, {("net", "name"): "b"}))
