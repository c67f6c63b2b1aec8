"""``spec.adopt``: existing resources are taken over, shown before they are changed, and never lost by it."""

import json
from typing import Any

import pytest
from harness.one_stack import NET, OneStack

from kiln.stack import adoption
from kiln.stack.inputs import InputsError
from kiln.stack.stack_secret import secret_name

SUBNET = {
    "type": "OS::Neutron::Subnet",
    "properties": {"network": {"get_resource": "net"}, "cidr": "10.0.0.0/24", "dns_nameservers": ["9.9.9.9"]},
}
RANDOM = {"type": "OS::Heat::RandomString", "properties": {"length": 12}}


@pytest.fixture
def web() -> OneStack:
    return OneStack()


def writes(web: OneStack) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in web.cloud.calls if one.method != "GET"]


def existing(web: OneStack, **fields: Any) -> str:
    return str(web.cloud.make("networks", **{"name": "net", "description": "", **fields})["id"])


async def test_a_named_resource_is_taken_over_with_one_write_the_token(web: OneStack) -> None:
    identity = existing(web, description="of the old stack")
    web.apply({"net": NET}, adopt={"resources": {"net": identity}})
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    (method, path), *more = writes(web)
    assert (method, path, more) == ("PUT", f"/networks/{identity}", [])
    (net,) = web.cloud.all("networks")
    assert net["description"].startswith("of the old stack kiln:")
    assert "Adopted" in web.services.told.reasons


async def test_a_stack_that_took_over_everything_is_at_rest_afterwards(web: OneStack) -> None:
    web.apply({"net": NET}, adopt={"resources": {"net": existing(web)}})
    await web.run()
    before = len(writes(web))
    await web.run()
    assert len(writes(web)) == before


async def test_a_read_only_adoption_writes_nothing_and_its_end_writes_the_token(web: OneStack) -> None:
    identity = existing(web)
    web.apply({"net": NET}, adopt={"resources": {"net": identity}, "readOnly": True})
    await web.run()
    await web.run()
    assert writes(web) == []
    assert web.condition() == ("True", "Succeeded")
    web.apply({"net": NET}, adopt={"resources": {"net": identity}})
    await web.run()
    assert writes(web) == [("PUT", f"/networks/{identity}")]


async def test_a_read_only_stack_creates_nothing_and_says_why(web: OneStack) -> None:
    web.apply({"net": NET, "other": NET}, adopt={"resources": {"net": existing(web)}, "readOnly": True})
    await web.run()
    assert writes(web) == []
    assert web.condition()[0] == "False"
    assert "spec.adopt.readOnly" in json.dumps(web.status["conditions"])


async def test_an_update_of_a_read_only_stack_is_shown_and_not_sent(web: OneStack) -> None:
    identity = existing(web)
    web.apply({"net": NET}, adopt={"resources": {"net": identity}, "readOnly": True})
    await web.run()
    renamed = {**NET, "properties": {"name": "other"}}
    web.apply({"net": renamed}, adopt={"resources": {"net": identity}, "readOnly": True})
    await web.run()
    assert writes(web) == []
    assert web.condition("DriftDetected")[0] == "True"
    web.apply({"net": renamed}, adopt={"resources": {"net": identity}})
    await web.run()
    assert web.nets() == ["other"]


async def test_the_deletion_of_a_read_only_stack_leaves_what_exists(web: OneStack) -> None:
    web.apply({"net": NET}, adopt={"resources": {"net": existing(web)}, "readOnly": True})
    await web.run()
    await web.delete()
    await web.run()
    assert web.nets() == ["net"]
    assert web.kube.find("stacks", "web") is None


async def test_the_deletion_of_a_stack_deletes_what_it_took_over(web: OneStack) -> None:
    web.apply({"net": NET}, adopt={"resources": {"net": existing(web)}})
    await web.run()
    await web.delete()
    await web.run()
    assert web.nets() == []


async def test_a_difference_is_reported_until_it_may_be_applied(web: OneStack) -> None:
    identity = existing(web, name="changed by hand")
    given = {"resources": {"net": identity}}
    web.apply({"net": NET}, adopt=given)
    for _ in range(2):
        await web.run()
        assert web.nets() == ["changed by hand"]
        assert web.condition("DriftDetected") == ("True", "Drifted")
    assert any("differ" in one and "name" in one for one in web.services.told.messages)
    web.apply({"net": NET}, adopt={**given, "differences": "Apply"})
    await web.run()
    assert web.nets() == ["net"]
    assert web.condition("DriftDetected")[0] == "False"


async def test_a_difference_is_applied_once_adopt_is_removed(web: OneStack) -> None:
    web.apply({"net": NET}, adopt={"resources": {"net": existing(web, name="other")}})
    await web.run()
    web.apply({"net": NET})
    await web.run()
    assert web.nets() == ["net"]


async def test_a_resource_that_does_not_exist_is_an_error_with_its_path(web: OneStack) -> None:
    web.apply({"net": NET}, adopt={"resources": {"net": "no-such-id"}})
    await web.run()
    assert web.nets() == []
    assert web.kube.named("stackresources") == set()
    assert "spec.adopt.resources[net]: there is no OS::Neutron::Net no-such-id" in json.dumps(web.status)


async def test_a_name_that_the_template_does_not_have_is_refused(web: OneStack) -> None:
    web.apply({"net": NET}, adopt={"resources": {"nte": existing(web)}})
    await web.run()
    assert len(web.cloud.all("networks")) == 1
    assert web.condition() == ("False", "InvalidSpec")


async def test_a_resource_of_another_stack_is_refused_unless_the_user_says_so(web: OneStack) -> None:
    identity = existing(web, description="kiln:11111111-1111-1111-1111-111111111111")
    web.apply({"net": NET}, adopt={"resources": {"net": identity}})
    await web.run()
    assert writes(web) == []
    assert "token of another Stack" in json.dumps(web.status)
    web.apply({"net": NET}, adopt={"resources": {"net": identity}, "takeFromOthers": True})
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert "1111-1111" not in web.cloud.all("networks")[0]["description"]


async def test_a_rollback_of_the_creation_leaves_what_was_taken_over(web: OneStack) -> None:
    fails = {"type": "OS::Heat::TestResource", "properties": {"fail": True}, "depends_on": "net"}
    adopt = {"resources": {"net": existing(web)}}
    web.apply({"net": NET, "fails": fails}, onFailure="Rollback", adopt=adopt)
    for _ in range(3):
        await web.run()
    assert web.condition() == ("False", "RolledBack")
    assert web.nets() == ["net"]


async def test_the_file_of_heat_gives_ids_of_nested_stacks_and_its_secrets_stay_hidden(web: OneStack) -> None:
    identity = existing(web)
    file = {
        "name": "old",
        "resources": {
            "group": {"resources": {"0": {"resource_id": identity, "type": "OS::Neutron::Net"}}},
            "secret": {"resource_id": "x", "resource_data": {"value": "topsecret1234"}},
        },
    }
    web.kube.secret("abandoned", **{"stack.json": json.dumps(file)})
    group = {"type": "OS::Heat::ResourceGroup", "properties": {"count": 1, "resource_def": NET}}
    web.apply({"group": group, "secret": RANDOM}, adopt={"fromSecret": {"name": "abandoned"}})
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert len(web.cloud.all("networks")) == 1
    shown = {key: value for key, value in web.kube.objects.items() if key[0] != "secrets"}
    assert "topsecret1234" not in json.dumps(list(shown.values()))


async def test_a_generated_password_is_kept_when_the_file_is_gone(web: OneStack) -> None:
    file = {"resources": {"secret": {"resource_id": "x", "resource_data": {"value": "topsecret1234"}}}}
    web.kube.secret("abandoned", **{"stack.json": json.dumps(file)})
    named = {**NET, "properties": {"name": {"get_attr": ["secret", "value"]}}}
    web.apply({"secret": RANDOM}, adopt={"fromSecret": {"name": "abandoned"}})
    await web.run()
    web.apply({"secret": RANDOM, "net": named})
    await web.run()
    assert web.nets() == ["topsecret1234"]
    assert "adopted" in web.kube.objects["secrets", "ns", secret_name("web")]["data"]


async def test_a_generated_password_without_its_value_is_not_made_anew(web: OneStack) -> None:
    web.apply({"secret": RANDOM}, adopt={"resources": {"secret": "x"}})
    await web.run()
    assert "is known only from Heat's file" in json.dumps(web.status)


async def test_a_resource_that_was_taken_over_and_disappeared_is_created_again(web: OneStack) -> None:
    identity = existing(web)
    web.apply({"net": NET}, adopt={"resources": {"net": identity}, "differences": "Apply"})
    await web.run()
    web.cloud.drop("networks", identity)
    await web.run()
    assert web.nets() == ["net"]
    assert web.condition() == ("True", "Succeeded")


async def test_dependants_of_what_was_taken_over_see_its_id(web: OneStack) -> None:
    identity = existing(web)
    web.apply({"net": NET, "subnet": SUBNET}, adopt={"resources": {"net": identity}})
    await web.run()
    assert [one["network_id"] for one in web.cloud.all("subnets")] == [identity]


@pytest.mark.parametrize("text", ["[1, 2", "[]", '{"resources": []}', '{"resources": {"a": 1}}'])
def test_a_file_that_is_not_heats_is_refused_with_its_path(text: str) -> None:
    with pytest.raises(InputsError, match=r"^spec\.adopt\.fromSecret: "):
        adoption.parse(text, "spec.adopt.fromSecret")


def test_stacks_nested_without_end_are_refused() -> None:
    file: dict[str, Any] = {"resource_id": "x"}
    for _ in range(40):
        file = {"resources": {"a": file}}
    with pytest.raises(InputsError, match="nested deeper"):
        adoption.parse(json.dumps(file), "spec.adopt.fromSecret")


def test_a_gap_in_the_numbers_of_a_group_is_a_removed_member() -> None:
    assert adoption.removed(["rg/0", "rg/3/port", "net"], {}) == {"rg": ["1", "2"]}
    assert adoption.removed(["rg/0", "rg/2"], {"rg": ["1", "5"]}) == {"rg": ["1", "5"]}
