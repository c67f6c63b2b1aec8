"""How resources stand while a pass goes on, and at its end."""

from typing import Any

from harness import virtual
from harness.universe import Universe


def subnet(cidr: str) -> dict[str, Any]:
    properties = {"network": {"get_resource": "net"}, "cidr": cidr}
    return {
        "resources": {
            "net": {"type": "OS::Neutron::Net"},
            "subnet": {"type": "OS::Neutron::Subnet", "properties": properties},
        }
    }


def test_a_resource_that_was_replaced_is_ready_when_the_old_one_is_gone() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(subnet("10.0.0.0/24"))
        await universe.settle(subnet("10.1.0.0/24"))
        assert universe.cloud.sent("DELETE")
        assert {name: one.state for name, one in universe.progress.resources.items()} == {
            "net": "Ready",
            "subnet": "Ready",
        }

    virtual.run(life())


def test_what_left_the_template_is_counted_no_more() -> None:
    async def life() -> None:
        universe = Universe()
        await universe.settle(subnet("10.0.0.0/24"))
        await universe.settle({"resources": {"net": {"type": "OS::Neutron::Net"}}})
        assert set(universe.progress.resources) == {"net"}

    virtual.run(life())
