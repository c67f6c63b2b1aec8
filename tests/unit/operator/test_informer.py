"""The informer goes on when its watches end by themselves, and ends when it is told to."""

import asyncio
import itertools
import threading
from typing import Any

import kopf
import pytest
from kubernetes.client import Configuration

from kiln.kube import informer
from kiln.kube.informer import Informer


class Kopf:
    """In place of kopf, with its manner of waiting for the stop flag in a thread that nothing else ends.

    ``stuck``: it does not stop after a failure.
    """

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.stuck = False
        self.runs = 0
        self.settled = threading.Event()

    async def spawn(self, *, stop_flag: threading.Event, ready_flag: threading.Event, **_: Any) -> Any:
        self.runs += 1
        waiting = asyncio.get_running_loop().run_in_executor(None, stop_flag.wait)
        return [asyncio.create_task(self._live(ready_flag)), asyncio.ensure_future(waiting)]

    async def _live(self, ready_flag: threading.Event) -> None:
        ready_flag.set()
        if self.runs <= self.failures:
            raise RuntimeError("an error in the watch-stream")
        self.settled.set()
        await asyncio.Event().wait()

    async def run(self, tasks: Any, *, ignored: Any) -> None:
        while self.stuck and self.runs <= self.failures:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue
        for task in asyncio.all_tasks() - {asyncio.current_task(), *ignored}:
            task.cancel()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Kopf:
    made = Kopf(failures=2)
    monkeypatch.setattr(kopf, "spawn_tasks", made.spawn)
    monkeypatch.setattr(kopf, "run_tasks", made.run)
    monkeypatch.setattr(informer, "_AGAIN", 0.01)
    return made


async def test_watches_begin_anew_though_kopf_does_not_stop(fake: Kopf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "_STOP", 0.05)
    fake.stuck = True
    watching = Informer(lambda *_: None, lambda: None)
    watching.start()
    assert await asyncio.to_thread(fake.settled.wait, 10)
    assert fake.runs == 3
    await watching.stop()
    await asyncio.wait_for(watching.wait(), 10)


async def test_watches_that_end_by_themselves_begin_anew(fake: Kopf) -> None:
    watching = Informer(lambda *_: None, lambda: None)
    watching.start()
    assert await asyncio.to_thread(fake.settled.wait, 10)
    assert fake.runs == 3
    assert watching.ready
    await watching.stop()
    await asyncio.wait_for(watching.wait(), 10)
    assert not watching.ready


def test_an_api_server_that_is_away_is_tried_every_few_seconds_for_ever() -> None:
    waits = list(itertools.islice(iter(informer._Patience()), 100))
    assert waits[:4] == [1, 1, 2, 3]
    assert set(waits[4:]) == {5}


@pytest.mark.parametrize(
    ("no_proxy", "used"),
    [("10.96.0.1,.svc", None), ("10.96.0.0/16", None), (".example", "http://proxy:3128"), ("", "http://proxy:3128")],
)
def test_a_proxy_is_not_used_for_an_api_server_that_is_reached_without(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, used: str | None
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    config = Configuration()
    config.host = "https://10.96.0.1:443"
    assert informer._connection(config).proxy_url == used


async def test_an_event_that_cannot_be_handled_does_not_delay_those_after_it() -> None:
    seen: list[str | None] = []

    def observe(_plural: str, kind: str | None, _obj: Any) -> None:
        if kind == "ADDED":
            raise KeyError("spec")
        seen.append(kind)

    watching = Informer(observe, lambda: None)  # type: ignore[arg-type, return-value]
    for kind in ("ADDED", "MODIFIED", "ADDED", "DELETED"):
        watching._hand_over("stacks", kind, {})
    await asyncio.sleep(0)
    assert seen == ["MODIFIED", "DELETED"]
