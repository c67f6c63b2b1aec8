from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hot_translator.errors import InvalidTemplate
from hot_translator.loader import MAX_TEXT_SIZE, check_plain, load, locate


class HeatsLoader(yaml.SafeLoader):
    """PyYAML as Heat sets it up: timestamps stay text."""


HeatsLoader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))

WORDS = (  # noqa: SIM905 - words read better as words
    "yes No on off y n true FALSE ~ null 1 0x1F 0o17 017 0b11 1_000 1.5 1e3 1.e+3 .5 .inf -.INF .nan 22:22 1:30:00 "
    "190:20:30.15 2013-05-23 2001-12-14t21:59:43.10-05:00 'quoted' é +12 -0 1e400 0x 0b _ 1__0 + - . 0.0.0.0"
).split(" ")
SCALARS = st.one_of(
    st.sampled_from([*WORDS, "", "- a", '"a\\tb"', "!!str 5", "!!int '7'", "!!float 3", "a b"]),
    st.text(alphabet="abc:01. -_", max_size=6),
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


@given(SCALARS)
def test_a_scalar_is_read_as_pyyaml_reads_it(scalar: str) -> None:
    text = f"key: {scalar}\n"
    try:
        expected = yaml.load(text, HeatsLoader)
    except (yaml.YAMLError, ValueError, IndexError):
        with pytest.raises(InvalidTemplate):
            load(text)
        return
    assert same(load(text), expected)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=4), st.sampled_from(["on", "1:1"])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=12,
    ),
    st.sampled_from([True, False, None]),
)
def test_what_pyyaml_writes_is_read_back(data: Any, flow: Any) -> None:
    text = yaml.safe_dump({"data": data}, default_flow_style=flow, sort_keys=False)
    assert same(load(text), {"data": data})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base: &b {a: 1, c: 2}\nx:\n  <<: *b\n  a: 3\n", {"a": 3, "c": 2}),
        ("x:\n  a: 3\n  <<: [{a: 1, b: 1}, {b: 2, d: 4}]\n", {"a": 3, "b": 1, "d": 4}),
        ("x: !!set {a, b}\n", ["a", "b"]),
        ("x: !!omap [a: 1, b: 2]\n", [["a", 1], ["b", 2]]),
        ("x: !!binary aGk=\n", "hi"),
        ("x: &a [1, *b]\n".replace("*b", "2") + "y: *a\n", [1, 2]),
        ("x: !!map {a: 1}\n", {"a": 1}),
        ("x: [<<]\n", ["<<"]),
        ("x: {a: <<}\n", {"a": "<<"}),
        ("x: &s text\ny: *s\n", "text"),
        ("? x\n: 1\n", 1),
        ("x: ! 12\n", 12),
    ],
)
def test_what_yaml_has_besides(text: str, expected: Any) -> None:
    assert load(text)["x"] == expected


def test_a_set_keeps_the_order_of_its_text() -> None:
    assert load("x: !!set {c, a, b}\n")["x"] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!Ref web", {"Ref": "web"}),
        ("!GetAtt web.first.address", {"Fn::GetAtt": ["web", "first.address"]}),
        ("!GetAtt [web, address]", {"Fn::GetAtt": ["web", "address"]}),
        ("!Join [',', [a, !Ref b]]", {"Fn::Join": [",", ["a", {"Ref": "b"}]]}),
        ("!Select [0, !Split [',', 'a,b']]", {"Fn::Select": [0, {"Fn::Split": [",", "a,b"]}]}),
        ("!Base64 text", {"Fn::Base64": "text"}),
        ("!Equals\n  - 1\n  - '1'", {"Fn::Equals": [1, "1"]}),
        ("!If [c, 1, 2]", {"Fn::If": ["c", 1, 2]}),
        ("!Not [!Condition c]", {"Fn::Not": ["c"]}),
        ("!MemberListToMap\n  a: 1", {"Fn::MemberListToMap": {"a": 1}}),
    ],
)
def test_short_tags_become_functions(text: str, expected: Any) -> None:
    assert load(f"x: {text}\n")["x"] == expected


@pytest.mark.parametrize(
    ("text", "reason", "line", "column"),
    [
        ("a: 1\nb: !Sub '${x}'\n", "the tag !Sub is not known: Heat has no function Fn::Sub", 2, 4),
        ("a: !!python/object:os.system x\n", "is not known", 1, 4),
        ("a: &x [*x]\n", "contains itself", 1, 8),
        ("a: *nope\n", "undefined alias", 1, 4),
        ("a: &x 1\nb: &x 2\n", "duplicate anchor", 2, 4),
        ("a: [1\nb: 2\n", "did not find expected", 2, 2),
        ("? [a]\n: 1\n", "a key must not be a list or a map", 1, 3),
        ("a: {<<: 1}\n", "a merge key", 1, 9),
        ("a: 1\n---\nb: 2\n", "expected a single document", 2, 1),
        ("a: !!int x\n", "'x' is not a valid int", 1, 4),
        ("- a\n", "is not a JSON object or YAML mapping", 1, 1),
        ("a:\n\t- b\n", "found character that cannot start any token", 2, 1),
    ],
)
def test_errors_say_what_and_where(text: str, reason: str, line: int, column: int) -> None:
    with pytest.raises(InvalidTemplate, match=r"(?s).*") as error:
        load(text, source="file.yaml")
    assert reason in error.value.reason
    assert (error.value.line, error.value.column, error.value.source) == (line, column, "file.yaml")


def test_characters_that_yaml_forbids_are_an_error() -> None:
    with pytest.raises(InvalidTemplate, match="Error parsing template"):
        load("a: \x00\n")


def test_an_empty_text_is_an_empty_map() -> None:
    assert load("# nothing\n") == {}


def test_json_is_read_as_json() -> None:
    assert load('{"a": [1, NaN, "y"], "a": {"b": 2}}') == {"a": {"b": 2}}


def test_json_that_is_none_is_tried_as_yaml() -> None:
    assert load("{a: 1}") == {"a": 1}


def test_alias_bombs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(InvalidTemplate, match="the aliases expand to more than"):
        load("\n".join(lines))


@pytest.mark.parametrize(
    "text", ["[" * 5000, "{a: " * 5000, "- " * 5000, "\n".join(" " * n + "a:" for n in range(300))]
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(InvalidTemplate):
        load(f"x: {text}" if text[0] in "[{" else text)


def test_deep_json_is_refused() -> None:
    with pytest.raises(InvalidTemplate, match="nested deeper"):
        load('{"a":' * 150 + "1" + "}" * 150)


def test_given_data_is_bounded_as_text_is() -> None:
    deep: Any = {}
    for _ in range(200):
        deep = {"a": deep}
    with pytest.raises(InvalidTemplate, match="nested no deeper"):
        check_plain(deep, "template")
    with pytest.raises(InvalidTemplate, match="must be a map"):
        check_plain([], "template")


def test_a_huge_text_is_refused() -> None:
    with pytest.raises(InvalidTemplate, match="larger than"):
        load("#" * (MAX_TEXT_SIZE + 1))


TEXT = """\
resources:
  a.b:
    type: X
    properties:
      list:
        - one
        - {two: 2}
  a: {type: Y}
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("resources.a.b.type", (3, 5)),
        ("resources.a.type", (8, 7)),
        ("resources.a.b.properties.list[1].two", (7, 12)),
        ("resources.a.b.properties.list[0]", (6, 11)),
        ("resources.a.b.properties.list[7]", (5, 7)),
        ("resources.a.b.properties.nope.x", (4, 5)),
        ("resources.a<inner.yaml>.resources", (8, 3)),
        ("", (1, 1)),
    ],
)
def test_a_path_is_found_in_the_text(path: str, place: tuple[int, int]) -> None:
    assert locate(TEXT, path) == place


@pytest.mark.parametrize("text", ["", "a: [", "[" * 3000])
def test_no_place_is_found_in_a_text_that_cannot_be_read(text: str) -> None:
    assert locate(text, "a") is None


def test_errors_survive_pickling() -> None:
    error = InvalidTemplate("a.b", "reason", line=3, column=4, source="f")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.line, again.column, again.source) == ("a.b: reason", 3, 4, "f")
    assert str(copy.copy(InvalidTemplate("", "reason"))) == "reason"


@pytest.mark.parametrize(
    "number",
    ["0x" + "f" * 6000, "0" + "7" * 6000, "0b" + "1" * 20_000, ":".join(["59"] * 3000), "9" * 5000, "-0x" + "f" * 4000],
)
def test_an_integer_that_no_text_can_hold_is_refused(number: str) -> None:
    with pytest.raises(InvalidTemplate):
        load(f"a: {number}")
