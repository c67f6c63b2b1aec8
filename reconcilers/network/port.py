"""OS::Neutron::Port: a place on a network, with its addresses."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Outcome, Recorded, Replace, Request, Send
from reconcilers.network.neutron import BUILT, KEEP, TAGS, Neutron, addresses, fixed_ips, refused, unasked
from reconcilers.registry import register
from reconcilers.resource_type import Field, equivalent, same_name_fields

PORTS = "/ports"
PROFILE = "binding:profile"
IN_USE = ("compute:", "network:", "baremetal:", "trunk:")
"""How the owner of a port begins that a service has plugged in."""


@register
class Port(Neutron):
    """``device_id`` and ``device_owner`` are no drift: Nova writes them when it plugs the port in.

    A port that asks for an address or MAC address of its own is replaced by deleting it first, since no two ports can
    have those (Heat takes the address from the old port before it makes the new one); others get their successor first.
    """

    type = "OS::Neutron::Port"
    collection = PORTS
    key = "port"
    plural = "ports"
    sends_bulk = True
    ready = BUILT
    fields: ClassVar[Mapping[str, Field]] = {
        **same_name_fields("name", "admin_state_up", "binding:vnic_type"),
        "network": Field("network_id", update=False),
        "mac_address": Field("mac_address", decode=lambda mac: mac and mac.lower(), update=False),
        "fixed_ips": Field("fixed_ips", encode=fixed_ips, reset=KEEP),
        "allowed_address_pairs": Field("allowed_address_pairs", encode=addresses, reset=[]),
        "security_groups": Field("security_groups", encode=list, reset=KEEP),
        "device_id": Field("device_id", drift=False),
        "device_owner": Field("device_owner", drift=False),
        "dns_name": Field("dns_name", reset=""),
        "port_security_enabled": Field("port_security_enabled", reset=KEEP),
        "propagate_uplink_status": Field("propagate_uplink_status", reset=KEEP),
        "qos_policy": Field("qos_policy_id"),
        "tags": TAGS,
    }

    @override
    def conflict(self, given: Mapping[str, Any]) -> Failed | None:
        if given.get("fixed_ips") and given.get("no_fixed_ips"):
            return refused("give fixed_ips or no_fixed_ips, not both", "no_fixed_ips")
        return None

    @override
    def body(self, desired: Desired) -> dict[str, Any]:
        """Only ``no_fixed_ips`` makes a port without addresses: an empty list means nothing."""
        body = super().body(desired)
        if desired.properties.get("no_fixed_ips"):
            return {**body, "fixed_ips": []}
        return body if body.get("fixed_ips") else {key: value for key, value in body.items() if key != "fixed_ips"}

    @override
    def update(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome:
        """Security groups no longer given mean the project's default one, which has to be found."""
        if self.defaulted(desired) and "default_groups" not in observed:
            params = {"name": "default", "project_id": observed["project_id"], "fields": "id"}
            return Send(Request(self.service, "GET", "/security-groups", params=params), into="default_groups")
        return super().update(desired, recorded, observed)

    def defaulted(self, desired: Desired) -> bool:
        """Whether the security groups fall back to the default one."""
        return "security_groups" in desired.changed and desired.properties.get("security_groups") is None

    @override
    def update_body(self, desired: Desired, recorded: Recorded, observed: Any) -> dict[str, Any]:
        body = super().update_body(desired, recorded, observed)
        body.pop("fixed_ips", None)
        wanted = fixed_ips(desired.properties.get("fixed_ips"))
        if desired.properties.get("no_fixed_ips"):
            if "no_fixed_ips" in desired.changed and observed["fixed_ips"]:
                body["fixed_ips"] = []
        elif wanted and "fixed_ips" in desired.changed and unasked(wanted, observed["fixed_ips"]) != []:
            body["fixed_ips"] = wanted
        if self.defaulted(desired):
            default = [group["id"] for group in observed["default_groups"]["security_groups"]]
            if not equivalent(default, observed["security_groups"]):
                body["security_groups"] = default
        if str(observed.get("device_owner")).startswith(IN_USE):
            # An empty default must not pull the port out of a server.
            body = {key: value for key, value in body.items() if value or key not in ("device_id", "device_owner")}
        if isinstance(body.get(PROFILE), Mapping):
            # Neutron and its drivers keep words of their own in there.
            merged = {**(observed.get(PROFILE) or {}), **body[PROFILE]}
            body[PROFILE] = {key: value for key, value in merged.items() if value is not None}
        return body

    @override
    def holds(self, name: str, how: Field, sent: Any, observed: Mapping[str, Any]) -> bool:
        if name == "fixed_ips":
            extra = unasked(sent, observed["fixed_ips"])
            named = {wish.get("subnet_id") for wish in sent}
            # Addresses of subnets that nobody named may be there by themselves (SLAAC).
            return not sent or (extra is not None and not any(one["subnet_id"] in named for one in extra))
        if name == "allowed_address_pairs":
            own = {"mac_address": observed["mac_address"]}
            return equivalent(addresses(observed[how.api]), [{**own, **pair} for pair in sent])
        return super().holds(name, how, sent, observed)

    @override
    def specified(self, key: str, value: Any, observed: Mapping[str, Any]) -> bool:
        if key == PROFILE and isinstance(value, Mapping) and isinstance(observed.get(PROFILE), Mapping):
            return all(observed[PROFILE].get(word) == said for word, said in value.items())
        return super().specified(key, value, observed)

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        drifted = super().drift(desired, observed)
        if desired.properties.get("no_fixed_ips"):
            drifted = drifted - {"fixed_ips"} | ({"no_fixed_ips"} if observed["fixed_ips"] else set())
        return drifted

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        given = desired.properties
        verdict = super().replacement(desired, recorded, observed)
        if verdict is None and desired.changed and given.get("replacement_policy") == "REPLACE_ALWAYS":
            verdict = Replace(f"{min(desired.changed)} changed, and replacement_policy is REPLACE_ALWAYS")
        if isinstance(verdict, Replace):
            claimed = given.get("mac_address") or any(ip.get("ip_address") for ip in given.get("fixed_ips") or [])
            return Replace(verdict.why, delete_first=bool(claimed))
        return verdict

    # Attributes.

    @override
    def attribute_request(
        self,
        attribute: str,
        desired: Desired | None,
        recorded: Recorded,
        observed: Any,
    ) -> Request | Mapping[str, Request] | None:
        """The network and the subnets in full."""
        if attribute == "network":
            return Request("network", "GET", f"/networks/{observed['network_id']}")
        if attribute == "subnets" and observed["fixed_ips"]:
            ids = sorted({ip["subnet_id"] for ip in observed["fixed_ips"]})
            return Request("network", "GET", "/subnets", params={"id": ids})
        return None

    @override
    def read_attribute(self, attribute: str, body: Any, recorded: Recorded, observed: Any) -> Any:
        """One subnet for each fixed IP, in their order."""
        if attribute == "network":
            return body["network"]
        found = {subnet["id"]: subnet for subnet in body["subnets"]}
        return [found[ip["subnet_id"]] for ip in observed["fixed_ips"] if ip["subnet_id"] in found]

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        return {**super().attributes(desired, recorded, observed), "subnets": []} if observed else {}
