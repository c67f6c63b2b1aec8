"""The finalizer of a Stack: added once, removed alone, and only from the very Stack that was read."""

import copy
from typing import Any

import pytest
from harness.fake_kube import FakeKube

from kiln.api import v1alpha1
from kiln.api.kinds import STACKS
from kiln.stack import finalizer
from reconcilers.engine.control import EndReason, ReconciliationEnded

THEIRS = "example.com/theirs"


def made(*finalizers: str) -> tuple[FakeKube, dict[str, Any]]:
    kube = FakeKube()
    metadata = {"finalizers": list(finalizers)} if finalizers else {}
    return kube, kube.put(STACKS, "web", metadata=metadata)


def held(kube: FakeKube) -> Any:
    return kube.objects["stacks", "ns", "web"]["metadata"].get("finalizers")


@pytest.mark.parametrize("before", [(), (THEIRS,)])
async def test_it_is_added_beside_those_of_others(before: tuple[str, ...]) -> None:
    kube, stack = made(*before)
    newer = await finalizer.add_finalizer(kube, stack)  # type: ignore[arg-type]
    assert held(kube) == [*before, v1alpha1.FINALIZER]
    assert finalizer.has_finalizer(newer)
    assert newer["metadata"]["resourceVersion"] != stack["metadata"]["resourceVersion"]


async def test_where_it_is_already_nothing_is_written() -> None:
    kube, stack = made(v1alpha1.FINALIZER)
    assert await finalizer.add_finalizer(kube, stack) is stack  # type: ignore[arg-type]
    assert kube.calls == []


async def test_a_stack_that_changed_since_it_was_read_is_read_again_before_it_is_added() -> None:
    kube, stack = made()
    kube.put(STACKS, "web", metadata={"uid": stack["metadata"]["uid"]}, spec={"newer": True})
    with pytest.raises(ReconciliationEnded) as ended:
        await finalizer.add_finalizer(kube, stack)  # type: ignore[arg-type]
    assert ended.value.reason is EndReason.OBJECT_CHANGED
    assert held(kube) is None


async def test_it_is_removed_alone() -> None:
    kube, stack = made(THEIRS, v1alpha1.FINALIZER)
    assert await finalizer.remove_finalizer(kube, stack)  # type: ignore[arg-type]
    assert held(kube) == [THEIRS]


async def test_one_that_somebody_adds_meanwhile_stays() -> None:
    kube, stack = made(v1alpha1.FINALIZER)
    before = copy.deepcopy(stack)
    stored = kube.objects["stacks", "ns", "web"]["metadata"]
    kube.put(STACKS, "web", metadata={**stored, "finalizers": [v1alpha1.FINALIZER, THEIRS]})
    assert await finalizer.remove_finalizer(kube, before)  # type: ignore[arg-type]
    assert held(kube) == [THEIRS]


async def test_another_stack_of_the_name_keeps_its_own() -> None:
    kube, stack = made(v1alpha1.FINALIZER)
    kube.put(STACKS, "web", metadata={"uid": "another", "finalizers": [v1alpha1.FINALIZER]})
    assert not await finalizer.remove_finalizer(kube, stack)  # type: ignore[arg-type]
    assert held(kube) == [v1alpha1.FINALIZER]


async def test_a_stack_that_is_gone_has_none() -> None:
    kube, stack = made(v1alpha1.FINALIZER)
    kube.objects.clear()
    assert not await finalizer.remove_finalizer(kube, stack)  # type: ignore[arg-type]
