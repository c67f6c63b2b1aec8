"""One Stack, ``web``, with an operator for it: the API server and OpenStack are in memory, the clock may jump."""

import uuid
from typing import Any

from harness.fake_kube import FakeKube
from harness.fake_openstack import FakeOpenStack
from harness.inline import InlineExecutor
from kiln.api.kinds import STACK_CHANGE_SETS, STACK_OPERATIONS, STACKS
from kiln.api.v1alpha1 import Key
from kiln.clouds.address_guard import AddressGuard
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import Credential, CredentialsError
from kiln.controller.controller import StackController
from kiln.controller.workqueue import Run
from kiln.stack.requeue import Requeue
from kiln.stack.shared import CloudAccess, SharedState
from kiln.stack.translation_cache import TranslationCache
from reconcilers.cloud.lookup import Lookup
from reconcilers.cloud.observer import Observer

NET = {"type": "OS::Neutron::Net", "properties": {"name": "net"}}
FAILS = {"type": "OS::Heat::TestResource", "properties": {"fail": True}}
CREDENTIAL = Credential("own", "password", {"auth_url": "http://cloud", "username": "u", "password": "p"})


def named(name: str) -> dict[str, Any]:
    """A network of this name."""
    return {"type": "OS::Neutron::Net", "properties": {"name": name}}


class Told:
    """Events that were emitted."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.messages: list[str] = []

    def emit(self, _obj: Any, reason: str, message: str, _kind: str = "Normal") -> None:
        self.reasons.append(reason)
        self.messages.append(message)


class FakeShared(SharedState):
    """A shared state whose one cloud is in memory."""

    def __init__(self, kube: FakeKube, cloud: FakeOpenStack) -> None:
        self.told = Told()
        super().__init__(kube, CloudConnections(AddressGuard()), self.told)  # type: ignore[arg-type]
        self.evaluators = InlineExecutor()  # type: ignore[assignment]
        self._translations = TranslationCache(InlineExecutor())
        self.error: CredentialsError | None = None
        self.here = CloudAccess(cloud, Observer(cloud), Lookup(cloud), CREDENTIAL)  # type: ignore[arg-type]

    async def access(self, stack: Any) -> CloudAccess:
        if self.error is not None:
            raise self.error
        return self.here


class OneStack:
    """One Stack, ``web``, and an operator for it."""

    def __init__(self) -> None:
        self.kube, self.cloud = FakeKube(), FakeOpenStack()
        self.cloud.latency = 0.0
        self.services = FakeShared(self.kube, self.cloud)
        self.reconciler = StackController(self.services)
        self.generation = 0

    def apply(self, resources: dict[str, Any], **spec: Any) -> None:
        self.generation += 1
        old = self.kube.find("stacks", "web") or {"metadata": {}}
        template = {"heat_template_version": "2021-04-16", "resources": resources}
        body = {"cloudCredentialsRef": {"secretName": "s", "cloudName": "own"}, "template": template, **spec}
        metadata = {**old["metadata"], "generation": self.generation}
        status = {"status": old["status"]} if "status" in old else {}
        self.kube.put(STACKS, "web", metadata=metadata, spec=body, **status)

    async def run(self) -> Requeue:
        """One reconciliation; failures in a row are counted as the queue does."""
        return await self.reconciler.run(Key("ns", "web"), Run())

    async def delete(self) -> None:

        await self.kube.delete(STACKS, "ns", "web")

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.kube.objects["stacks", "ns", "web"]["status"]
        return found

    def condition(self, kind: str = "Ready") -> tuple[str, str]:
        found = next(one for one in self.status["conditions"] if one["type"] == kind)
        return found["status"], found["reason"]

    def ask(self, kind: str, name: str = "", created: str = "2026-01-01T00:00:00Z", **spec: Any) -> str:
        """Create a StackOperation, as the informer shows it. Returns its name."""
        name = name or f"op-{uuid.uuid4().hex[:6]}"
        metadata = {"uid": f"uid-{name}", "generation": 1, "creationTimestamp": created}
        obj = self.kube.put(STACK_OPERATIONS, name, metadata=metadata, spec={"stackName": "web", "type": kind, **spec})
        self.services.requests.observe(STACK_OPERATIONS.plural, "ADDED", obj)
        return name

    def result(self, name: str) -> tuple[str, str]:
        """Phase and message of a StackOperation; empty while it waits."""
        status = (self.kube.find(STACK_OPERATIONS.plural, name) or {}).get("status") or {}
        return status.get("phase", ""), status.get("message", "")

    def propose(self, name: str, **spec: Any) -> str:
        """Create a StackChangeSet, as the informer shows it. Returns its name."""
        metadata = {"uid": f"uid-{name}", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
        full = {"stackName": "web", "delete": False, "approved": False, "ttlAfterFinished": "24h", **spec}
        obj = self.kube.put(STACK_CHANGE_SETS, name, metadata=metadata, spec=full)
        self.services.requests.observe(STACK_CHANGE_SETS.plural, "ADDED", obj)
        return name

    def change_sets(self) -> dict[str, dict[str, Any]]:
        """The status of each StackChangeSet by name, as the informer has shown them."""
        found = {name: self.kube.find(STACK_CHANGE_SETS.plural, name) for name in self.kube.named("stackchangesets")}
        for obj in found.values():
            if obj is not None:
                self.services.requests.observe(STACK_CHANGE_SETS.plural, "MODIFIED", obj)
        return {name: obj.get("status") or {} for name, obj in sorted(found.items()) if obj is not None}

    def in_phase(self, phase: str) -> list[str]:
        """The names of the StackChangeSets in a phase."""
        return [name for name, status in self.change_sets().items() if status.get("phase", "") == phase]

    def approve(self, name: str) -> None:
        """Set ``approved`` of a StackChangeSet, as the informer shows it."""
        obj = self.kube.objects[STACK_CHANGE_SETS.plural, "ns", name]
        obj["spec"]["approved"] = True
        obj["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1
        self.services.requests.observe(STACK_CHANGE_SETS.plural, "MODIFIED", obj)

    def message(self, kind: str = "Ready") -> str:
        """The message of a condition."""
        return str(next(one["message"] for one in self.status["conditions"] if one["type"] == kind))

    def nets(self) -> list[str]:
        return sorted(item["name"] for item in self.cloud.all("networks"))
