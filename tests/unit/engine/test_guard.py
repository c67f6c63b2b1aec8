"""Protected resources, and those whose replacement nobody has approved, are neither replaced nor deleted."""

from typing import Any

import pytest
from harness import virtual
from harness.universe import UID, Universe

from hot_translator import Pseudo, Translation, parse_environment, parse_template, translate
from reconcilers.engine.action import Verb
from reconcilers.engine.engine import Engine
from reconcilers.engine.guard import Guard
from reconcilers.engine.preview import Preview
from reconcilers.model import UNHEALTHY, Fault, Recorded

COMPLETE = Recorded("k", "data/0/disk", "OS::Cinder::Volume", "t", "n", digests={"*": "x"}, confirmed=True)


def template(flavor: str = "m1.tiny", cidr: str = "10.0.0.0/24", **more: Any) -> dict[str, Any]:
    net = {"get_resource": "net"}
    subnet = {"network": net, "cidr": cidr, "name": "subnet"}
    server = {"name": "server", "image": "cirros", "flavor": flavor, "flavor_update_policy": "REPLACE"}
    return {
        "resources": {
            "net": {"type": "OS::Neutron::Net", "properties": {"name": "net"}},
            "subnet": {"type": "OS::Neutron::Subnet", "properties": subnet},
            "server": {"type": "OS::Nova::Server", "properties": server},
            **more,
        }
    }


@pytest.mark.parametrize(
    ("pattern", "protected"),
    [("data/0/disk", True), ("data/*", True), ("*disk", True), ("data", False), ("DATA/*", False), ("*[1-9]*", False)],
)
def test_a_pattern_matches_whole_names_and_stars_match_slashes(pattern: str, protected: bool) -> None:
    assert Guard((pattern,)).protects(COMPLETE) is protected


def test_a_resource_that_was_never_complete_or_belongs_to_others_is_not_protected() -> None:
    guard = Guard(("*",))
    assert not guard.protects(Recorded("k", "a", "OS::Cinder::Volume", "t", "n", confirmed=True))
    assert guard.removal(Recorded("k", "a", "x", "t", "n", digests={"*": ""}, external=True)) is None


def test_a_marked_resource_needs_no_approval_but_its_protection_holds() -> None:
    marked = Recorded("k", "a", "x", "t", "n", digests={"*": ""}, data={UNHEALTHY: "marked"})
    assert Guard(approved=frozenset()).replacement(marked) is None
    refused = Guard(("a",), frozenset()).replacement(marked)
    assert refused is not None
    assert refused.fault is Fault.PROTECTED


def test_a_protected_resource_is_not_replaced_and_the_plan_says_so() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.make("flavors", id="2", name="m1.small")
        await universe.settle(template())
        guard = Guard(("serv*",))
        wanted = template(flavor="m1.small", more={"type": "OS::Neutron::Net", "properties": {"name": "more"}})
        before = universe.cloud.all("servers")
        for _ in range(2):
            engine = Engine(universe.context(guard=guard), universe.records.load())
            plan = await Preview(engine).plan(translated(wanted))
            assert plan.actions["server"].verb is Verb.REFUSE
            assert "spec.protectedResources" in plan.actions["server"].why
            result = await universe.once(wanted, guard=guard)
            assert [(error.name, error.fault) for error in result.failures] == [("server", Fault.PROTECTED)]
        assert [one["id"] for one in universe.cloud.all("servers")] == [one["id"] for one in before]
        assert "more" in universe.inventory()["networks"]
        await universe.settle(wanted)
        assert universe.cloud.all("servers")[0]["flavor"]["id"] == "2"

    virtual.run(life())


def test_a_protected_resource_in_error_is_left_alone_and_one_that_is_gone_is_created_again() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        universe.cloud.all("servers")[0]["status"] = "ERROR"
        guard = Guard(("*",))
        result = await universe.once(template(), guard=guard)
        assert [error.fault for error in result.failures] == [Fault.PROTECTED]
        universe.cloud.drop("servers", universe.physical("server"))
        assert await universe.settle(template(), guard=guard)
        assert len(universe.cloud.all("servers")) == 1

    virtual.run(life())


def test_what_a_protected_resource_is_part_of_stays_too() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        result = await universe.once({"resources": {}}, guard=Guard(("subnet",)))
        assert [error.name for error in result.failures] == ["subnet"]
        assert result.blocked == ["net"]
        assert universe.inventory() == {"networks": ["net"], "subnets": ["subnet"]}
        assert not universe.cloud.sent("DELETE", "networks")
        await universe.settle(None)
        assert universe.inventory() == {}

    virtual.run(life())


def test_a_replacement_outside_of_the_approved_plan_waits_for_approval() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        universe.cloud.all("servers")[0]["status"] = "ERROR"
        result = await universe.once(template(), guard=Guard(approved=frozenset({"net"})))
        assert [(error.name, error.fault) for error in result.failures] == [("server", Fault.UNAPPROVED)]
        assert not universe.cloud.sent("DELETE")
        result = await universe.once({"resources": {}}, guard=Guard(approved=frozenset({"server", "subnet"})))
        assert {error.name for error in result.failures} == {"net"}
        assert universe.inventory() == {"networks": ["net"]}

    virtual.run(life())


def test_a_restriction_of_the_environment_holds_in_every_reconciliation() -> None:
    async def life() -> None:
        universe = Universe()
        universe.cloud.make("flavors", id="2", name="m1.small")
        environment = {"resource_registry": {"resources": {"server": {"restricted_actions": ["replace"]}}}}
        await universe.settle(template())
        wanted = translated(template(flavor="m1.small"), environment)
        for _ in range(3):
            assert [error.name for error in (await universe.again(wanted)).failures] == ["server"]
        assert not universe.cloud.sent("DELETE")

    virtual.run(life())


def translated(wanted: dict[str, Any], environment: dict[str, Any] | None = None) -> Translation:
    pseudo = Pseudo(stack_name="web", stack_id=UID, project_id="project", region="RegionOne")
    return translate(
        parse_template({"heat_template_version": "2021-04-16", **wanted}),
        environment=[parse_environment(environment)] if environment else [],
        pseudo=pseudo,
    )
