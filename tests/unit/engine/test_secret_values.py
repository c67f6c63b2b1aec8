"""The secrets among a resource's values, as the catalogue and the marks of hidden parameters tell them."""

from typing import Any

import pytest

from hot_translator import catalogue
from reconcilers import registry, secret_values


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
