"""The secrets among a resource's values, as the catalogue and the marks of hidden parameters tell them."""

from typing import Any

import pytest
from harness import virtual
from harness.universe import Universe, translated

from hot_translator import catalogue
from reconcilers import registry, secret_values
from reconcilers.engine.engine import Engine


def schema(name: str) -> Any:
    found = catalogue.lookup(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "properties", "secret"),
    [
        ("OS::Nova::Server", {"admin_pass": "Hunter2", "name": "open"}, {"Hunter2"}),
        ("OS::Keystone::User", {"password": "Hunter2", "name": "open"}, {"Hunter2"}),
        ("OS::Neutron::Net", {"name": "open"}, set()),
    ],
)
def test_sensitive_properties_are_secrets(kind: str, properties: Any, secret: set[str]) -> None:
    assert set(secret_values.of_properties(schema(kind), properties)) == secret


def test_what_was_made_of_a_hidden_value_is_a_secret() -> None:
    properties = {"name": "HUNTER2", "tags": ["a", {"b": 7}], "other": "open"}
    found = set(secret_values.of_properties(schema("OS::Neutron::Net"), properties, {"name", "tags"}))
    assert found == {"HUNTER2", "a", "b", "7"}
    assert "open" in set(secret_values.of_properties(schema("OS::Neutron::Net"), properties, {"*"}))


@pytest.mark.parametrize(
    ("kind", "attribute"), [("OS::Nova::KeyPair", "private_key"), ("OS::Heat::RandomString", "value")]
)
def test_generated_secrets_are_secrets(kind: str, attribute: str) -> None:
    rtype = registry.find(kind)
    assert rtype is not None
    assert list(secret_values.of_attributes(rtype, {attribute: "Hunter2", "name": "open"})) == ["Hunter2"]


def test_the_secrets_of_a_drifted_resource_are_known_before_it_is_repaired() -> None:
    async def life() -> None:
        universe = Universe()
        net = {"type": "OS::Neutron::Net", "properties": {"name": {"get_param": "word"}}}
        hidden = {"word": {"type": "string", "hidden": True}}
        translation = translated({"parameters": hidden, "resources": {"net": net}}, word="Hunter2")
        assert (await universe.again(translation)).complete
        (made,) = universe.cloud.all("networks")
        made["name"] = "theirs"
        found: list[str] = []
        context = universe.context()
        context.add_secrets = found.extend
        assert (await Engine(context, universe.records.load()).converge(translation)).complete
        assert made["name"] == "Hunter2"
        assert "Hunter2" in found

    virtual.run(life())


@pytest.mark.parametrize("name", ["abc", "Hunter2-Secret"])
def test_the_error_of_a_look_up_does_not_quote_a_hidden_name(name: str) -> None:
    template = {
        "parameters": {"hidden": {"type": "string", "hidden": True}, "open": {"type": "string"}},
        "resources": {
            "one": {"type": "OS::Neutron::Port", "properties": {"network": {"get_param": "hidden"}}},
            "other": {"type": "OS::Neutron::Port", "properties": {"network": {"get_param": "open"}}},
        },
    }

    async def reasons() -> tuple[dict[str, str], set[str]]:
        universe = Universe()
        context, secrets = universe.context(), set[str]()
        context.add_secrets = secrets.update
        result = await Engine(context, []).converge(translated(template, hidden=name, open="shown"))
        return {error.name: str(error) for error in result.failures}, secrets

    found, secrets = virtual.run(reasons())
    assert name not in found["one"]
    assert "there is no single network of this name" in found["one"]
    assert "there is no network 'shown'" in found["other"]
    assert name in secrets
