"""Faults of single services, conflicts after outages, busy duplicates: what they may cost, and what not."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from harness import virtual
from harness.fake_connection import Refused
from harness.fake_openstack import LOST
from harness.universe import Universe

from reconcilers import identifiers
from reconcilers.engine.driver import CONFLICT_TRIES
from reconcilers.model import Fault, Request

NET = {"type": "OS::Neutron::Net", "properties": {"name": "net"}}
VOLUME = {"type": "OS::Cinder::Volume", "properties": {"name": "volume", "size": 1}}
SERVER = {
    "type": "OS::Nova::Server",
    "properties": {"name": "server", "image": "cirros", "flavor": "m1.tiny"},
}


def template(**resources: Any) -> dict[str, Any]:
    return {"resources": resources}


def test_a_conflict_after_a_long_outage_is_waited_out_like_any_other() -> None:
    async def life() -> None:
        universe = Universe()
        answers = [Refused(503, "down")] * (CONFLICT_TRIES + 8) + [Refused(409, "busy")] * 3

        def fault(request: Request) -> Refused | None:
            return answers.pop(0) if request.method == "POST" and answers else None

        universe.cloud.fault = fault
        assert (await universe.once(template(net=NET))).complete
        assert universe.inventory() == {"networks": ["net"]}

    virtual.run(life())


def test_a_service_that_is_down_stops_only_what_needs_it() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template(net=NET, volume=VOLUME))
        universe.start()
        universe.cloud.fault = lambda one: Refused(503, "down") if one.service == "block_storage" else None
        another = {"type": "OS::Neutron::Net", "properties": {"name": "another"}}
        running = asyncio.ensure_future(universe.once(template(net=NET, volume=VOLUME, another=another)))
        await asyncio.sleep(30)
        assert universe.inventory()["networks"] == ["another", "net"]
        assert not running.done()
        waiting = universe.progress.resources["volume"]
        assert (waiting.state, waiting.fault) == ("Updating", Fault.TRANSIENT)
        universe.cloud.fault = lambda _: None
        assert (await running).complete
        assert universe.inventory() == {"networks": ["another", "net"], "volumes": ["volume"]}

    virtual.run(life())


def test_a_deletion_goes_on_where_the_services_answer() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template(net=NET, volume=VOLUME))
        universe.start()
        universe.cloud.fault = lambda one: Refused(503, "down") if one.service == "block_storage" else None
        running = asyncio.ensure_future(universe.settle(None))
        await asyncio.sleep(30)
        assert universe.inventory() == {"volumes": ["volume"]}
        universe.cloud.fault = lambda _: None
        await running
        assert universe.inventory() == {}

    virtual.run(life())


@pytest.mark.parametrize("status", ["creating", "downloading"])
def test_a_twin_that_is_busy_goes_once_it_can(status: str) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template(volume=VOLUME))
        [recorded] = universe.records.load()
        own = universe.cloud.tables["volumes"][recorded.physical_id or ""]
        twin = universe.cloud.make("volumes", name="volume", size=1, metadata=dict(own["metadata"]))
        twin["status"] = status
        universe.records.put(replace(recorded, physical_id=None, confirmed=False, state="Creating", digests={}))
        universe.start()
        assert (await universe.once(template(volume=VOLUME))).complete
        assert universe.last.has_possible_duplicates
        assert len(universe.cloud.all("volumes")) == 2
        del twin["status"]
        await universe.settle(template(volume=VOLUME))
        await asyncio.sleep(5)
        assert [one["id"] for one in universe.cloud.all("volumes")] == [own["id"]]
        assert not universe.last.has_possible_duplicates

    virtual.run(life())


def test_what_is_gone_is_not_deleted_again_while_a_duplicate_may_still_appear() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template(net=NET))
        [recorded] = universe.records.load()
        # The operator ended in the middle of the creation. The next one found nothing, and made another one.
        universe.cloud.drop("networks", recorded.physical_id or "")
        universe.records.put(replace(recorded, physical_id=None, confirmed=False, state="Creating", digests={}))
        universe.start()
        await universe.once(template(net=NET))
        assert universe.last.has_possible_duplicates
        await universe.settle(None)
        assert universe.inventory() == {}
        assert len(universe.cloud.sent("DELETE", "networks")) == 1

    virtual.run(life())


@pytest.mark.parametrize("fault", [Refused(503, "down"), LOST], ids=["refused", "lost"])
def test_a_detached_volume_is_put_back_though_the_first_request_fails(fault: Refused | str) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template(volume=VOLUME, server=SERVER))
        recorded = next(one for one in universe.records.load() if one.name == "volume")
        server = universe.physical("server")
        universe.records.put(
            replace(recorded, data={**recorded.data, "reattach": f"{server} /dev/vdb"}, state="Updating")
        )
        left = [fault]

        def first(request: Request) -> Refused | str | None:
            return left.pop() if request.method == "POST" and "os-volume_attachments" in request.path and left else None

        universe.cloud.fault = first
        await universe.settle(template(volume=VOLUME, server=SERVER))
        [volume] = universe.cloud.all("volumes")
        assert volume["attachments"] == [{"server_id": server, "device": "/dev/vdb"}]
        assert not left
        recorded = next(one for one in universe.records.load() if one.name == "volume")
        assert not recorded.data.get("reattach")

    virtual.run(life())


def test_a_failure_of_a_resource_with_a_dot_in_its_name_is_counted_once() -> None:
    async def life() -> None:
        universe = Universe()
        result = await universe.once(
            template(**{"web.server": {"type": "OS::Trove::Instance", "properties": {"flavor": "1", "size": 1}}})
        )
        [failure] = result.failures
        assert failure.name == "web.server"
        assert set(universe.progress.resources) == {"web.server"}

    virtual.run(life())


def test_a_resource_that_was_replaced_often_is_found_though_its_record_is_lost() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(template(net=NET))
        [recorded] = universe.records.load()
        universe.records.held.clear()
        token = identifiers.token(universe.policy.stack_uid, "net", 200)
        [net] = universe.cloud.all("networks")
        for key, value in net.items():
            if isinstance(value, str):
                net[key] = value.replace(recorded.token, token)
            elif isinstance(value, list):
                net[key] = [one.replace(recorded.token, token) for one in value]
        await universe.settle(template(net=NET))
        assert [one["id"] for one in universe.cloud.all("networks")] == [net["id"]]
        assert [one.serial for one in universe.records.load()] == [200]

    virtual.run(life())
