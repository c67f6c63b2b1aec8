"""Transports: the ways in which resources are observed and changed.

Most resources are in OpenStack (:data:`reconcilers.model.OPENSTACK`). A type whose resources are elsewhere names
another transport, and so do its requests. Who starts a reconciliation gives the transports that there are; the engine
knows none of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from reconcilers.cloud.calls import ANYBODY, Caller
from reconcilers.cloud.channel import Channel
from reconcilers.cloud.observer import Snapshot
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Recorded
from reconcilers.resource_type import ResourceType


class Observing(Protocol):
    """How resources are read: :class:`reconcilers.cloud.observer.Observer` reads from any channel.

    A transport that hears of changes by itself can wait for them in ``next_look``.
    """

    async def snapshot(self, rtype: ResourceType, *, since: float, caller: Caller = ANYBODY) -> Snapshot:
        """A list of all resources of the kind that was asked for at ``since`` (loop time) or later."""

    async def read(self, rtype: ResourceType, recorded: Recorded, caller: Caller = ANYBODY) -> Any:
        """One resource as it is now; None if it does not exist."""

    async def next_look(
        self, rtype: ResourceType, recorded: Recorded, *, leaving: bool = False, caller: Caller = ANYBODY
    ) -> Any:
        """Wait until it is worth to look again: the resource then, or None."""


@dataclass(frozen=True, slots=True)
class Transport:
    """Where requests go, and how resources are read."""

    channel: Channel
    observer: Observing


Transports = Mapping[str, Transport]
"""The transports of a reconciliation by their names."""


def named(transports: Transports, name: str) -> Transport:
    """The transport of this name. Raises CloudError: some places (a plan offline) reach OpenStack only."""
    found = transports.get(name)
    if found is None:
        raise CloudError(Fault.INVALID, f"resources of the transport {name!r} cannot be reached from here")
    return found
