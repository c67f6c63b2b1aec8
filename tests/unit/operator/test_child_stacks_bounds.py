"""OS::Heat::Stack: what is no child, how many there may be, what stays, and that a kill doubles nothing."""

from typing import Any

from harness import virtual
from harness.family import INNER, Family, Killed, inner, kill_at, nested

from kiln.api.kinds import STACKS
from kiln.stack import child_spec
from reconcilers import identifiers


def test_stacks_are_not_nested_deeper_than_five() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"outer": inner(nested(5, INNER))})
        await web.live(200)
        assert "Stacks are nested deeper than 5" in web.message()
        assert len(web.children) == 5
        assert web.nets() == []
        await web.delete()
        await web.live(200)
        assert web.kube.named("stacks") == set()

    virtual.run(life())


def test_a_retained_child_stays_and_lives_on_alone() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"inner": inner()})
        await web.live()
        web.apply({"inner": {**inner(), "deletion_policy": "retain"}})
        await web.live()
        assert web.child()["metadata"]["ownerReferences"] == []
        await web.delete()
        await web.live()
        assert web.kube.named("stacks") == {web.child()["metadata"]["name"]}
        assert web.nets() == ["inner"]

    virtual.run(life())


def test_a_parent_that_orphans_its_resources_orphans_those_of_its_children() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"outer": inner(nested(1, INNER))})
        await web.live()
        web.stopped = set(web.children)
        web.apply({"outer": inner(nested(1, INNER))}, deletionPolicy="Orphan")
        await web.delete()
        await web.live()
        web.stopped = set()
        await web.live()
        assert web.kube.named("stacks") == set()
        assert web.nets() == ["inner"]

    virtual.run(life())


def test_a_stack_of_the_childs_name_that_somebody_else_made_is_left_alone() -> None:
    async def life() -> None:
        web = Family()
        web.apply({"inner": inner()})
        await web.live()
        name = web.children[0]
        await web.delete()
        await web.live()
        web = Family()
        web.apply({"inner": inner()})
        uid = web.kube.objects["stacks", "ns", "web"]["metadata"]["uid"]
        other = identifiers.child_name("web-inner-x", identifiers.token(uid, "inner", 0))
        web.kube.put(STACKS, other, metadata={"generation": 1}, spec={"templateBody": "theirs"})
        web.stopped = {other}
        await web.live(600)
        assert name != other
        assert "this Stack did not make it" in web.message()
        assert web.child(other)["spec"] == {"templateBody": "theirs"}
        await web.delete()
        await web.live(600)
        assert web.kube.named("stacks") == {other}

    virtual.run(life())


def test_after_a_kill_at_any_write_there_is_one_child_and_nothing_is_left() -> None:
    async def life() -> None:
        number, lives = 0, 0
        while True:
            number += 1
            web = Family()
            web.kube.secret("outer", password="correct-horse-battery")
            source = [{"name": "password", "secretKeyRef": {"name": "outer", "key": "password"}}]
            template = {
                "heat_template_version": "2021-04-16",
                "parameters": {"password": {"type": "string", "hidden": True}},
                "resources": {"inner": inner(parameters={"name": {"get_param": "password"}})},
            }
            web.apply({}, template=template, parametersFrom=source)
            killed = False
            kill_at(web, number)
            try:
                await web.live()
                web.apply({}, template=template, parametersFrom=source, timeout="30m")
                await web.live()
                await web.delete()
                await web.live()
            except Killed:
                killed = True
            web = web.restarted()
            kill_at(web, 0)
            if (
                web.kube.find("stacks", "web") is not None
                and "deletionTimestamp" not in web.kube.objects["stacks", "ns", "web"]["metadata"]
            ):
                await web.live()
                assert len(web.children) == 1, number
                assert web.condition() == ("True", "Succeeded"), number
                assert web.nets() == ["correct-horse-battery"], number
                await web.delete()
            await web.live()
            assert web.kube.named("stacks") == set(), number
            assert web.kube.named("secrets") == {"outer"}, number
            assert web.nets() == [], number
            lives += 1
            if not killed:
                break
        assert lives > 30

    virtual.run(life())


def forged(token: str) -> dict[str, Any]:
    """The metadata of a Stack on which somebody wrote what is on children of ``web``."""
    return {"generation": 1, "labels": {"kiln.dev/stack": "web"}, "annotations": {"kiln.dev/token": token}}


def test_a_stack_that_carries_a_forged_token_is_not_taken_for_a_child() -> None:
    async def life() -> None:
        web = Family()
        web.stopped = {"prod"}
        web.apply({"inner": inner()})
        uid = web.kube.objects["stacks", "ns", "web"]["metadata"]["uid"]
        theirs = {"templateBody": "theirs", "updateApproval": "Manual"}
        web.kube.put(STACKS, "prod", metadata=forged(identifiers.token(uid, "inner", 0)), spec=theirs)
        await web.live()
        assert web.condition() == ("True", "Succeeded")
        assert len(web.children) == 2
        await web.delete()
        await web.live()
        assert web.kube.named("stacks") == {"prod"}
        assert web.child("prod")["spec"] == theirs

    virtual.run(life())


def test_no_other_stack_is_taken_over_as_a_child() -> None:
    async def life() -> None:
        web = Family()
        web.stopped = {"prod"}
        theirs = {"templateBody": "theirs", "updateApproval": "Manual"}
        web.kube.put(STACKS, "prod", metadata=forged("0123456789"), spec=theirs)
        web.apply({"inner": inner()}, adopt={"resources": {"inner": "prod"}, "takeFromOthers": True})
        await web.live()
        assert "there is no OS::Heat::Stack prod, which Kiln knows as web-inner-" in web.message()
        assert web.child("prod")["spec"] == theirs
        assert web.children == ["prod"]

    virtual.run(life())


def test_a_template_that_nests_itself_makes_a_bounded_number_of_stacks() -> None:
    async def life() -> None:
        web = Family()
        web.services.children["ns"] = child_spec.MOST
        web.apply({"inner": inner()})
        await web.live()
        assert web.children == []
        assert f"the namespace has {child_spec.MOST} child Stacks" in web.message()
        web.services.children.clear()
        await web.live(600)
        assert web.condition() == ("True", "Succeeded")

    virtual.run(life())
