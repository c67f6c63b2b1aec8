"""A Stack's name in Heat's sense, and updates of an unchanged template."""

import pytest
from harness.fake_openstack import Refused
from harness.one_stack import FAILS, NET, OneStack, named

UNNAMED = {"type": "OS::Neutron::Net"}


@pytest.fixture
def web() -> OneStack:
    return OneStack()


def operation(web: OneStack) -> tuple[str, str]:
    last = web.status["lastOperation"]
    return last["type"], last["result"]


async def test_the_stack_name_is_the_pseudo_parameter_and_begins_the_names_in_the_cloud(web: OneStack) -> None:
    value = {"type": "OS::Heat::Value", "properties": {"value": {"get_param": "OS::stack_name"}}}
    template = {
        "heat_template_version": "2021-04-16",
        "resources": {"net": UNNAMED, "name": value},
        "outputs": {"name": {"value": {"get_attr": ["name", "value"]}}},
    }
    web.apply({}, stackName="Shop_1.a", template=template)
    await web.run()
    assert web.nets()[0].startswith("Shop_1.a-net-")
    assert web.status["outputs"] == {"name": "Shop_1.a"}


async def test_without_a_stack_name_the_object_s_name_is_it(web: OneStack) -> None:
    web.apply({"net": UNNAMED})
    await web.run()
    assert web.nets()[0].startswith("web-net-")


async def test_a_new_update_request_is_an_update_of_its_own(web: OneStack) -> None:
    web.apply({"net": NET}, updateRequest="1")
    await web.run()
    assert operation(web) == ("Create", "Succeeded")
    started = web.status["handledUpdateRequest"]
    assert started == "1"
    web.apply({"net": NET}, updateRequest="2")
    await web.run()
    assert operation(web) == ("Update", "Succeeded")
    assert web.status["handledUpdateRequest"] == "2"
    web.apply({"net": NET}, updateRequest="2", timeout="2h")
    await web.run()
    assert operation(web) == ("Repair", "Succeeded")


async def test_an_update_request_tries_again_what_was_rolled_back(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    web.apply({"net": NET, "bad": FAILS}, onFailure="Rollback")
    for _ in range(3):
        await web.run()
    assert web.condition() == ("False", "RolledBack")
    web.apply({"net": NET, "bad": FAILS}, onFailure="Rollback", updateRequest="again")
    await web.run()
    assert operation(web) == ("Update", "Failed")
    for _ in range(3):
        await web.run()
    assert web.condition() == ("False", "RolledBack")
    assert operation(web) == ("Rollback", "Succeeded")


async def test_a_requested_update_that_fails_is_retried_as_an_update_and_not_rolled_back_to_itself(
    web: OneStack,
) -> None:
    web.apply({"net": named("a")})
    await web.run()
    web.cloud.drop("networks", web.cloud.all("networks")[0]["id"])
    web.cloud.fault = lambda request: Refused(400, "no") if request.method == "POST" else None
    web.apply({"net": named("a")}, onFailure="Rollback", updateRequest="1")
    await web.run()
    assert operation(web)[0] == "Update"
    assert web.condition()[1] != "RolledBack"
    web.cloud.fault = lambda _request: None
    await web.run()
    assert operation(web) == ("Update", "Succeeded")
    assert web.nets() == ["a"]
