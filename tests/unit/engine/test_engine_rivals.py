"""Two processes that both believe they lead: what one has begun, the other one does not make again."""

from dataclasses import replace
from typing import Any

import pytest
from harness import virtual
from harness.universe import Universe, translated

from reconcilers.engine.engine import Engine

TEMPLATE: dict[str, Any] = {
    "resources": {
        "net": {"type": "OS::Neutron::Net"},
        "volume": {"type": "OS::Cinder::Volume", "properties": {"size": 1}},
    }
}


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made yet"])
def test_what_another_process_has_just_begun_is_looked_for_before_it_is_made(made: bool) -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(TEMPLATE)
        for recorded in universe.records.load():
            # The other process has stored its intents, and perhaps made the resources, but not recorded their ids.
            universe.records.put(replace(recorded, confirmed=False, physical_id=None, state="Creating"))
            if not made:
                universe.cloud.drop("networks" if recorded.name == "net" else "volumes", str(recorded.physical_id))
        # This one read the records before that.
        result = await Engine(universe.context(), []).converge(translated(TEMPLATE))
        assert result.complete
        found = {kind: len(names) for kind, names in universe.inventory().items()}
        assert found == {"networks": 1, "volumes": 1}

    virtual.run(life())
