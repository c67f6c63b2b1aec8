"""A Stack's name in Heat's sense, updates of an unchanged template, environments from Secrets."""

import json

import pytest
from harness.fake_connection import Refused
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


SECRET = "s3cr3t-pass-word"
INNER = {
    "heat_template_version": "2021-04-16",
    "parameters": {"inner": {"type": "string"}},
    "resources": {"v": {"type": "OS::Heat::Value", "properties": {"value": {"get_param": "inner"}}}},
    "outputs": {"v": {"value": {"get_attr": ["v", "value"]}}},
}
OUTER = {
    "heat_template_version": "2021-04-16",
    "parameters": {"p": {"type": "string"}, "d": {"type": "string"}, "public": {"type": "string"}},
    "resources": {"n": {"type": "inner.yaml"}},
    "outputs": {
        "p": {"value": {"get_param": "p"}},
        "d": {"value": {"list_join": ["-", ["x", {"get_param": "d"}]]}},
        "n": {"value": {"get_attr": ["n", "v"]}},
        "public": {"value": {"get_param": "public"}},
    },
}
FROM_SECRET = [
    {"inline": "parameters: {public: everybody}"},
    {"secretKeyRef": {"name": "env", "key": "env.yaml"}},
]


def everything(web: OneStack) -> str:
    """All stored objects but Secrets."""
    return json.dumps([obj for (plural, _, _), obj in web.kube.objects.items() if plural != "secrets"])


async def test_all_values_of_an_environment_of_a_secret_are_hidden(web: OneStack) -> None:
    environment = {
        "parameters": {"p": SECRET + "1", "public": "overridden"},
        "parameter_defaults": {"d": SECRET + "2", "inner": SECRET + "3"},
    }
    web.kube.secret("env", **{"env.yaml": json.dumps(environment)})
    files = {"inner.yaml": json.dumps(INNER)}
    web.apply({}, template=OUTER, environments=FROM_SECRET, files=files)
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert web.status["hiddenOutputs"] == ["d", "n", "p", "public"]
    assert SECRET not in everything(web)
    (revision,) = (obj for (plural, _, _), obj in web.kube.objects.items() if plural == "stackrevisions")
    assert revision["spec"]["hiddenEnvironments"] == [1]
    assert revision["spec"]["environments"][0] == "parameters: {public: everybody}"


async def test_a_rollback_takes_the_environment_of_a_secret_from_the_revision_and_keeps_it_hidden(
    web: OneStack,
) -> None:
    environment = {"parameters": {"p": SECRET, "d": "abcdefgh"}, "parameter_defaults": {"inner": "value-of-inner"}}
    web.kube.secret("env", **{"env.yaml": json.dumps(environment)})
    files = {"inner.yaml": json.dumps(INNER)}
    web.apply({}, template=OUTER, environments=FROM_SECRET, files=files)
    await web.run()
    web.kube.secret("env", **{"env.yaml": json.dumps({**environment, "parameters": {"p": "other", "d": "12345678"}})})
    bad = {**OUTER, "resources": {**OUTER["resources"], "bad": FAILS}}  # type: ignore[dict-item]
    web.apply({}, template=bad, environments=FROM_SECRET, files=files, onFailure="Rollback")
    for _ in range(3):
        await web.run()
    assert web.condition() == ("False", "RolledBack")
    assert web.status["hiddenOutputs"] == ["d", "n", "p"]
    assert SECRET not in everything(web)


async def test_what_is_wrong_with_an_environment_of_a_secret_is_said_without_quoting_it(web: OneStack) -> None:
    web.kube.secret("env", **{"env.yaml": f"{SECRET}: [unclosed"})
    web.apply({}, template=OUTER, environments=FROM_SECRET)
    await web.run()
    assert web.condition() == ("False", "InvalidTemplate")
    assert "environments[1]" in everything(web)
    assert SECRET not in everything(web)
    web.kube.secret("env", **{"env.yaml": json.dumps({SECRET: {}})})
    await web.run()
    assert SECRET not in everything(web)
