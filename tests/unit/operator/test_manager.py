"""The operator's process: how it ends, and what ends it."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from harness.fake_kube import FakeKube

from kiln.api.kinds import LEASES, Resource
from kiln.api.v1alpha1 import Key
from kiln.controller.controller import StackController
from kiln.controller.workqueue import Run
from kiln.process import manager
from kiln.settings import Settings
from kiln.stack.requeue import Requeue

SETTINGS = Settings(metrics_port=0, health_port=0, lease_namespace="ns", identity="me", grace=0.2)


class Api(FakeKube):
    """An API server whose watches stay silent; ``watching`` is what they do meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(verify_ssl=True)
        self.over = threading.Event()
        self.watching: Callable[[], object] = lambda: self.over.wait(20)

    def watch(self, _res: Resource, _ns: str, _version: str = "") -> Iterator[bytes]:
        yield b""
        self.watching()

    def close(self) -> None:
        self.over.set()

    @property
    def holder(self) -> str:
        return str((self.find(LEASES.plural, "kiln") or {"spec": {}})["spec"].get("holderIdentity"))


class Watches:
    """In place of the informer; ``ended`` is how its watches end."""

    ended: "asyncio.Future[None]"

    def __init__(self, *_: Any) -> None:
        self.ready = True
        Watches.ended = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Nothing is watched."""

    async def wait(self) -> None:
        await asyncio.shield(Watches.ended)

    async def stop(self) -> None:
        """Nothing is watched."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    made = Api()
    monkeypatch.setattr(manager, "Kube", lambda *_, **__: made)
    monkeypatch.setattr(manager, "configuration", lambda: None)
    monkeypatch.setattr(manager, "Informer", Watches)
    yield made
    made.over.set()


async def leading(api: Api, settings: Settings = SETTINGS) -> "tuple[Any, asyncio.Task[int]]":
    operator = manager._Operator(settings)
    running = asyncio.ensure_future(operator.run())
    async with asyncio.timeout(10):
        while not operator._filter._leading:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return operator, running


async def ends(running: "asyncio.Task[int]") -> int:
    return await asyncio.wait_for(running, 20)


async def test_a_signal_ends_it_cleanly_and_frees_the_lease(api: Api) -> None:
    _, running = await leading(api)
    assert api.holder == "me"
    os.kill(os.getpid(), signal.SIGTERM)
    assert await ends(running) == 0
    assert api.holder == ""


async def test_a_reconciliation_that_comes_to_no_safe_point_keeps_the_lease_from_being_freed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def for_ever(_self: StackController, _key: Key, _run: Run) -> Requeue:
        await asyncio.sleep(60)
        raise AssertionError("it was cancelled before")

    monkeypatch.setattr(StackController, "run", for_ever)
    operator, running = await leading(api)
    operator._queue.add(Key("ns", "web"))
    await asyncio.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await ends(running) == 0
    assert api.holder == "me"


async def test_a_part_that_breaks_ends_the_process_at_once(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    _, running = await leading(api)
    Watches.ended.set_exception(RuntimeError("the watches are gone"))
    assert await ends(running) == 1
    assert "the watches are gone" in caplog.text
    assert api.holder == "me"


async def test_the_watch_of_stack_resources_is_such_a_part(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    def mistake() -> None:
        raise ZeroDivisionError("a mistake of ours")

    api.watching = mistake
    operator = manager._Operator(SETTINGS)
    assert await ends(asyncio.ensure_future(operator.run())) == 1
    assert "a mistake of ours" in caplog.text


async def test_a_lease_that_another_replica_took_ends_the_process_at_once(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    operator, running = await leading(api)
    spec = api.objects[LEASES.plural, "ns", "kiln"]["spec"]
    api.put(LEASES, "kiln", spec={**spec, "holderIdentity": "another"})
    assert await ends(running) == 1
    assert "another replica may lead now" in caplog.text
    assert api.holder == "another"
    assert not operator._fence()


async def test_without_a_lease_it_works_at_once_and_writes_none(api: Api) -> None:
    operator, running = await leading(api, Settings(metrics_port=0, health_port=0, lease=False))
    assert operator._fence()
    os.kill(os.getpid(), signal.SIGINT)
    assert await ends(running) == 0
    assert api.named(LEASES.plural) == set()
