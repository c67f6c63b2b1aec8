"""What others made is not taken over, and so never deleted."""

from harness.universe import Universe
from harness.virtual import run

from reconcilers.model import Request

LEG = {
    "heat_template_version": "2021-04-16",
    "resources": {
        "net": {"type": "OS::Neutron::Net"},
        "subnet": {
            "type": "OS::Neutron::Subnet",
            "properties": {"network": {"get_resource": "net"}, "cidr": "10.0.0.0/24"},
        },
        "router": {"type": "OS::Neutron::Router"},
    },
}


def with_leg() -> dict[str, object]:
    leg = {
        "type": "OS::Neutron::RouterInterface",
        "properties": {"router": {"get_resource": "router"}, "subnet": {"get_resource": "subnet"}},
    }
    return {**LEG, "resources": {**LEG["resources"], "leg": leg}}  # type: ignore[dict-item]


def legs(universe: Universe, router: str | None) -> list[str]:
    return [port["id"] for port in universe.cloud.all("ports") if port.get("device_id") == router]


def test_a_link_that_somebody_else_made_is_refused_and_stays() -> None:
    async def story() -> None:
        universe = Universe()
        await universe.settle(LEG)
        ids = {one.name: one.physical_id for one in universe.records.load()}
        where = f"/routers/{ids['router']}/add_router_interface"
        universe.cloud.carry_out(Request("network", "PUT", where, {"subnet_id": ids["subnet"]}))
        before = legs(universe, ids["router"])
        assert before
        for _ in range(2):
            result = await universe.once(with_leg())
            assert [one.name for one in result.failures] == ["leg"]
            universe.start()
        await universe.settle(LEG)
        assert legs(universe, ids["router"]) == before

    run(story())
