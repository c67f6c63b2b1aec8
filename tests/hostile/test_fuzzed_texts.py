"""Texts that a tenant writes: whatever is in them, the answer is a value or an error of the reader's own.

Templates, environments, parameters and clouds.yaml are made of the words of their languages in odd places, of YAML's
odd forms, and of noise. How many were tried, and what came of them, is printed.
"""

import json
import os
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hot_translator import Pseudo, TranslationError, parse_environment, parse_template, translate
from hot_translator.budget import limited
from kiln.clouds import credentials
from kiln.clouds.credentials import CredentialsError

EXAMPLES = int(os.environ.get("FUZZ", "400"))
SLOWEST = 5.0
"""Seconds for one text; the machine may be busy with others."""
COUNTS: Counter[str] = Counter()
PSEUDO = Pseudo("web", "00000000-0000-0000-0000-000000000001", "p", "r")
fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

SCALARS = [
    *(
        "x",
        "",
        "0x1f",
        "0x" + "f" * 6000,
        "9" * 5000,
        "1:30",
        ":".join(["59"] * 3000),
        "1e999",
        ".inf",
        ".nan",
        "~",
        "yes",
    ),
    *(
        "!x",
        "!!x y",
        "*a",
        "&a x",
        "<<",
        "2025-13-45",
        "!!binary x",
        "!!set {a}",
        "!!python/name:os.system",
        "|",
        ">",
        "? x",
    ),
    *(
        '"\\ud800"',
        '"\\x1b[2J"',
        "'x",
        '"x',
        "[",
        "{",
        "]",
        "%TAG ! x",
        "--- x",
        "...",
        "\t",
        "@",
        "`",
        "\x00",
        "\ud800",
        "é🔑",
    ),
    *(
        "{get_param: p}",
        "{get_attr: [a, b]}",
        "{get_file: f}",
        "{yaql: {expression: '$', data: 1}}",
        "{Ref: p}",
        "[1, {a: 2}]",
    ),
]
WORDS = [
    *("heat_template_version", "2021-04-16", "2013-05-23", "AWSTemplateFormatVersion", "HeatTemplateFormatVersion"),
    *(
        "parameters",
        "resources",
        "outputs",
        "conditions",
        "parameter_groups",
        "description",
        "type",
        "properties",
        "value",
    ),
    *("default", "constraints", "length", "range", "allowed_values", "allowed_pattern", "custom_constraint", "hidden"),
    *("OS::Heat::Value", "OS::Neutron::Net", "OS::Nova::Server", "OS::Heat::ResourceGroup", "inner.yaml", "count"),
    *(
        "get_param",
        "get_attr",
        "get_resource",
        "get_file",
        "str_replace",
        "list_join",
        "repeat",
        "yaql",
        "if",
        "digest",
    ),
    *(
        "str_split",
        "map_merge",
        "equals",
        "not",
        "and",
        "depends_on",
        "resource_def",
        "parameter_defaults",
        "string",
        "json",
    ),
    *(
        "resource_registry",
        "encrypted_param_names",
        "event_sinks",
        "parameter_merge_strategies",
        "deep_merge",
        "number",
    ),
    *(
        "clouds",
        "demo",
        "auth",
        "auth_url",
        "https://k/v3",
        "password",
        "username",
        "project_name",
        "region_name",
        "verify",
    ),
    *("auth_type", "token", "identity_api_version", "compute_endpoint_override", "interface", "p", "a", "b", "x"),
]
texts = st.sampled_from(SCALARS) | st.sampled_from(WORDS) | st.text(max_size=20)
keys = st.sampled_from(WORDS) | st.text(max_size=5) | st.integers() | st.none() | st.booleans()
leaves = (
    texts | st.integers() | st.floats() | st.none() | st.booleans() | st.sampled_from([2**63 - 1, -(2**63), {}, []])
)
values: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=25
)
words = st.sampled_from(WORDS)
calls = st.dictionaries(
    st.sampled_from(
        ["get_param", "get_attr", "str_split", "list_join", "yaql", "if", "repeat", "str_replace", "digest"]
    ),
    values,
    min_size=1,
    max_size=1,
)
sections = st.fixed_dictionaries(
    {"heat_template_version": st.sampled_from(["2021-04-16", "2013-05-23", "2016-10-14"])},
    optional={
        "parameters": st.dictionaries(
            words, st.fixed_dictionaries({"type": words}, optional={"default": values}) | values
        ),
        "resources": st.dictionaries(
            words,
            st.fixed_dictionaries({"type": words}, optional={"properties": st.dictionaries(words, values | calls)}),
        )
        | values,
        "outputs": st.dictionaries(words, st.fixed_dictionaries({"value": values | calls})) | values,
        "conditions": st.dictionaries(words, values | calls) | values,
    },
)


def as_text(value: Any) -> str:
    """YAML in which each scalar is written as it is, unquoted: what it is read as is the reader's business."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_text(key)}: {as_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_text, value)) + "]"
    return str(value)


documents = values.map(as_text) | sections.map(as_text) | st.lists(texts).map(" ".join) | st.lists(texts).map("\n".join)


def tried(kind: str, work: Any, own: type[Exception]) -> None:
    """Do it: it gives something, or its own error, soon; both can be told in a status."""
    begun = time.monotonic()
    try:
        work()
    except own as error:
        COUNTS[f"{kind}: refused"] += 1
        json.dumps(str(error))
    else:
        COUNTS[f"{kind}: taken"] += 1
    assert time.monotonic() - begun < SLOWEST


def evaluate(template: Any, environment: Any, parameters: Any) -> None:
    with limited():
        found = translate(
            parse_template(template),
            environment=[parse_environment(environment)],
            parameters=parameters,
            files={
                "f": "text",
                "inner.yaml": template if isinstance(template, str) else "heat_template_version: 2021-04-16",
            },
            hidden_files={"f"},
            pseudo=PSEUDO,
        )
        for definition in found.definitions.values():
            definition.resolve(There())
            definition.resolve_metadata(There())
        for output in found.outputs.values():
            output.resolve(There())


class There:
    """All resources are there, with odd attributes."""

    def reference(self, name: str) -> Any:
        return name

    def attribute(self, _name: str, attribute: str) -> Any:
        return {"value": [1, {"a": None}], "show": {}}.get(attribute, "x")

    def attributes(self, _name: str) -> Any:
        return {"value": 1}


@pytest.fixture(scope="module", autouse=True)
def _print_the_counts(pytestconfig: pytest.Config) -> Any:
    yield
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n  {sum(COUNTS.values())} texts: {dict(sorted(COUNTS.items()))}")


HOT = "heat_template_version: 2021-04-16\n"
PLACES = {
    "template text": [
        "heat_template_version: {}",
        HOT + "description: {}",
        HOT + "{}: 1",
        HOT + "resources: {{{}: {{type: OS::Neutron::Net}}}}",
        HOT + "resources: {{a: {{type: {}}}}}",
        HOT + "resources: {{a: {{type: OS::Neutron::Net, properties: {}}}}}",
        HOT + "resources: {{a: {{type: OS::Neutron::Net, properties: {{name: {}}}}}}}",
        HOT + "resources: {{a: {{type: OS::Neutron::Net, properties: {{{}: x}}}}}}",
        HOT + "resources: {{a: {{type: OS::Neutron::Net, metadata: {{x: {}}}, depends_on: {}}}}}",
        HOT + "resources: {{a: {{type: OS::Cinder::Volume, properties: {{size: {}}}}}}}",
        HOT + "resources: {{a: {{type: OS::Nova::Server, properties: {{flavor: f, networks: [{}], metadata: {}}}}}}}",
        HOT + "resources: {{a: {{type: OS::Heat::ResourceGroup, properties: {{count: {}, resource_def: {}}}}}}}",
        HOT + "parameters: {{a: {{type: {}}}}}",
        HOT + "parameters: {{a: {{type: number, default: {}}}}}",
        HOT + "parameters: {{a: {{type: json, default: {}}}}}",
        HOT + "parameters: {{a: {{type: string, default: x, constraints: [{{length: {}}}]}}}}",
        HOT + "parameters: {{a: {{type: string, default: x, constraints: [{{allowed_pattern: {}}}]}}}}",
        HOT + "parameters: {{a: {{type: number, default: 1, constraints: [{{range: {{min: {}}}}}]}}}}",
        HOT + "conditions: {{a: {}}}",
        HOT + "outputs: {{a: {{value: {}}}}}",
        HOT + "outputs: {{a: {{value: {{list_join: [{}, [a, {}]]}}}}}}",
        HOT + "outputs: {{a: {{value: {{str_replace: {{template: {}, params: {{a: {}}}}}}}}}}}",
        HOT + "outputs: {{a: {{value: {{yaql: {{expression: $.data, data: {}}}}}}}}}",
        HOT + "outputs: {{a: {{value: {{digest: [md5, {}]}}}}}}",
    ],
    "environment text": ["parameters: {{a: {}}}", "{}: 1", "resource_registry: {{{}: {}}}", "event_sinks: {}", "{}"],
    "clouds.yaml": [
        "clouds: {{demo: {}}}",
        "clouds: {{{}: {{}}}}",
        "clouds: {{demo: {{auth: {}}}}}",
        "clouds: {{demo: {{auth: {{auth_url: {}, username: u, password: p}}}}}}",
        "clouds: {{demo: {{auth: {{auth_url: 'https://k/v3', username: u, password: {}}}}}}}",
        "clouds: {{demo: {{auth: {{auth_url: 'https://k/v3', username: u, password: p, {}: x}}}}}}",
        "clouds: {{demo: {{auth: {{auth_url: 'https://k/v3', username: u, password: p}}, region_name: {}}}}}",
        "clouds: {{demo: {{auth: {{auth_url: 'https://k/v3', username: u, password: p}}, verify: {}}}}}",
        "clouds: {{demo: {{auth: {{auth_url: 'https://k/v3', username: u, password: p}}, volume_api_version: {}}}}}",
        "clouds: {{demo: {{auth: {{auth_url: 'https://k/v3', username: u, password: p}}, {}: x}}}}",
    ],
}
READERS: dict[str, tuple[Any, type[Exception]]] = {
    "template text": (lambda text: evaluate(text, {}, {}), TranslationError),
    "environment text": (lambda text: evaluate({"heat_template_version": "2021-04-16"}, text, {}), TranslationError),
    "clouds.yaml": (lambda text: credentials.parse(text, "demo"), CredentialsError),
}


@pytest.mark.parametrize(("kind", "place"), [(kind, place) for kind, places in PLACES.items() for place in places])
def test_each_odd_form_at_each_place_of_a_sound_text(kind: str, place: str) -> None:
    work, own = READERS[kind]
    for form in SCALARS:
        text = place.format(*[form] * place.replace("{{", "").count("{}"))
        tried(kind, lambda text=text: work(text), own)


@fuzzed
@given(documents)
def test_a_template_s_text(text: str) -> None:
    tried("template text", lambda: evaluate(text, {}, {}), TranslationError)


@fuzzed
@given(sections, st.dictionaries(words, values))
def test_a_template_s_data_and_parameters(template: Any, parameters: Any) -> None:
    tried("template", lambda: evaluate(template, {}, parameters), TranslationError)


@fuzzed
@given(documents)
def test_an_environment_s_text(text: str) -> None:
    tried("environment text", lambda: evaluate({"heat_template_version": "2021-04-16"}, text, {}), TranslationError)


@fuzzed
@given(st.dictionaries(words, values) | values)
def test_an_environment_s_data(environment: Any) -> None:
    tried("environment", lambda: evaluate({"heat_template_version": "2021-04-16"}, environment, {}), TranslationError)


@fuzzed
@given(
    documents
    | st.dictionaries(words, values).map(lambda cloud: as_text({"clouds": {"demo": cloud}}))
    | st.dictionaries(words, texts).map(lambda auth: as_text({"clouds": {"demo": {"auth": auth}}})),
    st.just("") | st.text(max_size=50),
)
def test_a_clouds_yaml(text: str, cacert: str) -> None:
    tried("clouds.yaml", lambda: credentials.parse(text, "demo", cacert), CredentialsError)
