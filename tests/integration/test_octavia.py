"""Octavia's types on the real service: made, every property changed, disturbed, killed in the middle, deleted."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from harness import lab
from harness.octavia_trees import ALONE, CHANGES, IN_PLACE, Change, Template, alone, large, octavia, ref, tree
from harness.project import Project
from harness.real_cloud import RealUniverse

from hot_translator import catalogue
from reconcilers import registry
from reconcilers.engine.result import Result
from reconcilers.load_balancer.octavia import LISTENERS, LOAD_BALANCERS, POLICIES, POOLS
from reconcilers.model import Request

pytestmark = [pytest.mark.octavia, pytest.mark.timeout(1800)]

KILLS = int(os.environ.get("KILLS", "6"))
BELOW = (LOAD_BALANCERS, LISTENERS, POOLS, POLICIES, "/lbaas/healthmonitors")
PASSES = 8
DOUBTING = 40
"""Passes after a kill: a request of unknown outcome is looked for until it cannot be carried out any more."""


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """A project of the tests' own."""
    made = Project()
    yield made
    made.close()


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[str, ...]]]:
    """What was found, a row each; printed at the end."""
    rows: list[tuple[str, ...]] = []
    yield rows
    print("\n| type | what | came of it | calls |\n|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


@pytest.fixture
async def universe(project: Project) -> AsyncIterator[RealUniverse]:
    """A Stack, whose resources are removed at the end; then nothing is left."""
    made = RealUniverse(project.connection())
    yield made
    made.start()
    await made.settle(None, PASSES)
    assert made.records.load() == []
    await nothing_left(made)


async def nothing_left(universe: RealUniverse) -> None:
    """The project has nothing of Octavia and no port, and that includes those of VIPs."""
    for path in BELOW:
        assert await items(universe, path) == [], path
    ports = (await universe.cloud.send(Request("network", "GET", "/ports"))).body["ports"]
    assert [one for one in ports if one["device_owner"] == "Octavia"] == []


async def items(universe: RealUniverse, path: str, **params: str) -> list[dict[str, Any]]:
    """A list of Octavia."""
    body = (await universe.cloud.send(Request("load_balancer", "GET", path, params=params))).body
    return list(body[path.rpartition("/")[2]])


async def put(universe: RealUniverse, name: str, **fields: Any) -> None:
    """Change a resource behind the Stack's back, and wait until that is done."""
    recorded = universe.record(name)
    rtype: Any = registry.find(recorded.type)
    await universe.cloud.send(Request("load_balancer", "PUT", rtype.path(recorded), {rtype.key: fields}))
    await at_rest(universe)


async def at_rest(universe: RealUniverse) -> None:
    """Wait until nothing is PENDING, in the whole project."""
    for _ in range(200):
        if not any(one["provisioning_status"].startswith("PENDING") for one in await items(universe, LOAD_BALANCERS)):
            return
        await asyncio.sleep(0.3)
    raise TimeoutError("a load balancer stays PENDING")


def kind(universe: RealUniverse, name: str) -> str:
    """The short name of a resource's type."""
    return universe.record(name).type.rpartition("::")[2]


async def changed(universe: RealUniverse, name: str, change: Change, template: Template) -> None:
    """Bring the change about, and see it in the cloud."""
    before = universe.physical(name)
    await universe.settle(template, PASSES)
    assert (universe.physical(name) == before) is (change.how == IN_PLACE), f"{name}.{change.name}"
    shown = await universe.shown(name)
    if change.key == "":
        return
    rtype: Any = registry.find(universe.record(name).type)
    field = rtype.fields[change.name]
    value = field.decode(shown[change.key or field.api])
    if change.name == "name" and change.value is None:
        assert value.startswith(change.shown)
        return
    wanted = change.value if change.shown is None else change.shown
    if isinstance(wanted, Mapping) and "get_resource" in wanted:
        wanted = universe.physical(wanted["get_resource"])
    assert value == (field.decode(field.encode(wanted)) if wanted is not None else None), f"{name}.{change.name}"


async def test_every_property_of_a_load_balancer_can_be_changed(
    universe: RealUniverse, table: list[tuple[str, ...]]
) -> None:
    template = alone()
    await universe.settle(template, PASSES)
    for change in ALONE:
        template = change.apply(template, "balancer")
        calls = len(universe.cloud.calls)
        await changed(universe, "balancer", change, template)
        spent = len(universe.cloud.calls) - calls
        table.append(("LoadBalancer", f"{change.name} changed to {change.value!r}", change.how, str(spent)))
    (vip,) = (await universe.shown("balancer"))["additional_vips"]
    assert vip["ip_address"] == "10.9.1.78"


@pytest.mark.parametrize("name", CHANGES)
async def test_every_property_can_be_changed(name: str, universe: RealUniverse, table: list[tuple[str, ...]]) -> None:
    # A listener for TCP takes no policies.
    template = tree(*(("policy", "policy2", "rule") if name == "listener" else ()))
    await universe.settle(template, PASSES)
    properties = catalogue.lookup(universe.record(name).type).properties  # type: ignore[union-attr]
    left = properties.keys() - {one.name for one in CHANGES[name]} - {"tenant_id"}
    assert left <= {"default_tls_container_ref", "sni_container_refs"}
    for change in CHANGES[name]:
        template = change.apply(template, name)
        calls = len(universe.cloud.calls)
        await changed(universe, name, change, template)
        spent = len(universe.cloud.calls) - calls
        table.append((kind(universe, name), f"{change.name} changed to {change.value!r}", change.how, str(spent)))


async def test_attributes_and_an_unchanged_stack(universe: RealUniverse, table: list[tuple[str, ...]]) -> None:
    await universe.settle(tree(), PASSES)
    writes = [one for one in universe.cloud.calls if one.method != "GET"]
    await universe.settle(tree(), PASSES)
    assert [one for one in universe.cloud.calls if one.method != "GET"] == writes
    for name in ("balancer", "listener", "pool", "member", "monitor", "policy", "rule"):
        shown, found = await universe.shown(name), universe.attributes(name)
        schema = registry.find(universe.record(name).type).schema  # type: ignore[union-attr]
        for attribute in schema.attributes:
            assert found[attribute] == shown[attribute], f"{name}.{attribute}"
            table.append((kind(universe, name), f"attribute {attribute}", "as shown", ""))
        assert found["show"]["id"] == universe.physical(name)
    assert universe.attributes("pool")["members"] == [{"id": universe.physical("member")}]
    assert universe.attributes("balancer")["vip_address"].startswith("10.9.1.")
    assert universe.attributes("balancer")["operating_status"] in {"ONLINE", "OFFLINE", "NO_MONITOR"}


DRIFT: Mapping[str, dict[str, Any]] = {
    "balancer": {"admin_state_up": False},
    "listener": {"connection_limit": 5},
    "pool": {"lb_algorithm": "LEAST_CONNECTIONS"},
    "member": {"weight": 3, "admin_state_up": False},
    "monitor": {"delay": 60},
    "policy": {"redirect_url": "http://example.com/"},
    "rule": {"value": "/theirs"},
}


async def test_what_others_change_or_remove_is_repaired(universe: RealUniverse, table: list[tuple[str, ...]]) -> None:
    template = tree()
    await universe.settle(template, PASSES)
    before = {name: await universe.shown(name) for name in DRIFT}
    for name, fields in DRIFT.items():
        await put(universe, name, **fields)
    await universe.settle(template, PASSES)
    assert universe.last.progress.repaired.keys() == DRIFT.keys()
    for name, fields in DRIFT.items():
        shown = await universe.shown(name)
        assert {key: shown[key] for key in fields} == {key: before[name][key] for key in fields}
        assert shown["id"] == before[name]["id"]
        table.append((kind(universe, name), f"{', '.join(fields)} changed by others", "repaired", ""))
    for name in ("member", "rule", "monitor", "listener2"):
        recorded = universe.record(name)
        rtype: Any = registry.find(recorded.type)
        await universe.cloud.send(Request("load_balancer", "DELETE", rtype.path(recorded)))
        await at_rest(universe)
        await universe.settle(template, PASSES)
        assert universe.physical(name) != recorded.physical_id
        assert (await universe.shown(name))["provisioning_status"] == "ACTIVE"
        table.append((kind(universe, name), "removed by others", "made anew", ""))


async def test_a_change_that_is_only_reported_is_left_alone(universe: RealUniverse) -> None:
    template = alone()
    template["resources"]["balancer"]["properties"]["description"] = "ours"
    await universe.settle(template, PASSES)
    await put(universe, "balancer", description="theirs")
    await universe.settle(template, PASSES, drift="Report")
    assert universe.last.progress.drifted == {"balancer": "description"}
    assert (await universe.shown("balancer"))["description"] == "theirs"


async def test_killed_at_some_point_it_goes_on_and_makes_nothing_twice(
    project: Project, universe: RealUniverse, table: list[tuple[str, ...]]
) -> None:
    template = tree()
    await universe.settle(template, PASSES)
    points = universe.killer.count
    universe.start()
    await universe.settle(None, PASSES)
    gone = universe.killer.count
    for number in range(KILLS):
        at = 1 + (2 * number + 1) * points // (2 * KILLS)
        universe.start(kill_at=at)
        passes = await universe.settle(template, DOUBTING)
        assert passes > 1
        await exactly(universe, template)
        again = 1 + (2 * number + 1) * gone // (2 * KILLS)
        universe.start(kill_at=again)
        await universe.settle(None, DOUBTING)
        await nothing_left(universe)
        table.append(("all", f"killed at point {at} of {points}, deleted, killed at {again} of {gone}", "whole", ""))


async def exactly(universe: RealUniverse, template: Template) -> None:
    """Each resource of the template is there once, ACTIVE, and there is no other."""
    for path, short in (
        (LOAD_BALANCERS, "LoadBalancer"),
        (LISTENERS, "Listener"),
        (POOLS, "Pool"),
        (POLICIES, "L7Policy"),
        ("/lbaas/healthmonitors", "HealthMonitor"),
    ):
        wanted = [name for name, one in template["resources"].items() if one["type"] == f"OS::Octavia::{short}"]
        found = await items(universe, path)
        assert {one["provisioning_status"] for one in found} <= {"ACTIVE"}
        assert sorted(one["id"] for one in found) == sorted(universe.physical(name) for name in wanted)
    assert (await universe.shown("pool"))["members"] == [{"id": universe.physical("member")}]
    assert (await universe.shown("policy"))["rules"] == [{"id": universe.physical("rule")}]


async def test_the_tree_costs_few_calls_and_no_conflict(universe: RealUniverse, table: list[tuple[str, ...]]) -> None:
    listeners, members = 3, 8
    loop = asyncio.get_running_loop()
    began = loop.time()
    await universe.settle(large(listeners, members), PASSES)
    took, calls = loop.time() - began, len(universe.cloud.calls)
    puts = [one for one in universe.cloud.calls if one.method == "PUT" and one.path.endswith("/members")]
    assert len(puts) <= 2 * listeners, "members go together"
    table.append(("all", f"{listeners} listeners and {listeners * members} members made", f"{took:.0f} s", str(calls)))
    universe.cloud.calls.clear()
    await universe.settle(None, PASSES)
    deletions = [one.path for one in universe.cloud.calls if one.method == "DELETE" and one.service == "load_balancer"]
    assert len(deletions) == 1, "all of a load balancer goes in one call"


async def test_with_a_foreign_listener_a_load_balancer_is_not_deleted(universe: RealUniverse) -> None:
    await universe.settle(alone(), PASSES)
    balancer = universe.physical("balancer")
    body = {"listener": {"loadbalancer_id": balancer, "protocol": "TCP", "protocol_port": 22, "name": "theirs"}}
    foreign = (await universe.cloud.send(Request("load_balancer", "POST", LISTENERS, body))).body["listener"]["id"]
    await at_rest(universe)
    result: Result = await universe.once(None)
    assert any(foreign in one.reason for one in result.failures)
    assert [one["id"] for one in await items(universe, LISTENERS)] == [foreign]
    await universe.cloud.send(Request("load_balancer", "DELETE", f"{LISTENERS}/{foreign}"))
    await at_rest(universe)


async def test_names_stand_for_ids(universe: RealUniverse) -> None:
    template = tree()
    for name in ("balancer", "listener", "pool2", "policy"):
        template["resources"][name]["properties"]["name"] = f"named-{name}"
    await universe.settle(template, PASSES)
    more = {
        "resources": {
            **template["resources"],
            "by name": octavia("Pool", loadbalancer="named-balancer", protocol="HTTP", lb_algorithm="SOURCE_IP"),
            "member by name": octavia("PoolMember", pool="named-pool2", address="10.9.1.44", protocol_port=1),
            "policy by name": octavia("L7Policy", listener="named-listener", action="REJECT"),
            "rule by name": octavia("L7Rule", l7policy="named-policy", type="PATH", compare_type="REGEX", value="x"),
        }
    }
    await universe.settle(more, PASSES)
    assert universe.record("by name").data["loadbalancer"] == universe.physical("balancer")
    assert universe.record("member by name").data["pool"] == universe.physical("pool2")


@pytest.fixture
async def admin(project: Project) -> AsyncIterator[RealUniverse]:
    """A Stack of the cloud's administrator."""
    made = RealUniverse(lab.connection("admin"))
    yield made
    made.start()
    await made.settle(None, PASSES)


async def test_flavors_zones_and_quotas(
    admin: RealUniverse, project: Project, universe: RealUniverse, table: list[tuple[str, ...]]
) -> None:
    name = project.name
    template: Template = {
        "resources": {
            "profile": octavia(
                "FlavorProfile", provider_name="amphora", flavor_data='{"loadbalancer_topology": "SINGLE"}'
            ),
            "flavor": octavia("Flavor", flavor_profile=ref("profile"), name=f"{name}-flavor"),
            "zones": octavia("AvailabilityZoneProfile", provider_name="amphora", availability_zone_data="{}"),
            "zone": octavia("AvailabilityZone", availability_zone_profile=ref("zones"), name=f"{name}-zone"),
            "quota": octavia("Quota", project=project.id, member=7, pool=3),
        }
    }
    await admin.settle(template, PASSES)
    assert admin.attributes("flavor")["flavor_profile_id"] == admin.physical("profile")
    assert admin.attributes("zone")["availability_zone_profile_id"] == admin.physical("zones")
    assert admin.physical("zone") == f"{name}-zone"
    user = alone()
    user["resources"]["balancer"]["properties"] |= {"flavor": f"{name}-flavor"}
    await universe.settle(user, PASSES)
    assert universe.attributes("balancer")["flavor_id"] == admin.physical("flavor")
    await universe.settle({"resources": {}}, PASSES)
    changes = (
        ("flavor", Change("description", "words")),
        ("flavor", Change("enabled", value=False)),
        ("flavor", Change("name", f"{name}-other")),
        ("zone", Change("description", "words")),
        ("zone", Change("enabled", value=False)),
        ("zone", Change("name", f"{name}-zone2", "replaced")),
        ("quota", Change("member", 9)),
        ("quota", Change("listener", 5)),
        ("quota", Change("healthmonitor", 4)),
        ("quota", Change("loadbalancer", 3)),
        ("quota", Change("pool", None)),
    )
    for resource, change in changes:
        template = change.apply(template, resource)
        before = admin.physical(resource)
        await admin.settle(template, PASSES)
        assert (admin.physical(resource) == before) is (change.how == IN_PLACE)
        shown = await admin.shown(resource)
        value = shown[change.name]
        if change.name == "description":
            value = value.partition(" kiln:")[0]
        assert value == change.value or (change.value is None and value in {None, -1})
        table.append((kind(admin, resource), f"{change.name} changed to {change.value!r}", change.how, ""))
    for resource, given in (("profile", "flavor_data"), ("zones", "availability_zone_data")):
        change = Change(
            given, '{"compute_zone": "nova"}' if resource == "zones" else '{"loadbalancer_topology": "ACTIVE_STANDBY"}'
        )
        free = {"resources": {**template["resources"]}}
        for other in ("flavor", "zone"):
            free["resources"].pop(other, None)
        await admin.settle(free, PASSES)
        await admin.settle(change.apply(free, resource), PASSES)
        assert (await admin.shown(resource))[given] == change.value
        table.append((kind(admin, resource), f"{given} changed", "in place", ""))


def break_it(universe: RealUniverse, name: str) -> None:
    """Put a load balancer into ERROR, as a failed provider leaves it: in Octavia's database."""
    home = Path(os.environ.get("KILN_HOME", Path.home() / ".cache/kiln"))
    socket = home / "run/mariadb.sock"
    if not socket.exists():
        pytest.skip("the database is out of reach")
    where = f"where id='{universe.physical(name)}'"
    statement = f"select id from load_balancer {where}; update load_balancer set provisioning_status='ERROR' {where}"
    command = ["mariadb", "--no-defaults", "-u", "root", "-S", str(socket), "octavia", "-Ne", statement]
    if not subprocess.run(command, check=True, timeout=30, capture_output=True).stdout:
        pytest.skip("the database is that of another Octavia")


async def test_a_load_balancer_in_error_is_made_anew_with_all_that_is_below_it(
    universe: RealUniverse, table: list[tuple[str, ...]]
) -> None:
    template = tree("balancer2")
    await universe.settle(template, PASSES)
    before = universe.physical("balancer")
    break_it(universe, "balancer")
    await universe.settle(template, PASSES, drift="Report")
    assert "ERROR" in universe.last.progress.drifted["balancer"]
    assert universe.physical("balancer") == before
    await universe.settle(template, PASSES)
    assert universe.physical("balancer") != before, "an ordinary user may not fail it over"
    await exactly(universe, template)
    table.append(("LoadBalancer", "in ERROR, of a user", "made anew, with all below it", ""))


async def test_a_load_balancer_in_error_is_failed_over_where_that_is_allowed(
    admin: RealUniverse, table: list[tuple[str, ...]]
) -> None:
    await admin.settle(alone(), PASSES)
    for _ in range(2):
        before = admin.physical("balancer")
        break_it(admin, "balancer")
        await admin.settle(alone(), PASSES)
        assert admin.physical("balancer") == before
        assert (await admin.shown("balancer"))["provisioning_status"] == "ACTIVE"
        assert admin.last.progress.repaired.keys() == {"balancer"}
    table.append(("LoadBalancer", "in ERROR, of an administrator", "failed over", ""))
