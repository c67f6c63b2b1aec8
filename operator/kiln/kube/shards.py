"""Shards: several replicas work at the same time, each on its own Stacks.

With N shards there are N Leases, and a replica holds one of them. A Stack belongs to the shard that
:func:`shard_of` names, a rendezvous hash of its namespace and name: from N to N + 1 shards, one Stack in N + 1 moves.
The name counts and not the uid, so that a Stack that is deleted and created again stays where the rest of the old one
is cleaned up.

Every Lease says of how many shards its holder knows (an annotation). When N changes, replicas of both numbers run for a
while, and a Stack could belong to one of each. So a replica that has taken its Lease begins to work only when no other
Lease is held by a replica of another number. It writes its own Lease before it reads the others', so of two replicas of
different numbers at least one sees the other and waits, until the update has replaced those of the old number. A holder
that crashed counts until its Lease has expired by the clock of the one who waits.

Replicas watch all Stacks, and the event filter ignores those of other shards. The API server could select by labels or
fields that are stored, but not by a hash: somebody would have to write each Stack's shard into its labels, which belong
to the user, and to write all of them again when N changes.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kiln.api.kinds import LEASES
from kiln.api.v1alpha1 import Key
from kiln.kube.client import Kube
from kiln.kube.errors import Forbidden, KubeError
from kiln.kube.leader_election import Lease, clock

log = logging.getLogger(__name__)

ANNOTATION_SHARDS: Final = "kiln.dev/shards"
"""On a Lease: the number of shards that its holder knows of."""
LABEL_LEASE: Final = "kiln.dev/lease"
"""On a Lease: the name that the Leases of all shards have in common."""
MOST: Final = 16
"""Shards of one operator at most; the chart's Role names so many Leases."""
RETRY: Final = 1.5
"""Seconds between attempts to take a Lease, and between looks at the others."""


def shard_of(key: Key, shards: int) -> int:
    """The shard that a Stack belongs to, from 0 to ``shards`` - 1."""
    if shards == 1:
        return 0
    return max(range(shards), key=lambda shard: hashlib.blake2b(f"{shard} {key}".encode(), digest_size=8).digest())


def lease_name(name: str, shard: int) -> str:
    """The Lease of a shard. That of the first one has the plain name, as without shards."""
    return f"{name}-{shard}" if shard else name


class Shard:
    """This replica's shard: the first whose Lease is free. Belongs to one event loop; any thread may call ``valid``."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        name: str,
        identity: str,
        shards: int = 1,
        *,
        now: Callable[[], float] = clock,
    ) -> None:
        self.shards = shards
        self.number = 0
        """The shard that is held, or was held last."""
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._now = now
        self._leases: Sequence[Lease] = [
            Lease(kube, namespace, lease_name(name, shard), identity, now=now) for shard in range(shards)
        ]
        for lease in self._leases:
            lease.marks = {"labels": {LABEL_LEASE: name}, "annotations": {ANNOTATION_SHARDS: str(shards)}}
        self._seen: dict[str, tuple[str, float]] = {}
        """Of Leases that are held by replicas of another number: the resource version, and when it was first seen."""

    def owns(self, key: Key) -> bool:
        """Whether a Stack belongs to this replica's shard."""
        return shard_of(key, self.shards) == self.number

    def valid(self) -> bool:
        """Whether this replica certainly holds its Lease now."""
        return self._leases[self.number].valid()

    async def acquire(self) -> None:
        """Wait until this replica holds a Lease."""
        if self.shards == 1:
            await self._leases[0].acquire()
            return
        log.info("Waiting for one of %d leases %s/%s", self.shards, self._namespace, self._name)
        # In any order, so that replicas that start together do not all try the same one.
        order = random.sample(range(self.shards), self.shards)
        while True:
            for number in order:
                if await self._leases[number].attempt():
                    self.number = number
                    log.info("Serving shard %d of %d", number, self.shards)
                    return
            await asyncio.sleep(RETRY)

    async def settle(self) -> None:
        """Wait until no replica that knows of another number of shards holds a Lease. Call it after :meth:`acquire`."""
        told: tuple[str, ...] = ()
        while True:
            try:
                others = await self._others()
            except Forbidden as error:
                if self.shards == 1:
                    # Replicas of several shards have the same rights, and do not work without this one.
                    log.warning("Working without a look at other leases: %s", error)
                    return
                log.error("Grant the right to list leases; shards do not work without it: %s", error)  # noqa: TRY400
            except KubeError as error:
                log.warning("The leases of the other shards cannot be read: %s", error)
            else:
                if not others:
                    return
                if others != told:
                    log.info("Waiting for replicas with another number of shards than %d: %s", self.shards, others)
                told = others
            await asyncio.sleep(RETRY)

    async def hold(self) -> None:
        """Renew the Lease. Never returns; raises ``LeaseLost`` when it is lost."""
        await self._leases[self.number].hold()

    async def release(self) -> None:
        """Release the Lease. Call it only after the last write."""
        await self._leases[self.number].release()

    async def _others(self) -> tuple[str, ...]:
        """The Leases that replicas of another number hold."""
        found = {
            one["metadata"]["name"]: one
            for one in await self._kube.list(LEASES, self._namespace, labels=f"{LABEL_LEASE}={self._name}")
        }
        own = lease_name(self._name, self.number)
        return tuple(sorted(name for name, one in found.items() if name != own and self._is_other(name, one)))

    def _is_other(self, name: str, lease: Mapping[str, Any]) -> bool:
        spec = lease.get("spec") or {}
        metadata = lease["metadata"]
        count = (metadata.get("annotations") or {}).get(ANNOTATION_SHARDS, "1")
        if not spec.get("holderIdentity") or count == str(self.shards):
            self._seen.pop(name, None)
            return False
        version = metadata["resourceVersion"]
        if self._seen.get(name, ("", 0.0))[0] != version:
            self._seen[name] = (version, self._now())
        return self._now() - self._seen[name][1] < float(spec.get("leaseDurationSeconds") or 0)
