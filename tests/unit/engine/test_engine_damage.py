"""What others do to records and resources, and a kill at every point while it is put right."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from harness import virtual
from harness.universe import Universe

WHOLE = {
    "networks": ["net"],
    "subnets": ["subnet"],
    "ports": ["", "port"],
    "routers": ["router"],
    "servers": ["server"],
    "volumes": ["volume"],
}
Damage = Callable[[Universe], None]


def record(universe: Universe, name: str) -> Any:
    return max((one for one in universe.records.load() if one.name == name), key=lambda one: one.serial)


def all_records_lost(universe: Universe) -> None:
    universe.records.held.clear()


def one_record_lost(universe: Universe) -> None:
    del universe.records.held[record(universe, "server").key]


def records_deleted_by_hand(universe: Universe) -> None:
    for one in universe.records.load():
        universe.records.put(replace(one, deleting=True))


def server_gone(universe: Universe) -> None:
    universe.cloud.drop("servers", universe.physical("server"))


def leg_gone(universe: Universe) -> None:
    router = universe.cloud.tables["routers"][universe.physical("router")]
    universe.cloud._remove_interface(router, universe.physical("subnet"))


def server_in_error(universe: Universe) -> None:
    universe.cloud.tables["servers"][universe.physical("server")]["status"] = "ERROR"


def changed_outside(universe: Universe) -> None:
    universe.cloud.tables["networks"][universe.physical("net")]["name"] = "theirs"
    universe.cloud.tables["subnets"][universe.physical("subnet")]["dns_nameservers"] = []


DAMAGES: dict[str, Damage] = {
    "all records lost": all_records_lost,
    "one record lost": one_record_lost,
    "records deleted by hand": records_deleted_by_hand,
    "server gone": server_gone,
    "leg gone": leg_gone,
    "server in error": server_in_error,
    "changed outside": changed_outside,
}


def check(universe: Universe) -> None:
    assert universe.inventory() == WHOLE
    records = universe.records.load()
    assert sorted(one.name for one in records) == sorted(("net", "subnet", "port", "router", "leg", "server", "volume"))
    assert {one.state for one in records} == {"Ready"}
    assert not any(one.deleting for one in records)
    for kind, name in (("networks", "net"), ("subnets", "subnet"), ("servers", "server"), ("routers", "router")):
        assert universe.physical(name) in {item["id"] for item in universe.cloud.all(kind)}
    dns = universe.cloud.tables["subnets"][universe.physical("subnet")]["dns_nameservers"]
    assert dns in (["9.9.9.9"], ["8.8.8.8"])


@pytest.mark.parametrize("wanted", ["the same", "another"])
@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_put_right_though_the_process_is_killed_at_any_point(
    name: str, wanted: str, template: Callable[..., Any]
) -> None:
    goal = template() if wanted == "the same" else template(dns="8.8.8.8", flags=True)

    async def all_kills() -> None:
        origin = Universe()
        await origin.settle(template(flags=True))
        await origin.settle(template())
        assert record(origin, "server").serial == 1
        DAMAGES[name](origin)
        probe = origin.copy()
        await probe.settle(goal)
        check(probe)
        for at in range(1, probe.killer.count + 1):
            universe = origin.copy()
            universe.start(kill_at=at)
            try:
                await universe.settle(goal)
                check(universe)
                await universe.settle(None)
                assert universe.inventory() == {}
            except Exception as error:
                raise AssertionError(f"killed at point {at} of {probe.killer.count}") from error

    virtual.run(all_kills())


def test_what_is_not_lost_keeps_its_resource(template: Callable[..., Any]) -> None:
    """Lost records and records deleted by hand are no reason to make anything anew."""

    async def life() -> None:
        origin = Universe()
        await origin.settle(template(flags=True))
        await origin.settle(template())
        before = {item["id"] for kind in WHOLE for item in origin.cloud.all(kind)}
        for damage in (all_records_lost, one_record_lost, records_deleted_by_hand):
            universe = origin.copy()
            damage(universe)
            await universe.settle(template())
            assert {item["id"] for kind in WHOLE for item in universe.cloud.all(kind)} == before
            assert not universe.cloud.sent("POST")

    virtual.run(life())


def test_what_has_the_same_name_and_another_owner_is_left_alone(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        theirs = universe.cloud.make(
            "networks", name="net", description="ours kiln:00000000-0000-0000-0000-000000000000"
        )
        universe.worked = True
        await universe.settle(template())
        all_records_lost(universe)
        await universe.settle(template(dns="8.8.8.8"))
        assert universe.physical("net") != theirs["id"]
        await universe.settle(None)
        assert universe.inventory() == {"networks": ["net"]}
        assert universe.cloud.tables["networks"][theirs["id"]]["name"] == "net"

    virtual.run(life())
