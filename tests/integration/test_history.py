"""What a week later still tells what happened to a Stack."""

from typing import Any

import pytest
from harness.operator import Operator, eventually
from harness.stacks import Namespace

pytestmark = [pytest.mark.lifecycle, pytest.mark.no_kills]


def networks(*names: str, **more: Any) -> dict[str, Any]:
    resources = {name: {"type": "OS::Neutron::Net", "properties": {"name": f"history-{name}"}} for name in names}
    return {"heat_template_version": "2021-04-16", "resources": {**resources, **more}}


def entries(space: Namespace) -> list[dict[str, Any]]:
    found = [entry for one in space.get("stackhistories") for entry in one["spec"]["entries"]]
    return sorted(found, key=lambda entry: int(entry["seq"]))


def told(space: Namespace) -> list[tuple[str, str, str]]:
    return [(one.get("path", ""), one.get("action", ""), one["status"]) for one in entries(space)]


def test_the_history_after_several_operations_and_a_restart(own_kiln: Operator, space: Namespace) -> None:
    own_kiln.start()
    space.stack("web", networks("a"))
    space.ready("web")
    bad = {"type": "OS::Heat::TestResource", "properties": {"fail": True}}
    space.stack("web", networks("a", "b"), updateRequest="1")
    space.ready("web")
    eventually(lambda: ("", "Update", "Complete") in told(space), 30)
    own_kiln.stop()
    own_kiln.start()
    space.stack("web", networks("a", "b", bad=bad), onFailure="Rollback")
    space.reason("web", "RolledBack")
    space.operate("web", "Retry")
    eventually(lambda: len(space.get("stack", "web")["status"]["operations"]) >= 5, 90)
    eventually(lambda: told(space).count(("", "Rollback", "Complete")) >= 2, 60)

    found = entries(space)
    assert [entry["seq"] for entry in found] == list(range(len(found)))
    created = next(entry for entry in found if entry.get("path") == "a" and entry["status"] == "Complete")
    assert created["physicalID"] == space.resources("web")["a"]["status"]["physicalID"]
    failed = next(entry for entry in found if entry.get("path") == "bad" and entry["status"] == "Failed")
    assert failed["reason"] == "InvalidProperty"
    operations = [one for one in found if "path" not in one and one["status"] == "InProgress"]
    assert [one["action"] for one in operations[:4]] == ["Create", "Update", "Update", "Rollback"]

    status = space.get("stack", "web")["status"]
    asked = [(one["type"], one["result"], one.get("requestedBy", "")) for one in status["operations"]]
    assert asked[0][2].startswith("kubectl")
    assert asked[3] == ("Rollback", "Succeeded", "spec.onFailure")
    assert asked[4][2].startswith("StackOperation web-")
    assert "(kubectl" in asked[4][2]
    described = space.kubectl("describe", "stack", "web")
    assert "Requested By:" in described
    space.delete("web")
    eventually(lambda: space.get("stackhistories") == [], 60)
