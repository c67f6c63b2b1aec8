"""What the engine would hand to a type."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from hot_translator import catalogue
from reconcilers import registry
from reconcilers.model import Desired, Recorded


@pytest.fixture
def desire() -> Callable[..., Desired]:
    """A desired state: the given properties and the schema's defaults; all of them changed unless told."""

    def build(type_name: str, given: Mapping[str, Any], changed: set[str] | None = None, **more: Any) -> Desired:
        schema = catalogue.lookup(type_name)
        assert schema is not None
        assert given.keys() <= schema.properties.keys()
        properties = {name: given.get(name, how.default) for name, how in schema.properties.items()}
        rtype = registry.find(type_name)
        properties = dict(rtype.asked(properties)) if rtype is not None else properties
        everything = {name for name, value in properties.items() if value is not None}
        picked = everything if changed is None else changed
        return Desired("web", "stack-web-abc", properties, frozenset(picked), key=lambda: b"s" * 32, **more)

    return build


@pytest.fixture
def record() -> Callable[..., Recorded]:
    """A record of a resource that exists, unless told."""

    def build(**more: Any) -> Recorded:
        plain: dict[str, Any] = {
            "key": "k",
            "name": "web",
            "type": "",
            "token": "tok",
            "physical_name": "stack-web-abc",
        }
        return Recorded(**{**plain, "physical_id": "id-1", "confirmed": True, "state": "Ready", **more})

    return build
