"""What a Stack costs others: writes while nothing happens, and time of the event loop."""

import datetime
from typing import Any

import pytest
from harness import loop_holds
from harness.loop_holds import Hold
from harness.one_stack import NET, OneStack

from kiln.api.v1alpha1 import Key
from kiln.clouds.fair_executor import FairThreadPoolExecutor
from kiln.stack import clock
from kiln.stack.large_stacks import LargeStacks
from kiln.stack.requeue import PassEnd
from kiln.stack.translation_cache import TranslationCache
from reconcilers.digests import WHOLE, Digester


@pytest.fixture
def web() -> OneStack:
    return OneStack()


def writes(web: OneStack) -> int:
    return sum(verb in {"create", "patch", "delete"} for verb, _, _ in web.kube.calls)


async def test_resyncs_that_find_nothing_write_the_sync_time_once_an_hour_and_nothing_else(
    web: OneStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = datetime.datetime.now(datetime.UTC)
    now = [begun]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    web.apply({"net": NET})
    await web.run()
    before = writes(web)
    for minutes in range(10, 60, 10):
        now[0] = begun + datetime.timedelta(minutes=minutes)
        await web.run()
    assert writes(web) == before
    now[0] = begun + datetime.timedelta(minutes=61)
    await web.run()
    await web.run()
    assert writes(web) == before + 1
    assert web.status["lastSyncTime"] == now[0].strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_the_digest_of_a_resource_is_made_again_only_when_its_properties_change(
    web: OneStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    original = Digester.property

    def counted(self: Digester, name: str, value: Any, **options: Any) -> str:
        if name == WHOLE:
            made.append(value)
        return original(self, name, value, **options)

    monkeypatch.setattr(Digester, "property", counted)
    port = {"type": "OS::Neutron::Port", "properties": {"network": {"get_resource": "net"}}}
    web.apply({"net": NET, "port": port})
    await web.run()
    await web.run()
    made.clear()
    await web.run()
    assert made == []
    web.apply({"net": NET, "port": {**port, "properties": {**port["properties"], "name": "other"}}})
    await web.run()
    assert "other" in [value.get("name") for value in made]


@pytest.mark.parametrize("kind", ["yaql", "list_join"])
async def test_functions_that_take_long_do_not_hold_the_event_loop(web: OneStack, kind: str) -> None:
    web.services.evaluators = FairThreadPoolExecutor(2, 1, "evaluator")
    web.services._translations = TranslationCache(FairThreadPoolExecutor(2, 1, "translator"))
    name = {"get_attr": ["net", "name"]}
    counted = "range(0, 40).select(range(0, 40).select($ + 1).len()).sum() + $.data.len()"
    value: Any = {
        "yaql": {"yaql": {"expression": counted, "data": name}},
        "list_join": {
            "list_join": [",", [{"str_replace": {"template": "xyz " * 1_000, "params": {"x": name, "y": "a"}}}] * 60]
        },
    }[kind]
    web.apply({"net": NET, "value": {"type": "OS::Heat::Value", "properties": {"value": [value] * 5}}})
    holds: list[Hold] = []
    stop = loop_holds.watch(holds.append)
    try:
        await web.run()
    finally:
        stop()
    assert web.condition() == ("True", "Succeeded")
    # Evaluated on the loop, "yaql" costs seconds of waiting for its process and "list_join" of CPU. The wait is bounded
    # loosely: it also counts what others take on a busy machine.
    assert max((one.cpu for one in holds), default=0.0) < 0.2, loop_holds.summary(holds)
    assert max((one.seconds for one in holds), default=0.0) < 1.5, loop_holds.summary(holds)


async def test_large_stacks_of_a_namespace_are_reconciled_one_after_the_other(web: OneStack) -> None:
    large = web.services.large = LargeStacks(room=5, counted=2)
    first, second, foreign = Key("ns", "first"), Key("ns", "second"), Key("other", "first")
    large.note(first, 4)
    large.note(foreign, 4)
    web.apply({f"net{number}": NET for number in range(3)})
    with large.reconciled(first), large.reconciled(second), large.reconciled(foreign):
        again = await web.run()
        assert (again.end, again.after) == (PassEnd.WAITING_FOR_ROOM, 5.0)
        assert web.condition() == ("False", "Progressing")
        assert "reconciled first" in web.message()
        before = len(web.kube.calls)
        assert (await web.run()).end is PassEnd.WAITING_FOR_ROOM  # and it loads nothing
        assert len(web.kube.calls) - before <= 2
        large.note(first, 3)
        assert not large.has_room(Key("ns", "web"))
        assert web.cloud.all("networks") == []
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert large.has_room(first)
    await web.delete()
