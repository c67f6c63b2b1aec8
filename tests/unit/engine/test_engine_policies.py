"""What a template's deletion_policy means for the engine."""

from typing import Any

from harness import virtual
from harness.universe import Universe


def network(policy: str) -> dict[str, Any]:
    return {"resources": {"net": {"type": "OS::Neutron::Net", "deletion_policy": policy}}}


def volume(policy: str) -> dict[str, Any]:
    return {
        "resources": {
            "data": {"type": "OS::Cinder::Volume", "properties": {"size": 1}, "deletion_policy": policy},
            "net": {"type": "OS::Neutron::Net"},
        }
    }


def test_what_is_retained_stays_when_everything_else_goes() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(network("Retain"))
        await universe.settle(None)
        assert list(universe.inventory()) == ["networks"]
        assert not universe.records.load()

    virtual.run(life())


def test_snapshot_is_refused_before_anything_could_be_lost_and_the_rest_is_made() -> None:
    async def life() -> None:
        universe = Universe()
        result = await universe.once(volume("Snapshot"))
        assert [error.path for error in result.failures] == ["resources.data.deletion_policy"]
        assert "Retain or Delete" in result.failures[0].reason
        assert list(universe.inventory()) == ["networks"]
        await universe.settle(volume("Delete"))
        assert set(universe.inventory()) == {"networks", "volumes"}

    virtual.run(life())
