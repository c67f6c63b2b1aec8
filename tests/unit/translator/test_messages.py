"""What a message says of a mistake that many make."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hot_translator import parse_environment, parse_template
from hot_translator.errors import TranslationError

Refuse = Callable[..., list[str]]

HEAD = "heat_template_version: 2018-08-31\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("resources:\n  net: {type: OS::Neutron::Net, properties: {name: {{ name }}}}\n", 3),
        ("resources:\n  net:\n    type: {{ type }}\n", 4),
        ("resources:\n{% for n in names %}\n  {{ n }}: {type: OS::Neutron::Net}\n{% endfor %}\n", 3),
    ],
)
def test_jinja_is_recognised(text: str, line: int) -> None:
    with pytest.raises(TranslationError, match="this is a Jinja template") as error:
        parse_template(HEAD + text)
    assert error.value.line == line


def test_jinja_in_an_environment_and_in_front_of_a_template_is_recognised() -> None:
    with pytest.raises(TranslationError, match="Error parsing environment: this is a Jinja template"):
        parse_environment("parameters:\n  a: {{ a }}\n")
    with pytest.raises(TranslationError, match="this is a Jinja template"):
        parse_template("{% set a = 1 %}\n" + HEAD)


def test_other_mistakes_beside_jinja_in_a_text_are_themselves() -> None:
    text = HEAD + "resources:\n  a:\n    user_data: '{{ ok }}'\n  b: [\n"
    with pytest.raises(TranslationError) as error:
        parse_template(text)
    assert "Jinja" not in error.value.reason


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (
            '{type: string, default: "", constraints: [{allowed_pattern: "[a-z]+"}]}',
            '****** does not match pattern "[a-z]+"',
        ),
        ("{type: string, default: abc, constraints: [{length: {min: 8}}]}", "is out of range (min: 8, max: None)"),
        (
            "{type: string, default: abc, constraints: [{allowed_values: [d, e]}]}",
            '****** is not an allowed value ["d", "e"]',
        ),
        ("{type: number, default: abc}", "****** is not a valid number"),
        ("{type: number, default: 7, constraints: [{range: {max: 5}}]}", "****** is out of range (min: None, max: 5)"),
        ("{type: boolean, default: abc}", "****** is not a valid boolean"),
        ("{type: json, default: '{abc'}", "****** is not a valid json"),
    ],
)
def test_a_hidden_value_does_not_hide_what_it_breaks(refused: Refuse, schema: str, reason: str) -> None:
    hidden = schema.replace("{type", "{hidden: true, type", 1)
    (problem,) = refused(f"{HEAD}parameters: {{p: {hidden}}}\n")
    assert problem.startswith("parameters.p: ")
    assert reason in problem
    assert "abc" not in problem


def test_a_long_list_of_allowed_values_is_cut_and_the_nearest_is_named(refused: Refuse) -> None:
    text = f"{HEAD}resources: {{g: {{type: OS::Neutron::SecurityGroup, properties: {{rules: [{{protocol: TCP}}]}}}}}}\n"
    (problem,) = refused(text)
    assert "[0 to 255, " in problem
    assert problem.endswith(', ... (278 in all)]; did you mean "tcp"?')
    assert len(problem) < 400


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ("[1, 2, 3, 4, 5, 9]", "[1 to 5, 9]"),
        ("[1, 2, 3]", "[1, 2, 3]"),
        ("[a, b]", '["a", "b"]'),
        ("[true, 1, 2, 3, 4]", "[true, 1 to 4]"),
    ],
)
def test_short_lists_are_shown_whole(refused: Refuse, numbers: str, shown: str) -> None:
    kind = "string" if "a" in numbers else "number"
    text = f"{HEAD}parameters: {{p: {{type: {kind}, default: 77, constraints: [{{allowed_values: {numbers}}}]}}}}\n"
    (problem,) = refused(text)
    assert f"is not an allowed value {shown}" in problem


def test_repeat_over_numbers_names_the_property_the_variable_and_the_number(refused: Refuse) -> None:
    text = """
    heat_template_version: 2018-08-31
    resources:
      group:
        type: OS::Neutron::SecurityGroup
        properties:
          rules: {repeat: {for_each: {"%port%": [80, 443]}, template: {port_range_min: "%port%"}}}
    """
    (problem,) = refused(text)
    assert problem.startswith(
        "resources.group.properties.rules.repeat: the value 80 of '%port%' in for_each is no text"
    )
