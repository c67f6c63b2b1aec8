"""The open requests of each Stack: objects that ask something of it, such as StackOperations.

The event filter keeps the index. A reconciliation reads the objects that the index names, so a Stack of which nobody
asks anything costs no call. A finished object stays in the index until its time to live has passed.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kiln.api import v1alpha1
from kiln.api.kinds import BY_PLURAL, Resource
from kiln.api.v1alpha1 import FINISHED, Key
from kiln.kube.client import Kube
from kiln.kube.errors import KubeError

log = logging.getLogger(__name__)

DEFAULT_TTL: Final = 86400.0
"""Seconds that a finished request is kept if its spec says nothing."""


@dataclass(frozen=True, slots=True)
class RequestName:
    """Where a request is, and its ``spec.type``. ``created`` is its creation time, RFC 3339."""

    resource: Resource
    namespace: str
    name: str
    created: str
    type: str = ""


class RequestIndex:
    """All requests that the informer has seen. It belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._open: defaultdict[Key, dict[tuple[str, str], RequestName]] = defaultdict(dict)
        self._expiry: dict[tuple[str, str, str], tuple[RequestName, float]] = {}
        self._intents: dict[tuple[str, str, str], tuple[Any, ...]] = {}
        self._held: defaultdict[Key, dict[tuple[str, str], str]] = defaultdict(dict)
        """All objects, finished ones too, with the StackRevision that each needs."""

    def observe(self, plural: str, kind: str | None, obj: Mapping[str, Any]) -> Key | None:
        """Take in one event. Returns the Stack for which the event is news, or None."""
        metadata, spec = obj["metadata"], obj.get("spec") or {}
        key = Key(metadata["namespace"], str(spec.get("stackName", "")))
        identity = (plural, metadata["namespace"], metadata["name"])
        if kind == "DELETED":
            self._intents.pop(identity, None)
            self._expiry.pop(identity, None)
            self._close(key, plural, metadata["name"])
            self._held[key].pop((plural, metadata["name"]), None)
            if not self._held[key]:
                del self._held[key]
            return key
        self._held[key][plural, metadata["name"]] = str((obj.get("status") or {}).get("revision", ""))
        before = self._intents.get(identity)
        intent = (metadata["uid"], metadata.get("generation"), metadata.get("deletionTimestamp"))
        self._intents[identity] = intent
        created, kind_of = metadata.get("creationTimestamp", ""), str(spec.get("type", ""))
        where = RequestName(BY_PLURAL[plural], metadata["namespace"], metadata["name"], created, kind_of)
        if is_finished(obj) and "deletionTimestamp" not in metadata:
            self._close(key, plural, metadata["name"])
            expires = expiry(obj)
            if expires is not None:
                self._expiry[identity] = (where, expires)
            return None
        self._open[key][plural, metadata["name"]] = where
        return key if before != intent else None

    def _close(self, key: Key, plural: str, name: str) -> None:
        held = self._open.get(key, {})
        held.pop((plural, name), None)
        if not held:
            self._open.pop(key, None)

    def open(self, key: Key, resource: Resource) -> list[RequestName]:
        """The Stack's requests of one kind that have not finished, oldest first."""
        found = (one for one in self._open.get(key, {}).values() if one.resource is resource)
        return sorted(found, key=lambda one: (one.created, one.name))

    def held(self, key: Key, resource: Resource) -> dict[str, str]:
        """All objects of one kind that are about the Stack: their names, with the StackRevision that each needs."""
        found = self._held.get(key, {}).items()
        return {name: revision for (plural, name), revision in found if plural == resource.plural}

    def expired(self, now: float) -> list[RequestName]:
        """Finished requests whose time to live has passed. ``now`` is in seconds since the epoch."""
        return [where for where, expires in self._expiry.values() if expires <= now]


def is_finished(obj: Mapping[str, Any]) -> bool:
    """Whether the operator has ended the request."""
    return (obj.get("status") or {}).get("phase") in FINISHED


def expiry(obj: Mapping[str, Any]) -> float | None:
    """When a finished request may be deleted, in seconds since the epoch; None: never."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if "ttlAfterFinished" not in spec:
        return None
    try:
        ttl = v1alpha1.parse_duration(str(spec["ttlAfterFinished"]))
    except ValueError:
        ttl = DEFAULT_TTL
    try:
        ended = datetime.fromisoformat(str(status.get("completionTime"))).timestamp()
    except ValueError:
        return None
    return ended + ttl


async def delete_expired(kube: Kube, index: RequestIndex, now: float) -> None:
    """Delete finished requests whose time to live has passed. Errors are logged, and the next call tries again."""
    for where in index.expired(now):
        try:
            await kube.delete(where.resource, where.namespace, where.name)
        except KubeError as error:
            log.warning("%s %s/%s cannot be deleted: %s", where.resource.kind, where.namespace, where.name, error)
