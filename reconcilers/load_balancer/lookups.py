"""How Octavia's things are found by name."""

from reconcilers.finders import Finder, register_finders


def _finder(path: str) -> Finder:
    return Finder("load_balancer", f"/lbaas/{path}", path)


register_finders(
    {
        "octavia.loadbalancer": _finder("loadbalancers"),
        "octavia.listener": _finder("listeners"),
        "octavia.pool": _finder("pools"),
        "octavia.l7policy": _finder("l7policies"),
        "octavia.flavor": _finder("flavors"),
        "octavia.flavorprofile": _finder("flavorprofiles"),
        "octavia.availabilityzone": Finder(
            "load_balancer", "/lbaas/availabilityzones", "availability_zones", whole=True, opaque=True, key="name"
        ),
        "octavia.availabilityzoneprofile": Finder(
            "load_balancer", "/lbaas/availabilityzoneprofiles", "availability_zone_profiles"
        ),
    }
)
