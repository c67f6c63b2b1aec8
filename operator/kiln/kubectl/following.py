"""Follows objects of the cluster as they change, through broken connections and expired versions."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from kiln.api.kinds import Resource
from kiln.kube.client import Json, Kube
from kiln.kube.errors import Forbidden, Gone, KubeError, NotFound

_BACKOFFS: Final = (0.0, 0.2, 1.0, 3.0)
"""Seconds between attempts to open a watch."""


@dataclass(frozen=True, slots=True)
class Change:
    """An event of a watch: ADDED, MODIFIED or DELETED with the object; or RESET, after which all objects come again."""

    kind: str
    obj: Json


RESET: Final = Change("RESET", {})


class Follower:
    """The objects of one collection that match the selectors, kept up to date by a thread."""

    def __init__(self, kube: Kube, res: Resource, namespace: str, *, fields: str = "", labels: str = "") -> None:
        self.changes: asyncio.Queue[Change | KubeError] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        self._open = partial(kube.watch, res, namespace, fields=fields, labels=labels)
        # A daemon: a watch returns when the server says something, and nobody waits for that.
        threading.Thread(target=self._run, daemon=True, name=f"watch {res.plural}").start()

    def stop(self) -> None:
        """Put nothing more into ``changes``."""
        self._stopped.set()

    async def next(self, timeout: float | None = None) -> Change | None:  # noqa: ASYNC109 - the wait is the point
        """The next change; None after ``timeout`` seconds without one. Raises KubeError if it may not be watched."""
        try:
            async with asyncio.timeout(timeout):
                change = await self.changes.get()
        except TimeoutError:
            return None
        if isinstance(change, KubeError):
            raise change
        return change

    def _run(self) -> None:
        version, failures = "", 0
        self._put(RESET)
        while not self._stopped.is_set():
            try:
                for line in self._open(version):
                    if line:
                        failures = 0
                        version = self._take(line) or version
                    if self._stopped.is_set():
                        return
            except Gone:
                version = ""
                self._put(RESET)
            except (Forbidden, NotFound) as error:
                self._put(error)
                return
            # ValueError, LookupError: a truncated line. OSError: a token or certificate that is being renewed.
            except (KubeError, ValueError, LookupError, OSError):
                failures += 1
            self._stopped.wait(_BACKOFFS[min(failures, len(_BACKOFFS) - 1)])

    def _take(self, line: bytes) -> str:
        """Pass an event on. Returns the version of a bookmark, "" of others: the first events come in no order."""
        event = json.loads(line)
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise Gone(410, "Expired", str(obj.get("message", "")))
        if kind == "BOOKMARK":
            return str(obj["metadata"]["resourceVersion"])
        self._put(Change(kind, obj))
        return ""

    def _put(self, change: Change | KubeError) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self.changes.put_nowait, change)


@asynccontextmanager
async def following(
    kube: Kube, res: Resource, namespace: str, *, fields: str = "", labels: str = ""
) -> AsyncIterator[Follower]:
    """A follower that stops at the end."""
    follower = Follower(kube, res, namespace, fields=fields, labels=labels)
    try:
        yield follower
    finally:
        follower.stop()


class Collection:
    """The objects of a follower by name, as of the changes that were applied."""

    def __init__(self) -> None:
        self._objects: dict[str, Json] = {}

    def apply(self, change: Change) -> None:
        """Apply a change."""
        if change.kind == "RESET":
            self._objects.clear()
            return
        name = change.obj["metadata"]["name"]
        if change.kind == "DELETED":
            self._objects.pop(name, None)
        else:
            self._objects[name] = change.obj

    def __iter__(self) -> Iterator[Json]:
        return iter(self._objects.values())

    def get(self, name: str) -> Json | None:
        """The object of this name."""
        return self._objects.get(name)
