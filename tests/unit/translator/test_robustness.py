"""Whatever comes in: a translation, or a TranslationError with a path; nothing else, and soon."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hot_translator import Pseudo, Translation, TranslationError, parse_environment, parse_template, translate
from hot_translator.expression import UNKNOWN
from hot_translator.versions import VERSIONS

PSEUDO = Pseudo("stack", "id", "project", "region")
FILES = {"in.yaml": "heat_template_version: 2018-08-31\nparameters: {p: {type: string, default: x}}\n", "f": "text"}
FUNCTIONS = sorted({name for version in VERSIONS.values() for name in {**version.functions, **version.in_conditions}})
WORDS = st.sampled_from(
    # ruff: noqa: SIM905 - words read better as words
    "a net p j c value name template params for_each expression data keys %x% type properties constraints default "
    "length min resources hooks OS::Heat::None in.yaml".split(" ")
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=4), WORDS)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(WORDS, st.integers(0, 2), st.none()), inner, max_size=3),
        st.builds(lambda name, args: {name: args}, st.sampled_from(FUNCTIONS), inner),
    ),
    max_leaves=10,
)


class Cloud:
    """Every resource is there, and every attribute is the same odd thing."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def reference(self, name: str) -> Any:
        return f"id-{name}"

    def attribute(self, name: str, attribute: str) -> Any:
        return self._value

    def attributes(self, name: str) -> Any:
        return {"all": self._value}


def use(translation: Translation, value: Any) -> None:
    """Everything that can be asked of a translation."""
    for scope in (Cloud(value), Cloud(UNKNOWN)):
        for part in [*translation.definitions.values(), *translation.outputs.values()]:
            try:
                part.resolve(scope)
            except TranslationError as error:
                check(error)
    assert set(translation.order) == set(translation.definitions)
    assert sorted(name for wave in translation.waves() for name in wave) == sorted(translation.order)


def check(error: TranslationError) -> None:
    """Every problem says where, and what."""
    assert error.problems
    assert all(problem.path and problem.reason for problem in error.problems)


def run(template: Any, environment: Any = None, value: Any = None) -> None:
    try:
        environments = [] if environment is None else [parse_environment(environment)]
        use(translate(parse_template(template), environment=environments, files=FILES, pseudo=PSEUDO), value)
    except TranslationError as error:
        check(error)


QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@QUICK
@given(st.sampled_from(sorted({value for key, value in VERSIONS if key == "heat_template_version"})), DATA, DATA, DATA)
def test_any_value_anywhere_in_hot(version: str, one: Any, two: Any, three: Any) -> None:
    template = {
        "heat_template_version": version,
        "parameters": {"p": {"type": "string", "default": "x"}, "j": {"type": "json", "default": {"a": [1]}}},
        "resources": {
            "net": {"type": "OS::Neutron::Net", "properties": {"name": one}},
            "v": {"type": "OS::Heat::Value", "properties": {"value": two}},
            "g": {
                "type": "OS::Heat::ResourceGroup",
                "properties": {"count": 1, "resource_def": {"type": "OS::Heat::Value", "properties": {"value": three}}},
            },
            "n": {"type": "in.yaml", "properties": {"p": two}},
        },
        "outputs": {"o": {"value": three}, "a": {"value": {"get_attr": ["net", "name", one]}}},
    }
    run(template, value=one)


@QUICK
@given(st.sampled_from(sorted({key for key in VERSIONS if key[0] != "heat_template_version"})), DATA, DATA)
def test_any_value_anywhere_in_cloudformation(version: tuple[str, str], one: Any, two: Any) -> None:
    template = {
        version[0]: version[1],
        "Parameters": {"p": {"Type": "String", "Default": "x"}},
        "Mappings": {"a": {"a": {"a": 1}}},
        "Resources": {"net": {"Type": "OS::Neutron::Net", "Properties": {"name": one}, "Metadata": two}},
        "Outputs": {"o": {"Value": two}},
    }
    run(template, value=one)


SECTIONS = ("parameters", "resources", "outputs", "conditions", "parameter_groups", "description", "nope")
FIELDS = (
    "type",
    "properties",
    "metadata",
    "depends_on",
    "deletion_policy",
    "update_policy",
    "external_id",
    "condition",
)


@QUICK
@given(st.dictionaries(st.sampled_from(SECTIONS), DATA, max_size=4))
def test_any_section(sections: dict[str, Any]) -> None:
    run({"heat_template_version": "2021-04-16", **sections})


@QUICK
@given(st.dictionaries(st.sampled_from(FIELDS), DATA, max_size=4), st.dictionaries(WORDS, DATA, max_size=3), DATA)
def test_any_resource_parameter_condition_and_output(
    resource: dict[str, Any], other: dict[str, Any], data: Any
) -> None:
    resource.setdefault("type", "OS::Heat::Value")
    template = {
        "heat_template_version": "2021-04-16",
        "parameters": {"p": {"type": "string", **other}},
        "conditions": {"c": data},
        "resources": {"r": resource, "g": {"type": "OS::Heat::AutoScalingGroup", "properties": other}},
        "outputs": {"o": {"value": data, "condition": data}},
    }
    run(template)


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(["parameters", "parameter_defaults", "parameter_merge_strategies", "resource_registry", "x"]),
        DATA,
        max_size=3,
    )
)
def test_any_environment(environment: dict[str, Any]) -> None:
    run({"heat_template_version": "2021-04-16", "parameters": {"p": {"type": "string"}}}, environment)


@QUICK
@given(st.text(alphabet="{}[]:,-&*!|>'\"#%@?\n \tab12<", max_size=40))
def test_any_text(text: str) -> None:
    run(text)
    run(f"heat_template_version: 2021-04-16\nresources:\n  a: {text}")


@pytest.mark.parametrize(
    "snippet",
    [
        "{get_param: " * 60 + "p" + "}" * 60,
        "{if: [true, " * 45 + "1" + ", 2]}" * 45,
        "{list_concat: [" * 45 + "]}" * 45,
    ],
)
def test_deep_calls(snippet: str) -> None:
    run(f"heat_template_version: 2021-04-16\noutputs: {{o: {{value: {snippet}}}}}\n")


def test_calls_that_double_through_aliases_are_bounded() -> None:
    lines = ["heat_template_version: 2021-04-16", "outputs:", "  a0: {value: &a0 {list_join: ['', [x, y]]}}"]
    lines += [f"  a{n}: {{value: &a{n} {{list_join: ['', [*a{n - 1}, *a{n - 1}]]}}}}" for n in range(1, 30)]
    with pytest.raises(TranslationError, match="aliases expand"):
        parse_template("\n".join(lines))
