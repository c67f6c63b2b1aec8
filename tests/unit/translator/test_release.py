"""What a translation leaves behind: nothing that only a full garbage collection would find."""

import contextlib
import gc
import json
from collections.abc import Iterator

import pytest

from hot_translator import Pseudo, TranslationError, parse_template, translate
from hot_translator.translation import Definition

PSEUDO = Pseudo("web", "00000000-0000-0000-0000-000000000001", "project", "RegionOne")
NAME = {"list_join": ["-", ["a", {"get_resource": "net"}]]}
PORT = {"type": "OS::Neutron::Port", "properties": {"network": {"get_resource": "net"}, "name": NAME}}
INNER = {
    "heat_template_version": "2021-04-16",
    "parameters": {"net": {"type": "string"}},
    "resources": {"port": {"type": "OS::Neutron::Port", "properties": {"network": {"get_param": "net"}}}},
    "outputs": {"name": {"value": {"get_attr": ["port", "name"]}}},
}
TEMPLATE = {
    "heat_template_version": "2021-04-16",
    "resources": {
        "net": {"type": "OS::Neutron::Net"},
        "port": PORT,
        "group": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 3, "resource_def": PORT}},
        "inner": {"type": "inner.yaml", "properties": {"net": {"get_resource": "net"}}},
    },
    "outputs": {"name": {"value": {"list_join": ["-", [{"get_attr": ["inner", "name"]}, NAME]]}}},
}


@pytest.fixture
def no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def definitions() -> int:
    return sum(type(one) is Definition for one in gc.get_objects())


def test_a_translation_is_freed_as_soon_as_nobody_holds_it(no_collections: None) -> None:
    before = definitions()
    translation = translate(
        parse_template(json.dumps(TEMPLATE)), files={"inner.yaml": json.dumps(INNER)}, pseudo=PSEUDO
    )
    assert definitions() - before == len(translation.definitions)
    del translation
    assert definitions() == before


def test_a_template_that_is_refused_leaves_nothing_either(no_collections: None) -> None:
    bad = {"type": "OS::Neutron::Port", "properties": {"no_such_property": NAME}}
    text = json.dumps({**TEMPLATE, "resources": {**TEMPLATE["resources"], "bad": bad}})  # type: ignore[dict-item]
    before = definitions()
    with contextlib.suppress(TranslationError):
        translate(parse_template(text), files={"inner.yaml": json.dumps(INNER)}, pseudo=PSEUDO)
    assert definitions() == before
