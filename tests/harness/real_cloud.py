"""A universe whose cloud is a real one: the engine and the records are in this process, the requests are not."""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from harness.universe import Universe
from reconcilers import registry
from reconcilers.cloud.calls import ANYBODY, Caller
from reconcilers.cloud.session import Answer, Cloud
from reconcilers.model import Recorded, Request


class RealCloud:
    """Sends what it is given to the cloud of an openstacksdk connection, and keeps a list of it.

    ``point`` is awaited before and after each request: a kill there is exact.
    """

    region = "RegionOne"

    def __init__(self, connection: Any) -> None:
        self._connection, self._threads = connection, ThreadPoolExecutor(24)
        self.connect()
        self.calls: list[Request] = []
        self.point: Callable[[], Any] = _nothing

    def connect(self) -> None:
        """A new session, as a new process has: it remembers nothing of earlier calls."""
        self._cloud = Cloud(self._connection, self._threads)

    async def send(self, request: Request, caller: Caller = ANYBODY) -> Answer:
        """See Cloud."""
        await self.point()
        self.calls.append(request)
        answer = await self._cloud.send(request, caller)
        await self.point()
        return answer

    async def list(self, request: Request, plural: str, caller: Caller = ANYBODY) -> "list[dict[str, Any]]":
        """See Cloud."""
        await self.point()
        self.calls.append(request)
        return await self._cloud.list(request, plural, caller)

    async def project_id(self) -> str:
        """See Cloud."""
        return await self._cloud.project_id()


class RealUniverse(Universe):
    """One Stack, ``web``, in a real cloud."""

    def __init__(self, connection: Any) -> None:
        super().__init__()
        uid = str(uuid.uuid4())
        self.policy = replace(self.policy, stack_uid=uid)
        self.records.stack = uid
        self.cloud = RealCloud(connection)  # type: ignore[assignment]
        self.start()

    def record(self, name: str) -> Recorded:
        """The newest record of a logical name."""
        return max((one for one in self.records.load() if one.name == name), key=lambda one: one.serial)

    async def shown(self, name: str) -> Mapping[str, Any]:
        """The resource of a logical name as the cloud shows it now."""
        recorded = self.record(name)
        rtype = registry.find(recorded.type)
        assert rtype is not None
        body = (await self.cloud.send(rtype.read(recorded))).body
        found = rtype.extract(body, recorded)
        assert found is not None, f"{name} is not there"
        return dict(found)

    def attributes(self, name: str) -> Mapping[str, Any]:
        """All attributes of a resource, after the last pass."""
        return self.last.ready[name].attributes()


async def _nothing() -> None:
    await asyncio.sleep(0)
