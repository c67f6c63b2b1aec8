"""``kiln export``: the file with which Heat takes a Stack over."""

import json
from typing import Any

import pytest
from harness.one_stack import NET, OneStack

from kiln.stack import adoption
from kiln.stack.inputs import Inputs
from kiln.stack.planning import existing
from kiln.tools.export import abandoned, environment_of

RANDOM = {"type": "OS::Heat::RandomString", "properties": {"length": 12}}
GROUP = {"type": "OS::Heat::ResourceGroup", "properties": {"count": 2, "resource_def": NET}}


@pytest.fixture
def web() -> OneStack:
    return OneStack()


async def exported(web: OneStack) -> tuple[dict[str, Any], list[str]]:
    stack = web.kube.objects["stacks", "ns", "web"]
    return abandoned(stack, await existing(web.services, stack))


async def test_the_file_names_all_resources_as_heat_nests_them(web: OneStack) -> None:
    web.apply({"net": NET, "group": GROUP, "secret": RANDOM})
    await web.run()
    file, missing = await exported(web)
    assert missing == []
    made = {one["id"] for one in web.cloud.all("networks")}
    found = [file["resources"]["net"], *file["resources"]["group"]["resources"].values()]
    assert {one["resource_id"] for one in found} == made
    assert set(file["resources"]["group"]["resources"]) == {"0", "1"}
    assert file["template"]["resources"].keys() == {"net", "group", "secret"}
    assert len(file["resources"]["secret"]["resource_data"]["value"]) == 12
    json.dumps(file)


async def test_a_resource_that_does_not_exist_is_named(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    web.apply({"net": NET, "more": NET})
    assert (await exported(web))[1] == ["more"]


async def test_what_is_exported_can_be_adopted_and_keeps_its_password(web: OneStack) -> None:
    web.apply({"net": NET, "secret": RANDOM}, deletionPolicy="Orphan")
    await web.run()
    file, _ = await exported(web)
    (before,) = web.cloud.all("networks")
    await web.delete()
    await web.run()
    assert web.kube.find("stacks", "web") is None
    web.kube.secret("file", **{"stack.json": json.dumps(file)})
    web.generation = 0
    web.apply({"net": NET, "secret": RANDOM}, adopt={"fromSecret": {"name": "file"}, "takeFromOthers": True})
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert [one["id"] for one in web.cloud.all("networks")] == [before["id"]]
    assert (await exported(web))[0]["resources"]["secret"]["resource_data"] == file["resources"]["secret"][
        "resource_data"
    ]
    assert adoption.parse(json.dumps(file), "x")["net"].physical_id == before["id"]


def test_environments_become_one_and_parameters_win() -> None:
    inputs = Inputs(
        "",
        environments=(
            "parameters: {a: 1, b: 1}",
            {"parameters": {"b": 2}, "resource_registry": {"X": "OS::Heat::None"}},
        ),
        parameters={"a": 3},
    )
    assert environment_of(inputs) == {
        "parameters": {"a": 3, "b": 2},
        "parameter_defaults": {},
        "resource_registry": {"X": "OS::Heat::None"},
    }
