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


def crossed(*pairs: tuple[str, str]) -> dict[str, object]:
    """Legs ``leg0``, ``leg1``, ... of these routers in these subnets."""
    made: dict[str, object] = {"net": {"type": "OS::Neutron::Net"}}
    for number, name in enumerate(sorted({subnet for _, subnet in pairs})):
        properties = {"network": {"get_resource": "net"}, "cidr": f"10.0.{number}.0/24"}
        made[name] = {"type": "OS::Neutron::Subnet", "properties": properties}
    for name in sorted({router for router, _ in pairs}):
        made[name] = {"type": "OS::Neutron::Router"}
    for number, (router, subnet) in enumerate(pairs):
        properties = {"router": {"get_resource": router}, "subnet": {"get_resource": subnet}}
        made[f"leg{number}"] = {"type": "OS::Neutron::RouterInterface", "properties": properties}
    return {"heat_template_version": "2021-04-16", "resources": made}


def test_resources_that_swap_what_there_can_be_once_make_room_for_each_other() -> None:
    async def story() -> None:
        universe = Universe()
        await universe.settle(crossed(("a", "s"), ("b", "t"), ("c", "u")))
        swapped = crossed(("a", "t"), ("b", "u"), ("c", "s"))
        assert await universe.settle(swapped) == 1
        held = {
            (port["device_id"], ip["subnet_id"]) for port in universe.cloud.all("ports") for ip in port["fixed_ips"]
        }
        assert held == {(universe.physical(router), universe.physical(subnet)) for router, subnet in ("at", "bu", "cs")}
        await universe.settle(None)
        assert universe.inventory() == {}

    run(story())
