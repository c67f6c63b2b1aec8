"""Writes a Stack's status: only changes, and at most once a second."""

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from kiln.api.kinds import STACKS
from kiln.kube.client import Kube
from kiln.kube.errors import KubeError, NotFound
from kiln.stack import operation_log
from kiln.stack.status import Json, StatusUpdate, build_status

_REQUEST_ID: Final = re.compile(r"( \[)?\breq-[0-9a-zA-Z-]+\]?")
COALESCED = 1.0
"""Seconds between two writes of a Stack in progress."""
VOLATILE = ("lastSyncTime", "passID")
"""Fields whose change alone causes no write."""
SYNC_TIME_AGE = 3600.0
"""Seconds after which a newer ``lastSyncTime`` is worth a write by itself. A longer resync interval counts instead."""


class StatusWriter:
    """Writes one Stack's status by server-side apply.

    It writes at most once a second during an operation, and never if nothing changed.
    """

    def __init__(self, kube: Kube, stack: Mapping[str, Any], now: Callable[[], str], fence: Callable[[], bool]) -> None:
        self._kube = kube
        self._namespace: str = stack["metadata"]["namespace"]
        self._name: str = stack["metadata"]["name"]
        self._uid: str = stack["metadata"]["uid"]
        self.status: Json = dict(stack.get("status") or {})
        self._now = now
        self._fence = fence
        self._latest: Callable[[], StatusUpdate] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._written = asyncio.get_running_loop().time()
        """When the last write was sent (loop time). Progress is not written in the first second: so a failure that
        stays the same writes nothing."""

    def later(self, report: Callable[[], StatusUpdate]) -> None:
        """Write the result of ``report`` within a second. Calls in between share one write."""
        self._latest = report
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._soon())

    async def _soon(self) -> None:
        while not self._closing.is_set():
            rest = self._written + COALESCED - asyncio.get_running_loop().time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), max(rest, 0.0))
            report, self._latest = self._latest, None
            if report is None:
                return
            try:
                await self._write(report())
            except KubeError:
                # The final write contains the same and more, and its failure is reported.
                return

    async def now(self, report: StatusUpdate) -> None:
        """Write at once. Pending writes are dropped, because this one is newer."""
        await self.close()
        await self._write(report)

    async def close(self) -> None:
        """Drop pending writes. Nothing is written after this returns, until the next call.

        Every reconciliation has to end with it. A late write could hide the status of the next reconciliation.
        """
        self._latest = None
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task})
        self._closing.clear()

    async def _write(self, report: StatusUpdate) -> None:
        status = build_status(self.status, report, self._now())
        stale = report.synced and sync_time_is_stale(self.status, status, report.resync_interval)
        if not (stale or needs_write(self.status, status)) or not self._fence():
            return
        self._written = asyncio.get_running_loop().time()
        body = {"metadata": {"uid": self._uid}, "status": status}
        try:
            await self._kube.patch(STACKS, self._namespace, self._name, body, how="apply", subresource="status")
        except NotFound:
            return
        self.status = status


def without_request_ids(text: str) -> str:
    """The text without ids of requests, which differ in each try."""
    return _REQUEST_ID.sub("", text)


def needs_write(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a status has to be written: anything but times and ids changed.

    Another try that failed in the same way is no change.
    """

    def core(status: Mapping[str, Any]) -> tuple[str, Any]:
        lasting = {key: value for key, value in status.items() if key not in VOLATILE and key != "outputs"}
        if "lastOperation" in lasting:
            lasting["lastOperation"] = operation_log.without_tries(lasting["lastOperation"])
            lasting["operations"] = [operation_log.without_tries(one) for one in lasting.get("operations") or ()]
        return without_request_ids(json.dumps(lasting, sort_keys=True)), status.get("outputs")

    return core(old) != core(new)


def sync_time_is_stale(old: Mapping[str, Any], new: Mapping[str, Any], interval: float) -> bool:
    """Whether the written ``lastSyncTime`` is so old that the new one has to be written.

    Comparisons that find nothing cost no write, so the written time may be older than the last comparison: by an hour,
    or by ``interval`` (seconds between comparisons) if that is longer.
    """
    written, now = (_seconds(status.get("lastSyncTime")) for status in (old, new))
    return now - written >= max(SYNC_TIME_AGE, interval)


def _seconds(stamp: object) -> float:
    try:
        return datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return 0.0
