"""OS::Neutron::FloatingIP: an address on an external network."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Recorded, Replace
from reconcilers.network.neutron import Neutron, refused
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields

FLOATING_IPS = "/floatingips"
TARGET = ("port_id", "fixed_ip_address")


@register
class FloatingIP(Neutron):
    """Its status does not count: DOWN means that it points nowhere, and no error is worth giving up the address."""

    type = "OS::Neutron::FloatingIP"
    collection = FLOATING_IPS
    key = "floatingip"
    plural = "floatingips"
    failed = frozenset()
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("port_id"),
        "fixed_ip_address": Field("fixed_ip_address"),
        "floating_network": Field("floating_network_id", update=False),
        "floating_subnet": Field("subnet_id", update=False),
        "floating_ip_address": Field("floating_ip_address", update=False),
        "dns_name": Field("dns_name", update=False, drift=False),
        "dns_domain": Field("dns_domain", update=False, drift=False),
    }

    @override
    def conflict(self, given: Mapping[str, Any]) -> Failed | None:
        if given.get("fixed_ip_address") is not None and given.get("port_id") is None:
            return refused("fixed_ip_address needs port_id", "fixed_ip_address")
        return None

    @override
    def update_body(self, desired: Desired, recorded: Recorded, observed: Any) -> dict[str, Any]:
        """Port and address are one thing to Neutron, and go together."""
        body = super().update_body(desired, recorded, observed)
        target = {name: desired.properties.get(name) for name in TARGET}
        return {**body, **target} if body.keys() & target.keys() else body

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Neutron takes the DNS name when it makes the address, and never again (Heat ignores the change)."""
        for name in ("dns_name", "dns_domain"):
            if name in desired.changed:
                return refused(f"Neutron cannot change {name} of a floating IP", name)
        verdict = super().replacement(desired, recorded, observed)
        if isinstance(verdict, Replace):
            return Replace(verdict.why, delete_first=bool(desired.properties.get("floating_ip_address")))
        return verdict
