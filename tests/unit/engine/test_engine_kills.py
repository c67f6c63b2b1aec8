"""A kill at every point of every operation: before and after each request and each write."""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.fake_openstack import LOST
from harness.universe import Killed, Universe

WHOLE = {
    "networks": ["net"],
    "subnets": ["subnet"],
    "ports": ["", "port"],
    "routers": ["router"],
    "servers": ["server"],
    "volumes": ["volume"],
}


def check(universe: Universe, expected: dict[str, list[str]]) -> None:
    """The cloud holds exactly what is desired, and the records stand for exactly that."""
    assert universe.inventory() == expected
    records = universe.records.load()
    names = [one.name for one in records]
    assert len(names) == len(set(names))
    assert {one.state for one in records} <= {"Ready"}
    assert not any(one.deleting for one in records)
    held = {item["id"] for kind in expected for item in universe.cloud.all(kind)}
    assert {one.physical_id for one in records if one.name != "leg"} <= held


def scenarios(template: Callable[..., Any]) -> dict[str, tuple[Any, Any, dict[str, list[str]]]]:
    """What is there before, what is wanted then, and what must be there in the end."""
    plain = template()
    fewer = template(without=("volume", "leg", "router"))
    more = template(more={"net2": {"type": "OS::Neutron::Net", "properties": {"name": "net2"}}}, without=("volume",))
    with_net2 = {**WHOLE, "networks": ["net", "net2"]}
    del with_net2["volumes"]
    few = {**WHOLE, "ports": ["port"]}
    del few["volumes"], few["routers"]
    return {
        "create": (None, plain, WHOLE),
        "update in place": (plain, template(dns="8.8.8.8"), WHOLE),
        "replace the subnet": (plain, template(cidr="10.0.1.0/24"), WHOLE),
        "replace the server": (plain, template(flags=True), WHOLE),
        "remove some": (plain, fewer, few),
        "add and remove": (plain, more, with_net2),
        "delete": (plain, None, {}),
    }


NAMES = (
    *("create", "update in place", "replace the subnet", "replace the server"),
    *("remove some", "add and remove", "delete"),
)


@pytest.mark.parametrize("lag", [0.0, 1.0], ids=["", "with lists that lag behind"])
@pytest.mark.parametrize("name", NAMES)
def test_a_kill_at_any_point_changes_nothing_about_the_end(name: str, lag: float, template: Callable[..., Any]) -> None:
    before, after, expected = scenarios(template)[name]

    async def all_kills() -> int:
        origin = Universe()
        if before is not None:
            await origin.settle(before)
            await asyncio.sleep(10)
        origin.cloud.lag = lag
        undisturbed = origin.copy()
        await undisturbed.settle(after)
        check(undisturbed, expected)
        points = undisturbed.killer.count
        for at in range(1, points + 1):
            universe = origin.copy()
            universe.start(kill_at=at)
            try:
                await universe.settle(after)
                check(universe, expected)
            except Exception as error:
                raise AssertionError(f"killed at point {at} of {points}") from error
        return points

    assert virtual.run(all_kills()) > 10


def test_the_template_changes_while_the_process_is_dead(template: Callable[..., Any]) -> None:
    """Killed on the way to one template, and then another is wanted: for each pair of operations, at each point."""
    table = scenarios(template)

    async def pairs() -> None:
        for first, second in itertools.permutations(NAMES[1:], 2):
            plain, on_the_way, _ = table[first]
            _, wanted, expected = table[second]
            origin = Universe()
            await origin.settle(plain)
            probe = origin.copy()
            await probe.settle(on_the_way)
            for at in range(2, probe.killer.count, 5):
                universe = origin.copy()
                universe.start(kill_at=at)
                with pytest.raises(Killed):
                    await universe.once(on_the_way)
                universe.start()
                try:
                    await universe.settle(wanted)
                    check(universe, expected)
                except Exception as error:
                    raise AssertionError(f"{first}, killed at point {at}, then {second}") from error

    virtual.run(pairs())


class Weather:
    """Faults of all kinds, as dice fall."""

    def __init__(self, seed: int, fraction: float) -> None:
        self.dice = random.Random(seed)
        self.fraction = fraction

    def __call__(self, request: Any) -> Refused | str | None:
        if self.dice.random() > self.fraction:
            return None
        kinds: Iterator[Refused | str] = iter(
            (
                LOST,
                Refused(500, "internal error"),
                Refused(503, "unavailable"),
                Refused(503, "overloaded", **{"Retry-After": "2"}),
                Refused(429, "too many", **{"Retry-After": "1"}),
                Refused(409, "something else holds it"),
            )
        )
        return self.dice.choice(list(kinds))


@pytest.mark.parametrize("seed", range(12))
def test_bad_weather_and_kills_together_double_nothing_and_leave_nothing_over(
    seed: int, template: Callable[..., Any]
) -> None:
    dice = random.Random(seed)

    async def life() -> None:
        universe = Universe()
        universe.cloud.fault = Weather(seed, 0.2)
        universe.cloud.lag = 1.0
        for name in (*NAMES[:4], "add and remove", "delete"):
            _, wanted, expected = scenarios(template)[name]
            universe.start(kill_at=dice.randrange(1, 80))
            await universe.settle(wanted, passes=60)
            check(universe, expected)

    virtual.run(life())
