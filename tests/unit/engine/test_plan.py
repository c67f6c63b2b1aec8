"""A plan says what the driver then does, for random templates, random updates and random drift."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from harness import virtual
from harness.universe import Universe, translated

from reconcilers.engine.action import Action, Verb
from reconcilers.engine.engine import Engine
from reconcilers.engine.plan import Plan
from reconcilers.engine.preview import Preview
from reconcilers.model import Request

CASES = 60
CALL_CASES = 40
NETS, SUBNETS, PORTS = ("n0", "n1"), ("s0", "s1"), ("p0", "p1", "p2")


def reference(name: str) -> dict[str, str]:
    return {"get_resource": name}


def template(dice: random.Random) -> dict[str, Any]:
    """Networks, subnets, ports, a router, servers, volumes and values that refer to each other."""
    resources: dict[str, Any] = {}
    for name in NETS:
        if dice.random() < 0.9:
            properties = {"name": dice.choice(["a", "b", name]), "admin_state_up": dice.random() < 0.8}
            resources[name] = {"type": "OS::Neutron::Net", "properties": properties}
    for number, name in enumerate(SUBNETS):
        # A subnet whose addresses are in use cannot be replaced, so ports are in the other network.
        if "n0" in resources and dice.random() < 0.7:
            properties: dict[str, Any] = {"network": reference("n0"), "cidr": f"10.{number}.{dice.randrange(2)}.0/24"}
            if dice.random() < 0.5:
                properties["dns_nameservers"] = [dice.choice(["8.8.8.8", "9.9.9.9"])]
            resources[name] = {"type": "OS::Neutron::Subnet", "properties": properties}
    for name in PORTS:
        if dice.random() < 0.6 and "n1" in resources:
            properties = {"network": reference("n1"), "name": dice.choice(["x", "y"])}
            resources[name] = {"type": "OS::Neutron::Port", "properties": properties}
    if dice.random() < 0.6:
        metadata: dict[str, Any] = {"tier": dice.choice(["web", "db"])}
        if "p0" in resources:
            metadata["mac"] = {"get_attr": ["p0", "mac_address"]}
        properties = {"image": "cirros", "flavor": "m1.tiny", "metadata": metadata}
        resources["server"] = {"type": "OS::Nova::Server", "properties": properties}
    if dice.random() < 0.5:
        resources["volume"] = {"type": "OS::Cinder::Volume", "properties": {"size": 1, "name": dice.choice("vw")}}
    if "n0" in resources and dice.random() < 0.5:
        value = {"list_join": ["-", [reference("n0"), {"get_attr": ["n0", "name"]}]]}
        resources["value"] = {"type": "OS::Heat::Value", "properties": {"value": value}}
    return {"resources": resources}


def drift(dice: random.Random, universe: Universe) -> None:
    """Others change, delete and break things."""
    for plural in ("networks", "subnets", "servers"):
        for item in universe.cloud.all(plural):
            if dice.random() < 0.15:
                item["name"] = "changed by hand"
    for item in universe.cloud.all("servers"):
        if dice.random() < 0.2:
            item["status"] = "ERROR"
    for item in universe.cloud.all("volumes"):
        if dice.random() < 0.2:
            universe.cloud.drop("volumes", item["id"])


async def planned(universe: Universe, wanted: dict[str, Any] | None, **policy: Any) -> Plan:
    writes = len([one for one in universe.cloud.calls if one.method != "GET"])
    records = universe.records.load()
    translation = translated(wanted) if wanted is not None else None
    found = await Preview(Engine(universe.context(**policy), records)).plan(translation)
    assert universe.records.load() == records
    assert len([one for one in universe.cloud.calls if one.method != "GET"]) == writes
    return found


def agrees(plan: Action | None, done: Action | None) -> bool:
    """Whether an action of the plan, None where it has none, is what was done."""
    said, did = (one.verb if one is not None else Verb.NONE for one in (plan, done))
    if plan is not None and plan.unknown:
        # What depends on something that is yet to change may turn out to stay as it is.
        softer = {Verb.NONE, Verb.RECORD, Verb.UPDATE}
        return said is did or (did in softer and said is not Verb.CREATE) or said is Verb.UNDECIDED
    quiet = {Verb.NONE, Verb.RECORD}
    if said in quiet and did in quiet:
        return True
    return said is did and plan is not None and done is not None and plan.properties == done.properties


@pytest.mark.timeout(300)
def test_what_a_plan_says_is_what_is_done_and_a_second_run_does_nothing(record_property: Any) -> None:
    counts: Counter[str] = Counter()

    async def life(seed: int) -> None:
        dice = random.Random(seed)
        universe = Universe()
        for _ in range(3):
            wanted = template(dice) if dice.random() < 0.9 else None
            plan = await planned(universe, wanted)
            result = await universe.once(wanted)
            for name in plan.actions.keys() | result.actions.keys():
                said, did = plan.actions.get(name), result.actions.get(name)
                assert agrees(said, did), f"seed {seed}: {name}: planned {said}, done {did}"
                counts[str(said.verb if said else "None")] += 1
                counts["decided"] += not (said is not None and said.unknown)
            await universe.settle(wanted)
            before = len([one for one in universe.cloud.calls if one.method != "GET"])
            assert not (await planned(universe, wanted)).changes, f"seed {seed}"
            await universe.once(wanted)
            assert len([one for one in universe.cloud.calls if one.method != "GET"]) == before, f"seed {seed}"
            drift(dice, universe)

    for seed in range(CASES):
        virtual.run(life(seed))
    print("plans compared:", CASES * 3, dict(counts))
    assert {"Create", "Update", "Replace", "Recreate", "Delete", "Undecided", "None"} <= counts.keys()


IDENTITY = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\{[^}]*}")


def sent(requests: list[Request]) -> Counter[str]:
    """Requests that change something, without ids. One that creates several resources counts for each."""
    found: Counter[str] = Counter()
    for one in requests:
        several = next(iter(one.body.values())) if one.method == "POST" and isinstance(one.body, Mapping) else None
        count = len(several) if isinstance(several, list) else 1
        found[IDENTITY.sub("ID", f"{one.method} {one.service} {one.path}")] += count
    return found


def foreseen(plan: Plan) -> Counter[str]:
    return Counter(IDENTITY.sub("ID", str(call)) for one in plan.calls.values() for call in one.calls)


@pytest.mark.timeout(300)
def test_the_requests_of_a_plan_are_those_that_are_then_sent() -> None:
    compared: Counter[str] = Counter()

    async def life(seed: int) -> None:
        dice = random.Random(seed)
        universe = Universe()
        for _ in range(3):
            wanted = template(dice) if dice.random() < 0.8 else None
            plan = await planned(universe, wanted)
            before = len(universe.cloud.calls)
            result = await universe.once(wanted)
            done = sent([one for one in universe.cloud.calls[before:] if one.method != "GET"])
            assert result.complete, f"seed {seed}: {result.failures}"
            if all(one.complete for one in plan.calls.values()):
                assert foreseen(plan) == done, f"seed {seed}"
                compared["whole"] += 1
            else:
                compared["open"] += 1
            compared.update(done)
            drift(dice, universe)

    for seed in range(CALL_CASES):
        virtual.run(life(seed))
    print(dict(compared))
    assert compared["whole"] > compared["open"]
    assert {"POST network /networks", "PUT network /subnets/ID", "DELETE compute /servers/ID"} <= compared.keys()


def test_a_request_that_needs_a_resource_of_the_plan_names_it() -> None:
    async def life() -> None:
        universe = Universe()
        leg = {"router": reference("router"), "subnet": reference("s")}
        wanted = {
            "resources": {
                "n": {"type": "OS::Neutron::Net"},
                "s": {"type": "OS::Neutron::Subnet", "properties": {"network": reference("n"), "cidr": "10.0.0.0/24"}},
                "router": {"type": "OS::Neutron::Router"},
                "leg": {"type": "OS::Neutron::RouterInterface", "properties": leg},
            }
        }
        plan = await planned(universe, wanted)
        assert [str(call) for call in plan.calls["leg"].calls] == ["PUT network /routers/{router}/add_router_interface"]
        await universe.settle(wanted)
        assert foreseen(await planned(universe, wanted)) == Counter()

    virtual.run(life())


def test_a_plan_names_what_is_known_only_later() -> None:
    async def life() -> None:
        universe = Universe()
        port = {"type": "OS::Neutron::Port", "properties": {"network": reference("net"), "name": "p"}}
        value = {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": ["port", "mac_address"]}}}
        wanted = {"resources": {"net": {"type": "OS::Neutron::Net"}, "port": port, "value": value}}
        plan = await planned(universe, wanted)
        assert plan.counts() == {"Create": 3}
        assert plan.actions["port"].unknown == {"network"}
        assert "known later: network" in plan.actions["port"].describe()
        await universe.settle(wanted)
        assert plan.actions.keys() == (await planned(universe, None)).actions.keys()
        assert (await planned(universe, None)).counts() == {"Delete": 3}

    virtual.run(life())


def test_a_plan_of_a_stack_whose_resource_is_gone_says_that_it_is_made_anew() -> None:
    async def life() -> None:
        universe = Universe()
        wanted = {"resources": {"net": {"type": "OS::Neutron::Net", "properties": {"name": "net"}}}}
        await universe.settle(wanted)
        universe.cloud.drop("networks", universe.physical("net"))
        plan = await planned(universe, wanted)
        assert plan.actions["net"].verb is Verb.RECREATE
        await asyncio.sleep(1)

    virtual.run(life())
