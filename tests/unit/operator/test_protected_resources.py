"""``spec.protectedResources``: what it names is never replaced or deleted, and the Stack says so."""

import pytest
from harness.one_stack import FAILS, NET, OneStack

from kiln.stack.requeue import PassEnd, Requeue

MORE = {**NET, "properties": {"name": "more"}}


@pytest.fixture
def web() -> OneStack:
    return OneStack()


async def test_the_deletion_of_a_stack_is_refused_before_anything_is_deleted(web: OneStack) -> None:
    web.apply({"net": NET, "more": MORE}, protectedResources=["m*"])
    await web.run()
    await web.delete()
    assert await web.run() == Requeue(PassEnd.STALLED)
    assert web.condition() == ("False", "Protected")
    assert web.condition("Stalled") == ("True", "Protected")
    assert "to delete more;" in web.message()
    assert web.nets() == ["more", "net"]
    web.kube.objects["stacks", "ns", "web"]["spec"]["protectedResources"] = []
    await web.run()
    assert web.nets() == []
    assert web.kube.find("stacks", "web") is None


async def test_an_orphaned_stack_goes_and_its_protected_resources_stay(web: OneStack) -> None:
    web.apply({"net": NET}, protectedResources=["*"], deletionPolicy="Orphan")
    await web.run()
    await web.delete()
    await web.run()
    assert web.nets() == ["net"]
    assert web.kube.find("stacks", "web") is None


async def test_a_protected_resource_that_leaves_the_template_stays_and_the_stack_stalls(web: OneStack) -> None:
    web.apply({"net": NET, "more": MORE}, protectedResources=["more"])
    await web.run()
    web.apply({"net": NET}, protectedResources=["more"])
    for _ in range(2):
        assert (await web.run()).end is PassEnd.STALLED
        assert web.condition() == ("False", "Protected")
        assert "resources.more" in web.message()
        assert web.nets() == ["more", "net"]
    web.apply({"net": NET})
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert web.nets() == ["net"]


async def test_a_rollback_does_not_delete_what_is_protected(web: OneStack) -> None:
    web.apply({"net": NET, "more": MORE, "bad": {**FAILS, "depends_on": "more"}}, onFailure="Rollback")
    web.kube.objects["stacks", "ns", "web"]["spec"]["protectedResources"] = ["more"]
    await web.run()
    await web.run()
    assert web.condition() == ("False", "RollbackIncomplete")
    assert "more: spec.protectedResources: it must not be deleted" in web.message()
    assert web.nets() == ["more"]


async def test_a_protected_resource_cannot_be_marked_unhealthy(web: OneStack) -> None:
    web.apply({"net": NET}, protectedResources=["net"])
    await web.run()
    name = web.ask("MarkUnhealthy", markUnhealthy={"resource": "net"})
    await web.run()
    assert web.result(name) == ("Failed", "spec.protectedResources forbids to replace the resource")
    assert web.condition() == ("True", "Succeeded")
