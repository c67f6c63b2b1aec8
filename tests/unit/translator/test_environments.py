from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hot_translator import (
    Environment,
    InvalidTemplate,
    Translation,
    TranslationError,
    merge_environments,
    parse_environment,
    parse_template,
)
from hot_translator.registry import Implementation, Registry

Translate = Callable[..., Translation]

SCHEMAS = parse_template(
    """
heat_template_version: 2018-08-31
parameters:
  s: {type: string}
  n: {type: number}
  j: {type: json}
  l: {type: comma_delimited_list}
  b: {type: boolean}
"""
).parameters


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("paramters: {}", "paramters", 'wrong section "paramters"'),
        ("parameters:", "parameters", 'empty section "parameters"'),
        ("parameters: [1]", "parameters", "must be a map"),
        ("event_sinks: {}", "event_sinks", "must be a list"),
        ("event_sinks: [{}]", "event_sinks[0]", "at least a type"),
        ("resource_registry: {a: [1]}", "resource_registry.a", "mapped to the name"),
        ("resource_registry: {1: a}", "resource_registry.1", "must be text"),
        ("resource_registry: {resources: [1]}", "resource_registry.resources", "must be a map"),
        (
            "resource_registry: {resources: {r: {hooks: pre-crate}}}",
            "resource_registry.resources.r.hooks",
            "pre-create",
        ),
        ("resource_registry: {resources: {r: {x: {hooks: 5}}}}", "resource_registry.resources.r.x.hooks", "5"),
        (
            "resource_registry: {resources: {r: {restricted_actions: [delete]}}}",
            "resource_registry.resources.r.restricted_actions",
            "update, replace",
        ),
    ],
)
def test_wrong_environments(text: str, path: str, reason: str) -> None:
    with pytest.raises(InvalidTemplate) as error:
        parse_environment(text, name="env.yaml")
    assert (error.value.path, error.value.source) == (path, "env.yaml")
    assert reason in error.value.reason


def test_an_environment_from_data_or_text() -> None:
    assert parse_environment({"parameters": {"a": 1}}).parameters == {"a": 1}
    assert parse_environment("event_sinks: [{type: zaqar-queue, target: q}]").event_sinks[0]["target"] == "q"
    with pytest.raises(TranslationError):
        parse_environment("- a")


def merged(*environments: dict[str, Any]) -> Environment:
    return merge_environments([parse_environment(one) for one in environments], SCHEMAS)


def strategy(name: str, *values: Any) -> Any:
    """One parameter's value after merging it from several files with ``merge`` or ``deep_merge``."""
    parameter = {dict: "j", list: "l", int: "n", float: "n", str: "s", bool: "b"}[type(values[0])]
    files = [
        {"parameters": {parameter: value, "x": 1}, "parameter_merge_strategies": {parameter: name}} for value in values
    ]
    return merged(*files).parameters[parameter]


def test_a_later_file_overwrites() -> None:
    assert merged({"parameters": {"s": "a", "n": 1}}, {"parameters": {"s": "b"}}).parameters == {"s": "b", "n": 1}


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("merge", ("a", "b", "c"), "abc"),
        ("merge", (1, 2.5), 3.5),
        ("merge", (["a"], ["b"]), ["a", "b"]),
        ("merge", (["a"], "b"), "a,b"),
        ("merge", ({"a": {"b": 1}, "k": 1}, {"a": {"c": 2}, "n": None}), {"a": {"c": 2}, "k": 1}),
        ("deep_merge", ({"a": {"b": 1}, "k": 1}, {"a": {"c": 2}}), {"a": {"b": 1, "c": 2}, "k": 1}),
        ("deep_merge", ({"a": [1], "t": "x", "o": 1}, {"a": [2], "t": "y", "o": 2}), {"a": [1, 2], "t": "xy", "o": 2}),
        ("deep_merge", ({"a": 1}, '{"b": 2}'), {"a": 1, "b": 2}),
        ("deep_merge", ({}, {"b": 2}), {"b": 2}),
        ("bogus", ("a", "b"), "b"),
    ],
)
def test_strategies(name: str, values: tuple[Any, ...], expected: Any) -> None:
    assert strategy(name, *values) == expected


def test_merging_leaves_the_files_as_they_are() -> None:
    first = {"parameters": {"j": {"a": {"b": 1}}}, "parameter_merge_strategies": {"default": "deep_merge"}}
    second = {"parameters": {"j": {"a": {"c": 1}}}, "parameter_merge_strategies": {"default": "deep_merge"}}
    merged(first, second, second)
    assert first["parameters"] == {"j": {"a": {"b": 1}}}


def test_text_lists_are_joined() -> None:
    one = {"parameters": {"l": "a,b"}, "parameter_merge_strategies": {"l": "merge"}}
    other = {"parameters": {"l": "c"}, "parameter_merge_strategies": {"l": "merge"}}
    as_list = {"parameters": {"l": ["c"]}, "parameter_merge_strategies": {"l": "merge"}}
    assert merged(one, other).parameters["l"] == "a,b,c"
    assert merged(one, as_list).parameters["l"] == ["a", "b", "c"]
    assert merged({"parameters": {"s": "x"}}, one).parameters["l"] == "a,b"


def test_parameters_of_no_template_are_left_out_of_later_files() -> None:
    result = merged({"parameters": {"zz": 1}}, {"parameters": {"yy": 2, "s": None}})
    assert result.parameters == {"zz": 1}


def test_files_must_agree_on_a_strategy() -> None:
    with pytest.raises(InvalidTemplate, match="Conflicting merge strategy 'overwrite' for parameter 's'"):
        merged(
            {"parameters": {"s": "a"}, "parameter_merge_strategies": {"s": "merge"}},
            {"parameters": {"s": "b"}, "parameter_merge_strategies": {"s": "overwrite"}},
        )


@pytest.mark.parametrize("values", [(True, False), ("a", 5), ({"a": 1}, [1])])
def test_what_cannot_be_merged(values: tuple[Any, ...]) -> None:
    with pytest.raises(TranslationError, match=r"parameters\.[bsj]: "):
        strategy("merge", *values)


def test_registries_are_merged_by_entry_and_sinks_in_order() -> None:
    result = merged(
        {"resource_registry": {"a": "x", "b": "y"}, "event_sinks": [{"type": "t", "n": 1}]},
        {"resource_registry": {"b": "z", "a": None}, "event_sinks": [{"type": "t", "n": 2}]},
    )
    assert result.resource_registry == {"a": "x", "b": "z"}
    assert [sink["n"] for sink in result.event_sinks] == [1, 2]


def test_environments_are_merged_over_the_parameters_of_the_whole_tree(translated: Translate) -> None:
    inner = "heat_template_version: 2018-08-31\nparameters: {i: {type: string}}\n"
    outer = """
    heat_template_version: 2018-08-31
    parameters: {p: {type: string}}
    resources: {n: {type: in.yaml}}
    """
    environments = [
        parse_environment({"parameters": {"p": "a"}, "parameter_merge_strategies": {"default": "merge"}}),
        parse_environment({"parameters": {"p": "b"}, "parameter_merge_strategies": {"default": "merge"}}),
        parse_environment({"parameter_defaults": {"i": "x"}, "event_sinks": [{"type": "t"}]}),
    ]
    files = {"in.yaml": inner, "broken": "heat_template_version: [", "note.txt": "text"}
    translation = translated(outer, environment=environments, files=files)
    assert translation.parameters["p"].value == "ab"
    assert translation.event_sinks == ({"type": "t"},)
    assert (
        translated(outer, environment=environments[2:], files=files, parameters={"p": "c"}).parameters["p"].value == "c"
    )


def name_of(registry: dict[str, Any], type_name: str, resource: str | None = None) -> str | None:
    found = Registry.of(registry).implementation(type_name, resource)
    return found.name if found else None


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ({}, "OS::Nova::Server"),
        ({"OS::Nova::Server": "OS::Heat::None"}, "OS::Heat::None"),
        ({"OS::Nova::Server": "my.yaml"}, "my.yaml"),
        ({"OS::Nova::Server": "My::T", "My::T": "OS::Heat::Value"}, "OS::Heat::Value"),
        ({"OS::Nova*": "OS::Neutron::Port"}, "OS::Neutron::Port"),
        ({"OS::Nova::Ser*": "OS::Heat::Val*", "OS::Heat::Valver": "OS::Heat::Value"}, "OS::Heat::Value"),
        ({"OS::Nova*": "my.yaml"}, "OS::Nova::Server"),
        ({"OS::Nova::Server": "No::Such"}, "OS::Nova::Server"),
        ({"OS::Nova::Server": "OS::Heat::None", "OS::Nova*": None}, "OS::Nova::Server"),
        ({"OS::Nova::Server": "OS::Heat::None", "OS::Other": None}, "OS::Heat::None"),
        ({"OS::Nova::Server": None}, "OS::Nova::Server"),
        ({"resources": {"web": {"OS::Nova::Server": "web.yaml"}}, "OS::Nova::Server": "OS::Heat::None"}, "web.yaml"),
        ({"resources": {"web": {"hooks": "pre-create"}}, "base_url": "x"}, "OS::Nova::Server"),
        ({"My::A": "My::B", "My::B": "My::A", "OS::Nova::Server": "My::A"}, "OS::Nova::Server"),
    ],
)
def test_what_a_type_stands_for(registry: dict[str, Any], expected: str) -> None:
    assert name_of(registry, "OS::Nova::Server", "web") == expected


def test_heats_default_environment_counts_last() -> None:
    assert name_of({}, "OS::Quantum::Net") == "OS::Neutron::Net"
    assert name_of({"OS::Neutron::Net": "OS::Heat::None"}, "OS::Quantum::Net") == "OS::Neutron::Net"
    alarm = Registry.of({}).implementation("AWS::CloudWatch::Alarm")
    assert alarm is not None
    assert alarm.is_template
    assert name_of({}, "No::Such") is None
    assert name_of({}, "any.template") == "any.template"


def test_hooks_and_restrictions_by_name_and_pattern() -> None:
    registry = Registry.of(
        {
            "resources": {
                "web_*": {"hooks": ["pre-create", "post-delete"]},
                "*": {"restricted_actions": "update"},
                "x": "y",
            }
        }
    )
    assert registry.hooks("web_1") == {"pre-create", "post-delete"}
    assert registry.hooks("db") == frozenset()
    assert registry.restricted_actions("db") == {"update"}


def test_a_childs_registry() -> None:
    registry = Registry.of(
        {
            "My::T": "my.yaml",
            "resources": {"web": {"inner": {"hooks": "pre-create"}, "My::U": "u.yaml"}, "w*": {"deep": {}}, "db": {}},
        }
    )
    child = registry.child(Implementation("my.yaml", is_template=True, entry=("My::T",)), "web")
    assert child.types == {}
    assert set(child.resources) == {"inner", "My::U", "deep"}
    assert child.hooks("inner") == {"pre-create"}
    other = registry.child(Implementation("u.yaml", is_template=True, entry=("resources", "web", "My::U")), "web")
    assert "My::U" not in other.resources
    assert other.types == {"My::T": "my.yaml"}
