"""OS::Nova::FloatingIPAssociation: a floating IP pointed at a server's first port."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Gone, Outcome, Ready, Recorded, Replace, Request, Send
from reconcilers.registry import register
from reconcilers.resource_type import ResourceType

PORTS = "ports"
"""Key among what was read: the server's ports."""
NOW = "now"
"""The floating IP as it is just before it is taken from the server."""
FOUND = "found"
"""The floating IP that has the address that the template gives."""


@register
class FloatingIPAssociation(ResourceType):
    """What is observed is the floating IP itself; whose port it points at tells whether the association is there."""

    type = "OS::Nova::FloatingIPAssociation"
    service = "network"
    listing = "/floatingips"
    plural = "floatingips"

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {"floating_ip": desired.properties["floating_ip"], "server": desired.properties["server_id"]}

    def identity(self, recorded: Recorded) -> str | None:
        """The floating IP's id, or its address."""
        return recorded.data.get("floating_ip")

    @override
    def reference(self, recorded: Recorded, attributes: Mapping[str, Any]) -> Any:
        """Heat gives the physical name."""
        return recorded.physical_name

    @override
    def imported_id(self, given: str, draft: Recorded) -> str:
        return self.identity(draft) or given

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        seen = observed or {}
        server = recorded.data.get("server", "")
        if desired is None:
            return self.unlink(recorded, seen) if self._points_at(server, seen) else Gone()
        if self._points_at(server, seen):
            return Ready(applies=desired.changed)
        if "id" not in seen and FOUND not in seen and _is_address(recorded.data["floating_ip"]):
            return Send(self.read(recorded), into=FOUND)
        if PORTS not in seen:
            params = {"device_id": server, "fields": ["id", "fixed_ips"]}
            return Send(Request(self.service, "GET", "/ports", params=params), into=PORTS)
        return self._point(desired, recorded, seen)

    def _point(self, desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Outcome:
        ports = seen[PORTS]["ports"]
        if seen.get("port_id") in {port["id"] for port in ports}:
            return Ready(applies=desired.changed)
        target = _first_address(ports)
        if target is None:
            return Failed(
                f"server {recorded.data['server']} has no port with an IPv4 address", Fault.CONFLICT, "server_id"
            )
        given = recorded.data["floating_ip"]
        held = seen if "id" in seen else self.extract(seen[FOUND], recorded) if FOUND in seen else {"id": given}
        if held is None:
            return Failed(f"there is no floating IP {given}", Fault.INVALID, "floating_ip")
        request = Request(self.service, "PUT", f"/floatingips/{held['id']}", {"floatingip": target})
        return Send(request, applies=desired.given, creates=True)

    def unlink(self, recorded: Recorded, observed: Any) -> Outcome:
        """Take it from the server, if it still is there: it may have been pointed elsewhere a moment ago."""
        if NOW not in observed:
            read = Request(self.service, "GET", f"/floatingips/{observed['id']}", done=frozenset({404}))
            return Send(read, into=NOW)
        now = (observed[NOW] or {}).get("floatingip") or {}
        if not self._points_at(recorded.data.get("server", ""), now):
            return Gone()
        body = {"floatingip": {"port_id": None}}
        return Send(Request(self.service, "PUT", f"/floatingips/{observed['id']}", body, done=frozenset({404})))

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Another server or floating IP is another association; the old one goes first."""
        ends = {"floating_ip": "floating_ip", "server": "server_id"}
        moved = [name for end, name in ends.items() if recorded.data.get(end) != desired.properties[name]]
        return Replace(f"{moved[0]} changed", delete_first=True) if moved else None

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        astray = not self._points_at(desired.properties["server_id"], observed)
        return frozenset({"server_id"}) if astray else frozenset()

    def _points_at(self, server: str, floating: Mapping[str, Any]) -> bool:
        """Whether the floating IP is the server's. A Neutron that does not show the port's device is believed."""
        if not floating.get("port_id"):
            return False
        details = floating.get("port_details")
        return details is None or details.get("device_id") == server

    # Reading.

    @override
    def identify(self, item: Mapping[str, Any]) -> Iterable[str]:
        return (str(item["id"]), str(item["floating_ip_address"]))

    @override
    def read(self, recorded: Recorded) -> Request:
        given = recorded.data["floating_ip"]
        key = "floating_ip_address" if _is_address(given) else "id"
        return Request(self.service, "GET", self.listing, params={key: given})

    @override
    def extract(self, body: Any, recorded: Recorded) -> Any:
        if not isinstance(body, Mapping):
            return None
        return body.get("floatingip") or next(iter(body.get(self.plural) or ()), None)


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _first_address(ports: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """The first port that has an IPv4 address, as Heat picks it."""
    for port in ports:
        for fixed in port.get("fixed_ips") or ():
            if ipaddress.ip_address(fixed["ip_address"]).version == 4:
                return {"port_id": port["id"], "fixed_ip_address": fixed["ip_address"]}
    return None
