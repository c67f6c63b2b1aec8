"""What is made of a hidden parameter or file is hidden too, and errors about it tell nothing of it."""

import json
from typing import Any

import pytest

from hot_translator import Pseudo, Translation, TranslationError, parse_environment, parse_template, translate
from kiln.redaction import Redactor
from kiln.stack import outputs

CANARY = "Hunter2,Secret,Zebra=cafe"
PIECES = ["Hunter2", "Secret", "Zebra", "cafe", "HUNTER", "hunter2", "terces"]
SOURCES: dict[str, Any] = {"parameter": {"get_param": "p"}, "file": {"get_file": "key.pem"}}


def run(resources: Any = None, shown: Any = None, *, files: Any = None, **options: Any) -> Translation:
    template = {
        "heat_template_version": "2021-04-16",
        "parameters": {
            "p": {"type": "string", "hidden": True, "default": ""},
            "l": {"type": "comma_delimited_list", "hidden": True, "default": CANARY},
            "j": {"type": "json", "hidden": True, "default": json.dumps({"a": {"b": CANARY}, CANARY: 1})},
        },
        "resources": {"value": {"type": "OS::Heat::Value", "properties": {"value": "x"}}, **(resources or {})},
        "outputs": {name: {"value": value} for name, value in (shown or {}).items()},
    }
    return translate(
        parse_template(json.dumps(template)),
        parameters={"p": CANARY},
        files={"key.pem": CANARY, **(files or {})},
        hidden_files={"key.pem"},
        pseudo=Pseudo("web", "00000000-0000-0000-0000-000000000001", "p", "r"),
        **options,
    )


class Scope:
    """Resources that are there, each attribute of which is as given, or the value ``x``."""

    def __init__(self, **attributes: Any) -> None:
        self.given = attributes

    def reference(self, name: str) -> Any:
        return self.given.get("reference", name)

    def attribute(self, _name: str, attribute: str) -> Any:
        return self.given.get(attribute, "x")

    def attributes(self, _name: str) -> Any:
        return self.given


def made_of(source: Any) -> dict[str, Any]:
    late = {"get_attr": ["value", "value"]}
    return {
        "itself": source,
        "in a list": [1, {"a": source}],
        "list_join": {"list_join": ["-", ["a", source]]},
        "list_join, late": {"list_join": ["-", [late, source]]},
        "str_split": {"str_split": [",", source]},
        "a part": {"str_split": [",", source, 1]},
        "str_replace": {"str_replace": {"template": "x Secret", "params": {"Secret": source}}},
        "str_replace, template": {"str_replace": {"template": source, "params": {"Secret": "x"}}},
        "str_replace, late": {"str_replace": {"template": "a b", "params": {"a": source, "b": late}}},
        "digest": {"digest": ["md5", source]},
        "yaql": {"yaql": {"expression": "$.data.toUpper()", "data": source}},
        "yaql, late": {"yaql": {"expression": "$.data.a.toLower() + $.data.b", "data": {"a": source, "b": late}}},
        "repeat": {"repeat": {"template": "x-%i%", "for_each": {"%i%": {"str_split": [",", source]}}}},
        "map_merge": {"map_merge": [{"a": 1}, {"b": source}]},
        "map_replace": {"map_replace": [{"a": 1}, {"keys": {"a": source}}]},
        "if": {"if": [{"equals": [1, 1]}, source, "x"]},
        "filter": {"filter": [["x"], ["x", source]]},
        "contains": {"contains": ["x", [source]]},
        "list_concat": {"list_concat": [["x"], [source]]},
        "make_url": {"make_url": {"scheme": "http", "host": "h", "query": {"q": source}}},
    }


KINDS = [(source, kind) for source in SOURCES for kind in made_of("")]


@pytest.mark.parametrize(("source", "kind"), KINDS)
def test_an_output_that_is_made_of_a_hidden_value_is_hidden(source: str, kind: str) -> None:
    found = run(shown={"out": made_of(SOURCES[source])[kind]})
    assert found.outputs["out"].hidden
    shown = outputs.resolve(found, Scope(), Redactor())
    assert shown.hidden == ("out",)
    assert shown.values == {}


@pytest.mark.parametrize(("source", "kind"), KINDS)
def test_a_property_that_is_made_of_a_hidden_value_is_marked(source: str, kind: str) -> None:
    found = run(
        {
            "other": {
                "type": "OS::Heat::Value",
                "properties": {"value": made_of(SOURCES[source])[kind]},
            }
        }
    )
    assert found.definitions["other"].hidden_properties == {"value"}


def of(kind: str, **properties: Any) -> dict[str, Any]:
    return {"type": f"OS::{kind}", "properties": properties}


def port(**item: Any) -> dict[str, Any]:
    return of("Neutron::Port", network="n", fixed_ips=[item])


def call(**function: Any) -> dict[str, Any]:
    return of("Heat::Value", value=function)


def keyed(value: Any) -> dict[str, Any]:
    return {"map_replace": [{"a": 1}, {"keys": {"a": value}}]}


def group(count: Any, member: Any) -> dict[str, Any]:
    return of("Heat::ResourceGroup", count=count, resource_def=member)


PLACES: dict[str, Any] = {
    "an integer": lambda value: of("Cinder::Volume", size=value),
    "a boolean": lambda value: of("Neutron::Net", shared=value),
    "a list": lambda value: of("Neutron::Port", network="n", fixed_ips=value),
    "a map": lambda value: of("Nova::Server", flavor="f", metadata=value),
    "a network": lambda value: of("Neutron::Subnet", network="n", cidr=value),
    "one of some words": lambda value: of("Neutron::Subnet", network="n", ip_version=value),
    "an item": lambda value: port(subnet=[value]),
    "a key": lambda value: port(subnet="s", ip_address=keyed(value)),
    "a key of a map": lambda value: of("Neutron::Port", network="n", fixed_ips=[keyed(value)]),
    "all properties": lambda value: {"type": "OS::Neutron::Net", "properties": keyed(value)},
    "a group": lambda value: group(value, of("Neutron::Net")),
    "a member": lambda value: group(1, of("Cinder::Volume", size=value)),
    "a nested template": lambda value: {"type": "inner.yaml", "properties": {"size": value}},
    "a function": lambda value: call(str_split=[value, [1]]),
    "an index": lambda value: call(str_split=[",", "a,b", value]),
    "yaql": lambda value: call(yaql={"expression": "int($.data)", "data": value}),
    "an expression": lambda value: call(yaql={"expression": value, "data": 1}),
    "a digest": lambda value: call(digest=[value, "x"]),
    "a path": lambda value: call(get_attr=["value", value]),
    "a reference": lambda value: call(get_resource=value),
    "a file's name": lambda value: call(get_file=value),
    "a condition": lambda value: call(**{"if": [value, 1, 2]}),
}
PARTS: dict[str, Any] = {
    "whole": {"get_param": "p"},
    "a part": {"str_split": [",", {"get_param": "p"}, 0]},
    "of a file": {"str_split": [",", {"get_file": "key.pem"}, 0]},
    "of a list": {"get_param": ["l", 0]},
    "of a map": {"get_param": ["j", "a", "b"]},
    "a map": {"get_param": "j"},
    "in capitals": {"yaql": {"expression": "$.data.toUpper()", "data": {"get_param": "p"}}},
    "late": {"list_join": ["", [{"get_param": ["l", 0]}, {"get_attr": ["value", "value"]}]]},
}
INNER = json.dumps({
    "heat_template_version": "2021-04-16",
    "parameters": {"size": {"type": "string"}},
    "resources": {"v": {"type": "OS::Cinder::Volume", "properties": {"size": {"get_param": "size"}}}},
})  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("part", PARTS)
def test_no_error_tells_a_part_of_a_hidden_value(place: str, part: str) -> None:
    said = []
    try:
        found = run({"other": PLACES[place](PARTS[part])}, files={"inner.yaml": INNER})
        said += [str(warning) for warning in found.warnings]
        for definition in found.definitions.values():
            try:
                definition.resolve(Scope())
            except TranslationError as error:
                said.append(str(error))
    except TranslationError as error:
        said.append(str(error))
    text = "\n".join(said)
    assert not [piece for piece in PIECES if piece in text], text


def test_a_hidden_value_stays_hidden_in_a_nested_template() -> None:
    inner = json.dumps({
        "heat_template_version": "2021-04-16",
        "parameters": {"a": {"type": "string"}, "b": {"type": "string"}},
        "resources": {"v": {"type": "OS::Heat::Value", "properties": {"value": {"get_param": "a"}}}},
        "outputs": {
            "a": {"value": {"get_param": "a"}},
            "b": {"value": {"get_param": "b"}},
            "v": {"value": {"get_attr": ["v", "value"]}},
        },
    })  # fmt: skip
    late = {"list_join": ["", [{"get_param": ["l", 0]}, {"get_attr": ["value", "value"]}]]}
    for value in ({"get_param": ["l", 0]}, late):
        nested = {"type": "inner.yaml", "properties": {"a": value, "b": "open"}}
        wanted = {name: {"get_attr": ["other", name]} for name in "abv"} | {"all": {"get_attr": ["other"]}}
        found = run({"other": nested}, wanted, files={"inner.yaml": inner})
        assert found.definitions["other/v"].hidden_properties == {"value"}
        shown = outputs.resolve(found, Scope(), Redactor())
        assert shown.hidden == ("a", "all", "v")
        assert shown.values == {"b": "open"}


def test_what_comes_back_as_an_attribute_is_hidden() -> None:
    part = {"str_split": [",", {"get_param": "p"}, 0]}
    resources = {
        "net": {"type": "OS::Neutron::Net", "properties": {"name": part}},
        "server": {"type": "OS::Nova::Server", "properties": {"flavor": "f", "name": {"get_attr": ["net", "name"]}}},
        "key": {"type": "OS::Nova::KeyPair", "properties": {"name": part}},
    }
    wanted = {
        "name": {"get_attr": ["net", "name"]},
        "show": {"get_attr": ["net", "show"]},
        "all": {"get_attr": ["net"]},
        "through": {"get_attr": ["server", "name"]},
        "reference": {"get_resource": "key"},
        "status": {"get_attr": ["net", "status"]},
    }
    shown = outputs.resolve(run(resources, wanted), Scope(name="Hunter2", show={}, status="ACTIVE"), Redactor())
    assert shown.hidden == ("all", "name", "reference", "show", "through")
    assert shown.values == {"status": "ACTIVE"}


def test_a_template_out_of_a_secret_is_not_quoted() -> None:
    for text in (f"heat_template_version: {CANARY}", f"a: !{CANARY}", f"{CANARY}: [", f'"{CANARY}'):
        with pytest.raises(TranslationError) as caught:
            run({"other": {"type": "key.pem"}}, files={"key.pem": text})
        assert not [piece for piece in PIECES if piece in str(caught.value)]


def test_an_environment_s_value_of_a_hidden_parameter_is_hidden() -> None:
    environment = parse_environment({"parameters": {"p": CANARY}})
    template = {
        "heat_template_version": "2021-04-16",
        "parameters": {"p": {"type": "string", "hidden": True}},
        "outputs": {"o": {"value": {"get_param": "p"}}},
    }
    found = translate(parse_template(template), environment=[environment], pseudo=Pseudo("web", "i", "p", "r"))
    assert found.outputs["o"].hidden
    assert CANARY in found.hidden_values
