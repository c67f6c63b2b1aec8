"""What Neutron's types have in common: changes that send only what differs, tags, value_specs, agents, addresses.

Everything in Neutron has a description; it carries the ownership token, after the user's own text where the type has
such a property.
"""

import ipaddress
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Outcome, Ready, Recorded, Request, Send
from reconcilers.resource_type import TOKEN, Field, RestResource, equivalent

KEEP = object()
"""As a field's ``reset``: what the template no longer gives stays as it is (Neutron has no word for its default)."""

TAGGING = "tagging"
"""Where the answer to the call that sets tags is seen: ``{"tags": [...]}``."""

BUILT = frozenset({"ACTIVE", "DOWN"})
"""Statuses in which Heat takes a network, port or router for built: DOWN only says that nothing is plugged in."""


class Neutron(RestResource):
    """A Neutron resource. Field tables name what is particular; ``extras`` is for what needs calls of its own."""

    service: ClassVar[str] = "network"
    deletes_without_read: ClassVar[bool] = True
    failed: ClassVar[frozenset[str]] = frozenset({"ERROR", "DEGRADED"})

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        if desired is not None and (observed is None or desired.changed):
            refused = self.conflict(desired.properties)
            if refused is not None:
                return refused
        return super().step(desired, recorded, observed)

    def conflict(self, given: Mapping[str, Any]) -> Failed | None:
        """Why the properties cannot stand together, where Heat refuses them and Neutron would not say it as well."""
        return None

    @override
    def body(self, desired: Desired) -> dict[str, Any]:
        """Value_specs go into the request as they are, over all else, as in Heat."""
        return {**super().body(desired), **(desired.properties.get("value_specs") or {})}

    @override
    def update(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome:
        """First the fields, in one request, then what needs calls of its own."""
        body = self.update_body(desired, recorded, observed)
        if not body:
            return self.extras(desired, recorded, observed) or Ready(applies=desired.changed)
        request = Request(self.service, "PUT", self.path(recorded), self.wrap(body))
        return Send(request, applies=self.applied_by_create(desired))

    def extras(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome | None:
        """The next call beyond the resource's own fields; None if there is none."""
        if "tags" not in desired.changed:
            return None
        tags = list(desired.properties.get("tags") or [])
        if set(tags) == set(observed.get(TAGGING, observed).get("tags") or []):
            return None
        return Send(Request(self.service, "PUT", f"{self.path(recorded)}/tags", {"tags": tags}), into=TAGGING)

    def update_body(self, desired: Desired, recorded: Recorded, observed: Any) -> dict[str, Any]:
        """The changed fields that do not hold yet: so a change that was carried out already costs no call."""
        body: dict[str, Any] = {}
        specs = desired.properties.get("value_specs") or {}
        for name in sorted(desired.changed & self.fields.keys()):
            how = self.fields[name]
            value = desired.properties.get(name)
            if value is None and name == "name":
                value = desired.physical_name
            if not how.update or how.api in specs or (value is None and how.reset is KEEP):
                continue
            sent = how.reset if value is None else how.encode(value)
            if not self.holds(name, how, sent, observed):
                body[how.api] = sent
        if "value_specs" in desired.changed:
            body |= {key: value for key, value in specs.items() if not self.specified(key, value, observed)}
        return self.stamp(body, recorded) if "description" in body else body

    def holds(self, name: str, how: Field, sent: Any, observed: Mapping[str, Any]) -> bool:
        """Whether the resource has what a request with ``sent`` for this property would bring about."""
        return how.api in observed and equivalent(self.shown_value(name, how, observed), how.decode(sent))

    def specified(self, key: str, value: Any, observed: Mapping[str, Any]) -> bool:
        """Whether an entry of value_specs holds. Templates write numbers and booleans as text there."""
        return key in observed and _loose(value) == _loose(plain(observed[key]))

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        given = desired.properties
        specs = given.get("value_specs") or {}
        drifted = {
            name
            for name, how in self.fields.items()
            if how.drift
            and how.api in observed
            and how.api not in specs
            and given.get(name) is not None
            and not self.holds(name, how, how.encode(given[name]), observed)
        }
        if any(key in observed and not self.specified(key, value, observed) for key, value in specs.items()):
            drifted.add("value_specs")
        return frozenset(drifted)


TAGS = Field("tags", decode=lambda tags: sorted(tags or []), create=False, update=False)
"""Tags have a call of their own."""


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents that host a resource: admins may choose them. ``remove_first`` where only one agent may host it."""

    name: str
    listed: str
    hosted: str
    key: str
    remove_first: bool

    def move(self, wanted: Collection[str], path: str, recorded: Recorded, observed: Any) -> Send | None:
        """The next call towards exactly these agents; None when it is so."""
        if self.name not in observed:
            # A cloud without the scheduler's extension has no agents to remove.
            done = frozenset[int]() if wanted else frozenset({404})
            return Send(Request("network", "GET", f"{path}/{self.listed}", done=done), into=self.name)
        hosting = {agent["id"] for agent in (observed[self.name] or {}).get("agents") or []}
        physical_id = str(recorded.physical_id)
        add = [
            Send(
                Request(
                    "network", "POST", f"/agents/{agent}/{self.hosted}", {self.key: physical_id}, done=frozenset({409})
                )
            )
            for agent in sorted(set(wanted) - hosting)
        ]
        remove = [
            Send(
                Request("network", "DELETE", f"/agents/{agent}/{self.hosted}/{physical_id}", done=frozenset({404, 409}))
            )
            for agent in sorted(hosting - set(wanted))
        ]
        calls = [*remove, *add] if self.remove_first else [*add, *remove]
        return calls[0] if calls else None


def refused(reason: str, name: str) -> Failed:
    """A template's mistake in this property."""
    return Failed(reason, Fault.INVALID, name)


def plain(value: Any) -> Any:
    """Text without the ownership token; other values as they are."""
    return value.rpartition(TOKEN)[0].rstrip() if isinstance(value, str) and TOKEN in value else value


def address(text: Any) -> Any:
    """An IP address or CIDR as Neutron writes it; what is neither stays as it is."""
    return (
        _read(ipaddress.ip_address, text) or _read(lambda cidr: ipaddress.ip_network(cidr, strict=False), text) or text
    )


def is_address(text: str) -> bool:
    """Whether it is one IP address."""
    return _read(ipaddress.ip_address, text) is not None


def addresses(items: Any) -> list[Any]:
    """A list of addresses, or of maps with addresses in them, as Neutron writes them and without what is not given."""
    return [
        {key: address(value) for key, value in item.items() if value not in (None, "")}
        if isinstance(item, Mapping)
        else address(item)
        for item in items or []
    ]


def fixed_ips(items: Any) -> list[dict[str, Any]]:
    """The property's ``{subnet, ip_address}`` maps in the API's words, without what is not given."""
    words = {"subnet": "subnet_id"}
    return [{words.get(key, key): value for key, value in item.items() if value} for item in items or []]


def unasked(wanted: Iterable[Mapping[str, Any]], shown: Iterable[Mapping[str, Any]]) -> list[Any] | None:
    """The fixed IPs that are there beyond the wanted ones; None if a wanted one is missing. Each fulfils one wish."""
    left = addresses(shown)
    for wish in sorted(addresses(wanted), key=len, reverse=True):
        found = next((item for item in left if wish.items() <= item.items()), None)
        if found is None:
            return None
        left.remove(found)
    return left


def _read(reader: Callable[[Any], Any], text: Any) -> str | None:
    if not isinstance(text, str):
        return None
    try:
        return str(reader(text))
    except ValueError:
        return None


def _loose(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _loose(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return sorted((_loose(held) for held in value), key=repr)
    return str(value).lower()
