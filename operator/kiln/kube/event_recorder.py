"""Writes Kubernetes Events, which `kubectl describe` shows.

Callers never wait for an Event and never fail because of one: Events go into a bounded queue and are written in the
background. An equal Event about the same object within ten minutes increases the count of the first one.
"""

import asyncio
import contextlib
import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from kiln import metrics
from kiln.api.kinds import EVENTS
from kiln.kube.client import Kube
from kiln.kube.errors import KubeError, NamespaceTerminating, NotFound
from reconcilers.cloud.limits import printable

log = logging.getLogger(__name__)

WINDOW: Final = 600.0
"""Seconds within which equal Events are counted as one."""
MAX_MESSAGE: Final = 1024
_QUEUED: Final = 1000
_REMEMBERED: Final = 5000
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class _Event:
    about: Mapping[str, Any]
    kind: str
    reason: str
    message: str

    @property
    def identity(self) -> tuple[str, str, str, str]:
        return (self.about.get("uid", ""), self.kind, self.reason, self.message)


@dataclass(slots=True)
class _Written:
    name: str
    count: int
    at: float


class EventRecorder:
    """Writes Events. Belongs to one event loop; ``run`` must be running."""

    def __init__(self, kube: Kube, *, redact: Callable[[str], str], identity: str = "") -> None:
        self._kube = kube
        self._redact = redact
        self._identity = identity
        self._queue: asyncio.Queue[_Event] = asyncio.Queue(_QUEUED)
        self._written: OrderedDict[tuple[str, str, str, str], _Written] = OrderedDict()

    def emit(
        self, obj: Mapping[str, Any], reason: str, message: str, kind: Literal["Normal", "Warning"] = "Normal"
    ) -> None:
        """Queue an Event about an object. Returns at once; never raises."""
        metadata = obj["metadata"]
        about = {
            "apiVersion": obj.get("apiVersion", ""),
            "kind": obj.get("kind", ""),
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
        }
        text = printable(self._redact(message))
        if len(text) > MAX_MESSAGE:
            text = text[: MAX_MESSAGE - 3] + "..."
        try:
            self._queue.put_nowait(_Event(about, kind, reason, text))
        except asyncio.QueueFull:
            metrics.EVENTS_DROPPED.inc()

    async def run(self) -> None:
        """Write queued Events, for ever."""
        while True:
            event = await self._queue.get()
            try:
                await self._write(event)
            except (NamespaceTerminating, NotFound) as error:
                log.debug("An event goes with its namespace: %s", error)
            except KubeError as error:
                log.warning("An event could not be written: %s", error)
                metrics.EVENTS_DROPPED.inc()
            finally:
                self._queue.task_done()

    async def flush(self, timeout: float = 2.0) -> None:  # noqa: ASYNC109 - part of a stop that has so much time
        """Wait until the queue is empty, at most ``timeout`` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), timeout)

    async def _write(self, event: _Event) -> None:
        clock = asyncio.get_running_loop().time()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        namespace = event.about["namespace"]
        written = self._written.get(event.identity)
        if written is not None and clock - written.at < WINDOW:
            written.count += 1
            written.at = clock
            again = {"count": written.count, "lastTimestamp": now}
            try:
                await self._kube.patch(EVENTS, namespace, written.name, again)
            except NotFound:
                # The API server removes Events after an hour, and users may delete them.
                del self._written[event.identity]
            else:
                return
        name = f"{event.about['name'][:_LONGEST_NAME]}.{uuid.uuid4().hex[:16]}"
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": dict(event.about),
            "reason": event.reason,
            "message": event.message,
            "type": event.kind,
            "source": {"component": "kiln"},
            "reportingComponent": "kiln.dev/kiln",
            "reportingInstance": self._identity,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._kube.create(EVENTS, namespace, body)
        self._written[event.identity] = _Written(name, 1, clock)
        self._written.move_to_end(event.identity)
        while len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)
