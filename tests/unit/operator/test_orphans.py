"""What a Stack leaves whose finalizer was removed by force is let go, and told."""

from typing import Any

import pytest
from harness.fake_kube import FakeKube

from kiln.api import v1alpha1
from kiln.api.kinds import SECRETS, STACK_RESOURCES, STACKS
from kiln.api.v1alpha1 import Key
from kiln.stack import orphans

KEY = Key("ns", "web")


class Told:
    """In place of Events."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def emit(self, obj: Any, reason: str, message: str, kind: str) -> None:
        self.messages.append(message)


class Kube(FakeKube):
    """Objects of one namespace, by collection."""

    def __init__(self, **objects: list[Any]) -> None:
        super().__init__()
        for res in (STACKS, STACK_RESOURCES, SECRETS):
            for obj in objects.get(res.plural, ()):
                self.put(res, obj["metadata"]["name"], **{"spec": {}, **obj})

    @property
    def released(self) -> list[str]:
        """Names of those whose finalizers were removed."""
        patched = [name for verb, _, name in self.calls if verb == "patch"]
        held = {name for (_, _, name), obj in self.objects.items() if obj["metadata"].get("finalizers")}
        return [name for name in patched if name not in held]


def made(name: str, owner: str, *finalizers: str, **more: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "labels": {v1alpha1.LABEL_STACK: "web"},
        "finalizers": list(finalizers),
        "ownerReferences": [{"kind": "Stack", "uid": owner}],
    }
    return {"kind": "StackResource", "metadata": metadata, **more}


def record(name: str, kind: str, owner: str, physical_id: str = "") -> dict[str, Any]:
    spec = {"logicalName": name, "type": kind, "token": "t", "serial": 0, "physicalName": f"web-{name}"}
    return made(name, owner, v1alpha1.RESOURCE_FINALIZER, spec=spec, status={"physicalID": physical_id or None})


@pytest.fixture
def told() -> Told:
    return Told()


async def test_records_and_key_of_a_stack_that_is_no_more_are_let_go_and_told(told: Told) -> None:
    kube = Kube(
        stackresources=[
            record("net", "OS::Neutron::Net", "old", "n1"),
            record("port", "OS::Neutron::Port", "old"),
            record("text", "OS::Heat::RandomString", "old", "x"),
        ],
        secrets=[made("web-kiln", "old", v1alpha1.FINALIZER)],
    )
    await orphans.release_orphans(kube, told, KEY)  # type: ignore[arg-type]
    assert sorted(kube.released) == ["net", "port", "text", "web-kiln"]
    assert told.messages == [
        "resources.net: the OS::Neutron::Net n1 stays in OpenStack",
        "resources.port: a OS::Neutron::Port named web-port may be in OpenStack",
    ]


@pytest.mark.parametrize("secrets", [[], [made("web-kiln", "old")]], ids=["gone", "let go"])
async def test_what_a_stack_left_that_was_deleted_in_order_is_let_go_and_nothing_is_said(
    told: Told, secrets: list[Any]
) -> None:
    kube = Kube(stackresources=[record("net", "OS::Neutron::Net", "old", "n1")], secrets=secrets)
    await orphans.release_orphans(kube, told, KEY)  # type: ignore[arg-type]
    assert kube.released == ["net"]
    assert not told.messages


async def test_what_belongs_to_a_stack_that_lives_is_left_alone(told: Told) -> None:
    kube = Kube(
        stacks=[{"metadata": {"name": "web", "uid": "new"}}],
        stackresources=[record("net", "OS::Neutron::Net", "new", "n1"), record("old", "OS::Neutron::Net", "old", "n0")],
        secrets=[made("web-kiln", "new", v1alpha1.FINALIZER)],
    )
    await orphans.release_orphans(kube, told, KEY)  # type: ignore[arg-type]
    assert kube.released == ["old"]


async def test_where_there_is_nothing_nothing_is_asked(told: Told) -> None:
    kube = Kube()
    await orphans.release_orphans(kube, told, KEY)  # type: ignore[arg-type]
    assert not kube.released
    assert not told.messages
