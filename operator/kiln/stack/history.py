"""StackHistory: what happened to a Stack and its resources, long after Kubernetes has dropped its Events.

A Stack's history is a ring of five objects with two hundred entries each. Entries are written in the background, many
at once: no reconciliation waits for them or fails because of them, and a Stack at rest costs no call. What cannot be
written is kept for the next try, up to a bound.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from kiln import metrics
from kiln.api import v1alpha1
from kiln.api.kinds import STACK_HISTORIES
from kiln.kube.client import Kube
from kiln.kube.errors import AlreadyExists, Conflict, KubeError, NamespaceTerminating, NotFound

log = logging.getLogger(__name__)

CHUNK: Final = 200
"""Entries of one object."""
RING: Final = 5
"""Objects of one Stack."""
INTERVAL: Final = 2.0
"""Seconds for which entries are collected before they are written together."""
RETRY: Final = 15.0
"""The same after a write that failed."""
MOST_PENDING: Final = 1_000
"""Entries of one Stack that wait to be written: all that its ring could hold."""
MOST_STACKS: Final = 20_000
"""Stacks with entries that wait, and Stacks whose place in the ring is remembered."""
LONGEST: Final = 256
"""Characters of one text of an entry."""
_TRIES: Final = 3
_REFUSALS: Final = frozenset({400, 403, 404, 413, 422})
"""Statuses after which the same entries are not sent again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One transition. Texts are free of secrets.

    ``path`` is the resource's name; empty for the Stack, whose ``action`` is an operation. ``status`` is InProgress,
    Complete or Failed. ``time`` is RFC 3339.
    """

    time: str
    path: str
    action: str
    status: str
    reason: str = ""
    message: str = ""
    type: str = ""
    physical_id: str = ""
    request_id: str = ""
    requested_by: str = ""
    resources: str = ""
    """Ready and total resources, when an operation of the Stack ends."""

    def as_json(self, seq: int) -> dict[str, Any]:
        """As it is stored."""
        content = {
            "time": self.time,
            "path": self.path[:LONGEST],
            "action": self.action,
            "status": self.status,
            "reason": self.reason[:LONGEST],
            "message": self.message[:LONGEST],
            "type": self.type[:LONGEST],
            "physicalID": self.physical_id[:LONGEST],
            "requestID": self.request_id[:64],
            "requestedBy": self.requested_by[:LONGEST],
            "resources": self.resources,
        }
        return {"seq": seq, **{key: value for key, value in content.items() if value}}


@dataclass(slots=True)
class _Pending:
    stack: Mapping[str, Any]
    """Its metadata, to own the objects."""
    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=MOST_PENDING))
    not_before: float = 0.0


class HistoryWriter:
    """Writes the histories of all Stacks. It belongs to one event loop; ``run`` must be running.

    ``fence`` says whether this process may write.
    """

    def __init__(self, kube: Kube, fence: Callable[[], bool]) -> None:
        self._kube = kube
        self._fence = fence
        self.tell: Callable[[Mapping[str, Any], Entry], None] = lambda _stack, _entry: None
        """Called with each operation of a Stack that begins or ends."""
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        """By the uids of Stacks."""
        self._next: OrderedDict[str, int] = OrderedDict()
        """The number of a Stack's next entry, by its uid."""
        self._news = asyncio.Event()

    def add(self, stack: Mapping[str, Any], entry: Entry) -> None:
        """Note what happened. Returns at once; never raises."""
        uid = stack["metadata"]["uid"]
        if not entry.path:
            self.tell(stack, entry)
        pending = self._pending.get(uid)
        if pending is None:
            if len(self._pending) >= MOST_STACKS:
                metrics.HISTORY_DROPPED.inc()
                return
            pending = self._pending[uid] = _Pending({"metadata": stack["metadata"]})
        if len(pending.entries) == MOST_PENDING:
            metrics.HISTORY_DROPPED.inc()
        pending.entries.append(entry)
        self._news.set()

    def forget(self, key: v1alpha1.Key) -> None:
        """The Stack does not exist any more: Kubernetes deletes its history."""
        for uid, pending in list(self._pending.items()):
            if v1alpha1.namespaced_name(pending.stack) == key:
                del self._pending[uid]
                self._next.pop(uid, None)

    async def run(self) -> None:
        """Write what is noted, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(INTERVAL)
            await self.flush()
            if self._pending:
                self._news.set()

    async def flush(self, *, at_once: bool = False) -> None:
        """Write what is noted and due; with ``at_once`` also what failed a moment ago."""
        now = asyncio.get_running_loop().time()
        for uid, pending in list(self._pending.items()):
            if not self._fence():
                return
            if pending.not_before > now and not at_once:
                continue
            count = len(pending.entries)
            entries = list(islice(pending.entries, count))
            try:
                await self._write(pending.stack, entries)
            except KubeError as error:
                if error.status not in _REFUSALS:
                    log.warning("a StackHistory cannot be written now: %s", error)
                    pending.not_before = asyncio.get_running_loop().time() + RETRY
                    continue
                if isinstance(error, NamespaceTerminating | NotFound):
                    log.debug("a StackHistory goes with its namespace: %s", error)
                else:
                    log.warning("entries of a StackHistory are dropped: %s", error)
                    metrics.HISTORY_DROPPED.inc(count)
            except (KeyError, TypeError, ValueError):
                log.exception("a StackHistory has an unexpected form; its entries are dropped")
                metrics.HISTORY_DROPPED.inc(count)
            self._written(uid, pending, entries)

    def _written(self, uid: str, pending: _Pending, entries: list[Entry]) -> None:
        """Remove entries from what waits. New ones may have come, and pushed old ones out."""
        done = set(map(id, entries))
        left = [entry for entry in pending.entries if id(entry) not in done]
        if left:
            pending.entries = deque(left, maxlen=MOST_PENDING)
        elif self._pending.get(uid) is pending:
            del self._pending[uid]

    async def _write(self, stack: Mapping[str, Any], entries: list[Entry]) -> None:
        uid = stack["metadata"]["uid"]
        left, first, failed = entries, self._next.get(uid), None
        sent: list[dict[str, Any]] = []
        for _ in range(_TRIES):
            if first is None:
                first, stored = await self._load(stack)
                if sent and stored[-len(sent) :] == sent:
                    left = left[len(sent) :]
            try:
                while left:
                    now = left[: CHUNK - first % CHUNK]
                    sent = [entry.as_json(first + at) for at, entry in enumerate(now)]
                    await self._append(stack, first, sent)
                    first, left = first + len(now), left[len(now) :]
                    self._remember(uid, first)
            except (Conflict, NotFound) as error:
                # Somebody changed or deleted an object of the ring, or an answer was lost.
                log.debug("the history is read again: %s", error)
                self._next.pop(uid, None)
                first, failed = None, error
            else:
                return
        if isinstance(failed, NotFound):
            raise failed
        raise KubeError(409, "Conflict", f"the history of {stack['metadata']['name']} changes all the time")

    def _remember(self, uid: str, number: int) -> None:
        self._next[uid] = number
        self._next.move_to_end(uid)
        if len(self._next) > MOST_STACKS:
            self._next.popitem(last=False)

    async def _load(self, stack: Mapping[str, Any]) -> tuple[int, list[dict[str, Any]]]:
        """The number of the next entry, and the entries of the object that was written last."""
        metadata = stack["metadata"]
        labels = f"{v1alpha1.LABEL_STACK}={metadata['name']}"
        objects = await self._kube.list(STACK_HISTORIES, metadata["namespace"], labels=labels)
        ours = [obj for obj in objects if metadata["uid"] in v1alpha1.owner_uids(obj)]
        newest = max(ours, key=lambda obj: int(obj["spec"]["next"]), default=None)
        return (int(newest["spec"]["next"]), list(newest["spec"]["entries"])) if newest is not None else (0, [])

    async def _append(self, stack: Mapping[str, Any], first: int, entries: list[dict[str, Any]]) -> None:
        """Write entries of one object. Raises Conflict, NotFound if it is not as expected."""
        metadata = stack["metadata"]
        namespace, name = metadata["namespace"], object_name(metadata["name"], first)
        if first % CHUNK == 0:
            await self._begin(stack, name, first, entries)
            return
        patch = [
            {"op": "test", "path": "/spec/next", "value": first},
            *({"op": "add", "path": "/spec/entries/-", "value": entry} for entry in entries),
            {"op": "replace", "path": "/spec/next", "value": first + len(entries)},
        ]
        await self._kube.patch(STACK_HISTORIES, namespace, name, patch, how="json")

    async def _begin(self, stack: Mapping[str, Any], name: str, first: int, entries: list[dict[str, Any]]) -> None:
        """Begin an object; in place of the oldest one once the ring is full."""
        metadata = stack["metadata"]
        namespace = metadata["namespace"]
        spec = {"stackName": metadata["name"], "first": first, "next": first + len(entries), "entries": entries}
        found = await self._kube.get(STACK_HISTORIES, namespace, name)
        if found is not None and metadata["uid"] in v1alpha1.owner_uids(found):
            same = {part: found["metadata"][part] for part in ("uid", "resourceVersion")}
            await self._kube.patch(STACK_HISTORIES, namespace, name, {"metadata": same, "spec": spec})
            return
        if found is not None:
            # It belongs to an older Stack of the same name.
            await self._kube.delete(STACK_HISTORIES, namespace, name, uid=found["metadata"]["uid"])
        body = {
            "apiVersion": v1alpha1.API_VERSION,
            "kind": STACK_HISTORIES.kind,
            "metadata": {
                "name": name,
                "labels": {v1alpha1.LABEL_STACK: metadata["name"]},
                "ownerReferences": [v1alpha1.owner_reference(stack)],
            },
            "spec": spec,
        }
        with contextlib.suppress(AlreadyExists):
            await self._kube.create(STACK_HISTORIES, namespace, body)
            return
        raise Conflict(409, "Conflict", name)


def object_name(stack: str, number: int) -> str:
    """The name of the object that has the entry with this number."""
    return f"{stack}-history-{number // CHUNK % RING}"
