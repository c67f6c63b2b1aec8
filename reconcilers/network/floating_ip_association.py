"""OS::Neutron::FloatingIPAssociation: points a floating IP at a port."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from typing_extensions import override

from reconcilers.model import Desired, Failed, Gone, Outcome, Ready, Recorded, Replace, Request, Send
from reconcilers.network.floating_ip import FLOATING_IPS
from reconcilers.normal_forms import address
from reconcilers.registry import register
from reconcilers.resource_type import UNDONE, Association

NOW = "now"
"""Key among what was read: the floating IP as it is just before it is taken from the port."""


@register
class FloatingIPAssociation(Association):
    """Its id is ``floating IP:port``; in the cloud it is a field of the floating IP.

    To point the floating IP at another port is one call that moves it: the association is replaced, and the old one
    finds nothing of its own to undo. Another floating IP can have the port only when the old one has let go. Heat calls
    both an update; the calls are the same.
    """

    type = "OS::Neutron::FloatingIPAssociation"
    service = "network"
    listing = FLOATING_IPS
    plural = "floatingips"

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {"floatingip": str(desired.properties["floatingip_id"]), "port": str(desired.properties["port_id"])}

    @override
    def identity(self, recorded: Recorded) -> str:
        return f"{recorded.data['floatingip']}:{recorded.data['port']}"

    def identify(self, item: Mapping[str, Any]) -> Iterable[str]:
        """A floating IP stands for its association, if it has one."""
        return (f"{item['id']}:{item['port_id']}",) if item.get("port_id") else ()

    @override
    def read(self, recorded: Recorded) -> Request:
        return Request(self.service, "GET", f"{FLOATING_IPS}/{recorded.data['floatingip']}")

    def extract(self, body: Any, recorded: Recorded) -> Any:
        """The floating IP, if it points at our port."""
        item = body.get("floatingip") if isinstance(body, Mapping) else None
        return item if item and self.identity(recorded) in self.identify(item) else None

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        """Of several addresses of the port another one can be chosen."""
        if desired is not None and observed is not None and "fixed_ip_address" in desired.changed:
            return Ready(applies=desired.changed) if self.aimed(desired, observed) else self.link(desired, recorded)
        return super().step(desired, recorded, observed)

    def aimed(self, desired: Desired, observed: Any) -> bool:
        """Whether the floating IP points at the asked address of the port."""
        wanted = desired.properties.get("fixed_ip_address")
        return not wanted or address(wanted) == address(observed.get("fixed_ip_address"))

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        return frozenset() if self.aimed(desired, observed) else frozenset({"fixed_ip_address"})

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        if "floatingip_id" in desired.changed:
            return Replace("floatingip_id changed", delete_first=True)
        return Replace("port_id changed") if "port_id" in desired.changed else None

    @override
    def link(self, desired: Desired, recorded: Recorded) -> Outcome:
        wanted = desired.properties.get("fixed_ip_address")
        target = {"port_id": recorded.data["port"], **({"fixed_ip_address": wanted} if wanted else {})}
        return Send(self.call(target, recorded), applies=desired.changed)

    @override
    def unlink(self, recorded: Recorded, observed: Any) -> Outcome:
        """Only what still holds: another association may have moved the floating IP a moment ago."""
        if NOW not in observed:
            return Send(replace(self.read(recorded), done=frozenset({404})), into=NOW)
        if self.extract(observed[NOW], recorded) is None:
            return Gone()
        return Send(self.call({"port_id": None}, recorded, 404), into=UNDONE)

    def call(self, target: Mapping[str, Any], recorded: Recorded, *done: int) -> Request:
        """The change of what the floating IP points at."""
        path = f"{FLOATING_IPS}/{recorded.data['floatingip']}"
        return Request(self.service, "PUT", path, {"floatingip": target}, done=frozenset(done))
