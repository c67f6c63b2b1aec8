"""A Neutron type with properties as the catalogue finalizes them, and a record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from hot_translator.properties import finalize
from reconcilers import registry
from reconcilers.model import Desired, Outcome, Recorded, Send
from reconcilers.resource_type import ResourceType

TOKEN = "8a2f6f5e-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Case:
    """``outcome`` is the type's next step, ``sent`` the request in it as (method, path, body)."""

    rtype: ResourceType
    desired: Desired
    recorded: Recorded

    def changing(self, *names: str) -> "Case":
        """The same once it exists, with these properties changed."""
        return replace(self, desired=replace(self.desired, changed=frozenset(names)))

    def applied(self, *names: str) -> "Case":
        """The same with digests of these properties."""
        return replace(self, recorded=replace(self.recorded, digests=dict.fromkeys(names, "x")))

    def knowing(self, data: Mapping[str, str]) -> "Case":
        """The same with this in the record."""
        return replace(self, recorded=replace(self.recorded, data={**self.recorded.data, **data}))

    def outcome(self, observed: Any) -> Outcome:
        return self.rtype.step(self.desired, self.recorded, observed)

    def sent(self, observed: Any) -> tuple[str, str, Any]:
        outcome = self.outcome(observed)
        assert isinstance(outcome, Send), outcome
        return outcome.request.method, outcome.request.path, outcome.request.body

    def drift(self, observed: Any) -> frozenset[str]:
        return self.rtype.drift(self.desired, observed)

    def replacement(self, observed: Any = None) -> Any:
        return self.rtype.replacement(self.desired, self.recorded, observed)

    def removal(self, observed: Any) -> Outcome:
        return self.rtype.step(None, self.recorded, observed)


@pytest.fixture
def case() -> Callable[..., Case]:
    """Makes one: a new resource of OS::Neutron::<kind>, all of whose properties are to be applied."""

    def make(kind: str, properties: Mapping[str, Any], wanted: Iterable[str] = ()) -> Case:
        rtype = registry.find(f"OS::Neutron::{kind}")
        assert rtype is not None
        given = dict(rtype.asked(finalize(rtype.schema, properties, "properties")))
        changed = frozenset(name for name, value in given.items() if value is not None)
        desired = Desired("thing", "stack-thing-abc", given, changed, wanted=frozenset(wanted), key=lambda: b"s" * 32)
        recorded = Recorded("key", "thing", rtype.type, TOKEN, "stack-thing-abc", data=rtype.intent(desired))
        return Case(rtype, desired, replace(recorded, physical_id=rtype.identity(recorded) or "id-1"))

    return make
