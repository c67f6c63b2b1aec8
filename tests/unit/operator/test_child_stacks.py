"""OS::Heat::Stack: child Stacks, with operators for all of them. API server and OpenStack are in memory."""

import base64
import json
from pathlib import Path
from typing import Any

import yaml
from harness import virtual
from harness.family import INNER, Family, inner, kill_at, nested

from kiln.api.kinds import STACKS
from kiln.stack import child_spec
from kiln.stack.inputs import Inputs
from kiln.stack.planning import plan_stack


def test_a_child_is_made_changed_and_deleted_with_its_parent() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"inner": inner(parameters={"name": "first"})})
        await web.live()
        assert web.condition() == ("True", "Succeeded")
        assert web.nets() == ["first"]
        child = web.child()
        owners = [(one["kind"], one["name"]) for one in child["metadata"]["ownerReferences"]]
        assert owners[0] == ("Stack", "web")
        assert owners[1][0] == "StackResource"
        assert child["spec"]["parameters"] == {"name": "first"}
        web.apply({"inner": inner(parameters={"name": "second"})})
        await web.live()
        assert web.nets() == ["second"]
        assert web.child()["metadata"]["uid"] == child["metadata"]["uid"]
        await web.delete()
        await web.live()
        assert web.kube.named("stacks") == set()
        assert web.kube.named("secrets") == set()
        assert web.nets() == []

    virtual.run(life())


def test_a_stack_at_rest_writes_nothing_for_its_child() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"inner": inner(parameters={"name": "first", "size": 1.0}, template=SIZED)})
        await web.live()
        writes = kill_at(web, 0)
        await web.run()
        assert writes == [0]

    virtual.run(life())


SIZED = """
heat_template_version: 2021-04-16
parameters:
  name: {type: string}
  size: {type: number}
  tags: {type: comma_delimited_list, default: ""}
  map: {type: json, default: {}}
resources:
  net: {type: OS::Neutron::Net, properties: {name: {get_param: name}, tags: {get_param: tags}}}
outputs:
  map: {value: {get_param: map}}
"""


def test_parameters_of_all_types_arrive() -> None:
    async def life() -> None:
        web = Family()
        given = {"name": "n", "size": 3, "tags": ["a", "b"], "map": {"x": [1, {"y": None}]}}
        web.apply({"inner": inner(SIZED, parameters=given)})
        await web.live()
        assert web.condition() == ("True", "Succeeded")
        assert web.child()["status"]["outputs"] == {"map": {"x": [1, {"y": None}]}}

    virtual.run(life())


def test_outputs_of_a_child_are_attributes_and_follow_its_changes() -> None:
    async def life() -> None:
        web = Family()
        resources = {
            "inner": inner(parameters={"name": "first"}),
            "value": {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": ["inner", "outputs", "called"]}}},
        }
        template = {
            "heat_template_version": "2021-04-16",
            "resources": resources,
            "outputs": {
                "called": {"value": {"get_attr": ["value", "value"]}},
                "name": {"value": {"get_attr": ["inner", "stack_name"]}},
            },
        }
        web.apply(resources, template=template)
        await web.live()
        assert web.status["outputs"]["called"] == "first"
        assert web.status["outputs"]["name"].startswith("web-inner-")
        resources["inner"] = inner(parameters={"name": "second"})
        web.apply(resources, template=template)
        await web.live()
        assert web.status["outputs"]["called"] == "second"

    virtual.run(life())


def test_hidden_parameters_go_through_a_secret_and_hidden_outputs_stay_hidden() -> None:
    secret = "correct-horse-battery"
    text = """
heat_template_version: 2021-04-16
parameters:
  password: {type: string, hidden: true}
  plain: {type: string}
resources:
  value: {type: OS::Heat::Value, properties: {value: {get_param: password}}}
outputs:
  password: {value: {get_param: password}}
  plain: {value: {get_param: plain}}
"""

    async def life() -> None:
        web = Family()
        web.kube.secret("outer", password=secret)
        template = {
            "heat_template_version": "2021-04-16",
            "parameters": {"password": {"type": "string", "hidden": True}},
            "resources": {"inner": inner(text, parameters={"password": {"get_param": "password"}, "plain": "seen"})},
            "outputs": {
                "password": {"value": {"get_attr": ["inner", "outputs", "password"]}},
                "plain": {"value": {"get_attr": ["inner", "outputs", "plain"]}},
            },
        }
        source = [{"name": "password", "secretKeyRef": {"name": "outer", "key": "password"}}]
        web.apply({}, template=template, parametersFrom=source)
        await web.live()
        assert web.condition() == ("True", "Succeeded"), web.message()
        child = web.child()
        assert child["spec"]["parameters"] == {"plain": "seen"}
        assert [one["name"] for one in child["spec"]["parametersFrom"]] == ["password"]
        held = web.kube.find("secrets", f"{child['metadata']['name']}-inputs")
        assert held is not None
        assert base64.b64decode(held["data"]["parameter.password"]).decode() == secret
        assert [one["uid"] for one in held["metadata"]["ownerReferences"]] == [child["metadata"]["uid"]]
        assert web.status["outputs"] == {"plain": "seen"}
        assert web.status["hiddenOutputs"] == ["password"]
        readable = [obj for key, obj in web.kube.objects.items() if key[0] != "secrets"]
        assert secret not in json.dumps(readable)
        web.kube.secret("outer", password="another-secret-word")
        await web.live()
        held = web.kube.find("secrets", f"{child['metadata']['name']}-outputs")
        assert held is not None
        assert base64.b64decode(held["data"]["password"]).decode() == "another-secret-word"
        await web.delete()
        await web.live()
        assert web.kube.named("secrets") == {"outer"}

    virtual.run(life())


def test_a_template_with_something_hidden_is_refused_with_its_path() -> None:
    async def life() -> None:
        web = Family()
        web.kube.secret("outer", password="correct-horse")
        text = {"str_replace": {"template": INNER, "params": {"inner": {"get_param": "password"}}}}
        template = {
            "heat_template_version": "2021-04-16",
            "parameters": {"password": {"type": "string", "hidden": True}},
            "resources": {"inner": {"type": "OS::Heat::Stack", "properties": {"template": text, "parameters": {}}}},
        }
        source = [{"name": "password", "secretKeyRef": {"name": "outer", "key": "password"}}]
        web.apply({}, template=template, parametersFrom=source)
        await web.live()
        assert web.condition() == ("False", "InvalidProperty")
        assert "resources.inner.properties.template: it is made of something hidden" in web.message()
        assert web.children == []

    virtual.run(life())


def test_what_others_change_in_a_child_is_repaired() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"inner": inner(parameters={"name": "first"})})
        await web.live()
        name = web.children[0]
        wanted = web.child()["spec"]
        for edit in (
            {"parameters": {"name": "other"}},
            {"templateBody": SIZED},
            {"timeout": "5m"},
            {"drift": "Ignore"},
            {"tags": ["mine"]},
            {"powerState": "Suspended"},
        ):
            web.edit(name, **edit)
            await web.live()
            assert web.child()["spec"] == wanted, edit
            assert web.nets() == ["first"]
            assert web.condition() == ("True", "Succeeded")
        assert web.services.told.reasons.count("DriftCorrected") >= 5

    virtual.run(life())


def test_with_drift_report_a_change_of_a_child_is_only_reported() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"inner": inner(parameters={"name": "first"})}, drift="Report")
        await web.live()
        web.edit(web.children[0], parameters={"name": "other"})
        await web.live()
        assert web.child()["spec"]["parameters"] == {"name": "other"}
        assert web.condition("DriftDetected") == ("True", "Drifted")
        assert "parameters" in web.message("DriftDetected")

    virtual.run(life())


def test_a_child_that_somebody_deleted_is_made_again_under_the_same_name() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"inner": inner(parameters={"name": "first"})})
        await web.live()
        before = web.child()
        await web.kube.delete(STACKS, "ns", before["metadata"]["name"])
        await web.live()
        after = web.child()
        assert after["metadata"]["name"] == before["metadata"]["name"]
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        assert web.nets() == ["first"]
        assert web.condition() == ("True", "Succeeded")

    virtual.run(life())


FAILING = """
heat_template_version: 2021-04-16
resources:
  bad: {type: OS::Heat::TestResource, properties: {fail: true}}
"""


def test_a_failure_three_stacks_deep_is_reported_with_its_reason_first_and_ends_with_a_repair() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"outer": inner(nested(2, FAILING))})
        await web.live()
        assert web.condition()[0] == "False"
        message = web.message()
        assert message.startswith("resources.outer: Test Resource failed bad; in resources.bad of the Stack ")
        assert [message.find(f"resources.{name} of") for name in ("bad", "level0", "level1")] == sorted(
            message.find(f"resources.{name} of") for name in ("bad", "level0", "level1")
        )
        assert len(web.children) == 3
        assert web.status["failedResources"][0]["message"].startswith("Test Resource failed bad;")
        web.apply({"outer": inner(nested(2, INNER))})
        await web.live()
        assert web.condition() == ("True", "Succeeded")
        assert web.nets() == ["inner"]

    virtual.run(life())


def test_an_invalid_template_of_a_child_is_reported_and_stalls() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"inner": inner("heat_template_version: 2021-04-16\nresources: {net: {type: OS::No::Such}}")})
        await web.live()
        assert web.condition() == ("False", "InvalidProperty")
        assert "InvalidTemplate: " in web.message()
        assert web.condition("Stalled")[0] == "True"

    virtual.run(life())


def test_a_failed_update_of_a_child_is_rolled_back_by_its_parent() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"inner": inner()}, onFailure="Rollback")
        await web.live()
        web.apply({"inner": inner(FAILING)}, onFailure="Rollback")
        await web.live(300)
        assert web.condition() == ("False", "RolledBack")
        assert web.child()["spec"]["templateBody"] == INNER
        assert web.nets() == ["inner"]

    virtual.run(life())


def test_another_region_replaces_the_child_and_other_credentials_change_it() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"inner": inner(context={"region_name": "one"})})
        await web.live()
        first = web.child()
        reference = {"secretName": "s", "cloudName": "own", "regionName": "one"}
        assert first["spec"]["cloudCredentialsRef"] == reference
        context = {"region_name": "one", "credential_secret_id": "other/cloud", "insecure": True}
        web.apply({"inner": inner(context=context)})
        await web.live()
        assert web.child()["metadata"]["uid"] == first["metadata"]["uid"]
        reference = {"secretName": "other", "cloudName": "cloud", "regionName": "one", "insecure": True}
        assert web.child()["spec"]["cloudCredentialsRef"] == reference
        web.apply({"inner": inner(context={"region_name": "two"})})
        await web.live()
        assert web.child()["metadata"]["name"] != first["metadata"]["name"]
        assert web.child()["spec"]["cloudCredentialsRef"]["regionName"] == "two"

    virtual.run(life())


def test_environments_and_files_are_handed_down_without_the_parents_parameters() -> None:
    environment = """
parameters: {name: of-the-parent}
parameter_defaults: {color: red}
resource_registry: {"My::Net": net.yaml}
"""
    text = """
heat_template_version: 2021-04-16
parameters:
  name: {type: string, default: own}
  color: {type: string}
resources:
  net: {type: My::Net, properties: {name: {list_join: ["-", [{get_param: name}, {get_param: color}]]}}}
"""

    async def life() -> None:
        web = Family()
        net = INNER.replace("default: inner", "default: x")
        template = {
            "heat_template_version": "2021-04-16",
            "parameters": {"name": {"type": "string"}},
            "resources": {"inner": inner(text)},
        }
        spec: dict[str, Any] = {"environments": [{"inline": environment}], "files": {"net.yaml": net}}
        web.apply({}, template=template, **spec)
        await web.live()
        assert web.condition() == ("True", "Succeeded"), web.message()
        assert web.nets() == ["own-red"]
        spec["environments"] = [{"inline": environment.replace("red", "blue")}]
        web.apply({}, template=template, **spec)
        await web.live()
        assert web.nets() == ["own-blue"]

    virtual.run(life())


def test_suspending_and_resuming_goes_down_to_the_children() -> None:
    server = """
heat_template_version: 2021-04-16
resources:
  server: {type: OS::Nova::Server, properties: {name: s, image: cirros, flavor: m1.tiny}}
"""

    async def life() -> None:
        web = Family()

        def states() -> list[str]:
            return [web.cloud._shown("servers", item)["status"] for item in web.cloud.all("servers")]

        web.apply({"outer": inner(nested(1, server))})
        await web.live(200)
        assert states() == ["ACTIVE"]
        web.apply({"outer": inner(nested(1, server))}, powerState="Suspended")
        await web.live(300)
        assert web.condition() == ("True", "Suspended"), web.message()
        assert states() == ["SUSPENDED"]
        assert {web.child(name)["spec"]["powerState"] for name in web.children} == {"Suspended"}
        web.apply({"outer": inner(nested(1, server))})
        await web.live(300)
        assert states() == ["ACTIVE"]
        assert {web.child(name)["spec"]["powerState"] for name in web.children} == {"Running"}

    virtual.run(life())


def test_a_plan_says_what_happens_to_a_child_and_changes_nothing() -> None:
    async def life() -> None:
        web = Family()
        resources = {
            "inner": inner(parameters={"name": "first"}),
            "after": {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": ["inner", "outputs", "id"]}}},
        }

        async def planned() -> dict[str, list[str]]:
            stack = web.kube.find("stacks", "web")
            assert stack is not None
            report = (await plan_stack(web.services, stack)).report()
            return {one["resource"]: [one["action"], *one.get("calls", ())] for one in report["changes"]}

        web.apply(resources)
        assert await planned() == {"inner": ["Create", "POST stacks /stacks"], "after": ["Create"]}
        assert web.children == []
        await web.live()
        assert await planned() == {}
        resources["inner"] = inner(parameters={"name": "second"})
        web.apply(resources)
        assert (await planned())["inner"] == ["Update", f"PUT stacks /stacks/{web.children[0]}"]
        assert web.nets() == ["first"]

    virtual.run(life())


def test_a_child_gets_every_field_that_the_api_server_would_default() -> None:
    """A field that the API server added would look like a change by others."""
    crd = yaml.safe_load((Path(__file__).parents[3] / "crds/stacks.yaml").read_text())
    fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    defaults = {name: how["default"] for name, how in fields.items() if "default" in how}
    parent = {"spec": {"cloudCredentialsRef": {"secretName": "s", "cloudName": "c"}}}
    handed_down = child_spec.inherited(parent, Inputs(""))
    body = {"name": "x", "template": "t", "parameters": {}, "hidden": [], "context": {}, "timeout": None}
    made = child_spec.content("x", {**body, "power_state": "Running"}, handed_down).spec
    assert defaults.keys() <= made.keys()
    assert {name: made[name] for name in defaults} == defaults


def test_numbers_that_the_api_server_gives_back_in_another_form_are_written_in_that() -> None:
    parent = {"spec": {"cloudCredentialsRef": {}}}
    body = {"name": "x", "template": "t", "hidden": [], "context": {}, "timeout": 5, "power_state": "Running"}
    parameters = {"whole": 2.0, "half": 0.5, "huge": 2**70, "flag": True, "map": {"a": None}, "list": [1.0, "b"]}
    spec = child_spec.content("x", {**body, "parameters": parameters}, child_spec.inherited(parent, Inputs(""))).spec
    expected = {"whole": 2, "half": 0.5, "huge": str(2**70), "flag": True, "map": '{"a": null}', "list": [1, "b"]}
    assert spec["parameters"] == expected
    assert repr(spec["parameters"]["whole"]) == "2"
