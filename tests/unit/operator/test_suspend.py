"""``spec.powerState`` and the StackOperations Suspend and Resume: what the status says, and when."""

import uuid
from typing import Any

import pytest
from harness import virtual
from harness.one_stack import FAILS, NET, OneStack

from kiln.api.kinds import STACK_OPERATIONS
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import Key, Operation, PowerState, StackSpec
from kiln.stack import power
from kiln.stack.power import PowerWish


def server(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "OS::Nova::Server", "properties": {"name": name, "image": "cirros", "flavor": "m1.tiny"}, **more}


class Web(OneStack):
    def ask(self, kind: str, resource: str) -> str:
        name = f"op-{uuid.uuid4().hex[:6]}"
        metadata = {"uid": f"uid-{name}", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
        spec = {"stackName": "web", "type": kind, kind.lower(): {"resource": resource}}
        obj = self.kube.put(STACK_OPERATIONS, name, metadata=metadata, spec=spec)
        assert self.services.requests.observe("stackoperations", "ADDED", obj) == Key("ns", "web")
        return name

    def result(self, name: str) -> tuple[str, str]:
        status = (self.kube.find("stackoperations", name) or {}).get("status") or {}
        return status.get("phase", ""), status.get("message", "")

    def servers(self) -> dict[str, str]:
        return {item["name"]: self.cloud._shown("servers", item)["status"] for item in self.cloud.all("servers")}

    def kinds(self) -> set[str]:
        return {one["type"] for one in self.status["conditions"]}

    def last(self) -> tuple[str, str]:
        return self.status["lastOperation"]["type"], self.status["lastOperation"]["result"]


def test_a_stack_is_suspended_and_resumed_as_its_spec_says() -> None:
    async def life() -> None:
        web = Web()
        web.apply({"a": server("a"), "net": NET})
        await web.run()
        assert "Suspended" not in web.kinds()
        web.apply({"a": server("a"), "net": NET}, powerState="Suspended")
        await web.run()
        assert web.servers() == {"a": "SUSPENDED"}
        assert web.condition() == ("True", "Suspended")
        assert web.condition("Suspended") == ("True", "Suspended")
        assert web.last() == ("Suspend", "Succeeded")
        assert "Suspended" in web.services.told.reasons
        web.apply({"a": server("a"), "net": NET})
        await web.run()
        assert web.servers() == {"a": "ACTIVE"}
        assert web.condition() == ("True", "Succeeded")
        assert "Suspended" not in web.kinds()
        assert web.last() == ("Resume", "Succeeded")

    virtual.run(life())


def test_a_suspended_stack_at_rest_writes_nothing() -> None:
    async def life() -> None:
        web = Web()
        web.apply({"a": server("a")}, powerState="Suspended")
        await web.run()
        before = (web.status, len(web.cloud.sent("POST")))
        await web.run()
        assert (web.status, len(web.cloud.sent("POST"))) == before

    virtual.run(life())


def test_an_update_of_a_suspended_stack_is_an_update_and_ends_suspended() -> None:
    async def life() -> None:
        web = Web()
        web.apply({"a": server("a")}, powerState="Suspended")
        await web.run()
        web.apply({"a": server("a"), "b": server("b")}, powerState="Suspended")
        await web.run()
        assert web.servers() == {"a": "SUSPENDED", "b": "SUSPENDED"}
        assert web.last() == ("Update", "Succeeded")
        assert web.condition("Suspended") == ("True", "Suspended")

    virtual.run(life())


def test_a_failed_update_is_rolled_back_and_the_stack_is_suspended_then() -> None:
    async def life() -> None:
        web = Web()
        web.apply({"a": server("a")}, powerState="Suspended")
        await web.run()
        web.apply({"a": server("a"), "bad": {**FAILS, "depends_on": "a"}}, powerState="Suspended", onFailure="Rollback")
        await web.run()
        await web.run()
        assert web.condition() == ("False", "RolledBack")
        assert web.servers() == {"a": "SUSPENDED"}

    virtual.run(life())


def test_a_server_that_cannot_be_suspended_fails_the_operation_and_is_named() -> None:
    async def life() -> None:
        web = Web()
        web.apply({"a": server("a")})
        await web.run()
        web.cloud.all("servers")[0]["status"] = "RESCUE"
        web.apply({"a": server("a")}, powerState="Suspended")
        await web.run()
        assert web.last() == ("Suspend", "Failed")
        assert web.condition("Suspended") == ("False", "Suspending")
        assert web.condition()[0] == "False"
        assert web.status["failedResources"][0]["name"] == "a"

    virtual.run(life())


def test_a_suspension_has_the_time_of_an_operation() -> None:
    async def life() -> None:
        web = Web()
        web.apply({"a": server("a")})
        await web.run()
        web.cloud.all("servers")[0]["status"] = "HARD_REBOOT"
        web.apply({"a": server("a")}, powerState="Suspended", timeout="30s")
        await web.run()
        assert web.last() == ("Suspend", "TimedOut")
        assert web.condition() == ("False", "TimedOut")

    virtual.run(life())


def test_one_resource_is_suspended_and_stays_so_when_the_stack_is_suspended_and_resumed() -> None:
    async def life() -> None:
        web = Web()
        template = {"a": server("a"), "b": server("b")}
        web.apply(template)
        await web.run()
        asked = web.ask("Suspend", "a")
        await web.run()
        assert web.result(asked)[0] == "Succeeded"
        assert web.status["suspendedResources"] == ["a"]
        assert web.last() == ("Suspend", "Succeeded")
        assert web.servers() == {"a": "SUSPENDED", "b": "ACTIVE"}
        web.apply(template, powerState="Suspended")
        await web.run()
        refused = web.ask("Resume", "a")
        await web.run()
        assert web.result(refused) == ("Failed", "the whole Stack is suspended; set spec.powerState to Running")
        web.apply(template)
        await web.run()
        assert web.servers() == {"a": "SUSPENDED", "b": "ACTIVE"}
        asked = web.ask("Resume", "a")
        await web.run()
        assert web.result(asked)[0] == "Succeeded"
        assert web.last() == ("Resume", "Succeeded")
        assert web.servers() == {"a": "ACTIVE", "b": "ACTIVE"}
        assert "suspendedResources" not in web.status

    virtual.run(life())


@pytest.mark.parametrize(
    ("kind", "resource", "message"),
    [
        ("Suspend", "nobody", "there is no resource 'nobody'"),
        ("Suspend", "net", "nothing of 'net' can be suspended: OS::Neutron::Net"),
        ("Resume", "a", "no StackOperation has suspended 'a'; those that are: none"),
    ],
)
def test_an_operation_that_cannot_apply_says_why(kind: str, resource: str, message: str) -> None:
    async def life() -> None:
        web = Web()
        web.apply({"a": server("a"), "net": NET})
        await web.run()
        asked = web.ask(kind, resource)
        await web.run()
        assert web.result(asked) == ("Failed", message)

    virtual.run(life())


def test_what_is_replaced_is_suspended_too_if_its_name_is() -> None:
    async def life() -> None:
        web = Web()
        web.apply({"a": server("a")})
        await web.run()
        web.ask("Suspend", "a")
        await web.run()
        before = web.cloud.all("servers")[0]["id"]
        other = server("a")
        other["properties"]["config_drive"] = True
        web.apply({"a": other})
        await web.run()
        assert web.servers() == {"a": "SUSPENDED"}
        assert web.cloud.all("servers")[0]["id"] != before

    virtual.run(life())


SPEC = StackSpec("s", "own")
SUSPENDED_SPEC = StackSpec("s", "own", power_state=PowerState.SUSPENDED)
HELD = StackStatus(conditions={"Suspended": {"status": "True"}})
HALF = StackStatus(conditions={"Suspended": {"status": "False"}})


@pytest.mark.parametrize(
    ("spec", "status", "usual", "expected"),
    [
        (SPEC, StackStatus(), Operation.REPAIR, Operation.REPAIR),
        (SPEC, HELD, Operation.REPAIR, Operation.RESUME),
        (SPEC, HALF, Operation.REPAIR, Operation.RESUME),
        (SPEC, HALF, Operation.UPDATE, Operation.UPDATE),
        (SUSPENDED_SPEC, StackStatus(), Operation.REPAIR, Operation.SUSPEND),
        (SUSPENDED_SPEC, HALF, Operation.REPAIR, Operation.SUSPEND),
        (SUSPENDED_SPEC, HELD, Operation.REPAIR, Operation.REPAIR),
        (SUSPENDED_SPEC, StackStatus(), Operation.CREATE, Operation.CREATE),
        (SUSPENDED_SPEC, StackStatus(), Operation.ROLLBACK, Operation.ROLLBACK),
    ],
)
def test_the_operation_says_what_differs(
    spec: StackSpec, status: StackStatus, usual: Operation, expected: Operation
) -> None:
    assert power.operation(power.wish(spec, status), status, usual, None) is expected


def test_the_condition_is_there_only_while_it_says_something() -> None:
    assert power.condition(PowerWish(), reached=False) is None
    assert power.condition(PowerWish(), reached=True) == (None, "", "")
    assert power.condition(PowerWish(resuming=True), reached=False) == (
        False,
        "Resuming",
        "resources are being resumed",
    )
