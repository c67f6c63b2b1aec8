"""Histories: what is written of a Stack's life, when, and what it costs."""

import json
from typing import Any

import pytest
from harness.fake_connection import Refused
from harness.one_stack import FAILS, NET, OneStack, named

from kiln import metrics
from kiln.api.kinds import STACK_HISTORIES, STACKS
from kiln.api.v1alpha1 import API_VERSION, LABEL_STACK, Key, Operation
from kiln.kube.errors import Forbidden, Invalid, KubeError, NamespaceTerminating, NotFound
from kiln.stack import history, operation_log, requesters
from kiln.stack.history import CHUNK, LONGEST, MOST_PENDING, RING, Entry, HistoryWriter

PASSWORD = "hunter2-hunter2"


@pytest.fixture
def web() -> OneStack:
    return OneStack()


def entries(web: OneStack) -> list[dict[str, Any]]:
    """All stored entries of the Stack, oldest first."""
    found = [obj for (plural, _, _), obj in web.kube.objects.items() if plural == STACK_HISTORIES.plural]
    return sorted((entry for obj in found for entry in obj["spec"]["entries"]), key=lambda entry: entry["seq"])


def told(web: OneStack) -> list[tuple[str, str, str]]:
    return [(entry.get("path", ""), entry.get("action", ""), entry["status"]) for entry in entries(web)]


async def reconcile(web: OneStack) -> None:
    await web.run()
    await web.services.history.flush(at_once=True)


def managed(web: OneStack, manager: str, time: str = "2026-01-01T00:00:00Z") -> None:
    fields = [
        {"manager": "kiln", "time": "2027-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}},
        {"manager": "old", "time": "2025-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}},
        {"manager": manager, "time": time, "fieldsV1": {"f:spec": {"f:template": {}}}},
        {"manager": "labeller", "time": "2026-06-01T00:00:00Z", "fieldsV1": {"f:metadata": {}}},
    ]
    web.kube.objects["stacks", "ns", "web"]["metadata"]["managedFields"] = fields


async def test_operations_and_resources_are_in_the_history_in_their_order(web: OneStack) -> None:
    web.apply({"net": NET})
    managed(web, "kubectl")
    await reconcile(web)
    assert told(web) == [
        ("", "Create", "InProgress"),
        ("net", "create", "InProgress"),
        ("net", "create", "Complete"),
        ("", "Create", "Complete"),
    ]
    first, _, made, last = entries(web)
    assert (first["requestedBy"], last["resources"]) == ("kubectl", "1/1")
    assert made["physicalID"] == web.cloud.all("networks")[0]["id"]
    assert made["type"] == "OS::Neutron::Net"
    assert [entry["seq"] for entry in entries(web)] == [0, 1, 2, 3]
    (stored,) = (obj for (plural, _, _), obj in web.kube.objects.items() if plural == STACK_HISTORIES.plural)
    assert stored["metadata"]["name"] == "web-history-0"
    assert stored["metadata"]["labels"] == {LABEL_STACK: "web"}
    web.apply({})
    await reconcile(web)
    assert ("net", "delete", "Complete") in told(web)
    gone = next(entry for entry in entries(web) if entry.get("action") == "delete" and entry["status"] == "Complete")
    assert gone["physicalID"] == made["physicalID"]


async def test_a_stack_at_rest_costs_the_history_no_call(web: OneStack) -> None:
    web.apply({"net": NET})
    await reconcile(web)
    web.kube.calls.clear()
    await reconcile(web)
    assert not [call for call in web.kube.calls if call[1] == STACK_HISTORIES.plural]
    # One operation is one write: the place in the ring is known.
    web.apply({"net": named("other")})
    await reconcile(web)
    assert [call[0] for call in web.kube.calls if call[1] == STACK_HISTORIES.plural] == ["patch"]


async def test_failures_are_told_with_the_request_id_and_without_secrets(web: OneStack) -> None:
    secret = {"type": "string", "hidden": True, "default": PASSWORD}
    template = {
        "heat_template_version": "2021-04-16",
        "parameters": {"p": secret},
        "resources": {"net": {"type": "OS::Neutron::Net", "properties": {"name": {"get_param": "p"}}}},
    }
    web.cloud.fault = lambda request: Refused(400, f"no {PASSWORD}") if request.method == "POST" else None
    web.apply({}, template=template)
    await reconcile(web)
    failed = next(entry for entry in entries(web) if entry.get("path") == "net" and entry["status"] == "Failed")
    assert failed["reason"] == "InvalidProperty"
    assert PASSWORD not in json.dumps(entries(web))
    assert PASSWORD not in json.dumps(web.status)


async def test_the_ring_goes_round(web: OneStack) -> None:
    writer = HistoryWriter(web.kube, lambda: True)  # type: ignore[arg-type]
    web.apply({})
    stack = web.kube.objects["stacks", "ns", "web"]
    total = CHUNK * RING + CHUNK + 5
    for number in range(total):
        writer.add(stack, Entry("2026-01-01T00:00:00Z", str(number), "create", "Complete"))
        if number % 130 == 0:
            await writer.flush()
    await writer.flush()
    assert len(web.kube.named(STACK_HISTORIES.plural)) == RING
    found = entries(web)
    assert [entry["path"] for entry in found] == [str(number) for number in range(2 * CHUNK, total)]
    # Another process goes on where this one was.
    other = HistoryWriter(web.kube, lambda: True)  # type: ignore[arg-type]
    other.add(stack, Entry("2026-01-01T00:00:00Z", "next", "create", "Complete"))
    await other.flush()
    assert entries(web)[-1]["seq"] == total
    writer.add(stack, Entry("2026-01-01T00:00:00Z", "after", "create", "Complete"))
    await writer.flush()
    assert [entry["path"] for entry in entries(web)[-2:]] == ["next", "after"]


async def test_a_write_that_fails_holds_nothing_up_and_is_retried_with_the_next_batch(
    web: OneStack, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_verb: str, plural: str, _body: Any) -> None:
        if plural == STACK_HISTORIES.plural:
            raise KubeError(500, "InternalError", "no")

    web.kube.refuse = refuse
    web.apply({"net": NET})
    await reconcile(web)
    assert web.condition() == ("True", "Succeeded")
    assert entries(web) == []
    assert "cannot be written now" in caplog.text
    web.kube.refuse = lambda *_: None
    await web.services.history.flush()
    assert entries(web) == []  # not at once again
    await web.services.history.flush(at_once=True)
    assert len(entries(web)) == 4


async def test_in_a_namespace_that_is_being_deleted_entries_are_dropped(web: OneStack) -> None:
    def refuse(verb: str, plural: str, _body: Any) -> None:
        if (verb, plural) == ("create", STACK_HISTORIES.plural):
            raise NamespaceTerminating(403, "Forbidden", "the namespace is being terminated")

    before = lost()
    web.kube.refuse = refuse
    web.apply({"net": NET})
    await reconcile(web)
    assert web.services.history._pending == {}
    assert lost() == before


async def test_entries_that_a_missing_right_keeps_out_count_as_lost(
    web: OneStack, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(verb: str, plural: str, _body: Any) -> None:
        if (verb, plural) == ("create", STACK_HISTORIES.plural):
            raise Forbidden(403, "Forbidden", "stackhistories.kiln.dev is forbidden")

    before = lost()
    web.kube.refuse = refuse
    web.apply({"net": NET})
    await reconcile(web)
    assert web.services.history._pending == {}
    assert lost() > before
    assert "is forbidden" in caplog.text


async def test_a_namespace_that_is_gone_takes_its_history_along(web: OneStack) -> None:
    def refuse(_verb: str, plural: str, _body: Any) -> None:
        if plural == STACK_HISTORIES.plural:
            raise NotFound(404, "NotFound", "namespaces ns not found")

    before = lost()
    web.kube.refuse = refuse
    web.apply({"net": NET})
    await reconcile(web)
    assert web.services.history._pending == {}
    assert lost() == before


def lost() -> float:
    """Entries of histories that were lost so far."""
    return metrics.HISTORY_DROPPED._value.get()


async def test_entries_that_kubernetes_does_not_accept_are_dropped_and_later_ones_are_written(web: OneStack) -> None:
    def refuse(_verb: str, plural: str, body: Any) -> None:
        if plural == STACK_HISTORIES.plural and "odd" in json.dumps(body):
            raise Invalid(422, "Invalid", "spec.entries[0].path: Invalid value", causes=("spec.entries[0].path",))

    web.kube.refuse = refuse
    web.apply({})
    stack = web.kube.objects["stacks", "ns", "web"]
    for path in ("odd", "even"):
        web.services.history.add(stack, Entry("2026-01-01T00:00:00Z", path, "create", "Complete"))
        await web.services.history.flush()
    assert [entry["path"] for entry in entries(web)] == ["even"]


async def test_a_write_whose_answer_was_lost_is_not_repeated(web: OneStack) -> None:
    web.apply({})
    stack = web.kube.objects["stacks", "ns", "web"]
    writer = web.services.history
    writer.add(stack, Entry("2026-01-01T00:00:00Z", "a", "create", "Complete"))
    await writer.flush()
    patch = web.kube.patch

    async def lost(*arguments: Any, **options: Any) -> Any:
        web.kube.patch = patch  # type: ignore[method-assign]
        await patch(*arguments, **options)
        return await patch(*arguments, **options)  # as the client does when no answer came

    web.kube.patch = lost  # type: ignore[method-assign]
    for path in ("b", "c"):
        writer.add(stack, Entry("2026-01-01T00:00:00Z", path, "create", "Complete"))
    await writer.flush()
    assert [entry["path"] for entry in entries(web)] == ["a", "b", "c"]


async def test_an_object_of_another_form_stops_nothing(web: OneStack) -> None:
    web.apply({})
    stack = web.kube.objects["stacks", "ns", "web"]
    owner = {"kind": "Stack", "uid": stack["metadata"]["uid"]}
    metadata = {"labels": {LABEL_STACK: "web"}, "ownerReferences": [owner]}
    web.kube.put(STACK_HISTORIES, "web-history-0", metadata=metadata, spec={"next": "x"})
    web.services.history.add(stack, Entry("2026-01-01T00:00:00Z", "a", "create", "Complete"))
    await web.services.history.flush()
    assert web.services.history._pending == {}


async def test_what_waits_is_bounded(web: OneStack) -> None:
    writer = HistoryWriter(web.kube, lambda: False)  # type: ignore[arg-type]
    web.apply({})
    stack = web.kube.objects["stacks", "ns", "web"]
    for number in range(MOST_PENDING + 10):
        writer.add(stack, Entry("2026-01-01T00:00:00Z", str(number), "create", "Complete"))
    await writer.flush()
    (pending,) = writer._pending.values()
    assert len(pending.entries) == MOST_PENDING
    assert pending.entries[0].path == "10"
    writer.forget(Key("ns", "web"))
    assert not writer._pending


async def test_objects_of_an_older_stack_are_replaced_and_what_somebody_deleted_is_begun_anew(web: OneStack) -> None:
    owner = {"apiVersion": API_VERSION, "kind": "Stack", "name": "web", "uid": "older"}
    metadata = {"labels": {LABEL_STACK: "web"}, "ownerReferences": [owner]}
    spec = {"stackName": "web", "first": 0, "next": 7, "entries": []}
    web.kube.put(STACK_HISTORIES, "web-history-0", metadata=metadata, spec=spec)
    web.apply({"net": NET})
    await reconcile(web)
    assert len(entries(web)) == 4
    await web.kube.delete(STACK_HISTORIES, "ns", "web-history-0")
    web.apply({"net": named("other")})
    await reconcile(web)
    assert ("net", "update", "Complete") in told(web)


def test_an_entry_is_bounded() -> None:
    long = "x" * 10_000
    entry = Entry("t", long, long[:10], "Failed", long, long, long, long, long, long)
    assert len(json.dumps(entry.as_json(1))) < 8 * LONGEST
    assert history.object_name("web", CHUNK * RING) == "web-history-0"


# status.operations, and who asked


async def test_the_status_tells_the_last_operations_and_who_asked_for_them(web: OneStack) -> None:
    web.apply({"net": NET})
    managed(web, "kubectl")
    await web.run()
    web.apply({"net": NET, "bad": FAILS}, onFailure="Rollback")
    managed(web, "argocd-controller", "2026-02-01T00:00:00Z")
    for _ in range(3):
        await web.run()
    web.ask("Retry", name="again")
    for _ in range(3):
        await web.run()
    found = [(one["type"], one["result"], one.get("requestedBy")) for one in web.status["operations"]]
    assert found[:3] == [
        ("Create", "Succeeded", "kubectl"),
        ("Update", "Failed", "argocd-controller"),
        ("Rollback", "Succeeded", "spec.onFailure"),
    ]
    assert found[3] == ("Update", "Failed", "StackOperation again")
    assert web.status["operations"][0]["revision"].startswith("web-1-")
    assert "startTime" in web.status["operations"][0]


def ended(kind: str, start: str, result: str = "Failed") -> dict[str, Any]:
    return {"type": kind, "result": result, "startTime": start, "completionTime": start + "e", "message": "no"}


def test_tries_that_end_in_the_same_way_are_one_entry_with_their_number() -> None:
    found: list[dict[str, Any]] = []
    for start in ("1", "2", "2", "3"):
        found = operation_log.followed(found, ended("Update", start), "r1")
    (only,) = found
    assert (only["count"], only["startTime"], only["completionTime"]) == (3, "1", "3e")
    found = operation_log.followed(found, ended("Update", "4", "Succeeded"), "r1")
    found = operation_log.followed(found, {"type": "Update", "result": "Running", "startTime": "5"}, "r2")
    assert [one["result"] for one in found] == ["Failed", "Succeeded"]


def test_the_last_ten_operations_are_kept() -> None:
    found: list[dict[str, Any]] = []
    for number in range(30):
        found = operation_log.followed(found, ended("Update", str(number)), f"r{number}")
    assert [one["revision"] for one in found] == [f"r{number}" for number in range(20, 30)]


@pytest.mark.parametrize(
    ("operation", "observed", "asked", "expected"),
    [
        (Operation.UPDATE, 1, "", "helm"),
        (Operation.UPDATE, 2, "", requesters.INPUT),
        (Operation.UPDATE, 2, "StackOperation x", "StackOperation x"),
        (Operation.ROLLBACK, 2, "", requesters.ON_FAILURE),
        (Operation.REPAIR, 2, "", ""),
        (Operation.DELETE, 2, "", ""),
    ],
)
def test_who_asked(operation: Operation, observed: int, asked: str, expected: str) -> None:
    fields = [{"manager": "helm", "fieldsV1": {"f:spec": {}}}]
    metadata = {"name": "web", "namespace": "ns", "generation": 2, "managedFields": fields}
    stack = {"kind": STACKS.kind, "metadata": metadata, "status": {"observedGeneration": observed}}
    assert requesters.requested_by(operation, stack, asked) == expected
    stack["status"]["lastOperation"] = {"type": operation, "result": "Failed", "requestedBy": "argocd"}
    assert requesters.requested_by(operation, stack, asked, again=True) == (asked or "argocd")
