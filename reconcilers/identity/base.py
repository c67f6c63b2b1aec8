"""Common parts of Keystone's types: PATCH for updates, and relations that consist of a path only."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Outcome, Ready, Recorded, Request, Send
from reconcilers.resource_type import Field, RestResource

DOMAIN = {"domain": Field("domain_id", drift=False)}
"""The domain that something belongs to. Heat's schema lets it change, Keystone refuses that."""


class Keystone(RestResource):
    """A resource of the v3 identity API."""

    service = "identity"
    update_method = "PATCH"


# Role assignments and group memberships: PUT of a path makes one, DELETE ends it, and nothing else is known of it.
# They are written as that path with "{}" for the holder ("users/<id>" or "groups/<id>").

ROLES = "roles"
GROUPS = "groups"


def grants(roles: Iterable[Mapping[str, Any]] | None) -> frozenset[str]:
    """The paths of a ``roles`` property: a role in a project or in a domain. What :func:`refused` refuses has none."""
    return frozenset(
        f"/{kind}s/{one[kind]}/{{}}/roles/{one['role']}"
        for one in roles or ()
        for kind in ("project", "domain")
        if one.get(kind) is not None
    )


def memberships(groups: Iterable[str] | None) -> frozenset[str]:
    """The paths of a ``groups`` property."""
    return frozenset(f"/groups/{group}/{{}}" for group in groups or ())


def refused(roles: Iterable[Mapping[str, Any]] | None) -> Failed | None:
    """Why a ``roles`` property cannot be, in Heat's words: each role is for a project or for a domain."""
    for index, one in enumerate(roles or ()):
        both = one.get("project") is not None and one.get("domain") is not None
        if both:
            reason = "Cannot define the following properties at the same time: project, domain."
            return Failed(reason, Fault.INVALID, f"roles[{index}]")
        if one.get("project") is None and one.get("domain") is None:
            reason = f"Either project or domain must be specified for role {one['role']}"
            return Failed(reason, Fault.INVALID, f"roles[{index}]")
    return None


def held_roles(body: Mapping[str, Any]) -> frozenset[str]:
    """The paths of the direct assignments in an answer of /role_assignments: not inherited, not of the system."""
    found = set()
    for item in body.get("role_assignments") or ():
        scope = item.get("scope") or {}
        if "OS-INHERIT:inherited_to" in scope:
            continue
        for kind in ("project", "domain"):
            if kind in scope:
                found.add(f"/{kind}s/{scope[kind]['id']}/{{}}/roles/{item['role']['id']}")
    return frozenset(found)


def read_roles(holder: str) -> Request:
    """The assignments of ``users/<id>`` or ``groups/<id>``."""
    kind, _, identity = holder.partition("/")
    return Request("identity", "GET", "/role_assignments", params={f"{kind[:-1]}.id": identity})


def recall(recorded: Recorded, name: str) -> frozenset[str]:
    """The relations that this resource made, or was about to make."""
    return frozenset(json.loads(recorded.data.get(name, "[]")))


def noted(relations: Iterable[str]) -> str:
    """Relations as the record holds them."""
    return json.dumps(sorted(relations))


@dataclass(frozen=True, slots=True)
class Relations:
    """How far the relations of one holder and of one kind are from those wanted.

    ``held`` are those there, whoever made them; ``known`` those that this resource made: no other one is ever ended,
    since another resource, or somebody else, may have made it. ``seen`` is the observed resource, in which those that
    were dealt with since the last look are keys.
    """

    name: str
    holder: str
    wanted: frozenset[str]
    held: frozenset[str]
    known: frozenset[str]
    seen: Mapping[str, Any]

    def advance(self, again: Request) -> Send | None:
        """The next call, or None when all is as wanted. ``again`` is the read that shows the relations."""
        missing = self.wanted - self.held - self.seen.keys()
        if missing:
            note = {} if self.wanted <= self.known else {self.name: noted(self.known | self.wanted)}
            return self._send("PUT", min(missing), note)
        ended = self.end()
        if ended is None and self.known != self.wanted:
            # Only now is it certain that what is no longer wanted is gone, so only now may it be forgotten.
            return Send(again, into=self.name, remember={self.name: noted(self.wanted)})
        return ended

    def end(self) -> Send | None:
        """The call that ends a relation which is no longer wanted."""
        surplus = (self.known & self.held) - self.wanted - self.seen.keys()
        return self._send("DELETE", min(surplus), {}) if surplus else None

    def _send(self, method: str, relation: str, note: Mapping[str, str]) -> Send:
        request = Request(
            "identity", method, relation.replace("{}", self.holder), done=frozenset({404} if method == "DELETE" else ())
        )
        return Send(request, into=relation, remember=note)


class Holder(Keystone):
    """A user or a group: a resource with relations among its properties."""

    relations: ClassVar[tuple[str, ...]] = (ROLES,)

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {name: noted(self.wanted(name, desired)) for name in self.relations}

    def wanted(self, name: str, desired: Desired) -> frozenset[str]:
        """The relations that a property asks for."""
        value = desired.properties.get(name)
        return grants(value) if name == ROLES else memberships(value)

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        problem = refused(desired.properties.get(ROLES)) if desired is not None else None
        return problem or super().step(desired, recorded, observed)

    @override
    def applied_by_create(self, desired: Desired) -> frozenset[str]:
        """Relations can only follow."""
        return super().applied_by_create(desired) - set(self.relations)

    def update(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome:
        """First the resource itself, then its relations one by one."""
        own = super().update(replace(desired, changed=desired.changed - set(self.relations)), recorded, observed)
        if isinstance(own, Send):
            return own
        for name in self.relations:
            if name in desired.changed:
                send = self.relate(name, desired, recorded, observed)
                if send is not None:
                    return send
        return Ready(applies=desired.changed)

    def relate(self, name: str, desired: Desired, recorded: Recorded, observed: Mapping[str, Any]) -> Send | None:
        """The next call for the relations of one property."""
        path = self.path(recorded)
        read = read_roles(path[1:]) if name == ROLES else Request("identity", "GET", f"{path}/groups")
        if name not in observed:
            return Send(read, into=name)
        shown = observed[name]
        held = held_roles(shown) if name == ROLES else memberships(group["id"] for group in shown["groups"])
        relations = Relations(name, path[1:], self.wanted(name, desired), held, recall(recorded, name), observed)
        return relations.advance(read)
