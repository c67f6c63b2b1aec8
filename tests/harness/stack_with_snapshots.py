"""A Stack with StackSnapshots, in the cloud in memory."""

import asyncio
import uuid
from typing import Any

from harness.one_stack import NET, OneStack
from kiln.api.kinds import STACK_OPERATIONS, STACK_SNAPSHOTS
from reconcilers.model import Request

SERVER = {"type": "OS::Nova::Server", "properties": {"name": "server", "image": "cirros", "flavor": "m1.tiny"}}
VOLUME = {"type": "OS::Cinder::Volume", "properties": {"name": "volume", "size": 2}}
TEMPLATE = {"server": SERVER, "volume": VOLUME, "net": NET}


class SnapshotStack(OneStack):
    """A Stack ``web`` with a server and a volume, its StackSnapshots, and the requests to restore them."""

    def see(self, plural: str, name: str, kind: str = "MODIFIED") -> None:
        """The informer shows an object as it is now."""
        obj = self.kube.find(plural, name)
        if obj is not None:
            self.services.requests.observe(plural, kind, obj)

    def snapshot(self, name: str = "snap", **spec: Any) -> str:
        metadata = {
            "generation": 1,
            "creationTimestamp": f"2026-01-01T00:00:0{len(self.kube.named('stacksnapshots'))}Z",
        }
        self.kube.put(STACK_SNAPSHOTS, name, metadata=metadata, spec={"stackName": "web", **spec})
        self.see("stacksnapshots", name, "ADDED")
        return name

    def restore(self, snapshot: str) -> str:
        name = f"op-{uuid.uuid4().hex[:6]}"
        metadata = {"uid": f"uid-{name}", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
        spec = {"stackName": "web", "type": "Restore", "restore": {"snapshot": snapshot}}
        self.kube.put(STACK_OPERATIONS, name, metadata=metadata, spec=spec)
        self.see("stackoperations", name, "ADDED")
        return name

    async def drop_snapshot(self, name: str = "snap") -> None:
        await self.kube.delete(STACK_SNAPSHOTS, "ns", name)
        self.see("stacksnapshots", name)

    async def pass_(self) -> None:
        await asyncio.sleep(1)
        await self.run()
        for name in self.kube.named("stacksnapshots"):
            self.see("stacksnapshots", name)

    def of(self, name: str = "snap") -> dict[str, Any]:
        found = self.kube.find("stacksnapshots", name)
        assert found is not None
        return dict(found.get("status") or {})

    def result(self, name: str) -> tuple[str, str]:
        status = (self.kube.find("stackoperations", name) or {}).get("status") or {}
        return status.get("phase", ""), status.get("message", "")

    def copies(self) -> dict[str, int]:
        images = [one for one in self.cloud.all("images") if one["name"] != "cirros"]
        counts = {"images": len(images), "backups": len(self.cloud.all("backups"))}
        return {**counts, "snapshots": len(self.cloud.all("snapshots"))}


NOTHING = {"images": 0, "backups": 0, "snapshots": 0}


async def deployed(template: dict[str, Any] | None = None, **spec: Any) -> SnapshotStack:
    web = SnapshotStack()
    web.apply(template or TEMPLATE, **spec)
    await web.pass_()
    assert web.condition()[0] == "True"
    return web


async def snapped(**spec: Any) -> SnapshotStack:
    web = await deployed()
    web.snapshot(**spec)
    await web.pass_()
    assert web.of()["readyToUse"], web.of()
    return web


def copies_something(request: Request) -> bool:
    """Whether a request begins a copy."""
    return "createImage" in (request.body or {}) or (request.method, request.path) == ("POST", "/backups")
