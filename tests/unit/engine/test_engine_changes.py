"""Updates, replacements, drift, and what is not to be touched."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.fake_openstack import BUILDING
from harness.universe import Universe

from reconcilers.engine.control import TimedOut
from reconcilers.model import DriftPolicy


def writes(universe: Universe, since: int) -> list[tuple[str, str, Any]]:
    """What was sent that changes anything."""
    return [(one.method, one.path, one.body) for one in universe.cloud.calls[since:] if one.method != "GET"]


def test_an_update_sends_the_changed_property_and_nothing_else(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        since = len(universe.cloud.calls)
        await universe.settle(template(dns="8.8.8.8"))
        subnet = universe.physical("subnet")
        assert writes(universe, since) == [
            ("PUT", f"/subnets/{subnet}", {"subnet": {"dns_nameservers": ["8.8.8.8"]}}),
        ]

    virtual.run(life())


def test_a_property_that_is_taken_out_of_the_template_is_reset(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        since = len(universe.cloud.calls)
        plain = template()
        del plain["resources"]["subnet"]["properties"]["dns_nameservers"]
        await universe.settle(plain)
        subnet = universe.physical("subnet")
        assert writes(universe, since) == [("PUT", f"/subnets/{subnet}", {"subnet": {"dns_nameservers": []}})]

    virtual.run(life())


def test_a_replacement_is_made_before_the_old_one_goes(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        old, since = universe.physical("subnet"), len(universe.cloud.calls)
        await universe.settle(template(cidr="10.0.1.0/24"))
        seen = [(method, path.split("/")[1]) for method, path, _ in writes(universe, since)]
        assert seen.index(("POST", "subnets")) < seen.index(("PUT", "ports")) < seen.index(("DELETE", "subnets"))
        assert universe.physical("subnet") != old

    virtual.run(life())


def test_what_cannot_be_twice_goes_before_its_successor_comes(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        since = len(universe.cloud.calls)
        await universe.settle(template(flags=True))
        seen = [(method, path.split("/")[1]) for method, path, _ in writes(universe, since)]
        assert seen == [("DELETE", "servers"), ("POST", "servers")]

    virtual.run(life())


@pytest.mark.parametrize("claims", ["an address", "a mac address that stays", "a mac address that changes"])
def test_a_port_in_a_server_is_replaced_and_the_server_gets_its_successor(
    claims: str, template: Callable[..., Any]
) -> None:
    """The server is never made anew, and only a MAC address that stays makes it lose the port meanwhile."""

    def with_port(**more: Any) -> dict[str, Any]:
        made: dict[str, Any] = template()
        made["resources"]["port"]["properties"] |= more
        return made

    fixed = [{"subnet": {"get_resource": "subnet"}, "ip_address": "10.0.0.77"}]
    ways = {
        "an address": ({"fixed_ips": fixed, "mac_address": "fa:16:3e:00:11:01"}, {"mac_address": "fa:16:3e:00:11:02"}),
        "a mac address that stays": (
            {"mac_address": "fa:16:3e:00:11:01", "replacement_policy": "REPLACE_ALWAYS"},
            {"name": "other"},
        ),
        "a mac address that changes": ({"mac_address": "fa:16:3e:00:11:01"}, {"mac_address": "fa:16:3e:00:11:02"}),
    }
    first, change = ways[claims]

    async def life() -> None:
        universe = Universe()
        await universe.settle(with_port(**first))
        old, server, since = universe.physical("port"), universe.physical("server"), len(universe.cloud.calls)
        await universe.settle(with_port(**{**first, **change}))
        assert universe.physical("server") == server
        assert universe.physical("port") != old
        port = universe.cloud.tables["ports"][universe.physical("port")]
        assert port["device_id"] == server
        assert port["mac_address"] == {**first, **change}["mac_address"]
        assert old not in universe.cloud.tables["ports"]
        if "fixed_ips" in first:
            assert [ip["ip_address"] for ip in port["fixed_ips"]] == ["10.0.0.77"]
        seen = [
            (method, path.split("/")[-2 if "os-interface" in path and method == "DELETE" else -1])
            for method, path, _ in writes(universe, since)
        ]
        unplugged, made = seen.index(("DELETE", "os-interface")), seen.index(("POST", "ports"))
        assert (unplugged < made) is (claims == "a mac address that stays")
        await universe.settle(None)
        assert universe.inventory() == {}

    virtual.run(life())


def test_a_port_in_a_server_is_renamed_in_the_template_and_keeps_its_address(template: Callable[..., Any]) -> None:
    def with_port(name: str) -> dict[str, Any]:
        made: dict[str, Any] = template(without=("port",))
        fixed = [{"subnet": {"get_resource": "subnet"}, "ip_address": "10.0.0.77"}]
        properties = {"network": {"get_resource": "net"}, "fixed_ips": fixed}
        made["resources"][name] = {"type": "OS::Neutron::Port", "properties": properties}
        made["resources"]["server"]["properties"]["networks"] = [{"port": {"get_resource": name}}]
        return made

    async def life() -> None:
        universe = Universe()
        await universe.settle(with_port("port"))
        server = universe.physical("server")
        assert (await universe.once(with_port("eth0"))).complete
        assert universe.physical("server") == server
        ports = [one for one in universe.cloud.all("ports") if one["device_id"] == server]
        assert [one["id"] for one in ports] == [universe.physical("eth0")]
        assert ports[0]["fixed_ips"][0]["ip_address"] == "10.0.0.77"

    virtual.run(life())


def test_a_template_that_is_taken_back_finds_the_old_resource(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        old = universe.physical("subnet")
        universe.cloud.fault = lambda request: Refused(400, "no") if request.method == "PUT" else None
        assert not (await universe.once(template(cidr="10.0.1.0/24"))).complete
        assert universe.inventory()["subnets"] == ["subnet", "subnet"]
        universe.cloud.fault = lambda _request: None
        since = len(universe.cloud.calls)
        await universe.settle(template())
        assert [one["id"] for one in universe.cloud.all("subnets")] == [old]
        assert not [one for one in writes(universe, since) if one[0] == "POST"]

    virtual.run(life())


@pytest.mark.parametrize("drift", ["Correct", "Report", "Ignore"])
def test_what_somebody_changed_is_put_right_or_told_or_left(drift: str, template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        net = universe.cloud.tables["networks"][universe.physical("net")]
        net["name"] = "theirs"
        assert (await universe.once(template(), drift=DriftPolicy(drift))).complete
        assert net["name"] == ("net" if drift == "Correct" else "theirs")
        assert universe.progress.drifted == ({"net": "name"} if drift == "Report" else {})
        assert universe.progress.repaired == ({"net": "name"} if drift == "Correct" else {})
        # Reported once more, though nothing has changed since.
        assert (await universe.once(template(), drift=DriftPolicy(drift))).complete
        assert universe.progress.drifted == ({"net": "name"} if drift == "Report" else {})

    virtual.run(life())


@pytest.mark.parametrize("drift", ["Correct", "Report", "Ignore"])
def test_what_somebody_deleted_is_made_anew_or_told_or_left(drift: str, template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        universe.cloud.drop("volumes", universe.physical("volume"))
        assert (await universe.once(template(), drift=DriftPolicy(drift))).complete
        assert universe.inventory().get("volumes") == (["volume"] if drift == "Correct" else None)
        gone = {"volume": "gone from the cloud"}
        assert universe.progress.drifted == (gone if drift == "Report" else {})
        assert universe.progress.repaired == (gone if drift == "Correct" else {})

    virtual.run(life())


def test_what_is_retained_stays_when_its_stack_goes(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        wanted = template(without=("leg", "router", "server", "port", "subnet"))
        wanted["resources"]["net"]["deletion_policy"] = "Retain"
        await universe.settle(wanted)
        await universe.settle(None)
        assert universe.inventory() == {"networks": ["net"]}
        assert not universe.records.load()

    virtual.run(life())


def test_what_others_own_is_referred_to_and_never_touched(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        theirs = universe.cloud.make("networks", name="theirs")
        wanted = template()
        wanted["resources"]["net"] = {"type": "OS::Neutron::Net", "external_id": theirs["id"]}
        await universe.settle(wanted)
        assert {one["network_id"] for one in universe.cloud.all("subnets")} == {theirs["id"]}
        await universe.settle(wanted)
        await universe.settle(None)
        assert universe.inventory() == {"networks": ["theirs"]}
        assert not [one for one in universe.cloud.calls if one.method != "GET" and theirs["id"] in one.path]

    virtual.run(life())


def test_what_others_own_and_is_not_there_is_a_failure(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        wanted = {"resources": {"net": {"type": "OS::Neutron::Net", "external_id": "nowhere"}}}
        result = await universe.once(wanted)
        assert [error.path for error in result.failures] == ["resources.net.external_id"]

    virtual.run(life())


def test_a_resource_that_becomes_somebody_elses_is_not_deleted(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        wanted = template(without=("leg", "router", "server", "port", "subnet", "volume"))
        await universe.settle(wanted)
        identity = universe.physical("net")
        await universe.settle({"resources": {"net": {"type": "OS::Neutron::Net", "external_id": identity}}})
        assert universe.inventory() == {"networks": ["net"]}
        await universe.settle(None)
        assert universe.inventory() == {"networks": ["net"]}

    virtual.run(life())


def test_digests_under_a_new_key_are_no_change(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        since = len(universe.cloud.calls)
        await universe.settle(template(), key=b"n" * 32, rekeyed=True)
        assert writes(universe, since) == []
        await universe.settle(template(dns="8.8.8.8"), key=b"n" * 32)
        assert len(writes(universe, since)) == 1

    virtual.run(life())


def test_a_record_deleted_by_hand_hands_its_resource_over(template: Callable[..., Any]) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template())
        before, since = universe.physical("server"), len(universe.cloud.calls)
        old = next(one for one in universe.records.load() if one.name == "server")
        universe.records.put(replace(old, deleting=True))
        await universe.settle(template())
        new = next(one for one in universe.records.load() if one.name == "server")
        assert (new.physical_id, new.deleting, new.token) == (before, False, old.token)
        assert writes(universe, since) == []

    virtual.run(life())


@pytest.mark.parametrize(("later", "made"), [({"config_drive": True}, 2), ({"metadata": {"a": "b"}}, 1)])
def test_a_server_that_is_being_made_is_replaced_if_it_lacks_what_only_a_creation_can_give(
    later: dict[str, Any], made: int
) -> None:
    """The creating request did not carry the property, so it is not only missing."""

    def stack(**properties: Any) -> dict[str, Any]:
        given = {"image": "cirros", "flavor": "m1.tiny", **properties}
        return {"resources": {"server": {"type": "OS::Nova::Server", "properties": given}}}

    async def life() -> None:
        universe = Universe()
        with pytest.raises(TimedOut):
            await universe.once(stack(), deadline=BUILDING / 2)
        records = universe.records.load()
        assert [(one.name, one.state) for one in records if one.physical_id] == [("server", "Creating")], records
        await universe.settle(stack(**later))
        creations = [one for one in universe.cloud.calls if (one.method, one.path) == ("POST", "/servers")]
        assert len(creations) == made
        assert len(universe.cloud.all("servers")) == 1

    virtual.run(life())
