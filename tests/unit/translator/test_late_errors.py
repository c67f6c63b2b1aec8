"""What a function or a type is certain to refuse, whatever the resources give, is found before they exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hot_translator import Translation

Translate = Callable[..., Translation]
Refuse = Callable[..., list[str]]

LATER = "{get_attr: [word, value]}"


def text(
    value: str, version: str = "2021-04-16", prop: str = "value", type_name: str = "OS::Heat::TestResource"
) -> str:
    return f"""
    heat_template_version: {version}
    resources:
      word: {{type: OS::Heat::RandomString}}
      it: {{type: "{type_name}", properties: {{{prop}: {value}}}}}
    """


@pytest.mark.parametrize(
    ("call", "reason", "version"),
    [
        (f"{{list_join: [1, [{LATER}]]}}", "delimiter must be a string", "2018-08-31"),
        (f'{{list_join: ["", [{LATER}, 1]]}}', "Items to join must be string", "2018-08-31"),
        (f'{{list_join: ["", {LATER}, a]}}', "must operate on a list", "2018-08-31"),
        (f'{{list_join: ["", [{LATER}, [a]]]}}', "Items to join must be strings", "2014-10-16"),
        (f"{{str_replace: {{template: $a, params: {{$a: {LATER}, $b: [1]}}}}}}", "param $b is not valid", "2014-10-16"),
        (f"{{str_replace: {{template: 5, params: {{$a: {LATER}}}}}}}", "template must be a string", "2018-08-31"),
        (f"{{str_replace: {{template: {LATER}, params: {{1: a}}}}}}", "must be strings", "2018-08-31"),
        (f"{{str_replace_strict: {{template: $a, params: {{$a: {LATER}, $b: x}}}}}}", "not found", "2018-08-31"),
        (f"{{str_replace_vstrict: {{template: $a $b, params: {{$a: {LATER}, $b: ''}}}}}}", "empty value", "2018-08-31"),
        (f'{{str_split: ["", {LATER}]}}', "empty separator", "2018-08-31"),
        (f'{{str_split: [",", {LATER}, x]}}', "Incorrect index", "2018-08-31"),
        (f"{{digest: [md55, {LATER}]}}", "Algorithm must be one of", "2018-08-31"),
        (f"{{digest: [{LATER}]}}", "usage", "2018-08-31"),
        (f"{{make_url: {{scheme: 'a:', host: {LATER}}}}}", "should not contain", "2018-08-31"),
        (f"{{map_merge: [{LATER}, [1]]}}", "must be maps", "2018-08-31"),
        (f"{{map_replace: [{LATER}, {{kays: {{}}}}]}}", "Incorrect arguments", "2018-08-31"),
        (f"{{map_replace: [{{a: {LATER}, b: 1}}, {{keys: {{a: b}}}}]}}", "collides", "2018-08-31"),
        (f"{{filter: [{LATER}, text]}}", "only works with lists", "2018-08-31"),
        (f"{{filter: [text, {LATER}]}}", "filters a list", "2018-08-31"),
        (f"{{list_concat: [{LATER}, a]}}", "must be lists", "2018-08-31"),
        (f"{{list_concat_unique: [{LATER}, a]}}", "must be lists", "2018-08-31"),
        (f"{{contains: [{LATER}, 5]}}", "should be a sequence", "2018-08-31"),
        (f"{{repeat: {{for_each: {{x: {LATER}, y: a}}, template: x}}}}", "must be lists", "2018-08-31"),
        (f"{{repeat: {{for_each: {{x: {LATER}, y: [80]}}, template: x y}}}}", "the value 80 of 'y'", "2018-08-31"),
        (f"{{repeat: {{for_each: {{y: [80]}}, template: [{LATER}, y]}}}}", "only text can be", "2018-08-31"),
        ("{repeat: {for_each: {y: [80]}, template: {port: y}}}", "the value 80 of 'y'", "2015-10-15"),
        ("{get_file: [a, {get_resource: word}]}", "must be a string", "2018-08-31"),
        (f'{{Fn::Join: ["", [{LATER}, 5]]}}', "Items to join must be strings", "2013-05-23"),
        (f'{{Fn::Replace: [{{$a: {LATER}, $b: [1]}}, "$a"]}}', "param $b is not valid", "2013-05-23"),
        (f'{{Fn::Split: ["", {LATER}]}}', "empty separator", "2013-05-23"),
        (f"{{Fn::Base64: [{LATER}]}}", "must be a string", "2013-05-23"),
        (f"{{Fn::Select: [[1], {LATER}]}}", "must be an integer", "2013-05-23"),
        (f"{{Fn::MemberListToMap: [k, v, [{LATER}, 5]]}}", "must be strings", "2013-05-23"),
    ],
)
def test_a_function_refuses_the_arguments_that_are_known(refused: Refuse, call: str, reason: str, version: str) -> None:
    (problem,) = refused(text(call, version), files={})
    assert problem.startswith("resources.it.properties.value.")
    assert reason in problem


@pytest.mark.parametrize(
    "call",
    [
        f"{{list_join: [{LATER}, [{LATER}, null], {LATER}, [{{a: {LATER}}}]]}}",
        f"{{str_replace: {{template: {LATER}, params: {{$a: {LATER}, $b: [{LATER}]}}}}}}",
        f"{{str_replace: {{template: $a, params: {LATER}}}}}",
        f"{{str_replace_strict: {{template: {LATER}, params: {{a: x, aa: y}}}}}}",
        f"{{str_split: [{LATER}, a, 3]}}",
        f'{{str_split: [",", {LATER}, "-7"]}}',
        f"{{digest: [{LATER}, {LATER}]}}",
        f"{{make_url: {{scheme: http, host: {LATER}, port: {LATER}, query: {{a: {LATER}}}}}}}",
        f"{{map_merge: [{LATER}, null, {{a: {LATER}}}]}}",
        f"{{map_merge: {LATER}}}",
        f"{{map_replace: [{LATER}, {{keys: {LATER}, values: {{a: {LATER}}}}}]}}",
        f"{{filter: [{LATER}, {LATER}]}}",
        f"{{list_concat: [{LATER}, [{LATER}], null]}}",
        f"{{contains: [{LATER}, {LATER}]}}",
        f"{{repeat: {{for_each: {{x: {LATER}, y: [a, b]}}, template: {{x: y}}, permutations: false}}}}",
        f"{{repeat: {{for_each: {LATER}, template: x}}}}",
        f"{{repeat: {{for_each: {{x: [1, 2]}}, template: {LATER}}}}}",
    ],
)
def test_a_function_takes_what_may_be_right(translated: Translate, call: str) -> None:
    assert set(translated(text(call, type_name="OS::Heat::Value")).definitions) == {"word", "it"}


@pytest.mark.parametrize(
    ("type_name", "prop", "value", "reason"),
    [
        ("OS::Neutron::Port", "security_groups", "{a: {get_resource: word}}", "a map is not a list"),
        ("OS::Aodh::Alarm", "query", "{a: {get_resource: word}}", "a map is not a list"),
        ("OS::Nova::Server", "metadata", "[{get_resource: word}]", "a list is not a map"),
        (
            "OS::Nova::Server",
            "networks",
            f'{{list_join: [",", [{LATER}]]}}',
            "text (of the function list_join) is not a list",
        ),
        (
            "OS::Nova::Server",
            "metadata",
            f"{{list_concat: [{LATER}]}}",
            "a list (of the function list_concat) is not a map",
        ),
        ("OS::Nova::Server", "flavor", f"{{map_merge: [{LATER}]}}", "map (of the function map_merge) is not text"),
        (
            "OS::Cinder::Volume",
            "size",
            f"{{list_concat: [{LATER}]}}",
            "list (of the function list_concat) is not a number",
        ),
        ("OS::Heat::Value", "type: number, value", "{a: b}", "is not a number"),
        ("OS::Heat::Value", "type: boolean, value", "perhaps", "Unrecognized value"),
    ],
)
def test_a_value_of_the_wrong_kind_is_found_though_it_is_not_known(
    refused: Refuse, type_name: str, prop: str, value: str, reason: str
) -> None:
    problems = refused(text(value, "2018-08-31", prop, type_name))
    assert any(reason in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        ("boolean", "'yes'", True),
        ("boolean", "'Off'", False),
        ("number", "'5'", 5),
        ("string", "5", "5"),
        ("json", "{a: 1}", {"a": 1}),
        ("comma_delimited_list", "[a]", ["a"]),
    ],
)
def test_a_value_is_turned_into_its_type(translated: Translate, cloud: Any, kind: str, value: str, result: Any) -> None:
    it = translated(text(value, "2018-08-31", f"type: {kind}, value", "OS::Heat::Value")).definitions["it"]
    assert it.resolve(cloud())["value"] == result


def test_mistakes_in_outputs_are_warnings(translated: Translate) -> None:
    made = translated(text("a").rstrip(" ") + f'    outputs: {{o: {{value: {{list_join: ["", [{LATER}, 1]]}}}}}}\n')
    assert [warning.path for warning in made.warnings] == ["outputs.o.value.list_join"]


def test_properties_that_are_the_id_of_a_group_are_no_map(refused: Refuse) -> None:
    made = """
    heat_template_version: 2018-08-31
    resources:
      group: {type: OS::Heat::ResourceGroup, properties: {count: 0, resource_def: {type: OS::Heat::None}}}
      word: {type: OS::Heat::RandomString, properties: {get_resource: group}}
    """
    assert refused(made) == ["resources.word.properties: must be a map, got str"]


@pytest.mark.parametrize("section", ["properties: {value: CALL}", "metadata: {value: CALL}"])
def test_a_call_that_fails_on_the_id_of_a_group_is_found(refused: Refuse, section: str) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources:
      group: {type: OS::Heat::ResourceGroup, properties: {count: 0, resource_def: {type: OS::Heat::None}}}
      value: {type: OS::Heat::TestResource, SECTION}
    """
    call = '{list_join: ["", {get_resource: group}]}'
    (problem,) = refused(text.replace("SECTION", section).replace("CALL", call))
    assert problem.endswith('.value.list_join: "list_join" must operate on a list')


def test_in_an_output_it_is_a_warning(translated: Translate) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources:
      group: {type: OS::Heat::ResourceGroup, properties: {count: 0, resource_def: {type: OS::Heat::None}}}
    outputs: {o: {value: {list_join: ["", {get_resource: group}]}}}
    """
    (warning,) = translated(text).warnings
    assert warning.path == "outputs.o.value.list_join"
