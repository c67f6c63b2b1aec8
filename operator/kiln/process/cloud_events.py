"""Tells an HTTP endpoint of operations on Stacks, as CloudEvents (v1.0, structured JSON).

Event types are Heat's notifications: ``orchestration.stack.create.start``, ``.end`` and ``.error``. Nobody waits for an
event: they go into a bounded queue and are sent one after the other. An event that the endpoint does not take is sent
again with growing delays, then dropped; so are new ones while the queue is full.
"""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from kiln import metrics
from kiln.api import v1alpha1
from kiln.stack.history import Entry
from reconcilers.backoff import Backoff

log = logging.getLogger(__name__)

QUEUED: Final = 1_000
"""Events that wait. While more come, they are dropped."""
ATTEMPTS: Final = 8
"""How often one event is sent; with the delays between them that takes about four minutes."""
DELAYS: Final = Backoff(first=1.0, longest=60.0)
TIMEOUT: Final = 10.0
"""Seconds for one answer."""
_TRY_AGAIN: Final = frozenset({408, 425, 429})
_SUFFIXES: Final = {"InProgress": "start", "Complete": "end", "Failed": "error"}
_STATES: Final = {"InProgress": "IN_PROGRESS", "Complete": "COMPLETE", "Failed": "FAILED"}

metrics.start_at_zero(metrics.CLOUD_EVENTS, ("sent", "dropped"))


def read_url(url: str, file: str) -> str:
    """The endpoint: the option's own, or the content of a file (a mounted Secret). Empty for none.

    Raises ``ValueError`` for one that is no URL, ``OSError`` if the file cannot be read. No message has the URL, which
    may hold a password.
    """
    found = url or (Path(file).read_text().strip() if file else "")
    parts = urlsplit(found)
    if found and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("the endpoint of events is not a http or https URL")
    return found


def event_of(stack: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """The CloudEvent of an operation that began or ended."""
    metadata = stack["metadata"]
    key = v1alpha1.namespaced_name(stack)
    action = entry.action.lower()
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/apis/{v1alpha1.API_VERSION}/namespaces/{key.namespace}/stacks/{key.name}",
        "type": f"orchestration.stack.{action}.{_SUFFIXES[entry.status]}",
        "subject": key.name,
        "time": entry.time,
        "datacontenttype": "application/json",
        "data": {
            "stack_identity": metadata["uid"],
            "stack_name": v1alpha1.heat_name(stack),
            "namespace": key.namespace,
            "state": f"{action.upper()}_{_STATES[entry.status]}",
            "state_reason": entry.message or entry.reason,
            "create_at": metadata.get("creationTimestamp", ""),
            "user_identity": entry.requested_by,
            "tags": list((stack.get("spec") or {}).get("tags") or ()),
        },
    }


class CloudEvents:
    """Sends events to one endpoint. Belongs to one event loop; ``run`` must be running."""

    def __init__(self, url: str, *, delays: Backoff = DELAYS) -> None:
        self._url = url
        self._delays = delays
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUED)

    def tell(self, stack: Mapping[str, Any], entry: Entry) -> None:
        """Queue the event of an operation. Returns at once; never raises."""
        try:
            self._queue.put_nowait(event_of(stack, entry))
        except asyncio.QueueFull:
            metrics.CLOUD_EVENTS.labels("dropped").inc()

    async def run(self) -> None:
        """Send queued events, for ever."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
            while True:
                event = await self._queue.get()
                try:
                    sent = await self._send(session, event)
                finally:
                    self._queue.task_done()
                metrics.CLOUD_EVENTS.labels("sent" if sent else "dropped").inc()

    async def _send(self, session: aiohttp.ClientSession, event: Mapping[str, Any]) -> bool:
        """Whether the endpoint took it."""
        headers = {"Content-Type": "application/cloudevents+json"}
        for attempt in range(ATTEMPTS):
            try:
                async with session.post(self._url, json=event, headers=headers, allow_redirects=False) as answer:
                    status = answer.status
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                status, why = 0, type(error).__name__
            else:
                why = str(status)
            if 200 <= status < 300:
                return True
            if 300 <= status < 500 and status not in _TRY_AGAIN:
                log.warning("the endpoint of events refuses %s: %s", event["type"], why)
                return False
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(self._delays.delay(attempt, 1.0))
        log.warning("the endpoint of events does not take %s: %s", event["type"], why)
        return False
