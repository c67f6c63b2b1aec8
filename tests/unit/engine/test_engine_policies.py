"""What a template's deletion_policy means for the engine."""

from typing import Any

from harness import virtual
from harness.universe import Universe


def network(policy: str) -> dict[str, Any]:
    return {"resources": {"net": {"type": "OS::Neutron::Net", "deletion_policy": policy}}}


def test_what_is_retained_stays_when_everything_else_goes() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(network("Retain"))
        await universe.settle(None)
        assert list(universe.inventory()) == ["networks"]
        assert not universe.records.load()

    virtual.run(life())
