"""Faults that lose data or time of people: each happened once, and none may again."""

import asyncio
import copy
import logging
import threading
from typing import Any

import pytest
from harness.fake_connection import Refused
from harness.one_stack import FAILS, NET, OneStack

from hot_translator.sandbox import pool
from hot_translator.translation import Definition
from kiln.api.v1alpha1 import Key
from kiln.controller.workqueue import Run, WorkQueue
from kiln.kube.errors import KubeError
from kiln.stack.requeue import PassEnd, Requeue
from reconcilers.backoff import Backoff

HIDDEN = {
    "heat_template_version": "2021-04-16",
    "parameters": {"p": {"type": "string", "hidden": True}},
    "resources": {"net": {"type": "OS::Neutron::Net", "properties": {"name": {"get_param": "p"}}}},
}


@pytest.fixture
def web() -> OneStack:
    return OneStack()


def message(web: OneStack) -> str:
    return str(next(one for one in web.status["conditions"] if one["type"] == "Ready")["message"])


async def test_a_reconciliation_that_sees_the_lease_lost_is_repeated_and_not_forgotten(web: OneStack) -> None:
    held = [True]
    web.services.fence = lambda: held[0]
    web.apply({"net": NET})
    web.cloud.fault = lambda _request: held.__setitem__(0, False)  # type: ignore[func-returns-value]
    requeue = await web.run()
    assert (requeue.end, requeue.after is not None) == (PassEnd.LEASE_LOST, True)


async def test_a_rollback_to_a_revision_that_is_gone_is_refused_and_deletes_nothing(web: OneStack) -> None:
    web.apply({"net": NET}, onFailure="Rollback")
    await web.run()
    good = web.status["currentRevision"]
    del web.kube.objects["stackrevisions", "ns", good]
    web.apply({"net": NET, "bad": FAILS}, onFailure="Rollback")
    await web.run()
    assert await web.run() == Requeue.on_events(PassEnd.STALLED)
    assert web.nets() == ["net"]
    assert web.condition() == ("False", "RollbackImpossible")
    assert web.condition("Stalled")[0] == "True"
    assert good in message(web)
    assert "correct the spec to continue" in message(web)
    await web.run()
    assert web.nets() == ["net"]
    web.apply({"net": NET}, onFailure="Rollback")
    await web.run()
    assert web.condition() == ("True", "Succeeded")


async def test_a_rollback_to_a_revision_that_does_not_translate_is_refused(web: OneStack) -> None:
    def apply(template: dict[str, Any]) -> None:
        web.apply({}, onFailure="Rollback", parameters={"p": "name-of-it"})
        web.kube.objects["stacks", "ns", "web"]["spec"]["template"] = template

    apply(HIDDEN)
    await web.run()
    good = web.status["currentRevision"]
    assert web.condition() == ("True", "Succeeded")
    del web.kube.objects["secrets", "ns", good]
    more = copy.deepcopy(HIDDEN)
    more["resources"]["more"] = {"type": "OS::Neutron::Net", "properties": {"name": "more"}}  # type: ignore[index]
    apply(more)
    web.cloud.fault = lambda request: Refused(403, "Quota exceeded") if request.method == "POST" else None
    await web.run()
    web.cloud.fault = lambda _request: None
    await web.run()
    assert web.condition() == ("False", "RollbackImpossible")
    assert web.status["currentRevision"] == good
    assert web.nets() == ["name-of-it"]
    assert "does not translate any more" in message(web)


@pytest.mark.looptime
async def test_new_intent_forgets_the_failures_of_what_was_before() -> None:
    starts: list[float] = []

    async def failing(_key: Key, _run: Run) -> Requeue:
        starts.append(asyncio.get_running_loop().time())
        return Requeue(PassEnd.RETRY, backoff=Backoff(first=5.0, longest=300.0))

    queue = WorkQueue(failing, jitter=lambda _low, high: high)
    queue.start()
    queue.add(Key("ns", "web"))
    await asyncio.sleep(700)
    assert starts[-1] - starts[-2] > 100
    starts.clear()
    queue.interrupt(Key("ns", "web"))
    await asyncio.sleep(20)
    assert round(starts[1] - starts[0]) == 5


async def test_functions_over_attributes_run_beside_the_event_loop(
    web: OneStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: set[str] = set()
    resolve = Definition.resolve

    def watched(self: Definition, scope: Any) -> Any:
        if not self.is_constant:
            names.add(threading.current_thread().name)
        return resolve(self, scope)

    monkeypatch.setattr(Definition, "resolve", watched)
    from kiln.clouds.fair_executor import FairThreadPoolExecutor

    web.services.evaluators = FairThreadPoolExecutor(2, 1, "evaluator")
    value = {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": ["net", "name"]}}}
    web.apply({"net": NET, "value": value})
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert names
    assert all(name.startswith("evaluator") for name in names)


async def test_equal_failures_are_one_event(web: OneStack) -> None:
    web.cloud.fault = lambda request: Refused(403, "Quota exceeded") if request.method == "POST" else None
    web.apply({"net": NET})
    for _ in range(5):
        await web.run()
    assert web.services.told.reasons.count("QuotaExceeded") == 1


async def test_a_mistake_of_ours_reaches_the_log_though_the_status_cannot_be_written(
    web: OneStack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def load(*_: Any) -> Any:
        def refuse(verb: str, _plural: str, _body: Any) -> None:
            if verb == "patch":
                raise KubeError(500, "InternalError", "etcd is away")

        web.kube.refuse = refuse
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("kiln.stack.inputs.load", load)
    web.apply({"net": NET})
    queue = WorkQueue(web.reconciler.run)
    queue.start()
    queue.add(Key("ns", "web"))
    with caplog.at_level(logging.ERROR):
        for _ in range(100):
            await asyncio.sleep(0.01)
            if any(record.exc_info for record in caplog.records):
                break
    await queue.stop()
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


async def test_a_spec_that_the_schema_let_through_is_a_condition(web: OneStack) -> None:
    web.apply({"net": NET}, resyncInterval="soon")
    assert (await web.run()).end is PassEnd.STALLED
    assert web.condition() == ("False", "InvalidSpec")
    assert "'soon' is not a duration" in message(web)


async def test_halt_does_not_end_repairs(web: OneStack) -> None:
    web.apply({"net": NET}, onFailure="Halt")
    await web.run()
    web.cloud.drop("networks", web.cloud.all("networks")[0]["id"])
    web.cloud.fault = lambda request: Refused(403, "Quota exceeded") if request.method == "POST" else None
    requeue = await web.run()
    assert requeue.end is PassEnd.RETRY
    assert requeue.delay(1, 1.0) is not None


async def test_a_finalizer_that_somebody_adds_meanwhile_stays(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    await web.delete()
    read = web.kube.get

    async def get(res: Any, ns: str, name: str) -> Any:
        found = await read(res, ns, name)
        if res.plural == "stacks":
            stored = web.kube.objects["stacks", "ns", "web"]["metadata"]
            if "example.com/theirs" not in stored["finalizers"]:
                stored["finalizers"].append("example.com/theirs")
                stored["resourceVersion"] = "changed"
        return found

    web.kube.get = get  # type: ignore[method-assign]
    await web.run()
    left = web.kube.find("stacks", "web")
    assert left is not None
    assert left["metadata"]["finalizers"] == ["example.com/theirs"]


async def test_a_deletion_of_which_a_part_cannot_be_begun_is_not_told_as_a_time_out(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    for (plural, _, _), obj in web.kube.objects.items():
        if plural == "stackresources":
            obj["spec"]["type"] = "OS::Gone::Type"
    await web.delete()
    await web.run()
    assert web.condition() == ("False", "InvalidProperty")


async def test_outputs_survive_a_failed_update(web: OneStack) -> None:
    template = {
        "heat_template_version": "2021-04-16",
        "resources": {"net": NET},
        "outputs": {"name": {"value": {"get_attr": ["net", "name"]}}},
    }

    def apply(text: dict[str, Any]) -> None:
        web.apply({})
        web.kube.objects["stacks", "ns", "web"]["spec"]["template"] = text

    apply(template)
    await web.run()
    assert web.status["outputs"] == {"name": "net"}
    worse = copy.deepcopy(template)
    worse["resources"]["net"]["properties"]["name"] = "other"  # type: ignore[index]
    worse["resources"]["bad"] = FAILS  # type: ignore[index]
    web.cloud.fault = lambda request: Refused(400, "no") if request.method == "PUT" else None
    apply(worse)
    await web.run()
    assert web.condition()[0] == "False"
    assert web.status["outputs"] == {"name": "net"}
    assert "outputErrors" not in web.status


async def test_a_generated_password_is_in_no_message_and_in_the_output_that_asks_for_it(web: OneStack) -> None:
    template = {
        "heat_template_version": "2021-04-16",
        "resources": {
            "word": {"type": "OS::Heat::RandomString"},
            "net": {"type": "OS::Neutron::Net", "properties": {"name": {"get_attr": ["word", "value"]}}},
        },
        "outputs": {"word": {"value": {"get_attr": ["word", "value"]}}},
    }
    web.apply({})
    web.kube.objects["stacks", "ns", "web"]["spec"]["template"] = template
    web.cloud.fault = lambda request: (
        Refused(400, f"Invalid name: {request.body['network']['name']}") if request.method == "POST" else None
    )
    await web.run()
    word = web.status["outputs"]["word"]
    assert len(word) == 32
    assert web.condition() == ("False", "InvalidProperty")
    assert "Invalid name: ***" in message(web)
    assert word not in str({key: value for key, value in web.status.items() if key != "outputs"})
    assert not any(word in told for told in web.services.told.messages)


async def test_what_a_service_makes_of_an_accepted_value_is_no_drift_in_the_same_reconciliation(web: OneStack) -> None:
    made = web.cloud.carry_out

    def normalising(request: Any) -> Any:
        status, body = made(request)
        for item in web.cloud.tables["networks"].values():
            item["name"] = str(item["name"]).upper()
        return status, body

    web.cloud.carry_out = normalising  # type: ignore[method-assign]
    web.apply({"net": NET})
    await web.run()
    web.apply({"net": {**NET, "properties": {"name": "other"}}})
    before = len(web.cloud.sent("PUT"))
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert len(web.cloud.sent("PUT")) == before + 1


@pytest.mark.parametrize("known", [True, False])
async def test_a_function_without_an_answer_is_named_with_its_path_and_tried_again(
    web: OneStack, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    ask = pool.request
    alive = False

    def dying(request: dict[str, Any]) -> Any:
        if "data" not in request or alive:
            return ask(request)
        raise pool.SandboxError("the process that evaluates expressions was killed twice")

    monkeypatch.setattr(pool, "request", dying)
    data: Any = "x" if known else {"get_attr": ["net", "name"]}
    function = {"yaql": {"expression": "$.data", "data": data}}
    value = {"type": "OS::Heat::Value", "properties": {"value": function}}
    web.apply({"net": NET, "value": value})
    again = await web.run()
    state, reason = web.condition()
    assert (state, reason) == ("False", "EvaluationFailed")
    assert "resources.value.properties.value.yaql: yaql: the process" in message(web)
    assert again.end is PassEnd.RETRY
    assert again.backoff is not None
    alive = True
    await web.run()
    assert web.condition() == ("True", "Succeeded")
