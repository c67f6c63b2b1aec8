"""What the template language promises, kept by the operator.

Groups, nested templates, immutable parameters, restrictions.
"""

import json
from typing import Any

from harness.operator import Operator
from harness.stacks import Namespace

PAIR = json.dumps(
    {
        "heat_template_version": "2021-04-16",
        "parameters": {"mark": {"type": "string"}},
        "resources": {
            "net": {"type": "OS::Neutron::Net", "properties": {"name": {"get_param": "mark"}}},
            "text": {"type": "OS::Heat::RandomString", "properties": {"length": 8}},
        },
        "outputs": {"text": {"value": {"get_attr": ["text", "value"]}}},
    }
)


def group(count: int, **more: Any) -> dict[str, Any]:
    definition = {"type": "pair.yaml", "properties": {"mark": "member-%index%"}}
    return {
        "heat_template_version": "2021-04-16",
        "resources": {
            "group": {
                "type": "OS::Heat::ResourceGroup",
                "properties": {"count": count, "resource_def": definition, **more},
            }
        },
        "outputs": {"texts": {"value": {"get_attr": ["group", "text"]}}},
    }


def test_a_group_of_nested_templates_scales_and_uses_no_removed_name_again(kiln: Operator, space: Namespace) -> None:
    files = {"pair.yaml": PAIR}
    space.stack("web", group(2), files=files)
    first = space.ready("web")["status"]["outputs"]["texts"]
    assert set(space.resources("web")) == {"group/0/net", "group/0/text", "group/1/net", "group/1/text"}
    space.stack("web", group(3), files=files)
    assert space.ready("web")["status"]["outputs"]["texts"][:2] == first
    space.stack("web", group(2, removal_policies=[{"resource_list": ["0"]}]), files=files)
    status = space.ready("web")["status"]
    assert {name.split("/")[1] for name in space.resources("web")} == {"1", "2"}
    assert status["groups"]["group"] == ["0"]
    space.stack("web", group(3), files=files)
    space.ready("web")
    assert {name.split("/")[1] for name in space.resources("web")} == {"1", "2", "3"}


def test_an_immutable_parameter_stays_and_a_restricted_resource_is_left_alone(kiln: Operator, space: Namespace) -> None:
    template = {
        "heat_template_version": "2021-04-16",
        "parameters": {
            "zone": {"type": "string", "default": "a", "immutable": True},
            "name": {"type": "string", "default": "one"},
        },
        "resources": {"net": {"type": "OS::Neutron::Net", "properties": {"name": {"get_param": "name"}}}},
    }
    fixed = [{"environment": {"resource_registry": {"resources": {"net": {"restricted_actions": "update"}}}}}]
    space.stack("web", template, environments=fixed)
    space.ready("web")
    space.stack("web", template, environments=fixed, parameters={"zone": "b"})
    assert "parameters.zone" in space.reason("web", "InvalidParameter")["message"]
    space.stack("web", template, environments=fixed, parameters={"name": "two"})
    assert "resources.net" in space.reason("web", "InvalidProperty")["message"]
    space.stack("web", template, parameters={"name": "two"})
    space.ready("web")
