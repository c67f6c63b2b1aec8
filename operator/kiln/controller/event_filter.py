"""Decides which events of the informer queue a Stack, and when.

Most events are echoes of the operator's own writes and cost only a comparison. These count as news:

* a Stack whose uid, generation, deletion or ``kiln.dev/reconcile-at`` annotation (or Flux's) changed;
* a status that another replica wrote (one that has not noticed the loss of its Lease), because it may hide ours;
* a request (such as a StackOperation) that is new, or is being deleted;
* a StackResource that somebody else deleted;
* a ConfigMap or Secret that a Stack refers to and whose content changed;
* another Stack whose outputs a Stack uses, when they changed; for a Stack that is being deleted, another one that uses
  its outputs no longer;
* a Secret or ConfigMap with outputs of a Stack that somebody else deleted;
* a child Stack whose spec changed, or that settled, for its parent. The parent may be waiting for just that, so it is
  queued without an end of what is going on.

After a start, the filter sees every object once. It queues a Stack at rest only when its next resync is due, so that a
restart with thousands of Stacks is no stampede. To find inputs that changed while no operator ran, it compares times
with the Stack's ``lastSyncTime``. A standby replica collects the same information and queues once it leads. With
shards, each replica collects all of it, and queues only its own Stacks.
"""

import hashlib
import json
import logging
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kiln.api import v1alpha1
from kiln.api.kinds import BY_PLURAL, STACKS, Relation
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import Condition, Key
from kiln.controller.workqueue import WorkQueue
from kiln.stack import child_spec
from kiln.stack.inputs import Reference, references
from kiln.stack.other_stacks import StackReferences
from kiln.stack.requests import RequestIndex

log = logging.getLogger(__name__)

_JITTER = 0.1
"""Fraction of the resync interval by which Stacks are spread."""


@dataclass(frozen=True, slots=True)
class _Stack:
    """What the filter remembers of a Stack, to distinguish news from echoes."""

    intent: tuple[Any, ...]
    references: frozenset[Reference]
    synced: float
    """When it was last compared with the cloud completely, in seconds since the epoch; 0 for never."""
    interval: float
    """Seconds between comparisons; 0 for none."""
    resting: bool
    """It matched its spec when its status was written."""
    conditions: tuple[tuple[str, str], ...]
    pass_id: str = ""
    deleting: bool = False
    parent: Key | None = None
    """The Stack that this one is a child of."""
    standing: tuple[Any, ...] = ()
    """What matters of a child to its parent."""

    def due(self, now: float) -> float:
        """Seconds until the next reconciliation; infinity if only an event starts it."""
        if not self.resting:
            return 0.0
        if not self.interval:
            return math.inf
        left = self.synced + self.interval - now
        if left <= 0:
            # Most Stacks are overdue after a start, because comparisons that find nothing write no time.
            return random.uniform(0.0, self.interval)  # noqa: S311
        return left + random.uniform(0.0, _JITTER * self.interval)  # noqa: S311


@dataclass(frozen=True, slots=True)
class _Input:
    """What the filter remembers of a ConfigMap, of a Secret, or of the outputs of a Stack."""

    digest: bytes
    changed: float
    """When it was last written, in seconds since the epoch."""


class EventFilter:
    """Queues Stacks. All methods belong to the event loop's thread.

    ``deleted`` says whether the operator itself deleted an object (collection, namespace, name), ``ours`` whether this
    process wrote a status with this passID. ``requests``, ``stacks`` and ``children`` (the number of child Stacks of
    each namespace) are kept up to date.
    """

    def __init__(
        self,
        queue: WorkQueue,
        deleted: Callable[[str, str, str], bool],
        *,
        requests: RequestIndex | None = None,
        stacks: StackReferences | None = None,
        children: Counter[str] | None = None,
        ours: Callable[[str], bool] = lambda _: True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._deleted = deleted
        self._ours = ours
        self._requests = requests if requests is not None else RequestIndex()
        self._used_stacks = stacks if stacks is not None else StackReferences()
        self._children = children if children is not None else Counter()
        self._now = now
        self._leading = False
        self._owns: Callable[[Key], bool] = lambda _: True
        self._stacks: dict[Key, _Stack] = {}
        self._news: dict[Key, float] = {}
        """Stacks with news while this replica was on standby, and the time of the news."""
        self._users: defaultdict[tuple[str, Reference], set[Key]] = defaultdict(set)
        self._inputs: dict[tuple[str, Reference], _Input] = {}

    def lead(self, owns: Callable[[Key], bool] = lambda _: True) -> None:
        """Start to queue: this replica leads now. ``owns`` says which Stacks are those of its shard."""
        self._leading = True
        self._owns = owns
        # There may be news of a Stack that does not exist: a record of a Stack that was removed by force, a request.
        for key in self._news:
            if owns(key):
                self._queue.add(key)
        for key, stack in self._stacks.items():
            if key not in self._news:
                self._later(key, stack)
        self._news.clear()

    def conditions(self) -> Mapping[tuple[str, str], int]:
        """How many Stacks have each condition in each status."""
        return Counter(condition for stack in self._stacks.values() for condition in stack.conditions)

    def observe(self, plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
        """One event: the collection's name; ADDED, MODIFIED, DELETED or None (a listing); and the object.

        An object of a form that the API server should have refused is logged, and holds up no other event.
        """
        try:
            self._observe(plural, kind, obj)
        except (KeyError, TypeError, AttributeError, ValueError):
            log.exception("An event of %s has an unexpected form and is ignored", plural)

    def _observe(self, plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
        resource = BY_PLURAL[plural]
        match resource.watch.relation if resource.watch else None:
            case Relation.STACK:
                self._stack(kind, obj)
            case Relation.REQUEST:
                key = self._requests.observe(plural, kind, obj)
                if key is not None:
                    self._changed(key)
            case Relation.OWNED:
                self._owned(plural, kind, obj)
            case Relation.INPUT:
                self._input(resource.kind, kind, obj)
                self._published(plural, kind, obj)

    def _stack(self, kind: str | None, obj: Mapping[str, Any]) -> None:
        key = v1alpha1.namespaced_name(obj)
        before = self._stacks.get(key)
        if kind == "DELETED":
            self._refer(key, before.references if before else frozenset(), frozenset())
            self._released(key, frozenset())
            self._note((key.namespace, Reference(_STACK, key.name)), None, kind)
            if before is not None:
                self._count_child(key, before.parent, None)
                self._child_moved(before.parent)
            self._stacks.pop(key, None)
            self._news.pop(key, None)
            if self._serves(key):
                # One more reconciliation, which forgets all that is remembered of the Stack.
                self._queue.interrupt(key)
            return
        stack = _remembered(obj)
        self._stacks[key] = stack
        self._count_child(key, before.parent if before else None, stack.parent)
        self._refer(key, before.references if before else frozenset(), stack.references)
        self._released(key, frozenset(one.name for one in stack.references if one.kind == _STACK))
        self._note((key.namespace, Reference(_STACK, key.name)), _outputs(obj), kind)
        if stack.resting and stack.synced > self._news.get(key, math.inf):
            # The leading replica has reconciled it since.
            del self._news[key]
        if before is not None and before.standing != stack.standing:
            self._child_moved(stack.parent)
        if before is not None:
            if before.intent != stack.intent:
                self._changed(key)
            elif self._serves(key) and before.pass_id != stack.pass_id and not self._ours(stack.pass_id):
                self._queue.add(key)
        elif stack.resting and not self._stale(key, stack):
            if self._leading:
                self._later(key, stack)
        else:
            self._changed(key)

    def _count_child(self, key: Key, before: Key | None, now: Key | None) -> None:
        self._children[key.namespace] += (now is not None) - (before is not None)
        if not self._children[key.namespace]:
            del self._children[key.namespace]

    def _child_moved(self, parent: Key | None) -> None:
        if parent is None or parent not in self._stacks:
            return
        if not self._leading:
            self._news[parent] = self._now()
        elif self._owns(parent):
            self._queue.add(parent)

    def _owned(self, plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
        metadata = obj["metadata"]
        stack = (obj.get("spec") or {}).get("stackName")
        gone = kind == "DELETED" or "deletionTimestamp" in metadata
        if stack and gone and not self._deleted(plural, metadata["namespace"], metadata["name"]):
            self._changed(Key(metadata["namespace"], stack))

    def _input(self, what: str, kind: str | None, obj: Mapping[str, Any]) -> None:
        metadata = obj["metadata"]
        identity = (metadata["namespace"], Reference(what, metadata["name"]))
        self._note(identity, None if kind == "DELETED" else _Input(_digest(obj), _written(metadata)), kind)
        if "deletionTimestamp" in metadata and v1alpha1.FINALIZER in (metadata.get("finalizers") or ()):
            # The Secret of a Stack, which is deleted after its Stack unless that was removed by force.
            self._changed(Key(metadata["namespace"], str((metadata.get("labels") or {}).get(v1alpha1.LABEL_STACK))))

    def _note(self, identity: tuple[str, Reference], now: _Input | None, kind: str | None) -> None:
        """An input is as it is ``now`` (None: it does not exist): tell the Stacks that use it, if that is news."""
        before = self._inputs.get(identity)
        if now is None:
            self._inputs.pop(identity, None)
            changed = True
        else:
            self._inputs[identity] = now
            changed = before is not None and before.digest != now.digest
        for key in self._users.get(identity, ()):
            stack = self._stacks[key]
            if changed or (before is None and (kind == "ADDED" or self._stale(key, stack))):
                if self._serves(key):
                    log.info("%s: the %s %s changed", key, *identity[1], extra={"stack": str(key)})
                self._changed(key)

    def _released(self, key: Key, names: frozenset[str]) -> None:
        """A Stack uses outputs of these others: the ones that it used before may wait to be deleted."""
        for name in self._used_stacks.put(key, names):
            other = self._stacks.get(Key(key.namespace, name))
            if other is not None and other.deleting:
                self._changed(Key(key.namespace, name))

    def _published(self, plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
        metadata = obj["metadata"]
        stack = (metadata.get("labels") or {}).get(v1alpha1.LABEL_OUTPUTS)
        key = Key(metadata["namespace"], str(stack))
        if kind != "DELETED" or key not in self._stacks:
            return
        if not self._deleted(plural, metadata["namespace"], metadata["name"]):
            self._changed(key)

    def _stale(self, key: Key, stack: _Stack) -> bool:
        """Whether an input of the Stack was written after its last comparison."""
        known = (self._inputs.get((key.namespace, reference)) for reference in stack.references)
        # Times are whole seconds. What was written in the same second may be newer.
        return any(found is not None and found.changed >= stack.synced for found in known)

    def _serves(self, key: Key) -> bool:
        """Whether this replica leads, and the Stack is one of its shard."""
        return self._leading and self._owns(key)

    def _changed(self, key: Key) -> None:
        """News: a running reconciliation of this Stack is out of date."""
        if not self._leading:
            self._news[key] = self._now()
        elif self._owns(key):
            self._queue.interrupt(key)

    def _later(self, key: Key, stack: _Stack) -> None:
        due = stack.due(self._now()) if self._owns(key) else math.inf
        if due < math.inf:
            self._queue.add_after(key, due)

    def _refer(self, key: Key, before: frozenset[Reference], now: frozenset[Reference]) -> None:
        for reference in before - now:
            users = self._users[key.namespace, reference]
            users.discard(key)
            if not users:
                del self._users[key.namespace, reference]
        for reference in now - before:
            self._users[key.namespace, reference].add(key)


def _remembered(obj: Mapping[str, Any]) -> _Stack:
    metadata = obj["metadata"]
    spec = obj.get("spec") or {}
    status = obj.get("status") or {}
    conditions = {str(one.get("type")): str(one.get("status")) for one in status.get("conditions") or ()}
    synced = _seconds(status.get("lastSyncTime"))
    resting = (
        "deletionTimestamp" not in metadata
        and status.get("observedGeneration") == metadata.get("generation")
        and conditions.get(Condition.READY) == "True"
        and synced > 0
    )
    try:
        interval = v1alpha1.parse_duration(spec.get("resyncInterval", "10m"))
    except (ValueError, TypeError):
        interval = 600.0
    annotations = metadata.get("annotations") or {}
    return _Stack(
        intent=(
            metadata["uid"],
            metadata.get("generation"),
            metadata.get("deletionTimestamp"),
            annotations.get(v1alpha1.ANNOTATION_RECONCILE_AT),
            annotations.get(v1alpha1.ANNOTATION_REQUESTED_AT),
            annotations.get(v1alpha1.ANNOTATION_FORCE_DELETE),
        ),
        references=_references(obj),
        synced=synced,
        interval=interval,
        resting=resting,
        conditions=tuple((kind, state) for kind, state in conditions.items() if kind in _CONDITIONS),
        pass_id=str(status.get("passID", "")),
        deleting="deletionTimestamp" in metadata,
        parent=_parent(metadata),
        standing=_standing(obj) if _parent(metadata) else (),
    )


def _parent(metadata: Mapping[str, Any]) -> Key | None:
    """The parent of a child Stack."""
    name = (metadata.get("labels") or {}).get(v1alpha1.LABEL_STACK)
    is_child = v1alpha1.ANNOTATION_TOKEN in (metadata.get("annotations") or {})
    return Key(metadata["namespace"], str(name)) if name and is_child else None


def _standing(child: Mapping[str, Any]) -> tuple[Any, ...]:
    """The parts of a child that are news for its parent. What it does on its way to its goal is none."""
    found = child_spec.state(child)
    settled = found if found["status"] != "IN_PROGRESS" else {}
    metadata = child["metadata"]
    return (metadata.get("generation"), found["deleting"], _digest_of([settled, _outputs(child).digest.hex()]))


_CONDITIONS = frozenset(Condition)
_STACK = STACKS.kind


def _references(obj: Mapping[str, Any]) -> frozenset[Reference]:
    """What the Stack refers to; nothing if the spec is malformed, which its reconciliation reports."""
    try:
        return references(obj, credentials=True)
    except (LookupError, TypeError, ValueError, AttributeError):
        return frozenset()


def _digest(obj: Mapping[str, Any]) -> bytes:
    return _digest_of([obj.get("data"), obj.get("binaryData")])


def _digest_of(content: Any) -> bytes:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _outputs(stack: Mapping[str, Any]) -> _Input:
    """What others may use of a Stack: its outputs.

    Its own references count too: they may close a circle, or open it.
    """
    metadata, status = stack["metadata"], stack.get("status") or {}
    ready = StackStatus.parse(stack).conditions.get(Condition.READY, {})
    parts = ("outputs", "outputErrors", "hiddenOutputs")
    used = sorted(one.name for one in _references(stack) if one.kind == _STACK)
    content = [metadata["uid"], used, *(status.get(part) for part in parts)]
    last = status.get("lastOperation") or {}
    changed = (metadata.get("creationTimestamp"), last.get("completionTime"), ready.get("lastTransitionTime"))
    return _Input(_digest_of(content), max(map(_seconds, changed)))


def _written(metadata: Mapping[str, Any]) -> float:
    """When an object was last written, by the times of its managers."""
    times = [metadata.get("creationTimestamp"), *(one.get("time") for one in metadata.get("managedFields") or ())]
    return max(map(_seconds, times))


def _seconds(stamp: str | None) -> float:
    try:
        return datetime.fromisoformat(stamp).timestamp() if stamp else 0.0
    except ValueError:
        return 0.0
