"""Any type with properties as the engine hands them over."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from hot_translator.properties import finalize
from reconcilers import registry
from reconcilers.model import Desired, Outcome, Recorded
from reconcilers.resource_type import ResourceType

TOKEN = "8a2f6f5e-0000-4000-8000-000000000001"
ID = "99999999-2222-4333-8444-555555555555"


@dataclass(frozen=True)
class Subject:
    """A type, what is desired of one resource, and its record."""

    rtype: ResourceType
    desired: Desired
    recorded: Recorded

    def changing(self, names: Iterable[str]) -> "Subject":
        """The same once it exists, with these properties changed."""
        return replace(self, desired=replace(self.desired, changed=frozenset(names)))

    def knowing(self, data: Mapping[str, str]) -> "Subject":
        """The same with this in the record."""
        return replace(self, recorded=replace(self.recorded, data={**self.recorded.data, **data}))

    def step(self, observed: Any) -> Outcome:
        return self.rtype.step(self.desired, self.recorded, observed)


@pytest.fixture
def subject() -> Callable[..., Subject]:
    """Makes one: a new resource of the type, all of whose properties are to be applied."""

    def make(name: str, given: Mapping[str, Any]) -> Subject:
        rtype = registry.find(name)
        assert rtype is not None
        blank = dict.fromkeys(rtype.schema.properties)
        properties = dict(rtype.asked({**blank, **finalize(rtype.schema, given, "properties")}))
        changed = frozenset(name for name, value in properties.items() if value is not None)
        desired = Desired("thing", "stack-thing-abc", properties, changed, key=lambda: b"s" * 32)
        recorded = Recorded("key", "thing", name, TOKEN, "stack-thing-abc", state="Ready", confirmed=True)
        recorded = replace(recorded, data=rtype.intent(desired))
        return Subject(rtype, desired, replace(recorded, physical_id=rtype.identity(recorded) or ID))

    return make
