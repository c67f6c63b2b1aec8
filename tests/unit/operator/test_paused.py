"""``spec.paused``: the operator changes nothing, and says so."""

import pytest
from harness.one_stack import NET, OneStack

from kiln.api.kinds import STACKS
from kiln.stack.requeue import PassEnd, Requeue


@pytest.fixture
def web() -> OneStack:
    return OneStack()


async def test_a_paused_stack_is_neither_updated_nor_repaired(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    web.apply({"net": NET, "more": {**NET, "properties": {"name": "more"}}}, paused=True)
    web.cloud.drop("networks", web.cloud.all("networks")[0]["id"])
    assert await web.run() == Requeue.on_events(PassEnd.PAUSED)
    assert web.nets() == []
    assert web.condition("Paused") == ("True", "Paused")
    assert web.condition() == ("Unknown", "Paused")
    assert web.status["observedGeneration"] == 2


async def test_a_stack_goes_on_when_the_pause_is_removed(web: OneStack) -> None:
    web.apply({"net": NET}, paused=True)
    await web.run()
    assert web.nets() == []
    web.apply({"net": NET})
    await web.run()
    assert web.nets() == ["net"]
    assert web.condition() == ("True", "Succeeded")
    assert "Paused" not in {one["type"] for one in web.status["conditions"]}


async def test_the_deletion_of_a_paused_stack_waits_and_says_for_what(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    web.apply({"net": NET}, paused=True)
    await web.delete()
    await web.run()
    assert web.nets() == ["net"]
    message = next(one["message"] for one in web.status["conditions"] if one["type"] == "Paused")
    assert "the deletion of the Stack waits for it" in message
    web.kube.objects["stacks", "ns", "web"]["spec"]["paused"] = False
    await web.run()
    assert web.nets() == []
    assert web.kube.find(STACKS.plural, "web") is None


async def test_operations_wait_for_the_end_of_the_pause(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    web.apply({"net": NET}, paused=True)
    retry = web.ask("Retry")
    await web.run()
    assert web.result(retry) == ("", "")
    web.apply({"net": NET})
    await web.run()
    assert web.result(retry)[0] == "Succeeded"
