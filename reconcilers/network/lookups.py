"""What Neutron knows by name. Each project has a security group ``default``, so a group's name means its project's."""

from reconcilers.finders import Finder, register_finders


def _named(path: str, *, own: bool = False) -> Finder:
    return Finder("network", f"/{path}", path.replace("-", "_"), own=own)


register_finders(
    {
        "neutron.network": _named("networks"),
        "neutron.subnet": _named("subnets"),
        "neutron.port": _named("ports"),
        "neutron.router": _named("routers"),
        "neutron.security_group": _named("security-groups", own=True),
        "neutron.subnetpool": _named("subnetpools"),
        "neutron.address_scope": _named("address-scopes"),
        "neutron.segment": _named("segments"),
        "neutron.qos_policy": Finder("network", "/qos/policies", "policies"),
    }
)
