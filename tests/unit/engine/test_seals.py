"""A deletion goes by records that the operator wrote, or by the token: no forged record leads to what others made."""

from dataclasses import replace
from typing import Any

import pytest
from harness.universe import KEY, UID, Universe
from harness.virtual import run

from reconcilers import identifiers
from reconcilers.digests import Digester
from reconcilers.engine import seals
from reconcilers.model import Recorded, Request

DIGESTER = Digester(KEY)
NOTHING: dict[str, Any] = {"resources": {}}
FOREIGN = {
    "OS::Neutron::Net": ("networks", Request("network", "POST", "/networks", {"network": {"name": "theirs"}})),
    "OS::Neutron::Router": ("routers", Request("network", "POST", "/routers", {"router": {"name": "theirs"}})),
    "OS::Nova::Server": (
        "servers",
        Request("compute", "POST", "/servers", {"server": {"name": "theirs", "imageRef": "i", "flavorRef": "f"}}),
    ),
    "OS::Cinder::Volume": (
        "volumes",
        Request("block_storage", "POST", "/volumes", {"volume": {"name": "theirs", "size": 1}}),
    ),
}


def theirs(universe: Universe, rtype: str) -> str:
    """The id of a resource that somebody else makes."""
    kind, request = FOREIGN[rtype]
    universe.cloud.carry_out(request)
    found: str = next(item["id"] for item in universe.cloud.all(kind) if item["name"] == "theirs")
    return found


def names(universe: Universe, rtype: str) -> list[str]:
    return sorted(item["name"] for item in universe.cloud.all(FOREIGN[rtype][0]))


def forged(rtype: str, physical_id: str, **fields: Any) -> Recorded:
    """A record as anybody can write it who knows the Stack's uid."""
    token = identifiers.token(UID, "thing", 1)
    key = identifiers.object_name("web", "thing", token)
    more: dict[str, Any] = {"physical_id": physical_id, "confirmed": True, "state": "Ready", "serial": 1, **fields}
    return Recorded(key, "thing", rtype, token, "theirs", **more)


@pytest.mark.parametrize("rtype", FOREIGN)
@pytest.mark.parametrize("seal", ["", "0" * 18])
def test_a_forged_record_has_nothing_deleted(rtype: str, seal: str) -> None:
    async def story() -> None:
        universe = Universe()
        await universe.settle(NOTHING)
        foreign = theirs(universe, rtype)
        for template in (NOTHING, None):
            universe.records.put(forged(rtype, foreign, seal=seal))
            await universe.settle(template)
            assert universe.records.load() == []
            assert names(universe, rtype) == ["theirs"]

    run(story())


@pytest.mark.parametrize("change", ["physical_id", "type", "data"])
def test_a_record_that_somebody_changed_has_nothing_of_others_deleted(template: Any, change: str) -> None:
    async def story() -> None:
        universe = Universe()
        await universe.settle(template())
        foreign = theirs(universe, "OS::Neutron::Net")
        record = next(one for one in universe.records.load() if one.name == "net")
        changes: dict[str, Any] = {
            "physical_id": {"physical_id": foreign},
            "type": {"type": "OS::Neutron::Router", "physical_id": foreign},
            "data": {"data": {"network_id": foreign}, "physical_id": foreign},
        }
        universe.records.put(replace(record, **changes[change]))
        await universe.settle(None)
        assert "theirs" in names(universe, "OS::Neutron::Net")

    run(story())


def test_what_a_changed_record_no_longer_leads_to_is_found_by_its_token(template: Any) -> None:
    async def story() -> None:
        universe = Universe()
        await universe.settle(template())
        record = next(one for one in universe.records.load() if one.name == "net")
        universe.records.put(replace(record, physical_id=theirs(universe, "OS::Neutron::Net")))
        await universe.settle(None)
        assert universe.inventory() == {"networks": ["theirs"]}

    run(story())


def test_the_operator_does_not_seal_what_it_did_not_write(template: Any) -> None:
    async def story() -> None:
        universe = Universe()
        await universe.settle(template())
        record = next(one for one in universe.records.load() if one.name == "volume")
        foreign = theirs(universe, "OS::Cinder::Volume")
        # The next reconciliation has something to write: the name is not what the template says.
        universe.records.put(replace(record, physical_id=foreign, state="Updating"))
        await universe.settle(template())
        changed = next(one for one in universe.records.load() if one.name == "volume")
        assert changed.version != record.version
        assert not seals.holds(DIGESTER, changed)
        await universe.settle(None)
        assert [item["id"] for item in universe.cloud.all("volumes")] == [foreign]

    run(story())


def test_every_record_is_sealed_from_its_intent_on(template: Any) -> None:
    async def story() -> None:
        universe = Universe()
        written: list[Recorded] = []
        put = universe.records.put
        universe.records.put = lambda recorded: written.append(recorded) or put(recorded)  # type: ignore[func-returns-value, method-assign]
        await universe.settle(template())
        await universe.settle(template(dns="8.8.8.8", cidr="10.1.0.0/24", flags=True))
        assert len(written) > 14
        assert all(seals.holds(DIGESTER, one) for one in written)

    run(story())


def test_a_deletion_by_sealed_records_reads_nothing_more(template: Any) -> None:
    async def reads(*, strip: bool) -> int:
        universe = Universe()
        await universe.settle(template())
        for one in universe.records.load():
            if strip:
                universe.records.put(replace(one, seal=seals.NONE))
        before = len(universe.cloud.sent("GET"))
        await universe.settle(None)
        assert universe.inventory() == {}
        assert universe.records.load() == []
        return len(universe.cloud.sent("GET")) - before

    assert run(reads(strip=False)) < run(reads(strip=True))


def test_a_stack_whose_key_was_lost_is_still_deleted(template: Any) -> None:
    async def story() -> None:
        universe = Universe()
        await universe.settle(template())
        await universe.settle(template(dns="8.8.8.8"), key=b"n" * 32, rekeyed=True)
        await universe.settle(None, key=b"n" * 32)
        assert universe.inventory() == {}
        assert universe.records.load() == []

    run(story())
