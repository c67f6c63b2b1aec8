"""StackResources that somebody deletes are noticed, whatever becomes of the watch; all other events cost nothing."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kiln.controller import deletion_watcher
from kiln.controller.deletion_watcher import DeletionWatcher
from kiln.kube.errors import Gone, KubeError, Unreachable

Seen = list[tuple[str, str | None, str]]


def line(kind: str, name: str = "", version: str = "1", **metadata: Any) -> bytes:
    obj = {"apiVersion": "kiln.dev/v1alpha1", "metadata": {"name": name, "resourceVersion": version, **metadata}}
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode()


class Server:
    """Watches as they come, one after the other: their lines, and the error that ends each; then nothing any more."""

    def __init__(self, *watches: tuple[list[bytes], KubeError | None]) -> None:
        self.watches = list(watches)
        self.asked: list[tuple[str, str]] = []
        self.done = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def __call__(self, namespace: str, version: str) -> Iterator[bytes]:
        self.asked.append((namespace, version))
        if not self.watches:
            self.loop.call_soon_threadsafe(self.done.set)
            raise Unreachable(0, "closed", "the test is over")
        lines, error = self.watches.pop(0)
        yield b""
        yield from lines
        if error is not None:
            raise error


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion_watcher, "_BACKOFFS", (0.0, 0.01))


class Stop(threading.Event):
    """A stop flag that notes for how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return super().wait(timeout)


async def watched(server: Server, stop: Stop | None = None) -> Seen:
    seen: Seen = []

    def observe(plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
        seen.append((plural, kind, obj["metadata"]["name"]))

    watch = DeletionWatcher(observe, server)
    assert not watch.ready
    watch._stop = stop or watch._stop
    watch.start()
    await asyncio.wait_for(server.done.wait(), 10)
    watch.stop()
    await asyncio.sleep(0)
    assert watch.ready
    return seen


async def test_what_is_deleted_or_marked_for_deletion_is_told_and_nothing_else() -> None:
    lines = [
        line("ADDED", "quiet"),
        line("ADDED", "marked", deletionTimestamp="2026-01-01T00:00:00Z"),
        line("MODIFIED", "quiet", annotations={"note": '"deletionTimestamp":"no"'}),
        line("DELETED", "gone"),
    ]
    seen = await watched(Server((lines, None)))
    assert seen == [("stackresources", "ADDED", "marked"), ("stackresources", "DELETED", "gone")]


async def test_a_watch_that_ends_goes_on_from_the_last_bookmark() -> None:
    lines = [line("ADDED", "one", "90"), line("BOOKMARK", "", "70"), line("MODIFIED", "one", "95")]
    server = Server((lines, None), ([line("DELETED", "one", "96")], Unreachable(0, "reset", "cut")))
    assert await watched(server) == [("stackresources", "DELETED", "one")]
    assert server.asked[:3] == [("", ""), ("", "70"), ("", "70")]


@pytest.mark.parametrize("how", ["answer", "event"])
async def test_a_watch_that_is_too_old_begins_with_what_there_is(how: str) -> None:
    bookmark = line("BOOKMARK", "", "70")
    error = b'{"type":"ERROR","object":{"kind":"Status","code":410}}'
    second: tuple[list[bytes], KubeError | None] = ([error], None) if how == "event" else ([], Gone(410, "Expired", ""))
    server = Server(([bookmark], None), second, ([line("ADDED", "x", deletionTimestamp="now")], None))
    assert await watched(server) == [("stackresources", "ADDED", "x")]
    assert [version for _, version in server.asked[:3]] == ["", "70", ""]


async def test_a_line_that_was_cut_off_is_asked_for_again() -> None:
    cut = line("DELETED", "one")[:-20]
    assert await watched(Server(([cut], None), ([line("DELETED", "one")], None))) == [
        ("stackresources", "DELETED", "one")
    ]


@pytest.mark.parametrize("how", ["ends at once", "410", "error event"])
async def test_watches_that_end_with_nothing_told_begin_anew_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(deletion_watcher, "_BACKOFFS", (0.001, 0.002, 0.003))
    stop = Stop()
    ended: dict[str, tuple[list[bytes], KubeError | None]] = {
        "ends at once": ([], None),
        "410": ([], Gone(410, "Expired", "")),
        "error event": ([b'{"type":"ERROR","object":{"kind":"Status","code":500}}'], None),
    }
    await watched(Server(*[ended[how]] * 5), stop)
    assert stop.waits[:5] == [0.001, 0.002, 0.003, 0.003, 0.003]


async def test_an_api_server_that_is_away_is_asked_again_for_ever() -> None:
    away: tuple[list[bytes], KubeError | None] = ([], Unreachable(0, "refused", "nobody there"))
    server = Server(*[away] * 20, ([line("DELETED", "late")], None))
    assert await watched(server) == [("stackresources", "DELETED", "late")]


async def test_a_token_file_that_is_being_renewed_does_not_end_the_watch() -> None:
    server = Server(([line("BOOKMARK", "", "70")], None), ([line("DELETED", "late")], None))
    failures = [OSError("the token file is gone for a moment")]

    def watch(namespace: str, version: str) -> Iterator[bytes]:
        if failures:
            raise failures.pop()
        return server(namespace, version)

    seen: Seen = []
    watcher = DeletionWatcher(lambda plural, kind, obj: seen.append((plural, kind, obj["metadata"]["name"])), watch)
    watcher.start()
    await asyncio.wait_for(server.done.wait(), 10)
    assert watcher.ready
    watcher.stop()
    await asyncio.wait_for(watcher.wait(), 10)
    assert seen == [("stackresources", "DELETED", "late")]


async def test_a_thread_that_ends_by_a_mistake_is_noticed() -> None:
    def watch(_namespace: str, _version: str) -> Iterator[bytes]:
        yield b""
        raise ZeroDivisionError("a mistake of ours")

    watcher = DeletionWatcher(lambda *_: None, watch)
    watcher.start()
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        await asyncio.wait_for(watcher.wait(), 10)
    assert not watcher.ready
