"""Groups and nested templates in the status, and failures deep in them."""

from typing import Any

from harness import virtual
from harness.one_stack import OneStack

from kiln.stack import resource_tree
from reconcilers.engine.progress import ProgressTracker, ResourceProgress

INNER = """
heat_template_version: 2021-04-16
resources:
  net: {type: OS::Neutron::Net, properties: {name: net}}
  bad: {type: OS::Heat::TestResource, properties: {fail: %s}}
outputs:
  net: {value: {get_resource: net}}
"""
MIDDLE = """
heat_template_version: 2021-04-16
resources:
  inner: {type: inner.yaml}
"""


def nested(fail: str) -> dict[str, Any]:
    return {"files": {"inner.yaml": INNER % fail, "middle.yaml": MIDDLE}}


OUTER = {
    "group": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 1, "resource_def": {"type": "middle.yaml"}}}
}


def test_a_failure_three_templates_deep_is_in_ready_with_its_path_and_reason() -> None:
    async def life() -> None:
        web = OneStack()
        web.apply(OUTER, **nested("true"))
        await web.run()
        assert web.message() == "resources.group/0/inner/bad.properties.fail: Test Resource failed group/0/inner/bad"
        assert web.status["failedResources"][0]["name"] == "group/0/inner/bad"
        assert web.status["nested"] == [
            {"name": "group", "type": "OS::Heat::ResourceGroup", "depth": 0, "resources": "1/2", "failed": 1},
            {"name": "group/0", "type": "middle.yaml", "depth": 1, "resources": "1/2", "failed": 1},
            {"name": "group/0/inner", "type": "inner.yaml", "depth": 2, "resources": "1/2", "failed": 1},
        ]
        web.apply(OUTER, **nested("false"))
        await web.run()
        assert [one["resources"] for one in web.status["nested"]] == ["2/2"] * 3
        record = next(one for key, one in web.kube.objects.items() if key[0] == "stackresources")
        assert record["status"]["parent"] == "group/0/inner"
        assert record["status"]["depth"] == 3
        web.apply({})
        await web.run()
        assert "nested" not in web.status

    virtual.run(life())


def test_attributes_of_members_reach_through_groups_and_nested_templates() -> None:
    async def life() -> None:
        web = OneStack()
        template = {
            "heat_template_version": "2021-04-16",
            "resources": OUTER,
            "outputs": {
                "one": {"value": {"get_attr": ["group", "resource.0.resource.inner.net"]}},
                "deep": {"value": {"get_attr": ["group", "resource.0.resource.inner.resource.net.name"]}},
            },
        }
        web.apply({}, template=template, **nested("false"))
        await web.run()
        assert web.status["outputs"]["deep"] == "net"
        assert web.status["outputs"]["one"] == web.cloud.all("networks")[0]["id"]

    virtual.run(life())


def test_a_status_shows_a_hundred_of_them_those_at_the_top_first() -> None:
    progress = ProgressTracker()
    progress.nested = {f"group/{index}": "x.yaml" for index in range(300)} | {"zone": "z.yaml"}
    progress.resources["group/7/net"] = ResourceProgress("OS::Neutron::Net", "Ready")
    found = resource_tree.nested_of(progress)
    assert len(found) == resource_tree.MOST
    assert "zone" in {one["name"] for one in found}
