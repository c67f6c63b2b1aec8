"""Which replica works: the one that holds the Lease.

The rules are client-go's. A candidate takes a Lease that nobody holds, or whose record has not changed for its duration
*by the candidate's own clock*, so clocks need not agree. The holder renews every 1.5 seconds; when it could not for
seven, it has lost the Lease, three seconds before anybody else may take it. So another replica works at most 13 seconds
after a death, and at most 1.5 after a clean stop. ``valid`` answers from the clock alone, so a process that was stopped
and continued knows at its first step that it leads no more, before it has asked anybody.

The kubernetes package has leader election too, in a thread whose loss of the Lease is seen only after its next call; a
fence before each write needs the answer at once.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from kiln import metrics
from kiln.api.kinds import LEASES
from kiln.kube.client import AlreadyExists, Conflict, Json, Kube, KubeError, NotFound

log = logging.getLogger(__name__)

_DURATION: Final = 10.0
_RENEW_DEADLINE: Final = 7.0
_RETRY: Final = 1.5


class LeaseLost(Exception):  # noqa: N818
    """This replica leads no more, and must not write anything again."""


def clock() -> float:
    """Seconds of a clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """One Lease and this replica's claim to it. Belongs to one event loop; ``valid`` may be asked from any thread."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: float = _DURATION,
        renew_deadline: float = _RENEW_DEADLINE,
        retry: float = _RETRY,
        now: Callable[[], float] = clock,
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._duration = duration
        self._renew_deadline = renew_deadline
        self._retry = retry
        self._now = now
        self._renewed: float | None = None
        """When the last successful renewal was *sent*; None while not holding."""
        self._version = ""
        self._seen: tuple[str, float] = ("", 0.0)
        """The resource version of somebody else's record, and when it was first seen."""
        self._lost = False
        """It was held and is not any more: it never counts as held again, even if a late renewal succeeds."""

    def valid(self) -> bool:
        """Whether this replica holds the Lease for certain, now."""
        renewed = self._renewed
        if renewed is None or self._lost:
            return False
        if self._now() - renewed >= self._renew_deadline:
            self._lost = True
        return not self._lost

    async def acquire(self) -> None:
        """Wait until the Lease is held."""
        self._lost = False
        log.info("Waiting for the lease %s/%s as %s", self._namespace, self._name, self._identity)
        while True:
            try:
                if await self._try():
                    log.info("Holding the lease %s/%s", self._namespace, self._name)
                    metrics.LEADER.set(1)
                    return
            except KubeError as error:
                log.warning("The lease %s/%s could not be read or written: %s", self._namespace, self._name, error)
            await asyncio.sleep(self._retry)

    async def hold(self) -> None:
        """Renew for as long as that works. Raises ``LeaseLost`` when it does not any more; never returns."""
        while True:
            await asyncio.sleep(self._retry)
            try:
                # A process that was stopped and continued finds out here that its time is over.
                kept = self.valid() and await asyncio.wait_for(self._try(), self._renew_deadline)
            except (KubeError, TimeoutError) as error:
                kept = True
                log.warning("The lease %s/%s could not be renewed: %r", self._namespace, self._name, error)
            if not kept or not self.valid():
                self._renewed = None
                metrics.LEADER.set(0)
                raise LeaseLost(f"the lease {self._namespace}/{self._name} is lost")

    async def release(self) -> None:
        """Give the Lease up, so that another replica can take it at once. Only after the last write."""
        if self._renewed is None:
            return
        self._renewed = None
        metrics.LEADER.set(0)
        # A duration of one second makes candidates of other makes, which do not look at the holder, as quick.
        given_up = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _stamp()}
        with contextlib.suppress(KubeError):
            await self._write(given_up)
            log.info("Released the lease %s/%s", self._namespace, self._name)

    async def _try(self) -> bool:
        """Take or renew the Lease; whether it is held afterwards."""
        if self._renewed is not None and await self._renew():
            return True
        sent = self._now()
        lease = await self._kube.get(LEASES, self._namespace, self._name)
        if lease is None:
            return await self._create(sent)
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        version = lease["metadata"]["resourceVersion"]
        if holder not in {"", self._identity}:
            if self._renewed is not None:
                return False
            if self._seen[0] != version:
                self._seen = (version, sent)
            if sent - self._seen[1] < float(spec.get("leaseDurationSeconds") or self._duration):
                return False
        record: Json = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._duration),
            "renewTime": _stamp(),
        }
        if holder != self._identity:
            record["acquireTime"] = record["renewTime"]
            record["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        self._version = version
        try:
            await self._write(record)
        except (Conflict, NotFound):
            # Somebody wrote in between. Whoever that was, the next look tells.
            return self._renewed is not None
        self._renewed = sent
        return True

    async def _renew(self) -> bool:
        """Renew what nobody else has written since: one call, and no look."""
        sent = self._now()
        try:
            await self._write({"renewTime": _stamp()})
        except (Conflict, NotFound):
            return False
        self._renewed = sent
        return True

    async def _create(self, sent: float) -> bool:
        stamp = _stamp()
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(self._duration),
                "acquireTime": stamp,
                "renewTime": stamp,
                "leaseTransitions": 0,
            },
        }
        try:
            created = await self._kube.create(LEASES, self._namespace, body)
        except AlreadyExists:
            return False
        self._version = created["metadata"]["resourceVersion"]
        self._renewed = sent
        return True

    async def _write(self, spec: dict[str, Any]) -> None:
        body = {"metadata": {"resourceVersion": self._version}, "spec": spec}
        answer = await self._kube.patch(LEASES, self._namespace, self._name, body)
        self._version = answer["metadata"]["resourceVersion"]


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
