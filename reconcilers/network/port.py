"""OS::Neutron::Port: a place on a network, with its addresses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Gone, Outcome, Ready, Recorded, Replace, Request, Send, Wait
from reconcilers.network import port_floating, port_replacement
from reconcilers.network.neutron import BUILT, TAGS, Neutron, fixed_ips, matched, refused, unasked
from reconcilers.registry import register
from reconcilers.resource_type import KEEP, Field, same_name_fields

PORTS = "/ports"
PROFILE = "binding:profile"
IN_USE = ("compute:", "network:", "baremetal:", "trunk:")
"""How the owner of a port begins that a service has plugged in."""
GIVEN_TO = "given_to"
"""In the record's data: owner and device that the template gave the port to, which no service knows of."""
DELETED = "deleted"
"""Key among what was read: the answer to the deletion."""
UNPLUGGED = "unplugged"
NOW = "now"
"""Key among what was read: the port as it is just before its deletion."""
DEFAULT_GROUPS = "default_groups"


@register
class Port(Neutron):
    """``device_id`` and ``device_owner`` are no drift: Nova writes them when it plugs the port in.

    A port is replaced by its successor first, unless both would have the same address or MAC address: see
    :mod:`reconcilers.network.port_replacement`.
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
        "mac_address": Field("mac_address", update=False),
        "fixed_ips": Field("fixed_ips", encode=fixed_ips, reset=KEEP),
        "allowed_address_pairs": Field("allowed_address_pairs", reset=[]),
        "security_groups": Field("security_groups", encode=list, reset=KEEP),
        "device_id": Field("device_id", drift=False, reset=""),
        "device_owner": Field("device_owner", drift=False, reset=""),
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
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return _given_to(desired)

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        outcome = super().step(desired, recorded, observed)
        if desired is None or observed is None or not isinstance(outcome, Ready):
            return outcome
        return port_floating.restore(desired, recorded, observed) or outcome

    @override
    def remove(self, recorded: Recorded, observed: Any) -> Outcome:
        """Neutron guards the ports of compute: see :meth:`_take_back` and :meth:`_unplug`."""
        outcome = super().remove(recorded, observed)
        if not isinstance(outcome, Send):
            return outcome
        if recorded.data.get(GIVEN_TO):
            return self._take_back(outcome, recorded, observed)
        if DELETED not in observed:
            return Send(replace(outcome.request, done=outcome.request.done | {403}), into=DELETED)
        refused = (observed[DELETED] or {}).get("NeutronError")
        return self._unplug(str(refused.get("message")), recorded, observed) if refused else Gone()

    def _read(self, recorded: Recorded) -> Send:
        return Send(Request(self.service, "GET", self.path(recorded), done=frozenset({404})), into=NOW)

    def _take_back(self, deletion: Send, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome:
        """A port that only the template gave to a device is taken back before it is deleted."""
        if NOW not in observed:
            return self._read(recorded)
        port = (observed[NOW] or {}).get("port") or {}
        if _holder(port) != recorded.data[GIVEN_TO] or "taken_back" in observed:
            return deletion
        body = {"port": {"device_owner": "", "device_id": ""}}
        request = Request(self.service, "PUT", self.path(recorded), body, done=frozenset({404}))
        return Send(request, into="taken_back")

    def _unplug(self, why: str, recorded: Recorded, observed: Mapping[str, Any]) -> Outcome:
        """The deletion did not succeed. A server that has the port lets it go, and then it is deleted again."""
        if NOW not in observed:
            return self._read(recorded)
        if UNPLUGGED in observed:
            return Wait("being unplugged")
        port = (observed[NOW] or {}).get("port")
        if not port:
            return Gone()
        if not str(port.get("device_owner")).startswith("compute:") or not port.get("device_id"):
            return Failed(why, Fault.INVALID)
        path = f"/servers/{port['device_id']}/os-interface/{recorded.physical_id}"
        return Send(Request("compute", "DELETE", path, done=frozenset({404})), into=UNPLUGGED)

    @override
    def update(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome:
        """Security groups no longer given mean the project's default one, which has to be found."""
        if self.defaulted(desired, observed) and DEFAULT_GROUPS not in observed:
            params = {"name": "default", "project_id": observed["project_id"], "fields": "id"}
            return Send(Request(self.service, "GET", "/security-groups", params=params), into=DEFAULT_GROUPS)
        release = port_floating.release(self.leaving_addresses(desired, observed), recorded, observed)
        outcome = release or super().update(desired, recorded, observed)
        note = _given_to(desired)
        if desired.changed & {"device_id", "device_owner"} and isinstance(outcome, Send) and not outcome.into and note:
            return replace(outcome, remember=note)
        return outcome

    def defaulted(self, desired: Desired, observed: Mapping[str, Any]) -> bool:
        """Whether the security groups fall back to the default one: not without port security, which they need."""
        given = desired.properties
        if given.get("security_groups") is not None or given.get("port_security_enabled") is False:
            return False
        secured = given.get("port_security_enabled") is True and observed.get("port_security_enabled") is False
        return "security_groups" in desired.changed or ("port_security_enabled" in desired.changed and secured)

    def leaving_addresses(self, desired: Desired, observed: Mapping[str, Any]) -> set[str]:
        """The addresses that the port loses by the change."""
        wanted = fixed_ips(desired.properties.get("fixed_ips"))
        if desired.properties.get("no_fixed_ips"):
            if "no_fixed_ips" not in desired.changed:
                return set()
            wanted = []
        elif not wanted or "fixed_ips" not in desired.changed:
            return set()
        return {ip["ip_address"] for ip in matched(wanted, observed["fixed_ips"])[1]}

    @override
    def update_body(self, desired: Desired, recorded: Recorded, observed: Any) -> dict[str, Any]:
        body = super().update_body(desired, recorded, observed)
        body.pop("fixed_ips", None)
        given = desired.properties
        wanted = fixed_ips(given.get("fixed_ips"))
        if given.get("no_fixed_ips"):
            if "no_fixed_ips" in desired.changed and observed["fixed_ips"]:
                body["fixed_ips"] = []
        elif wanted and "fixed_ips" in desired.changed and unasked(wanted, observed["fixed_ips"]) != []:
            # What stays is named by its address: Neutron would choose another one in the same subnet.
            served = matched(wanted, observed["fixed_ips"])[0]
            body["fixed_ips"] = [kept or wish for kept, wish in zip(served, wanted, strict=True)]
        if self.defaulted(desired, observed):
            default = [group["id"] for group in observed[DEFAULT_GROUPS]["security_groups"]]
            if set(default) != set(observed["security_groups"]):
                body["security_groups"] = default
        if given.get("port_security_enabled") is False and "port_security_enabled" in desired.changed:
            # Neutron refuses to switch it off while the port has any of these.
            alone = [key for key in ("security_groups", "allowed_address_pairs") if not given.get(key)]
            body |= {key: [] for key in alone if observed.get(key)}
        if _held(recorded, observed):
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
            # Neutron gives the port's own MAC address to pairs without one.
            own = {"mac_address": observed["mac_address"]}
            sent = [{**own, **pair, **({} if pair.get("mac_address") else own)} for pair in sent or []]
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
        if isinstance(verdict, Replace) and observed is not None:
            held = _held(recorded, observed)
            return port_replacement.replacement(verdict.why, desired, recorded, observed, held=held)
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


def _holder(port: Mapping[str, Any]) -> str:
    """Whose the port is."""
    return f"{port.get('device_owner') or ''} {port.get('device_id') or ''}"


def _held(recorded: Recorded, port: Mapping[str, Any]) -> bool:
    """Whether a service has plugged the port in, and not only the template says so."""
    return str(port.get("device_owner")).startswith(IN_USE) and _holder(port) != recorded.data.get(GIVEN_TO)


def _given_to(desired: Desired) -> dict[str, str]:
    """Whom the template gives the port to, if it gives it to compute or another service."""
    holder = _holder(desired.properties)
    return {GIVEN_TO: holder} if holder.startswith(IN_USE) else {}
