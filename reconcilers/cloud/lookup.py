"""Names into ids: flavors, images, networks, ... that a template refers to by name.

Ids that are recognisable as such cost no call. Answers are kept for a short time, so a thousand servers of one flavor
ask once.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from reconcilers.cloud.calls import ANYBODY, Caller
from reconcilers.cloud.faults import expected_form
from reconcilers.cloud.session import Cloud
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Request

KEPT = 20.0
"""Seconds for which an answer is believed."""

MOST_KNOWN = 50_000
"""Names remembered, at most."""

_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finder:
    """How things of one kind are found.

    ``whole``: the collection is listed once and searched here (it has no filter by name).

    ``opaque``: ids of this kind can look like anything, so only the cloud can tell an id from a name. ``key`` is the
    field that is given for a name ("id", or "name" for things that are known by it).
    """

    service: str
    path: str
    plural: str
    params: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    opaque: bool = False
    key: str = "id"
    envelope: str = ""


def _network(path: str) -> Finder:
    return Finder("network", f"/{path}", path.replace("-", "_").replace("/", "_"))


def _identity(path: str) -> Finder:
    return Finder("identity", f"/{path}", path)


def _load_balancer(path: str) -> Finder:
    return Finder("load_balancer", f"/lbaas/{path}", path)


FINDERS: Mapping[str, Finder] = {
    "nova.flavor": Finder(
        "compute", "/flavors/detail", "flavors", params={"is_public": "None"}, whole=True, opaque=True
    ),
    "nova.server": Finder("compute", "/servers", "servers"),
    "nova.keypair": Finder(
        "compute", "/os-keypairs", "keypairs", whole=True, opaque=True, key="name", envelope="keypair"
    ),
    "glance.image": Finder("image", "/images", "images"),
    "neutron.network": _network("networks"),
    "neutron.subnet": _network("subnets"),
    "neutron.port": _network("ports"),
    "neutron.router": _network("routers"),
    "neutron.security_group": _network("security-groups"),
    "neutron.subnetpool": _network("subnetpools"),
    "neutron.address_scope": _network("address-scopes"),
    "neutron.segment": _network("segments"),
    "neutron.qos_policy": Finder("network", "/qos/policies", "policies"),
    "cinder.volume": Finder("block_storage", "/volumes", "volumes"),
    "cinder.snapshot": Finder("block_storage", "/snapshots", "snapshots"),
    "cinder.backup": Finder("block_storage", "/backups", "backups"),
    "cinder.vtype": Finder("block_storage", "/types", "volume_types", whole=True),
    "keystone.user": _identity("users"),
    "keystone.group": _identity("groups"),
    "keystone.project": _identity("projects"),
    "keystone.role": _identity("roles"),
    "keystone.domain": Finder("identity", "/domains", "domains", opaque=True),
    "keystone.service": Finder("identity", "/services", "services"),
    "keystone.region": Finder("identity", "/regions", "regions", whole=True, opaque=True),
    "octavia.loadbalancer": _load_balancer("loadbalancers"),
    "octavia.listener": _load_balancer("listeners"),
    "octavia.pool": _load_balancer("pools"),
    "octavia.l7policy": _load_balancer("l7policies"),
    "octavia.flavor": _load_balancer("flavors"),
    "octavia.flavorprofile": _load_balancer("flavorprofiles"),
    "octavia.availabilityzone": Finder(
        "load_balancer", "/lbaas/availabilityzones", "availability_zones", whole=True, opaque=True, key="name"
    ),
    "octavia.availabilityzoneprofile": Finder(
        "load_balancer", "/lbaas/availabilityzoneprofiles", "availability_zone_profiles"
    ),
}
"""By the name of Heat's custom constraint for the kind, which the catalogue's lookups use too."""


class Lookup:
    """Resolves names in one cloud, each at most once at a time."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._kept: dict[tuple[str, str], tuple[float, asyncio.Task[list[dict[str, Any]]]]] = {}
        self._ids: dict[tuple[str, str], tuple[float, str]] = {}

    def known(self, kind: str, value: str) -> str | None:
        """The id that this name had when it was last looked up, without a call; None if it never was."""
        finder = FINDERS.get(kind)
        if finder is None or (not finder.opaque and _UUID.fullmatch(value)):
            return value
        held = self._ids.get((kind, value))
        return held[1] if held else None

    async def resolve(self, kind: str, value: Any, caller: Caller = ANYBODY) -> Any:
        """The id for a name or id of this kind.

        Raises :class:`CloudError` (INVALID) if there is none, or more than one.

        Values that are no text, or of a kind that nothing here finds, stay as they are.
        """
        finder = FINDERS.get(kind)
        if finder is None or not isinstance(value, str) or not value or (not finder.opaque and _UUID.fullmatch(value)):
            return value
        learned = self._ids.get((kind, value))
        if learned and asyncio.get_running_loop().time() - learned[0] < KEPT:
            return learned[1]
        if finder.opaque and not finder.whole and await self._is_id(finder, value, caller):
            return self._learn(kind, value, value)
        listed = await self._items(kind, finder, value, caller)
        with expected_form(finder.service):
            items = [item.get(finder.envelope, item) for item in listed]
            named = [(item.get("id"), item.get("name"), str(item[finder.key])) for item in items]
        for index in (0, 1):
            matching = {one[2] for one in named if str(one[index]) == value}
            if len(matching) == 1:
                return self._learn(kind, value, matching.pop())
            if matching:
                raise CloudError(
                    Fault.INVALID, f"there are {len(matching)} of kind {_words(kind)} named {value!r}: give the id"
                )
        raise CloudError(Fault.INVALID, f"there is no {_words(kind)} {value!r}", status=404)

    def _learn(self, kind: str, value: str, identity: str) -> str:
        if len(self._ids) > MOST_KNOWN:
            self._ids.clear()
        self._ids[(kind, value)] = (asyncio.get_running_loop().time(), identity)
        return identity

    async def exists(self, kind: str, value: Any, caller: Caller = ANYBODY) -> None:
        """Check a custom constraint.

        The thing of this name or id is there. Raises :class:`CloudError` (INVALID) if not.
        """
        finder = FINDERS.get(kind)
        if finder is None or not isinstance(value, str) or not value:
            return
        if finder.opaque or not _UUID.fullmatch(value):
            await self.resolve(kind, value, caller)
            return
        if not await self._is_id(finder, value, caller):
            raise CloudError(Fault.INVALID, f"there is no {_words(kind)} {value!r}", status=404)

    async def _is_id(self, finder: Finder, value: str, caller: Caller) -> bool:
        if value in {".", ".."}:
            return False
        request = Request(finder.service, "GET", f"{finder.path}/{quote(value, safe='')}", done=frozenset({404}))
        return (await self._cloud.send(request, caller)).status != 404

    async def _items(self, kind: str, finder: Finder, value: str, caller: Caller) -> "list[dict[str, Any]]":
        now = asyncio.get_running_loop().time()
        key = (kind, "" if finder.whole else value)
        kept = self._kept.get(key)
        if kept is None or now - kept[0] > KEPT or _failed(kept[1]):
            params = dict(finder.params) if finder.whole else {**finder.params, "name": value}
            request = Request(finder.service, "GET", finder.path, params=params)
            kept = (now, asyncio.create_task(self._cloud.list(request, finder.plural)))
            self._kept = {other: entry for other, entry in self._kept.items() if now - entry[0] <= KEPT}
            self._kept[key] = kept
        return await caller.wait(kept[1])


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _words(kind: str) -> str:
    return kind.partition(".")[2].replace("_", " ")
