"""Plans as data and as text: old and new values, lines of the template, requests, and never a hidden value."""

import json
from typing import Any

import pytest
from harness.one_stack import OneStack

from kiln.api.kinds import STACKS
from kiln.stack import plan_report
from kiln.stack.plan_report import Limits
from kiln.stack.planning import StackPlan, plan_stack

SECRET = "Hunter2-Secret"
TEMPLATE = """heat_template_version: 2021-04-16
parameters:
  secret: {type: string, hidden: true}
  dns: {type: string}
resources:
  net:
    type: OS::Neutron::Net
    properties: {name: net}
  subnet:
    type: OS::Neutron::Subnet
    properties:
      network: {get_resource: net}
      name: {get_param: secret}
      cidr: 10.0.0.0/24
      dns_nameservers: [{get_param: dns}]
  word:
    type: OS::Heat::RandomString
    properties: {length: 20}
  server:
    type: OS::Nova::Server
    properties:
      name: server
      image: cirros
      flavor: m1.tiny
      metadata: {tier: web, word: {get_attr: [word, value]}}
"""


@pytest.fixture
def web() -> OneStack:
    return OneStack()


def apply(web: OneStack, template: str = TEMPLATE, dns: str = "8.8.8.8", secret: str = SECRET) -> None:
    web.apply({}, templateBody=template, parameters={"dns": dns, "secret": secret})
    del web.kube.objects["stacks", "ns", "web"]["spec"]["template"]


async def planned(web: OneStack, *, delete: bool = False) -> StackPlan:
    stack = await web.kube.get(STACKS, "ns", "web")
    assert stack is not None
    return await plan_stack(web.services, stack, delete=delete)


def change(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in found["changes"] if one["resource"] == name)


async def test_a_new_stack_lists_values_lines_and_requests(web: OneStack) -> None:
    apply(web)
    found = (await planned(web)).report()
    assert found["counts"] == {"Create": 4}
    net, subnet, server = (change(found, name) for name in ("net", "subnet", "server"))
    assert net["line"] == 6
    assert net["calls"] == ["POST network /networks"]
    assert {"name": "name", "new": "net"} in net["properties"]
    assert {"name": "name", "hidden": True} in subnet["properties"]
    assert {"name": "network", "new": "(known later)"} in subnet["properties"]
    assert subnet["knownLater"] == ["network"]
    assert SECRET not in json.dumps(found)
    assert server["calls"] == ["POST compute /servers"]


async def test_an_update_shows_old_and_new_values_and_no_secret_of_another_resource(web: OneStack) -> None:
    apply(web)
    await web.run()
    word = next(one["metadata"]["word"] for one in web.cloud.all("servers"))
    apply(web, TEMPLATE.replace("tier: web", "tier: db"), dns="9.9.9.9", secret="Other-Secret-1")
    found = (await planned(web)).report()
    assert found["counts"] == {"Update": 2}
    assert found["unchanged"] == 2
    subnet, server = change(found, "subnet"), change(found, "server")
    assert subnet["properties"] == [
        {"name": "dns_nameservers", "old": '["8.8.8.8"]', "new": '["9.9.9.9"]'},
        {"name": "name", "hidden": True},
    ]
    assert subnet["line"] == 9
    assert server["properties"] == [{"name": "metadata", "hidden": True}]
    text = json.dumps(found) + "\n".join([*plan_report.lines(found), *plan_report.diff(found, TEMPLATE)])
    assert not [secret for secret in (SECRET, "Other-Secret-1", word) if secret in text]


async def test_drift_shows_the_value_that_somebody_else_gave(web: OneStack) -> None:
    apply(web)
    await web.run()
    web.cloud.all("networks")[0]["name"] = "by hand"
    found = (await planned(web)).report()
    net = change(found, "net")
    assert (net["properties"], net["drifted"]) == ([{"name": "name", "old": "by hand", "new": "net"}], ["name"])
    assert net["calls"] == [f"PUT network /networks/{web.cloud.all('networks')[0]['id']}"]


async def test_a_text_and_a_diff_say_the_same_as_the_data(web: OneStack) -> None:
    apply(web)
    await web.run()
    apply(web, dns="9.9.9.9")
    stack_plan = await planned(web)
    found = stack_plan.report()
    subnet = web.cloud.all("subnets")[0]["id"]
    assert list(plan_report.lines(found)) == [
        " ~ subnet (OS::Neutron::Subnet, line 9): Update dns_nameservers",
        '      dns_nameservers: ["8.8.8.8"] -> ["9.9.9.9"]',
        f"      > PUT network /subnets/{subnet}",
        "Plan: 1 Update",
    ]
    assert list(plan_report.diff(found, stack_plan.template)) == [
        "--- subnet",
        "+++ subnet",
        "@@ line 9 @@ subnet:",
        " subnet (OS::Neutron::Subnet, line 9): Update dns_nameservers",
        '-dns_nameservers: ["8.8.8.8"]',
        '+dns_nameservers: ["9.9.9.9"]',
    ]


async def test_equal_plans_have_equal_digests_and_other_values_another_one(web: OneStack) -> None:
    apply(web)
    await web.run()
    apply(web, dns="9.9.9.9")
    first, again = await planned(web), await planned(web)
    assert (first.digest, first.inputs_digest, first.records_digest) == (
        *(again.digest, again.inputs_digest, again.records_digest),
    )
    apply(web, dns="9.9.9.10")
    other = await planned(web)
    assert other.digest != first.digest
    assert other.inputs_digest != first.inputs_digest
    assert other.records_digest == first.records_digest
    web.cloud.all("networks")[0]["name"] = "by hand"
    assert (await planned(web)).digest != other.digest


async def test_a_report_is_bounded_and_counts_the_rest(web: OneStack) -> None:
    resources = {f"n{i}": {"type": "OS::Neutron::Net", "properties": {"name": "x" * 1000}} for i in range(30)}
    web.apply(resources)
    stack_plan = await planned(web)
    found = stack_plan.report(Limits(changes=20, size=4_000))
    assert len(json.dumps(found)) < 5_000
    assert len(found["changes"]) + found["omitted"] == 30
    assert found["counts"] == {"Create": 30}
    assert stack_plan.report(Limits(changes=20))["omitted"] == 10
    assert "    and 10 more" in list(plan_report.lines(stack_plan.report(Limits(changes=20))))


async def test_a_deletion_lists_what_goes_and_what_is_protected(web: OneStack) -> None:
    apply(web)
    await web.run()
    found = (await planned(web, delete=True)).report()
    assert found["counts"] == {"Delete": 4}
    assert "calls" not in change(found, "subnet")
    assert change(found, "net")["calls"] == [f"DELETE network /networks/{web.cloud.all('networks')[0]['id']}"]
    web.kube.objects["stacks", "ns", "web"]["spec"]["protectedResources"] = ["net"]
    assert change((await planned(web, delete=True)).report(), "net")["action"] == "Refuse"
