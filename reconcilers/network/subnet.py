"""OS::Neutron::Subnet: a range of addresses in a network."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Recorded, Replace
from reconcilers.network.neutron import TAGS, Neutron, addresses, refused
from reconcilers.normal_forms import address, is_address, overlap
from reconcilers.registry import register
from reconcilers.resource_type import Field, same_name_fields

AUTOMATIC = "auto"
"""As gateway_ip: the address that Neutron chooses."""
IPV4 = 4


def gateway(text: str) -> str | None:
    """What the API takes: null for no gateway, which a template writes as null, "" or ~."""
    return None if text in ("", "~") else text


@register
class Subnet(Neutron):
    """Order counts in dns_nameservers alone. Taking gateway_ip out of a template takes the gateway away, as in Heat."""

    type = "OS::Neutron::Subnet"
    collection = "/subnets"
    key = "subnet"
    plural = "subnets"
    sends_bulk = True
    dies_with = "network"
    empty_counts = frozenset({"gateway_ip"})
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "enable_dhcp"),
        "network": Field("network_id", update=False),
        "tenant_id": Field("tenant_id", update=False),
        "cidr": Field("cidr", update=False),
        "ip_version": Field("ip_version", update=False),
        "ipv6_address_mode": Field("ipv6_address_mode", update=False),
        "ipv6_ra_mode": Field("ipv6_ra_mode", update=False),
        "subnetpool": Field("subnetpool_id", update=False),
        "prefixlen": Field("prefixlen", update=False),
        "segment": Field("segment_id"),
        "gateway_ip": Field("gateway_ip", encode=gateway, decode=address),
        "dns_nameservers": Field("dns_nameservers", decode=addresses, reset=[], ordered=True),
        "allocation_pools": Field("allocation_pools", reset=[]),
        "host_routes": Field("host_routes", reset=[]),
        "tags": TAGS,
    }

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {"network": desired.properties["network"]}

    @override
    def conflict(self, given: Mapping[str, Any]) -> Failed | None:
        cidr, mode, ra_mode = given.get("cidr"), given.get("ipv6_address_mode"), given.get("ipv6_ra_mode")
        gateway_ip = given.get("gateway_ip")
        if bool(cidr) == (given.get("subnetpool") is not None):
            return refused("give either cidr or subnetpool", "cidr")
        if cidr and given.get("prefixlen"):
            return refused("prefixlen is for a subnetpool: a cidr says it itself", "prefixlen")
        if given.get("ip_version") == IPV4 and (mode or ra_mode):
            return refused("ipv6_ra_mode and ipv6_address_mode are not for IPv4", "ip_version")
        if mode and ra_mode and mode != ra_mode:
            return refused("ipv6_ra_mode and ipv6_address_mode must be equal", "ipv6_ra_mode")
        if gateway_ip and gateway_ip not in ("~", AUTOMATIC) and not is_address(gateway_ip):
            return refused(f"{gateway_ip!r} is no IP address", "gateway_ip")
        return None

    @override
    def body(self, desired: Desired) -> dict[str, Any]:
        body = super().body(desired)
        return {key: value for key, value in body.items() if key != "gateway_ip" or value != AUTOMATIC}

    @override
    def expected(self, name: str, desired: Desired) -> Any:
        """An empty list of pools leaves them to Neutron, which fills in the whole range of a new subnet."""
        value = super().expected(name, desired)
        return None if name == "allocation_pools" and not value else value

    @override
    def holds(self, name: str, how: Field, sent: Any, observed: Any) -> bool:
        """Whatever Neutron chose is what "auto" asks for."""
        return (name == "gateway_ip" and sent == AUTOMATIC) or super().holds(name, how, sent, observed)

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Neutron chooses a gateway and takes a segment once: Heat refuses these changes.

        A network has an address only once, so a subnet whose range its successor takes over goes first.
        """
        if "gateway_ip" in desired.changed and desired.properties.get("gateway_ip") == AUTOMATIC:
            return refused('"auto" is for new subnets: give the address', "gateway_ip")
        segment = (observed or {}).get("segment_id")
        if "segment" in desired.changed and segment is not None and desired.properties.get("segment") != segment:
            return refused("a subnet that is in a segment stays there", "segment")
        verdict = super().replacement(desired, recorded, observed)
        if isinstance(verdict, Replace) and observed and observed.get("network_id") == desired.properties["network"]:
            return Replace(verdict.why, delete_first=overlap(desired.properties.get("cidr"), observed.get("cidr")))
        return verdict
