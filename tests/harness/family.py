"""A Stack, ``web``, with its child Stacks and theirs: each is reconciled as often as it likes, one run at a time."""

import asyncio
import json
from typing import Any

from harness.one_stack import FakeShared, OneStack
from kiln.api.kinds import STACKS
from kiln.api.v1alpha1 import Key
from kiln.controller.controller import StackController
from kiln.controller.workqueue import Run

WAIT = 3.0
"""Seconds between reconciliations of one Stack."""
QUIET = 3
"""Rounds without a change after which nothing more will come."""


class Family(OneStack):
    """``stopped`` are Stacks that nobody reconciles."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped: set[str] = set()

    @property
    def children(self) -> list[str]:
        """Names of all other Stacks, sorted."""
        return sorted(self.kube.named("stacks") - {"web"})

    def child(self, name: str = "") -> dict[str, Any]:
        """A child as it is stored; without a name the only one."""
        found = self.kube.find("stacks", name or self.children[0])
        assert found is not None
        assert name or len(self.children) == 1, self.children
        return found

    async def live(self, seconds: float = 60.0) -> None:
        """Reconcile all Stacks until nothing changes any more, or for some time at most.

        A process that is killed leaves everything as it is.
        """
        end = asyncio.get_running_loop().time() + seconds
        active: dict[str, tuple[asyncio.Task[Any], Run]] = {}
        quiet = 0
        try:
            while quiet < QUIET and asyncio.get_running_loop().time() < end:
                before = self._versions()
                for name in self.kube.named("stacks") - self.stopped:
                    if name not in active or active[name][0].done():
                        if name in active:
                            active.pop(name)[0].result()
                        run = Run()
                        active[name] = asyncio.create_task(self.reconciler.run(Key("ns", name), run)), run
                await asyncio.sleep(WAIT)
                busy = any(not task.done() for task, _ in active.values())
                quiet = 0 if busy or self._versions() != before else quiet + 1
        finally:
            for _, run in active.values():
                run.superseded.set()
            ended = await asyncio.gather(*(task for task, _ in active.values()), return_exceptions=True)
        for one in ended:
            if isinstance(one, BaseException):
                raise one

    def _versions(self) -> list[str]:
        return sorted(str(obj["metadata"]["resourceVersion"]) for obj in self.kube.objects.values())

    def restarted(self) -> "Family":
        """A new process with the same API server and the same cloud."""
        other = Family()
        other.kube, other.cloud, other.generation = self.kube, self.cloud, self.generation
        other.services = FakeShared(self.kube, self.cloud)
        other.reconciler = StackController(other.services)
        return other

    def edit(self, name: str, **spec: Any) -> None:
        """Change a Stack's spec as somebody else would."""
        obj = self.kube.find("stacks", name)
        assert obj is not None
        metadata = {**obj["metadata"], "generation": obj["metadata"]["generation"] + 1}
        self.kube.put(STACKS, name, metadata=metadata, spec={**obj["spec"], **spec}, status=obj.get("status") or {})


INNER = """
heat_template_version: 2021-04-16
parameters:
  name: {type: string, default: inner}
resources:
  net: {type: OS::Neutron::Net, properties: {name: {get_param: name}}}
outputs:
  id: {value: {get_resource: net}}
  called: {value: {get_param: name}}
"""


def inner(template: str = INNER, **properties: Any) -> dict[str, Any]:
    return {"type": "OS::Heat::Stack", "properties": {"template": template, **properties}}


class Killed(BaseException):
    """The process ended here."""


def kill_at(web: Family, number: int) -> list[int]:
    """Let the process end at the n-th write to the API server, and at all later ones."""
    writes = [0]

    def refuse(verb: str, _plural: str, _body: Any) -> None:
        if verb not in {"get", "list"}:
            writes[0] += 1
            if number and writes[0] >= number:
                raise Killed

    web.kube.refuse = refuse
    return writes


def nested(levels: int, innermost: str) -> str:
    """A template whose only resource is a child Stack, so many levels deep."""
    text = innermost
    for level in range(levels):
        resources = {f"level{level}": {"type": "OS::Heat::Stack", "properties": {"template": text}}}
        text = json.dumps({"heat_template_version": "2021-04-16", "resources": resources})
    return text
