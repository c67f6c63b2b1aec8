"""Watches StackResources for deletions, the only events of them that matter.

The operator itself writes each StackResource several times, and kopf spends a millisecond of CPU on each event: a third
of the operator's CPU while a Stack is created, half while it is deleted. This watcher parses only the lines of
deletions.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from kiln.api.kinds import STACK_RESOURCES
from kiln.kube.errors import Gone, KubeError
from kiln.kube.informer import Observe

log = logging.getLogger(__name__)

Watch = Callable[[str, str], Iterator[bytes]]
"""The lines of a watch of StackResources, by namespace ("" for all) and resource version ("" for all existing objects
first); see ``kiln.kube.client.Kube.watch``.
"""

_BOOKMARK: Final = b'{"type":"BOOKMARK"'
_DELETED: Final = b'{"type":"DELETED"'
_MARKED: Final = b'"deletionTimestamp":"'
_ERROR: Final = b'{"type":"ERROR"'
_BACKOFFS: Final = (0.5, 1.0, 2.0, 5.0)
"""Seconds until a watch that ended is opened again. Each end without an event takes the next delay."""


class DeletionWatcher:
    """Watches in its own threads, one for each namespace, and calls ``observe`` in the event loop that created it."""

    def __init__(self, observe: Observe, watch: Watch, namespaces: Sequence[str] = ()) -> None:
        self._observe = observe
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._waiting = set(namespaces or ("",))
        """Namespaces whose first watch is not yet open."""
        self._ended: asyncio.Future[None] = self._loop.create_future()

    @property
    def ready(self) -> bool:
        """Whether all watches have been open, and all threads still watch."""
        return not self._waiting and not self._ended.done()

    def start(self) -> None:
        """Start the threads. They end with the process, or at the first event after :meth:`stop`."""
        for namespace in sorted(self._waiting):
            threading.Thread(target=self._run, args=(namespace,), name="deletions", daemon=True).start()

    async def wait(self) -> None:
        """Wait until a thread ends: after :meth:`stop`, or because of an error, which is raised."""
        await asyncio.shield(self._ended)

    def stop(self) -> None:
        """Stop calling ``observe``."""
        self._stop.set()

    def _run(self, namespace: str) -> None:
        error: BaseException | None = None
        try:
            self._follow(namespace)
        except BaseException as caught:  # noqa: BLE001 - wait() raises it, whatever it is
            error = caught
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end, error)

    def _end(self, error: BaseException | None) -> None:
        if self._ended.done():
            return
        if error is None or self._stop.is_set():
            self._ended.set_result(None)
        else:
            self._ended.set_exception(RuntimeError(f"the watch of StackResources ended: {error!r}"))

    def _follow(self, namespace: str) -> None:
        version, failures = "", 0
        while not self._stop.is_set():
            try:
                for line in self._watch(namespace, version):
                    self._waiting.discard(namespace)
                    version = self._take(line) or version  # only bookmarks: initial events are in no order
                    failures = 0 if line else failures
            except Gone:
                version = ""
            # ValueError, LookupError: a truncated line. OSError: a token or certificate that is being renewed.
            except (KubeError, ValueError, LookupError, OSError) as error:
                level = logging.WARNING if failures == len(_BACKOFFS) else logging.DEBUG
                log.log(level, "StackResources cannot be watched: %s", error)
            self._stop.wait(_BACKOFFS[min(failures, len(_BACKOFFS) - 1)])
            failures += 1

    def _take(self, line: bytes) -> str:
        """Handle an event. Returns the resource version of a bookmark, and "" for other events."""
        if line.startswith(_ERROR):
            # Whatever the error is: start again with all existing objects.
            raise Gone(410, "Expired", line[:500].decode(errors="replace"))
        if line.startswith(_BOOKMARK):
            return str(json.loads(line)["object"]["metadata"]["resourceVersion"])
        if (line.startswith(_DELETED) or _MARKED in line) and not self._stop.is_set():
            event = json.loads(line)
            self._loop.call_soon_threadsafe(self._observe, STACK_RESOURCES.plural, event["type"], event["object"])
        return ""
