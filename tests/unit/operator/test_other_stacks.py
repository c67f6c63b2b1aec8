"""Outputs of other Stacks as parameters: who waits for whom, what is followed, what is deleted when."""

import json
from typing import Any

import pytest
from harness.one_stack import OneStack

from kiln.api.kinds import STACKS
from kiln.api.v1alpha1 import ANNOTATION_FORCE_DELETE, Key
from kiln.controller.event_filter import EventFilter
from kiln.controller.workqueue import Run
from kiln.stack.other_stacks import StackReferences
from kiln.stack.requeue import PassEnd, Requeue

PASSWORD = "hunter2-hunter2"


class Queue:
    """Which Stacks the filter queued."""

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def add(self, key: Key) -> None:
        self.keys.append(key)

    def add_after(self, key: Key, delay: float) -> None:
        """Resyncs are no news."""

    interrupt = add


class Stacks(OneStack):
    """Several Stacks and an event filter that sees each change of them."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue()
        self.filter = EventFilter(self.queue, self.kube.deleted, stacks=self.services.references)  # type: ignore[arg-type]
        self.filter.lead()
        self.seen: dict[tuple[str, str], str] = {}

    def see(self) -> list[str]:
        """Show the filter what changed. Returns the names of the Stacks that it queued."""
        self.queue.keys.clear()
        now = {(plural, name) for plural, _, name in self.kube.objects if plural in {"stacks", "secrets"}}
        for plural, name in sorted(now):
            obj = self.kube.objects[plural, "ns", name]
            version = obj["metadata"]["resourceVersion"]
            if self.seen.get((plural, name)) != version:
                kind = "MODIFIED" if (plural, name) in self.seen else "ADDED"
                self.filter.observe(plural, kind, json.loads(json.dumps(obj)))
                self.seen[plural, name] = version
        for plural, name in self.seen.keys() - now:
            gone = {"metadata": {"namespace": "ns", "name": name, "uid": "gone"}}
            self.filter.observe(plural, "DELETED", gone)
            del self.seen[plural, name]
        return sorted({key.name for key in self.queue.keys})

    def put(
        self, name: str, value: Any = None, *, uses: dict[str, str] | None = None, hidden: bool = False
    ) -> list[str]:
        """A Stack with the output ``o`` (a value, or a parameter), and parameters from outputs of other Stacks.

        Returns the names of the Stacks that are queued for it.
        """
        parameters = {parameter: {"type": "json" if parameter == "j" else "string"} for parameter in uses or {}}
        given: Any = {"get_param": next(iter(uses))} if uses else value
        if hidden:
            parameters = {"secret": {"type": "string", "hidden": True, "default": value}}
            given = {"get_param": "secret"}
        template = {
            "heat_template_version": "2021-04-16",
            "parameters": parameters,
            "outputs": {"o": {"value": given}} if given is not None else {},
            "resources": {"net": {"type": "OS::Neutron::Net", "properties": {"name": name}}},
        }
        sources = [
            {"name": parameter, "stackOutputRef": {"stack": where.split(".")[0], "output": where.split(".")[1]}}
            for parameter, where in (uses or {}).items()
        ]
        old = self.kube.find("stacks", name) or {"metadata": {}}
        metadata = {**old["metadata"], "generation": old["metadata"].get("generation", 0) + 1}
        credentials = {"secretName": "s", "cloudName": "own"}
        spec = {"cloudCredentialsRef": credentials, "template": template, "parametersFrom": sources}
        status = {"status": old["status"]} if "status" in old else {}
        self.kube.put(STACKS, name, metadata=metadata, spec=spec, **status)
        return self.see()

    async def reconcile(self, name: str) -> Requeue:
        return await self.reconciler.run(Key("ns", name), Run())

    def state(self, name: str) -> tuple[str, str, str]:
        """Status, reason and message of Ready."""
        conditions = self.kube.objects["stacks", "ns", name]["status"]["conditions"]
        ready = next(one for one in conditions if one["type"] == "Ready")
        return ready["status"], ready["reason"], ready["message"]

    def is_true(self, name: str, kind: str) -> bool:
        conditions = self.kube.objects["stacks", "ns", name]["status"]["conditions"]
        return any(one["type"] == kind and one["status"] == "True" for one in conditions)

    def output(self, name: str) -> Any:
        return self.kube.objects["stacks", "ns", name]["status"]["outputs"]["o"]

    async def delete_stack(self, name: str) -> None:
        await self.kube.delete(STACKS, "ns", name)
        self.see()


@pytest.fixture
def stacks() -> Stacks:
    return Stacks()


async def test_a_stack_waits_for_one_that_does_not_exist_yet_and_goes_on_when_it_has_the_output(
    stacks: Stacks,
) -> None:
    stacks.put("app", uses={"p": "base.o"})
    requeue = await stacks.reconcile("app")
    assert requeue.end is PassEnd.WAITING_FOR_STACK
    _, reason, message = stacks.state("app")
    assert reason == "WaitingForStack"
    assert message == "spec.parametersFrom[p].stackOutputRef: there is no Stack 'base' in namespace 'ns'"
    assert stacks.is_true("app", "Reconciling")
    assert not stacks.is_true("app", "Stalled")
    stacks.put("base", "one")
    await stacks.reconcile("base")
    assert "app" in stacks.see()
    await stacks.reconcile("app")
    assert stacks.state("app")[:2] == ("True", "Succeeded")
    assert stacks.output("app") == "one"


async def test_a_stack_follows_the_output_and_is_not_queued_for_anything_else(stacks: Stacks) -> None:
    stacks.put("base", "one")
    await stacks.reconcile("base")
    stacks.put("app", uses={"p": "base.o"})
    await stacks.reconcile("app")
    stacks.see()
    stacks.put("base", "two")
    await stacks.reconcile("base")
    assert "app" in stacks.see()
    await stacks.reconcile("app")
    assert stacks.output("app") == "two"
    stacks.see()
    await stacks.reconcile("base")
    stacks.kube.objects["stacks", "ns", "base"]["metadata"]["resourceVersion"] = "new"
    assert stacks.see() == []


async def test_values_keep_their_kinds(stacks: Stacks) -> None:
    stacks.put("base", {"a": [1, True, None]})
    await stacks.reconcile("base")
    stacks.put("app", uses={"j": "base.o"})
    await stacks.reconcile("app")
    assert stacks.output("app") == {"a": [1, True, None]}


async def test_a_hidden_output_is_read_from_the_secret_stays_hidden_and_is_followed(stacks: Stacks) -> None:
    stacks.put("base", PASSWORD, hidden=True)
    await stacks.reconcile("base")
    stacks.put("app", uses={"p": "base.o"})
    await stacks.reconcile("app")
    assert stacks.state("app")[:2] == ("True", "Succeeded")
    objects = stacks.kube.objects
    assert objects["stacks", "ns", "app"]["status"]["hiddenOutputs"] == ["o"]
    assert objects["secrets", "ns", "app-outputs"]["data"] == objects["secrets", "ns", "base-outputs"]["data"]
    app = [obj for obj in objects.values() if obj["kind"] in {"StackRevision", "Stack"} and "app" in json.dumps(obj)]
    assert PASSWORD not in json.dumps(app)
    stacks.see()
    stacks.put("base", "another-secret", hidden=True)
    await stacks.reconcile("base")
    assert "app" in stacks.see()
    await stacks.reconcile("app")
    assert objects["secrets", "ns", "app-outputs"]["data"] == objects["secrets", "ns", "base-outputs"]["data"]


async def test_a_secret_that_is_not_the_other_stack_s_is_not_read(stacks: Stacks) -> None:
    stacks.put("base", PASSWORD, hidden=True)
    await stacks.reconcile("base")
    stacks.kube.objects["secrets", "ns", "base-outputs"]["metadata"]["ownerReferences"] = []
    stacks.put("app", uses={"p": "base.o"})
    await stacks.reconcile("app")
    assert stacks.state("app")[1] == "WaitingForStack"


async def test_an_output_that_a_ready_stack_does_not_have_stalls_with_the_names_of_those_that_it_has(
    stacks: Stacks,
) -> None:
    stacks.put("base", "one")
    await stacks.reconcile("base")
    stacks.put("app", uses={"p": "base.other"})
    await stacks.reconcile("app")
    _, reason, message = stacks.state("app")
    assert reason == "KeyNotFound"
    assert message.endswith("the Stack 'base' has no output 'other' with a value; it has: o")
    assert stacks.is_true("app", "Stalled")


async def test_a_circle_is_named_and_opens_again(stacks: Stacks) -> None:
    stacks.put("a", uses={"p": "b.o"})
    stacks.put("b", uses={"p": "c.o"})
    stacks.put("c", uses={"p": "a.o"})
    for name in "abc":
        await stacks.reconcile(name)
        assert stacks.state(name)[1] == "CircularReference"
    assert stacks.state("a")[2].endswith("a -> b -> c -> a")
    stacks.put("c", "end")
    for name in "cba":
        await stacks.reconcile(name)
        stacks.see()
    assert stacks.output("a") == "end"
    stacks.put("self", uses={"p": "self.o"})
    await stacks.reconcile("self")
    assert stacks.state("self")[2].endswith("self -> self")


async def two_ready(stacks: Stacks) -> None:
    stacks.put("base", "one")
    await stacks.reconcile("base")
    stacks.put("app", uses={"p": "base.o"})
    await stacks.reconcile("app")
    stacks.see()


async def test_a_stack_is_not_deleted_before_those_that_use_it(stacks: Stacks) -> None:
    await two_ready(stacks)
    await stacks.delete_stack("base")
    requeue = await stacks.reconcile("base")
    assert requeue.end is PassEnd.DELETION_BLOCKED
    _, reason, message = stacks.state("base")
    assert reason == "DeletionBlocked"
    assert "use outputs of this one: app;" in message
    assert stacks.nets() == ["app", "base"]
    # Both are being deleted, as with a namespace: the one that stands on the other goes first.
    await stacks.delete_stack("app")
    await stacks.reconcile("app")
    assert stacks.kube.find("stacks", "app") is None
    assert "base" in stacks.see()
    await stacks.reconcile("base")
    assert stacks.kube.find("stacks", "base") is None
    assert stacks.nets() == []


async def test_a_stack_whose_outputs_are_used_no_longer_is_deleted(stacks: Stacks) -> None:
    await two_ready(stacks)
    await stacks.delete_stack("base")
    await stacks.reconcile("base")
    stacks.see()
    assert stacks.put("app", "two") == ["app", "base"]
    await stacks.reconcile("base")
    assert stacks.kube.find("stacks", "base") is None


async def test_the_annotation_lets_the_deletion_go_on(stacks: Stacks) -> None:
    await two_ready(stacks)
    await stacks.delete_stack("base")
    await stacks.reconcile("base")
    stacks.see()
    stored = stacks.kube.objects["stacks", "ns", "base"]["metadata"]
    stored["annotations"] = {ANNOTATION_FORCE_DELETE: "true"}
    stored["resourceVersion"] = "annotated"
    assert stacks.see() == ["base"]
    await stacks.reconcile("base")
    assert stacks.kube.find("stacks", "base") is None
    assert "app" in stacks.see()
    await stacks.reconcile("app")
    assert stacks.state("app")[1] == "WaitingForStack"
    assert stacks.nets() == ["app"]


async def test_stacks_in_a_circle_can_be_deleted(stacks: Stacks) -> None:
    await two_ready(stacks)
    stacks.put("base", uses={"p": "app.o"})
    for name in ("base", "app"):
        await stacks.delete_stack(name)
    for name in ("base", "app"):
        await stacks.reconcile(name)
        stacks.see()
    assert stacks.kube.named("stacks") == set()
    assert stacks.nets() == []


def test_after_a_restart_a_stack_is_looked_at_if_the_other_one_changed_since(stacks: Stacks) -> None:
    def stack(name: str, at: str, **spec: Any) -> dict[str, Any]:
        status = {
            "observedGeneration": 1,
            "lastSyncTime": at,
            "lastOperation": {"completionTime": at},
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": at}],
        }
        metadata = {"namespace": "ns", "name": name, "uid": name, "generation": 1}
        return {"metadata": metadata, "spec": spec, "status": status}

    source = {"name": "p", "stackOutputRef": {"stack": "base", "output": "o"}}
    early, late = "2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z"
    for order in (("base", "app"), ("app", "base")):
        for base, app in ((early, late), (late, early)):
            queue = Queue()
            made = EventFilter(queue, lambda *_: False)  # type: ignore[arg-type]
            made.lead()
            objects = {"base": stack("base", base), "app": stack("app", app, parametersFrom=[source])}
            for name in order:
                made.observe("stacks", None, objects[name])
            assert [key.name for key in queue.keys] == (["app"] if base > app else [])


def test_references_are_forgotten() -> None:
    index = StackReferences()
    web, db = Key("ns", "web"), Key("ns", "db")
    assert index.put(web, frozenset({"db"})) == frozenset()
    assert index.users(db) == [web]
    assert index.put(web, frozenset()) == {"db"}
    assert index.users(db) == []
    assert (index._uses, dict(index._users)) == ({}, {})
