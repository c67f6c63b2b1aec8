"""Leader election: only the replica that holds the Lease works.

The rules are those of client-go. A candidate takes a Lease that has no holder, or whose record has not changed for its
duration *by the candidate's own clock*, so clocks need not agree. The holder renews every 1.5 seconds. If it cannot for
7 seconds, it has lost the Lease, 3 seconds before another replica may take it. So another replica takes over at most 13
seconds after a crash, and at most 1.5 seconds after a clean stop. ``valid`` uses only the clock, so a process that was
suspended and resumed knows at its first step, without a call, that it no longer leads.

The kubernetes package has leader election too. It runs in a thread and notices a lost Lease only after its next call;
a fence before each write needs the answer at once.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from kiln import metrics
from kiln.api.kinds import LEASES
from kiln.kube.client import Json, Kube
from kiln.kube.errors import AlreadyExists, Conflict, KubeError, NotFound

log = logging.getLogger(__name__)

_DURATION: Final = 10.0
_RENEW_DEADLINE: Final = 7.0
_RETRY: Final = 1.5


class LeaseLost(Exception):  # noqa: N818
    """This replica no longer leads and must not write any more."""


def clock() -> float:
    """Seconds of a clock that runs while the machine is suspended, if the platform has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """One Lease and this replica's claim to it. Belongs to one event loop; any thread may call ``valid``."""

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
        self.marks: Mapping[str, Mapping[str, str]] = {}
        """Labels and annotations that are written when the Lease is taken."""
        self._now = now
        self._renewed: float | None = None
        """When the last successful renewal was *sent*; None if this replica does not hold the Lease."""
        self._version = ""
        self._seen: tuple[str, float] = ("", 0.0)
        """The resource version of another holder's record, and when it was first seen."""
        self._lost = False
        """The Lease was held and lost. It never counts as held again, even if a late renewal succeeds."""

    def valid(self) -> bool:
        """Whether this replica certainly holds the Lease now."""
        renewed = self._renewed
        if renewed is None or self._lost:
            return False
        if self._now() - renewed >= self._renew_deadline:
            self._lost = True
        return not self._lost

    async def acquire(self) -> None:
        """Wait until this replica holds the Lease."""
        log.info("Waiting for the lease %s/%s as %s", self._namespace, self._name, self._identity)
        while True:
            if await self.attempt():
                return
            await asyncio.sleep(self._retry)

    async def attempt(self) -> bool:
        """Try once to take the Lease. Returns whether this replica holds it."""
        self._lost = False
        try:
            if not await self._try():
                return False
        except KubeError as error:
            log.warning("The lease %s/%s could not be read or written: %s", self._namespace, self._name, error)
            return False
        log.info("Holding the lease %s/%s", self._namespace, self._name)
        metrics.LEADER.set(1)
        return True

    async def hold(self) -> None:
        """Renew the Lease. Never returns; raises ``LeaseLost`` when the Lease is lost."""
        while True:
            await asyncio.sleep(self._retry)
            try:
                # A process that was suspended and resumed notices here that the Lease has expired.
                # Not wait_for: in Python 3.11 it loses a cancellation that comes as the call returns.
                async with asyncio.timeout(self._renew_deadline):
                    kept = self.valid() and await self._try()
            except (KubeError, TimeoutError) as error:
                kept = True
                log.warning("The lease %s/%s could not be renewed: %r", self._namespace, self._name, error)
            if not kept or not self.valid():
                self._renewed = None
                metrics.LEADER.set(0)
                raise LeaseLost(f"the lease {self._namespace}/{self._name} is lost")

    async def release(self) -> None:
        """Release the Lease, so that another replica can take it at once. Call it only after the last write."""
        if self._renewed is None:
            return
        self._renewed = None
        metrics.LEADER.set(0)
        # Other implementations may look at the duration only, not at the holder.
        given_up = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _stamp()}
        with contextlib.suppress(KubeError):
            await self._write(given_up)
            log.info("Released the lease %s/%s", self._namespace, self._name)

    async def _try(self) -> bool:
        """Take or renew the Lease. Returns whether this replica holds it."""
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
            await self._write(record, self.marks)
        except (Conflict, NotFound):
            # Somebody else wrote in between. The next attempt reads the Lease again.
            return self._renewed is not None
        self._renewed = sent
        return True

    async def _renew(self) -> bool:
        """Renew with one patch, without a read. Fails if somebody else has written the Lease."""
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
            "metadata": {"name": self._name, "namespace": self._namespace, **self.marks},
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

    async def _write(self, spec: dict[str, Any], marks: Mapping[str, Any] | None = None) -> None:
        body = {"metadata": {"resourceVersion": self._version, **(marks or {})}, "spec": spec}
        answer = await self._kube.patch(LEASES, self._namespace, self._name, body)
        self._version = answer["metadata"]["resourceVersion"]


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
