"""An engine, its memory and its cloud, all of it in this process: passes are run, killed and run again.

A kill is exact: at the n-th point (a request or a write, before or after it takes effect) everything ends, and what
comes after happens in a new process that knows only the records and the cloud.
"""

import asyncio
import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.fake_openstack import FakeOpenStack
from hot_translator import Pseudo, Translation, parse_template, translate
from reconcilers import identifiers
from reconcilers.cloud.lookup import Lookup
from reconcilers.cloud.observer import Observer
from reconcilers.cloud.transports import Transport
from reconcilers.cloud.unconfirmed_creates import UnconfirmedCreates
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.control import Control, EndReason, ReconciliationEnded
from reconcilers.engine.engine import Engine
from reconcilers.engine.policy import Policy
from reconcilers.engine.progress import ProgressTracker, ResourceError
from reconcilers.engine.result import Result
from reconcilers.errors import CloudError
from reconcilers.model import OPENSTACK, Intent, Recorded

UID = "00000000-0000-0000-0000-00000000abcd"
KEY = b"k" * 32


class Killed(Exception):  # noqa: N818
    """The process ended here."""


class Killer:
    """Counts points; at the wanted one, and ever after, everything that asks is dead."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.count = 0

    async def point(self) -> None:
        """Something is about to happen, or just did."""
        self.count += 1
        if self.at and self.count >= self.at:
            raise Killed


class MemoryRecords:
    """Records as the API server keeps them: versioned, and deleted in two steps."""

    def __init__(self) -> None:
        self.held: dict[str, Recorded] = {}
        self.stack = UID
        self.killer = Killer()
        self.log: list[tuple[str, str]] = []
        self.latency = 0.0
        """Seconds that an intent or a save takes."""
        self._version = 0

    def load(self) -> list[Recorded]:
        """All of them."""
        return list(self.held.values())

    def put(self, recorded: Recorded) -> Recorded:
        """Store it under a new version."""
        self._version += 1
        stored = self.held[recorded.key] = replace(recorded, version=str(self._version))
        return stored

    async def create(self, intent: Intent) -> Recorded:
        """See ResourceStore."""
        await asyncio.sleep(self.latency)
        await self.killer.point()
        key = identifiers.object_name("web", intent.name, intent.token)
        self.log.append(("intend", intent.name))
        found = key in self.held
        if not found:
            fields = {name: getattr(intent, name) for name in Intent.__slots__}
            self.put(Recorded(key=key, stack=self.stack, **fields))
        await self.killer.point()
        return replace(self.held[key], found=found)

    async def save(self, recorded: Recorded) -> Recorded:
        """See ResourceStore."""
        await asyncio.sleep(self.latency)
        await self.killer.point()
        held = self.held.get(recorded.key)
        if held is None or held.version != recorded.version:
            raise ReconciliationEnded(EndReason.OBJECT_CHANGED)
        self.log.append(("save", recorded.name))
        stored = self.put(replace(recorded, deleting=held.deleting))
        await self.killer.point()
        return stored

    async def replace(self, recorded: Recorded, intent: Intent) -> Recorded:
        """See ResourceStore."""
        await self.delete(recorded)
        return await self.create(intent)

    async def delete(self, recorded: Recorded) -> None:
        """See ResourceStore."""
        await self.killer.point()
        self.log.append(("forget", recorded.name))
        if recorded.key in self.held:
            self.put(replace(self.held[recorded.key], deleting=True))
            await self.killer.point()
            del self.held[recorded.key]
        await self.killer.point()


class Universe:
    """One Stack, ``web``."""

    def __init__(self) -> None:
        self.cloud = FakeOpenStack()
        self.records = MemoryRecords()
        self.policy = Policy(stack="web", stack_uid=UID, key=KEY)
        self.worked = False
        self.deployed: frozenset[str] = frozenset()
        self.transports: dict[str, Transport] = {}
        """Other transports than OpenStack."""
        self.start()

    def start(self, kill_at: int = 0) -> None:
        """A new process: all that was in memory is lost. ``kill_at`` is the point at which it will end."""
        self.killer = self.records.killer = Killer(kill_at)
        self.cloud.point = self.killer.point
        self.cloud.connect()
        self.observer = Observer(self.cloud)  # type: ignore[arg-type]
        self.lookup = Lookup(self.cloud)  # type: ignore[arg-type]
        self.progress = ProgressTracker()
        self.unconfirmed = UnconfirmedCreates(math.nan)

    def context(self, *, deadline: float = math.inf, **policy: Any) -> ReconcileContext:
        """The surroundings of one pass."""
        now = asyncio.get_running_loop().time()
        if math.isnan(self.unconfirmed.since):
            self.unconfirmed.since = now
        self.progress = ProgressTracker()
        self.control = Control(deadline=deadline)
        return ReconcileContext(
            replace(self.policy, **policy),
            self.control,
            {OPENSTACK: Transport(self.cloud, self.observer), **self.transports},
            self.lookup,
            self.records,
            self.progress,
            started=now,
            unconfirmed=self.unconfirmed,
        )

    async def once(self, template: Mapping[str, Any] | None, **policy: Any) -> Result:
        """One pass towards a template; None: towards nothing."""
        translation = translated(template) if template is not None else None
        if self.worked and translation is not None:
            policy.setdefault("known", frozenset(translation.definitions))
            policy.setdefault("deployed", self.deployed)
        self.worked = True
        self.last = context = self.context(**policy)
        engine = Engine(context, self.records.load())
        result = await (engine.converge(translation) if translation is not None else engine.delete())
        if result.complete:
            self.deployed = frozenset(translation.definitions) if translation is not None else frozenset()
        return result

    async def again(self, translation: Translation) -> Result:
        """One more pass towards the same."""
        self.last = self.context()
        return await Engine(self.last, self.records.load()).converge(translation)

    async def settle(self, template: Mapping[str, Any] | None, passes: int = 20, **policy: Any) -> int:
        """Passes until the goal is reached; how many it took. A process that is killed is followed by another."""
        last: Result | None = None
        for number in range(1, passes + 1):
            try:
                last = await self.once(template, **policy)
            except Killed:
                self.start()
                continue
            except ReconciliationEnded:
                continue
            except CloudError as error:
                last = Result([ResourceError("look", "", error.message, error.fault)])
            if last.complete and not self.last.has_possible_duplicates:
                return number
            await asyncio.sleep(5)
        assert last is not None
        raise AssertionError(f"not settled: {[str(one) for one in last.failures]}, blocked {last.blocked}")

    def inventory(self) -> dict[str, list[str]]:
        """Names of all that exists, by kind, without what was there before."""
        kinds = ("networks", "subnets", "ports", "routers", "servers", "volumes")
        found = {kind: sorted(item["name"] for item in self.cloud.all(kind)) for kind in kinds}
        return {kind: names for kind, names in found.items() if names}

    def physical(self, name: str) -> str:
        """The physical id of a logical name's newest record."""
        found = max((one for one in self.records.load() if one.name == name), key=lambda one: one.serial)
        assert found.physical_id is not None
        return found.physical_id

    def copy(self) -> "Universe":
        """The same cloud and the same records, for another future."""
        twin = Universe()
        twin.cloud.tables = copy.deepcopy(self.cloud.tables)
        twin.cloud._ids = copy.copy(self.cloud._ids)
        twin.cloud.lag = self.cloud.lag
        twin.records.held = dict(self.records.held)
        twin.records._version = self.records._version
        twin.worked = self.worked
        twin.deployed = self.deployed
        return twin


def translated(template: Mapping[str, Any], **parameters: Any) -> Translation:
    """A template's translation."""
    pseudo = Pseudo(stack_name="web", stack_id=UID, project_id="project", region="RegionOne")
    return translate(
        parse_template({"heat_template_version": "2021-04-16", **template}), parameters=parameters, pseudo=pseudo
    )
