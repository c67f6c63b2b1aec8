"""What a Stack made is known by its token, and nothing else is taken for it."""

from dataclasses import replace
from typing import Any

from harness import virtual
from harness.universe import Universe

from reconcilers import registry


async def made(template: Any) -> list[tuple[Any, Any, Any]]:
    universe = Universe()
    await universe.settle(template)
    found = []
    for recorded in universe.records.load():
        rtype = registry.find(recorded.type)
        assert rtype is not None
        if rtype.service:
            found.append((rtype, recorded, await universe.observer.read(rtype, recorded)))
    return found


def test_each_resource_is_known_as_the_stack_s_and_as_no_other_s(template: Any) -> None:
    found = virtual.run(made(template()))
    assert len(found) > 5
    for rtype, recorded, observed in found:
        if rtype.carries_token:
            assert rtype.owned(observed, recorded), recorded.type
            assert not rtype.owned(observed, replace(recorded, token="00000000-0000-0000-0000-0000000000ff"))
            assert not rtype.owned({}, recorded)


def test_a_list_that_is_cut_to_some_fields_shows_the_token() -> None:
    for rtype in registry.load().values():
        fields = rtype.list_params.get("fields")
        if fields and rtype.carries_token:
            assert getattr(rtype, "token_field", "") in fields, rtype.type
