"""Stacks that wait for the cloud hold nothing that others need: many of them, on a clock that jumps."""

import asyncio
import os
from typing import Any

import pytest
from harness import virtual
from harness.one_stack import OneStack

from kiln.api.kinds import STACKS
from kiln.api.v1alpha1 import Key
from kiln.controller.workqueue import WorkQueue

MANY = int(os.environ.get("WAITING_STACKS", "400"))
"""10,000 take two minutes of CPU: WAITING_STACKS=10000 asks for them."""
SERVER = {"type": "OS::Nova::Server", "properties": {"image": "cirros", "flavor": "m1.tiny"}}


async def time_of_a_deletion(waiting: int) -> tuple[float, int]:
    """Seconds that a deletion takes while so many Stacks of its namespace wait for servers; and how many waited."""
    web = OneStack()
    web.cloud.latency = 0.001
    queue = WorkQueue(web.reconciler.run, max_active=512, max_active_per_namespace=64)
    queue.start()

    def apply(name: str, resources: dict[str, Any]) -> None:
        template = {"heat_template_version": "2021-04-16", "resources": resources}
        spec = {"cloudCredentialsRef": {"secretName": "s", "cloudName": "own"}, "template": template}
        web.kube.put(STACKS, name, metadata={"generation": 1}, spec=spec)
        queue.add(Key("ns", name))

    apply("last", {"net": {"type": "OS::Neutron::Net"}})
    await asyncio.sleep(60)
    assert web.kube.objects["stacks", "ns", "last"]["status"]["conditions"][0]["status"] == "True"
    made = web.cloud._made

    def building(plural: str, body: Any) -> Any:
        item = made(plural, body)
        if plural == "servers":
            item["_there"] = float("inf")
        return item

    web.cloud._made = building  # type: ignore[method-assign]
    for number in range(waiting):
        apply(f"waits{number}", {"server": SERVER})
    await asyncio.sleep(600)
    found = queue.waiting
    begun = asyncio.get_running_loop().time()
    await web.kube.delete(STACKS, "ns", "last")
    queue.interrupt(Key("ns", "last"))
    while web.kube.find("stacks", "last") is not None:
        await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - begun < 600
    taken = asyncio.get_running_loop().time() - begun
    assert await queue.stop()
    return taken, found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [64, MANY])
def test_a_stack_is_deleted_beside_waiting_ones_in_the_time_that_it_takes_alone(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each look at the cloud is the same list for all of them: what it shows is not the point here.
    monkeypatch.setattr("reconcilers.cloud.observer.SLOWEST_LOOK", 300.0)
    monkeypatch.setattr("reconcilers.cloud.observer.GROWTH", 100.0)
    alone, _ = virtual.run(time_of_a_deletion(0))
    beside, waited = virtual.run(time_of_a_deletion(count))
    assert waited == count
    assert beside <= alone + 0.5
