"""``spec.moves``: a resource gets another name in the template and stays what it is."""

from typing import Any

import pytest
from harness.one_stack import FAILS, NET, OneStack

from kiln.stack import moves
from kiln.stack.inputs import InputsError
from reconcilers.model import Recorded

A_TO_B = [{"from": "a", "to": "b"}]


@pytest.fixture
def web() -> OneStack:
    return OneStack()


def record(name: str, serial: int = 0, **more: Any) -> Recorded:
    return Recorded(f"web-{name}-{serial}", name, "OS::Neutron::Net", f"token {name}", name, serial=serial, **more)


def names(records: list[Recorded]) -> list[str]:
    return [one.name for one in records]


def moved(given: list[dict[str, str]], records: list[Recorded], *template: str) -> list[Recorded]:
    return moves.towards(records, moves.parse({"moves": given}), template)


def test_a_group_moves_with_all_below_it_and_what_depends_on_it_follows() -> None:
    records = [record("old/0"), record("old/1/port"), record("older"), record("web", requires=frozenset({"old/0"}))]
    found = moved([{"from": "old", "to": "tier/new"}], records, "tier/new", "web", "older")
    assert names(found) == ["tier/new/0", "tier/new/1/port", "older", "web"]
    assert found[3].requires == {"tier/new/0"}
    assert found[0].token == "token old/0"


def test_a_chain_of_moves_leads_to_the_last_name() -> None:
    given = [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}]
    assert names(moved(given, [record("a")], "c")) == ["c"]
    assert names(moved(given, [record("b", origin="a")], "c")) == ["c"]


def test_a_move_that_was_made_already_has_no_effect() -> None:
    (once,) = moved(A_TO_B, [record("a")], "b")
    assert moved(A_TO_B, [once], "b") == [once]
    assert names(moved(A_TO_B, [record("other")], "b", "other")) == ["other"]


def test_a_template_with_the_old_name_takes_the_record_back() -> None:
    (once,) = moved(A_TO_B, [record("a")], "b")
    assert moved(A_TO_B, [once], "a") == [record("a")]


def test_a_move_onto_a_resource_that_exists_is_refused() -> None:
    with pytest.raises(InputsError, match=r"spec\.moves\[0\].*both a and b exist"):
        moved(A_TO_B, [record("a"), record("b")], "b")


def test_records_of_one_resource_that_were_renamed_one_by_one_are_no_conflict() -> None:
    half = [record("b", origin="a"), record("a", serial=1)]
    assert names(moved(A_TO_B, half, "b")) == ["b", "b"]


def test_a_template_with_both_names_is_refused() -> None:
    with pytest.raises(InputsError, match="the template has both a and b"):
        moved(A_TO_B, [record("a")], "a", "b")


def test_moves_in_a_circle_are_refused() -> None:
    with pytest.raises(InputsError, match="back to it"):
        moves.parse({"moves": [{"from": "a", "to": "b"}, {"from": "b", "to": "a"}]})


async def test_a_renamed_resource_is_not_touched(web: OneStack) -> None:
    web.apply({"a": NET})
    await web.run()
    (before,) = web.cloud.all("networks")
    sent = [one for one in web.cloud.calls if one.method != "GET"]
    web.apply({"b": NET}, moves=A_TO_B)
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert web.cloud.all("networks") == [before]
    assert [one for one in web.cloud.calls if one.method != "GET"] == sent


async def test_equal_values_of_two_resources_have_other_digests_and_a_rename_keeps_them(web: OneStack) -> None:
    web.apply({"a": NET, "c": NET})
    await web.run()

    def digests() -> dict[str, Any]:
        records = [one for (plural, _, _), one in web.kube.objects.items() if plural == "stackresources"]
        return {one["spec"]["logicalName"]: one["status"]["digests"] for one in records}

    before = digests()
    assert before["a"].keys() == before["c"].keys()
    assert not set(before["a"].values()) & set(before["c"].values())
    web.apply({"b": NET, "c": NET}, moves=A_TO_B)
    sent = len(web.cloud.calls)
    await web.run()
    assert all(one.method == "GET" for one in web.cloud.calls[sent:])
    assert before["a"] in digests().values()


async def test_a_rename_stays_when_the_move_is_removed(web: OneStack) -> None:
    web.apply({"a": NET})
    await web.run()
    (before,) = web.cloud.all("networks")
    web.apply({"b": NET}, moves=A_TO_B)
    await web.run()
    web.apply({"b": NET})
    await web.run()
    assert web.cloud.all("networks") == [before]


async def test_a_change_beside_the_rename_is_made_in_place(web: OneStack) -> None:
    web.apply({"a": NET})
    await web.run()
    (before,) = web.cloud.all("networks")
    web.apply({"b": {**NET, "properties": {"name": "changed"}}}, moves=A_TO_B)
    await web.run()
    assert [(one["id"], one["name"]) for one in web.cloud.all("networks")] == [(before["id"], "changed")]


async def test_a_new_resource_under_the_old_name_is_another_one(web: OneStack) -> None:
    web.apply({"a": NET})
    await web.run()
    (before,) = web.cloud.all("networks")
    web.apply({"b": NET}, moves=A_TO_B)
    await web.run()
    web.apply({"b": NET, "a": NET})
    await web.run()
    found = {one["id"]: one["description"] for one in web.cloud.all("networks")}
    assert web.condition() == ("True", "Succeeded")
    assert before["id"] in found
    assert len(set(found.values())) == 2


async def test_a_rollback_takes_the_name_back(web: OneStack) -> None:
    web.apply({"a": NET})
    await web.run()
    (before,) = web.cloud.all("networks")
    web.apply({"b": NET, "fails": FAILS}, moves=A_TO_B, onFailure="Rollback")
    for _ in range(3):
        await web.run()
    assert web.condition() == ("False", "RolledBack")
    assert web.cloud.all("networks") == [before]


async def test_a_moved_resource_is_deleted_with_its_stack(web: OneStack) -> None:
    web.apply({"a": NET})
    await web.run()
    web.apply({"b": NET}, moves=A_TO_B)
    await web.run()
    await web.delete()
    await web.run()
    assert web.nets() == []
    assert web.kube.find("stacks", "web") is None
