"""What costs CPU and no cloud: translating large templates, a pass over a Stack at rest. CPU seconds of one core."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

from harness.universe import Universe

from hot_translator import Pseudo, Translation, parse_template, translate
from kiln.process.manager import tune_gc
from reconcilers.engine.engine import Engine
from reconcilers.engine.graph import concrete_requirements

PSEUDO = Pseudo("bench", "00000000-0000-0000-0000-000000000001", "project", "RegionOne")


def template(count: int) -> dict[str, Any]:
    """``count`` resources: networks, subnets, ports and servers with functions in their properties."""
    resources: dict[str, Any] = {}
    for i in range(count // 4):
        net, port = {"get_resource": f"net{i}"}, {"get_resource": f"port{i}"}
        name = {
            "str_replace": {"template": "$stack-$i", "params": {"$stack": {"get_param": "OS::stack_name"}, "$i": i}}
        }
        cidr = {"list_join": [".", ["10", str(i // 250), str(i % 250), "0/24"]]}
        resources[f"net{i}"] = {"type": "OS::Neutron::Net", "properties": {"name": name}}
        resources[f"subnet{i}"] = {"type": "OS::Neutron::Subnet", "properties": {"network": net, "cidr": cidr}}
        resources[f"port{i}"] = {"type": "OS::Neutron::Port", "properties": {"network": net}}
        resources[f"server{i}"] = {
            "type": "OS::Nova::Server",
            "properties": {
                "image": {"get_param": "image"},
                "flavor": "m1.tiny",
                "networks": [{"port": port}],
                "metadata": {"address": {"get_attr": [f"port{i}", "fixed_ips", 0, "ip_address"]}},
            },
        }
    return {
        "heat_template_version": "2021-04-16",
        "parameters": {"image": {"type": "string", "default": "cirros"}},
        "resources": resources,
    }


def translated(text: str) -> Translation:
    """The text translated, with everything checked that needs no cloud."""
    return translate(parse_template(text), environment=[], parameters={}, files={}, pseudo=PSEUDO)


def planned(universe: Universe, translation: Translation) -> int:
    """Decide for each resource of a new Stack what is to be done; how many are to be created."""
    engine = Engine(universe.context(), [])
    create = 0
    for name in translation.order:
        requires = concrete_requirements(translation.definitions, name)
        create += engine.driver(translation.definitions[name], requires).at_rest() is None
    return create


def cpu_of_translation(count: int) -> float:
    """CPU seconds from text to plan."""
    text = json.dumps(template(count))

    async def work() -> float:
        universe = Universe()
        begun = time.process_time()
        assert planned(universe, translated(text)) == count
        return time.process_time() - begun

    return asyncio.run(work())


def cpu_of_resting_pass(count: int, passes: int = 5) -> float:
    """CPU seconds of one pass over ``count`` resources at rest: the median of some."""
    resources = {
        f"net{i}": {"type": "OS::Neutron::Net", "properties": {"shared": False, "admin_state_up": True}}
        for i in range(count)
    }
    wanted = {"heat_template_version": "2021-04-16", "resources": resources}

    async def work() -> float:
        universe = Universe()
        await universe.settle(wanted)
        await universe.again(translated(json.dumps(wanted)))
        # The answer of the cloud is not Kiln's work.
        (snapshot,) = universe.last.snapshots.values()

        async def answer(*_: object) -> list[Any]:
            return list(snapshot.items)

        universe.cloud.list = answer  # type: ignore[method-assign]
        taken = []
        translation = translated(json.dumps(wanted))
        for _ in range(passes):
            begun = time.process_time()
            result = await universe.again(translation)
            taken.append(time.process_time() - begun)
            assert result.complete
        return sorted(taken)[len(taken) // 2]

    return asyncio.run(work())


def rows() -> Iterator[tuple[str, str, float, str, bool]]:
    """Work, a note, CPU seconds, what is wanted, whether it is met."""
    tune_gc()
    costs = {count: cpu_of_translation(count) for count in (1_000, 5_000, 10_000)}
    for count, seconds in costs.items():
        grown = seconds / costs[1_000] / (count / 1_000)
        told = f"{seconds / count * 1e6:.0f} us each, {grown:.2f} x linear"
        yield f"text to plan, {count} resources, CPU", told, seconds, "10,000: < 3 s", count < 10_000 or seconds < 3
    seconds = cpu_of_resting_pass(1_000)
    yield "a pass over 1,000 resources at rest, CPU", "", seconds, "< 0.06 s", seconds < 0.06


if __name__ == "__main__":
    for row in rows():
        print(row)
