"""Resources that are not in OpenStack: a signal inbox, observed and changed through a transport of its own."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from harness import virtual
from harness.universe import Universe

from reconcilers import registry
from reconcilers.cloud.calls import ANYBODY, Caller
from reconcilers.cloud.observer import Observer
from reconcilers.cloud.session import Answer
from reconcilers.cloud.transports import Transport
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Ready, Request, Wait
from reconcilers.resource_type import RestResource

TYPE = "OS::Heat::WaitConditionHandle"
TEMPLATE = {
    "resources": {
        "net": {"type": "OS::Neutron::Net", "properties": {"name": "net"}},
        "inbox": {"type": TYPE, "depends_on": "net"},
        "after": {"type": "OS::Neutron::Net", "properties": {"name": "after"}, "depends_on": "inbox"},
    }
}


class Inbox(RestResource):
    """Ready once a signal has come. The engine knows nothing of it."""

    type = TYPE
    service = "inbox"
    transport = "signals"
    collection = "/inboxes"
    key = "inbox"
    plural = "inboxes"
    token_field = "metadata"

    def condition(self, observed: Mapping[str, Any]) -> Any:
        return Ready() if observed["signals"] else Wait("waits for a signal")


class Signals:
    """The inboxes, as a channel. ``calls`` are methods and paths."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.broken = False
        self.ready_at_once = False

    async def send(self, request: Request, caller: Caller = ANYBODY) -> Answer:
        assert request.transport == "signals"
        self.calls.append((request.method, request.path))
        name = request.path.rpartition("/")[2]
        if request.method == "POST":
            name = f"inbox-{len(self.held)}"
            self.held[name] = {**request.body["inbox"], "id": name, "signals": [{}] if self.ready_at_once else []}
        if request.method == "DELETE":
            self.held.pop(name, None)
            return Answer(204, None, "")
        if name not in self.held:
            raise CloudError(Fault.INVALID, "no inbox", status=404)
        return Answer(200, {"inbox": self.held[name]}, "")

    async def list(self, request: Request, plural: str, caller: Caller = ANYBODY) -> list[dict[str, Any]]:
        if self.broken:
            raise CloudError(Fault.TRANSIENT, "no answer")
        self.calls.append(("GET", request.path))
        return list(self.held.values())


@pytest.fixture
def universe(monkeypatch: pytest.MonkeyPatch) -> Universe:
    monkeypatch.setitem(registry.load(), TYPE, Inbox())
    return Universe()


def test_the_engine_makes_waits_for_repairs_and_deletes_what_another_transport_reaches(universe: Universe) -> None:
    async def life() -> None:
        signals = Signals()
        universe.transports["signals"] = Transport(signals, Observer(signals))

        async def signal(after: float) -> None:
            await asyncio.sleep(after)
            assert universe.inventory() == {"networks": ["net"]}
            (held,) = signals.held.values()
            held["signals"].append({"status": "SUCCESS"})

        sender = asyncio.create_task(signal(30))
        assert await universe.settle(TEMPLATE) == 1
        await sender
        assert universe.inventory() == {"networks": ["after", "net"]}
        sent = len(signals.calls)
        assert (await universe.once(TEMPLATE)).actions == {}
        assert signals.calls[sent:] == [("GET", "/inboxes")]
        signals.held.clear()
        task = asyncio.create_task(universe.settle(TEMPLATE))
        await asyncio.sleep(10)
        assert len(signals.held) == 1
        next(iter(signals.held.values()))["signals"].append({"status": "SUCCESS"})
        await task
        await universe.settle(None)
        assert signals.held == {}
        assert universe.inventory() == {}

    virtual.run(life())


def test_a_transport_that_does_not_answer_holds_up_its_own_resources_only(universe: Universe) -> None:
    async def life() -> None:
        signals = Signals()
        universe.transports["signals"] = Transport(signals, Observer(signals))
        signals.ready_at_once = True
        await universe.settle(TEMPLATE)
        signals.broken = True
        resources = {**TEMPLATE["resources"], "more": {"type": "OS::Neutron::Net", "properties": {"name": "more"}}}
        task = asyncio.create_task(universe.once({"resources": resources}))
        await asyncio.sleep(20)
        assert not task.done()
        assert "more" in universe.inventory()["networks"]
        signals.broken = False
        assert (await task).complete

    virtual.run(life())


def test_lists_of_two_transports_are_never_mixed_up() -> None:
    assert Inbox().list_key != (*Inbox().list_key[:-1], "openstack")


def test_a_transport_that_is_not_there_is_an_error_that_names_it() -> None:
    async def life() -> None:
        context = Universe().context()
        with pytest.raises(CloudError, match="'signals' cannot be reached from here"):
            context.observer_of(Inbox())
        with pytest.raises(CloudError, match="'signals' cannot be reached from here"):
            await context.send(Inbox().request("GET", "/inboxes/x"))

    virtual.run(life())
