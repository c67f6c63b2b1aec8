"""What Neutron's types have in common: changes that send only what differs, tags, value_specs, agents, addresses.

Everything in Neutron has a description; it carries the ownership token, after the user's own text where the type has
such a property.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers import own_items
from reconcilers.fields import Field
from reconcilers.model import Desired, Failed, Fault, Outcome, Ready, Recorded, Request, Send
from reconcilers.normal_forms import address, loosely_equal
from reconcilers.resource_type import TOKEN, RestResource

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
        return own_items.tag(self.service, f"{self.path(recorded)}/tags", desired, recorded, observed, whole=True)

    @override
    def update_body(self, desired: Desired, recorded: Recorded, observed: Any) -> dict[str, Any]:
        """Value_specs go over all else, as in :meth:`body`."""
        specs = desired.properties.get("value_specs") or {}
        own = super().update_body(desired, recorded, observed)
        body = {key: value for key, value in own.items() if key not in specs}
        if "value_specs" in desired.changed:
            body |= {key: value for key, value in specs.items() if not self.specified(key, value, observed)}
        return self.stamp(body, recorded) if "description" in specs.keys() & body.keys() else body

    def specified(self, key: str, value: Any, observed: Mapping[str, Any]) -> bool:
        """Whether an entry of value_specs holds. Templates write numbers and booleans as text there."""
        return key in observed and loosely_equal(value, plain(observed[key]))

    @override
    def expected(self, name: str, desired: Desired) -> Any:
        """A name that the template does not give is anybody's, and value_specs go over all else."""
        value = desired.properties.get(name)
        specs = desired.properties.get("value_specs")
        return None if specs and self.fields[name].api in specs else value

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        drifted = super().drift(desired, observed)
        specs = desired.properties.get("value_specs")
        if not specs:
            return drifted
        astray = any(key in observed and not self.specified(key, value, observed) for key, value in specs.items())
        return drifted | {"value_specs"} if astray else drifted


TAGS = Field("tags", create=False, update=False, additive=True)
"""Tags have calls of their own."""


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
    served, left = matched(wanted, shown)
    return None if None in served else left


def matched(
    wanted: Iterable[Mapping[str, Any]], shown: Iterable[Mapping[str, Any]]
) -> tuple[list[dict[str, Any] | None], list[dict[str, Any]]]:
    """The fixed IP that serves each wish (None where there is none), and those that serve none.

    Fixed IPs are in the API's words and in their normal form. The wishes that say most choose first.
    """
    wishes, left = addresses(wanted), addresses(shown)
    served: list[dict[str, Any] | None] = [None] * len(wishes)
    for index in sorted(range(len(wishes)), key=lambda index: len(wishes[index]), reverse=True):
        found = next((item for item in left if wishes[index].items() <= item.items()), None)
        if found is not None:
            left.remove(found)
            served[index] = found
    return served, left
