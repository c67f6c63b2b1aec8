"""What the vectors of Heat do not say of functions: bounds, and arguments that depend on resources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hot_translator import UNKNOWN, ResolutionError, Translation, TranslationError

Translate = Callable[..., Translation]


@pytest.fixture
def value(translated: Translate, cloud: Any) -> Callable[..., Any]:
    """An output's value, with a network ``net`` whose attributes are given."""

    def run(snippet: Any, files: dict[str, str] | None = None, **attributes: Any) -> Any:
        template = f"""
    heat_template_version: 2021-04-16
    parameters:
      j: {{type: json, default: {{a: [1, {{b: c}}]}}}}
    resources: {{net: {{type: OS::Neutron::Net}}}}
    outputs: {{o: {{value: {snippet}}}}}
        """
        output = translated(template, files=files or {}).outputs["o"]
        return output.resolve(cloud({"net": "id"}, {("net", name): item for name, item in attributes.items()}))

    return run


def test_a_path_may_depend_on_a_resource(value: Callable[..., Any]) -> None:
    snippet = "{get_param: [j, a, {get_attr: [net, mtu]}, b]}"
    assert value(snippet) is UNKNOWN
    assert value(snippet, mtu=1) == "c"
    assert value(snippet, mtu=0) == ""


def test_files_are_found_by_key(value: Callable[..., Any]) -> None:
    assert value("{get_file: ./a/../x.txt}", {"x.txt": "text"}) == "text"
    with pytest.raises(ResolutionError, match="No content found"):
        value("{get_file: http://x/y}", {"x.txt": "text"})
    with pytest.raises(ResolutionError, match="must be a string"):
        value("{get_file: [x]}")


def test_a_call_waits_until_all_its_arguments_are_known(value: Callable[..., Any]) -> None:
    snippet = "{str_replace: {template: {get_attr: [net, name]}, params: {a: {get_resource: net}}}}"
    assert value(snippet) is UNKNOWN
    assert value(snippet, name="a-b") == "id-b"
    with pytest.raises(ResolutionError, match="template must be a string"):
        value(snippet, name=None)


def test_a_name_must_be_known_before_anything_is_created(value: Callable[..., Any]) -> None:
    with pytest.raises(ResolutionError, match="must not depend on a resource"):
        value("{get_resource: {get_attr: [net, name]}}")
    with pytest.raises(Exception, match="must be string"):
        value("{get_param: [{get_attr: [net, name]}]}")


def test_a_call_within_a_call_that_fails_is_reported_once(value: Callable[..., Any]) -> None:
    with pytest.raises(ResolutionError) as error:
        value("{list_join: [',', [{str_split: [',', a, 5]}, {get_attr: [net, name]}]]}")
    assert error.value.path == "outputs.o.value.list_join[1][0].str_split"
    with pytest.raises(ResolutionError, match="should be between"):
        value("{get_param: [j, {str_split: [',', a, 5]}]}")
    with pytest.raises(ResolutionError, match="should be between"):
        value("{get_attr: [net, name, {str_split: [',', a, 5]}]}")
    with pytest.raises(ResolutionError, match="should be between"):
        value("{get_resource: {str_split: [',', a, 5]}}")


@pytest.mark.parametrize(
    "snippet",
    [
        "{repeat: {for_each: {" + ", ".join(f"k{n}: [1,2,3,4,5,6,7,8,9,0]" for n in range(8)) + "}, template: x}}",
        "{list_join: ['" + "x" * 2000 + "', " + str(["a"] * 6000).replace("'", "") + "]}",
    ],
)
def test_results_do_not_grow_without_end(value: Callable[..., Any], snippet: str) -> None:
    with pytest.raises(ResolutionError, match="the limit of one value"):
        value(snippet)


@pytest.mark.parametrize(
    ("expression", "data", "expected"),
    [
        ("$.data.where($ =~ 'a.')", ["ab", "b"], ["ab"]),
        ("$.data.where($ !~ 'a.')", ["ab", "b"], ["b"]),
        ("$.data.where($ =~ regex('^A', ignoreCase => true))", ["ab", "b"], ["ab"]),
        ("$.data.where($ !~ regex('^a', multiLine => true, dotAll => true))", ["ab", "b"], ["b"]),
        ("$.data.matches('b$')", "ab", True),
        ("regex('b$').matches($.data)", "ab", True),
        ("regex('a(.)').search($.data)", "xaby", "ab"),
        ("regex('a(.)').search($.data)", "x", None),
        ("regex('a(.)').search($.data, $2.value + $1.value)", "xaby", "bab"),
        ("regex('a(?P<n>.)').searchAll($.data, $n.value)", "abac", ["b", "c"]),
        ("regex('a.').searchAll($.data)", "abac", ["ab", "ac"]),
        ("regex(',').split($.data)", "a,b", ["a", "b"]),
        ("$.data.split(regex(','), 1)", "a,b,c", ["a", "b,c"]),
        ("regex('a').replace($.data, 'x')", "aba", "xbx"),
        ("$.data.replace(regex('a'), 'x', 1)", "aba", "xba"),
        ("regex('a.').replaceBy($.data, $1.value.toUpper())", "abc", "ABc"),
        ("$.data.replaceBy(regex('a.'), $1.value.toUpper())", "abc", "ABc"),
        ("escapeRegex($.data)", "a.b", "a\\.b"),
        ("isRegex(regex(a))", 0, True),
        ("isRegex(a)", 0, False),
        ("pow(2, $.data)", 5, 32),
        ("pow(2, $.data, 5)", 100000, pow(2, 100000, 5)),
        ("shiftBitsLeft(1, $.data)", 4, 16),
        ("range(3).sum() + range(1, 6, 2).sum()", 0, 12),
        ("sequence(1, 2).take(3)", 0, [1, 3, 5]),
        ("$.data.repeat(2)", "a", ["a", "a"]),
        ("$.data.repeat().take(2)", "a", ["a", "a"]),
        ("$.data.cycle().take(3)", [1, 2], [1, 2, 1]),
        ("$.data.toSet()", [2, 1, 2], [1, 2]),
        ("dict(a => $.data)", [1], {"a": [1]}),
    ],
)
def test_yaql(value: Callable[..., Any], expression: str, data: Any, expected: Any) -> None:
    quoted = expression.replace('"', '\\"').replace("\\", "\\\\")
    assert value(f'{{yaql: {{expression: "{quoted}", data: {data!r}}}}}'.replace("None", "null")) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "pow(10, 1000000000)",
        "shiftBitsLeft(1, 100000000000)",
        "range(200).select(range(200).select($).len()).sum()",
        "def(f, switch($ < 2 => 1, true => f($ - 1) + f($ - 2))) -> f(40)",
        "def(f, f($)) -> f(1)",
        "range(10000000000).len()",
        "'a' * 100000000",
        "sequence().where($ < 0).first()",
        "now()",
        "let(a => 1)",
        "1 / 0",
        "$.data.nope",
        "[].first()",
        "regex('(')",
        "nope()",
        "'" + "a" * 30_000 + "'",
        "((",
    ],
)
def test_yaql_that_goes_wrong_or_on_and_on(value: Callable[..., Any], expression: str) -> None:
    with pytest.raises(Exception, match=r"outputs\.o\.value\.yaql: "):
        value(f'{{yaql: {{expression: "{expression}", data: {{}}}}}}')


def test_yaql_of_what_a_resource_gives(value: Callable[..., Any]) -> None:
    snippet = "{yaql: {expression: {get_attr: [net, name]}, data: {a: {get_attr: [net, mtu]}}}}"
    assert value(snippet) is UNKNOWN
    assert value(snippet, name="$.data.a + 1", mtu=1) == 2
    with pytest.raises(ResolutionError, match="must contain a string"):
        value(snippet, name=5, mtu=1)


def test_odd_arguments_of_cloudformations_functions(translated: Translate, cloud: Any) -> None:
    cases = [
        "{Fn::Replace: [x, y]}",
        "{Fn::Replace: text}",
        "{Fn::Replace: [{a: b}]}",
        "{Fn::Split: [',']}",
        "{Fn::Split: text}",
        "{Fn::Split: [5, a]}",
        "{Fn::Split: [',', 5]}",
        "{Fn::Split: [{Ref: AWS::Region}, a]}",
        "{Fn::Base64: [a]}",
        "{Fn::Select: [0]}",
        "{Fn::Select: [0, 5]}",
        "{Fn::Select: [0, '5']}",
        "{Fn::Select: [x, [1]]}",
        "{Fn::Select: [0, {a: 1}]}",
        "{Fn::Select: [0, not json]}",
        "{Fn::MemberListToMap: [a]}",
        "{Fn::MemberListToMap: [a, 5, []]}",
        "{Fn::MemberListToMap: [a, b, [5]]}",
        "{Fn::FindInMap: [a, b]}",
        "{Fn::FindInMap: [a, b, c]}",
        "{Fn::GetAtt: web.name}",
        "{Fn::Join: [',', {a: 1}]}",
        "{Fn::Join: [',', [5]]}",
        "{Fn::Join: [',', [a], [b]]}",
        "{Fn::ResourceFacade: metadata}",
        "{Ref: [a]}",
        "{Ref: nobody}",
    ]
    for case in cases:
        with pytest.raises(TranslationError, match=r"Outputs\.o\.Value"):
            translated(f"HeatTemplateFormatVersion: 2012-12-12\nOutputs: {{o: {{Value: {case}}}}}\n").outputs[
                "o"
            ].resolve(cloud())


def test_odd_values_of_cloudformations_functions(translated: Translate, cloud: Any) -> None:
    cases = {
        "{Fn::Select: [1, [a]]}": "",
        "{Fn::Select: ['0', [a]]}": "a",
        "{Fn::Select: [0, null]}": "",
        "{Fn::Select: [0, 'null']}": "",
        "{Fn::Select: [a, '{\"a\": 1}']}": 1,
        "{Fn::MemberListToMap: [N, V, ['.member.1.N=b', '.member.1.V=2=3', 'x=y', '.member.0.N=a']]}": {"b": "2=3"},
        "{Fn::MemberListToMap: [N, V, '']}": {},
        "{Fn::GetAZs: x}": ["nova"],
        "{Fn::Base64: text}": "text",
    }
    for case, expected in cases.items():
        output = translated(f"HeatTemplateFormatVersion: 2012-12-12\nOutputs: {{o: {{Value: {case}}}}}\n").outputs["o"]
        assert output.resolve(cloud()) == expected, case


def test_odd_arguments_of_hots_functions(value: Callable[..., Any]) -> None:
    cases = [
        "{str_replace: {template: a}}",
        "{str_replace: {template: a, params: [1]}}",
        "{str_replace: {template: a, params: {1: x}}}",
        "{str_replace: {template: 5, params: {a: x}}}",
        "{str_replace_vstrict: {template: a, params: {a: {}}}}",
        "{str_split: {a: 1}}",
        "{str_split: [',']}",
        "{str_split: [',', 5]}",
        "{str_split: [',', a, x]}",
        "{digest: [md5]}",
        "{digest: [nope, x]}",
        "{digest: [md5, 5]}",
        "{make_url: text}",
        "{make_url: {nope: 1}}",
        "{make_url: {port: x}}",
        "{make_url: {port: 0}}",
        "{make_url: {query: x}}",
        "{make_url: {host: 5}}",
        "{make_url: {scheme: 'a:'}}",
        "{list_join: ','}",
        "{list_join: [',']}",
        "{list_join: [',', a]}",
        "{list_join: [5, [a]]}",
        "{list_join: [',', [5]]}",
        "{list_concat: text}",
        "{list_concat: [text]}",
        "{map_merge: {a: 1}}",
        "{map_merge: [text]}",
        "{map_replace: [{}]}",
        "{map_replace: [x, {}]}",
        "{map_replace: [{a: 1}, {nope: {}}]}",
        "{map_replace: [{a: 1, b: 2}, {keys: {a: b}}]}",
        "{filter: [[a]]}",
        "{filter: text}",
        "{filter: [[a], text]}",
        "{filter: [text, [a]]}",
        "{contains: [a]}",
        "{contains: text}",
        "{contains: [a, 5]}",
        "{repeat: text}",
        "{repeat: {template: a}}",
        "{repeat: {template: a, for_each: [1]}}",
        "{repeat: {template: a, for_each: {}}}",
        "{repeat: {template: a, for_each: {x: 5}}}",
        "{repeat: {template: a, for_each: {x: [1], y: [1, 2]}, permutations: false}}",
        "{repeat: {template: a, for_each: {x: [1]}, permutations: maybe}}",
        "{if: [true]}",
        "{if: [nobody, 1, 2]}",
        "{if: [{not: null}, 1, 2]}",
        "{get_attr: []}",
        "{get_attr: net}",
        "{get_attr: [[net], name]}",
        "{get_attr: [net, [name]]}",
        "{get_attr: [nobody, name]}",
        "{get_param: []}",
        "{get_param: {a: 1}}",
        "{Ref: net}",
        "{resource_facade: nope}",
        "{yaql: text}",
        "{yaql: {data: 1}}",
        "{yaql: {expression: 5}}",
    ]
    for case in cases:
        with pytest.raises(TranslationError, match=r"^outputs\.o\.value"):
            value(case)


def test_lists_with_what_cannot_be_hashed_are_made_unique_too(value: Callable[..., Any]) -> None:
    assert value("{list_concat_unique: [[{a: 1}, 1], [{a: 1}, 1.0, true]]}") == [{"a": 1}, 1]
    assert value("{list_concat_unique: [[1, 2], [2, 1]]}") == [1, 2]
