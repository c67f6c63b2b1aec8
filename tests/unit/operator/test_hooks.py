"""Hooks of environments and of ``spec.hooks``: what waits, what goes on, and how a hook is cleared."""

import pytest
from harness.one_stack import OneStack, named

A_AND_B = {"a": named("a"), "b": {**named("b"), "depends_on": "a"}, "c": named("c")}


def hook(resource: str, *events: str) -> dict[str, object]:
    return {"resource": resource, "events": list(events)}


@pytest.fixture
def web() -> OneStack:
    return OneStack()


async def clear(web: OneStack, resource: str, event: str) -> None:
    name = web.ask("ClearHook", clearHook={"resource": resource, "event": event})
    await web.run()
    assert web.result(name) == ("Succeeded", "the hook was cleared")


async def test_a_resource_waits_before_its_creation_and_so_does_what_depends_on_it(web: OneStack) -> None:
    web.apply(A_AND_B, hooks=[hook("a", "pre-create")])
    requeue = await web.run()
    assert str(requeue.end) == "HookPending"
    assert web.nets() == ["c"]
    assert web.condition() == ("False", "HookPending")
    assert web.status["pendingHooks"] == ["a:pre-create"]
    await web.run()
    assert web.nets() == ["c"]
    await clear(web, "a", "pre-create")
    assert web.nets() == ["a", "b", "c"]
    assert web.condition() == ("True", "Succeeded")
    assert "pendingHooks" not in web.status
    assert "clearedHooks" not in web.status


async def test_a_hook_after_the_creation_holds_what_depends_on_the_resource(web: OneStack) -> None:
    web.apply(A_AND_B, hooks=[hook("a", "post-create")])
    await web.run()
    assert web.nets() == ["a", "c"]
    assert web.status["pendingHooks"] == ["a:post-create"]
    await web.run()
    assert web.nets() == ["a", "c"]
    await clear(web, "a", "post-create")
    assert web.nets() == ["a", "b", "c"]
    assert len(web.cloud.sent("POST", "networks")) == 3
    await web.run()
    assert web.condition() == ("True", "Succeeded")


async def test_a_pattern_names_several_and_each_is_cleared_alone(web: OneStack) -> None:
    web.apply({"x1": named("x1"), "x2": named("x2"), "y": named("y")}, hooks=[hook("x*", "pre-create")])
    await web.run()
    assert web.status["pendingHooks"] == ["x1:pre-create", "x2:pre-create"]
    await clear(web, "x1", "pre-create")
    assert web.nets() == ["x1", "y"]
    await clear(web, "x2", "pre-create")
    assert web.nets() == ["x1", "x2", "y"]


async def test_an_update_waits_and_the_hook_holds_again_at_the_next_one(web: OneStack) -> None:
    web.apply({"a": named("a")})
    await web.run()
    for name in ("a1", "a2"):
        web.apply({"a": named(name)}, hooks=[hook("a", "pre-update", "post-update")])
        await web.run()
        assert web.nets() != [name]
        await clear(web, "a", "pre-update")
        assert web.nets() == [name]
        assert web.status["pendingHooks"] == ["a:post-update"]
        await clear(web, "a", "post-update")
        assert web.condition() == ("True", "Succeeded")


async def test_a_hook_of_the_environment_holds_the_deletion_of_the_stack(web: OneStack) -> None:
    environment = {"resource_registry": {"resources": {"a": {"hooks": ["pre-delete", "post-delete"]}}}}
    web.apply({"a": named("a"), "c": named("c")}, environments=[{"environment": environment}])
    await web.run()
    await web.delete()
    await web.run()
    assert web.nets() == ["a"]
    assert web.condition() == ("False", "HookPending")
    await clear(web, "a", "pre-delete")
    assert web.nets() == []
    assert web.status["pendingHooks"] == ["a:post-delete"]
    name = web.ask("ClearHook", clearHook={"resource": "a", "event": "post-delete"})
    await web.run()
    assert web.kube.find("stacks", "web") is None
    assert web.result(name)[0] == "Succeeded"


async def test_a_hook_at_which_nothing_waits_cannot_be_cleared(web: OneStack) -> None:
    web.apply({"a": named("a")}, hooks=[hook("a", "pre-create")])
    await web.run()
    name = web.ask("ClearHook", clearHook={"resource": "a", "event": "pre-update"})
    await web.run()
    message = "no resource waits at the hook a:pre-update; pending hooks: a:pre-create"
    assert web.result(name) == ("Failed", message)
    assert web.nets() == []


async def test_a_failure_beside_a_hook_is_reported_as_a_failure(web: OneStack) -> None:
    bad = {"type": "OS::Heat::TestResource", "properties": {"fail": True}}
    web.apply({"a": named("a"), "bad": bad}, hooks=[hook("a", "pre-create")])
    await web.run()
    assert web.condition()[1] != "HookPending"
    assert web.status["pendingHooks"] == ["a:pre-create"]


async def test_an_operation_that_waits_at_a_hook_ends_when_the_hook_is_cleared(web: OneStack) -> None:
    web.apply({"a": named("a")}, hooks=[hook("a", "pre-update")])
    await web.run()
    before = web.cloud.all("networks")[0]["id"]
    mark = web.ask("MarkUnhealthy", markUnhealthy={"resource": "a"})
    await web.run()
    assert web.condition() == ("False", "HookPending")
    assert web.result(mark)[0] == "Running"
    clearing = web.ask("ClearHook", created="2026-01-01T00:00:09Z", clearHook={"resource": "a", "event": "pre-update"})
    requeue = await web.run()
    assert web.result(clearing)[0] == "Succeeded"
    assert [one["id"] != before for one in web.cloud.all("networks")] == [True]
    assert requeue.after is not None
    await web.run()
    assert web.result(mark)[0] == "Succeeded"
    assert len(web.cloud.sent("POST", "networks")) == 2
