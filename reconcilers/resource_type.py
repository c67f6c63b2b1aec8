"""What most resource types are made of: a declaration, and the ordinary life that follows from it.

A type is a subclass of :class:`RestResource` (something with its own id in a REST collection), :class:`Association` (a
relation between things that has no id of its own) or :class:`Local` (no cloud object at all), in a file of its own,
with the ``@register`` decorator. It says only what is particular; docs/adding-a-type.md walks through one.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from typing_extensions import override

from hot_translator import UNKNOWN
from reconcilers.contract import CONFIG_TEXT, ResourceType
from reconcilers.fields import KEEP, Field, same_name_fields
from reconcilers.model import Desired, Failed, Gone, Outcome, Ready, Recorded, Replace, Request, Send, Wait

__all__ = [
    "CONFIG_TEXT",
    "KEEP",
    "TOKEN",
    "UNDONE",
    "Association",
    "Field",
    "Local",
    "ResourceType",
    "RestResource",
    "same_name_fields",
]

TOKEN = "kiln:"
"""Prefix of the ownership token in a field that also holds the user's text."""


UNDONE = "undone"
"""The ``into`` of a Send that removes a relation. Its answer shows that nothing is left, so no look is needed."""


class RestResource(ResourceType):
    """Something with its own id in a REST collection: POST, wait for a status, PUT the changed fields, DELETE, gone."""

    collection: ClassVar[str]
    key: ClassVar[str] = ""
    """Envelope of one resource in bodies; empty: no envelope (Glance)."""
    fields: ClassVar[Mapping[str, Field]] = {}
    update_method: ClassVar[str] = "PUT"
    status_key: ClassVar[str] = "status"
    ready: ClassVar[frozenset[str]] = frozenset()
    """Statuses in which the resource is usable; empty: as soon as it exists."""
    failed: ClassVar[frozenset[str]] = frozenset({"ERROR", "error"})
    delete_is_final: ClassVar[bool] = True
    """The resource is gone when DELETE returns."""
    sends_bulk: ClassVar[bool] = False
    """One POST can create several, all or none, under the key of the list."""
    token_field: ClassVar[str] = "description"
    """Text field that carries the token; "metadata": a map that carries it."""
    token_field_limit: ClassVar[int] = 255
    """Characters that the text field takes."""
    shown: ClassVar[Mapping[str, str]] = {}
    """Attributes whose key in the API differs from their name."""

    def __init_subclass__(cls) -> None:
        """A collection lists itself unless the type says otherwise."""
        super().__init_subclass__()
        if not cls.listing and hasattr(cls, "collection"):
            cls.listing = cls.collection

    # The ordinary life.

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        if desired is None:
            return self.remove(recorded, observed)
        if observed is None:
            return self.create(desired, recorded)
        condition = self.condition(observed)
        if not isinstance(condition, Ready):
            return condition
        if desired.changed:
            return self.update(desired, recorded, observed)
        return condition

    def create(self, desired: Desired, recorded: Recorded) -> Outcome:
        """Create the resource."""
        body, later = self.stamped(self.body(desired), recorded)
        bulk_envelope = (self.key, self.plural) if self.sends_bulk else None
        request = self.request("POST", self.collection, self.wrap(body), bulk_envelope=bulk_envelope)
        return Send(request, applies=self.applied_by_create(desired) - later, creates=True)

    @override
    def applied_by_create(self, desired: Desired) -> frozenset[str]:
        """Fields with ``create=False`` follow in updates."""
        return desired.changed - {name for name, how in self.fields.items() if not how.create}

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """As the catalogue says, unless the resource has what the changed properties ask for."""
        if observed is not None:
            held = frozenset(
                name
                for name, how in self.fields.items()
                if name in desired.changed
                and how.drift
                and desired.properties.get(name) is not None
                and self.holds(name, how, how.encode(desired.properties[name]), observed)
            )
            desired = replace(desired, changed=desired.changed - held)
        return super().replacement(desired, recorded, observed)

    def update(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome:
        """Change differing properties in place, in one request."""
        body = self.update_body(desired, recorded, observed)
        if not body:
            return Ready(applies=desired.changed)
        request = self.request(self.update_method, self.path(recorded), self.wrap(body))
        return Send(request, applies=desired.changed)

    def remove(self, recorded: Recorded, observed: Any) -> Outcome:
        """Delete it, and wait until it is gone."""
        if observed is None:
            return Gone()
        if self.leaving(observed):
            return Wait("being deleted")
        request = self.request("DELETE", self.path(recorded), done=frozenset({404}))
        return Send(request, deletes=self.delete_is_final)

    @override
    def foresee(self, step: Send, recorded: Recorded, observed: Any) -> Any:
        """A creation or a change of the resource itself brings about what its body says."""
        if step.into or not isinstance(step.request.body, Mapping):
            return UNKNOWN
        sent = step.request.body.get(self.key) if self.key else step.request.body
        if not isinstance(sent, Mapping):
            return UNKNOWN
        if step.creates:
            status = {self.status_key: min(self.ready)} if self.ready else {}
            return {**sent, **status, "id": recorded.physical_id}
        return {**observed, **sent} if step.request.path == self.path(recorded) else UNKNOWN

    @override
    def current_value(self, name: str, observed: Any) -> Any:
        how = self.fields.get(name)
        if how is None or not how.drift or not isinstance(observed, Mapping) or how.api not in observed:
            return UNKNOWN
        return self.shown_value(name, how, observed)

    def condition(self, observed: Mapping[str, Any]) -> Ready | Wait | Failed:
        """The meaning of the resource's status."""
        status = observed.get(self.status_key)
        if status in self.failed:
            return Failed(self.failure(observed))
        if self.ready and status not in self.ready:
            return Wait(f"is {status}")
        return Ready()

    def failure(self, observed: Mapping[str, Any]) -> str:
        """The reason of the failure, for users."""
        return f"went to status {observed.get(self.status_key)}"

    def leaving(self, observed: Mapping[str, Any]) -> bool:
        """Whether the resource is being deleted."""
        return str(observed.get(self.status_key, "")).lower() in {"deleting", "deleted", "pending_delete"}

    # Bodies.

    def path(self, recorded: Recorded) -> str:
        """The path of the resource."""
        return f"{self.collection}/{recorded.physical_id}"

    def wrap(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The body in its envelope."""
        return {self.key: body} if self.key else body

    def body(self, desired: Desired) -> dict[str, Any]:
        """The fields of the creating request: those that have a value."""
        given = {
            how.api: how.encode(desired.properties[name])
            for name, how in self.fields.items()
            if how.create and desired.properties.get(name) is not None
        }
        if "name" in self.fields:
            given.setdefault(self.fields["name"].api, desired.physical_name)
        return given

    def update_body(self, desired: Desired, recorded: Recorded, observed: Any) -> dict[str, Any]:
        """The fields of the changing request: those that changed, can change, and do not hold yet.

        So a change that was carried out already, or that only says the same in other words, costs no call.
        """
        changed: dict[str, Any] = {}
        for name in sorted(desired.changed & self.fields.keys()):
            how = self.fields[name]
            value = desired.properties.get(name)
            if value is None and name == "name":
                value = desired.physical_name
            if not how.update or (value is None and how.reset is KEEP):
                continue
            sent = how.reset if value is None else how.encode(value)
            if not self.holds(name, how, sent, observed):
                changed[how.api] = sent
        if self.token_field == "description" and "description" in changed:
            changed = self.stamp(changed, recorded)
        return changed

    def holds(self, name: str, how: Field, sent: Any, observed: Mapping[str, Any]) -> bool:
        """Whether the resource has what a request with ``sent`` for this property would bring about."""
        schema = self.schema.properties.get(name)
        return how.api in observed and how.agrees(self.shown_value(name, how, observed), sent, schema)

    # The ownership token.

    def stamped(self, body: dict[str, Any], recorded: Recorded) -> tuple[dict[str, Any], frozenset[str]]:
        """The creating request's body with the token in it, and the properties that have to wait for that.

        A description that leaves no room for the token follows in an update, without it: the id is known by then.
        """
        marked = self.stamp(body, recorded)
        if self.token_field != "description" or self.owned(marked, recorded):
            return marked, frozenset()
        late = {name for name, how in self.fields.items() if how.api == "description"}
        late |= {"value_specs"} & self.schema.properties.keys()
        return self.stamp({**body, "description": ""}, recorded), frozenset(late)

    def stamp(self, body: dict[str, Any], recorded: Recorded) -> dict[str, Any]:
        """The body with the token in it, if there is room for it."""
        if not self.token_field:
            return body
        if self.token_field == "description":
            text = str(body.get("description") or "")
            marked = f"{text} {TOKEN}{recorded.token}".strip()
            return {**body, "description": marked if len(marked) <= self.token_field_limit else text}
        return {**body, self.token_field: {**(body.get(self.token_field) or {}), "kiln-token": recorded.token}}

    @override
    def claim(self, recorded: Recorded, observed: Any) -> Send | None:
        """A description keeps its text; where that leaves no room for the token, there is none."""
        if self.token_field != "description" or self.owned(observed, recorded):
            return None
        text = str(observed.get("description") or "")
        body = self.stamp({"description": text.rpartition(TOKEN)[0].rstrip() if TOKEN in text else text}, recorded)
        if not self.owned(body, recorded):
            return None
        return Send(self.request(self.update_method, self.path(recorded), self.wrap(body)))

    @override
    def owned(self, item: Mapping[str, Any], recorded: Recorded) -> bool:
        held = item.get(self.token_field)
        if isinstance(held, Mapping):
            return held.get("kiln-token") == recorded.token
        return isinstance(held, str) and held.endswith(TOKEN + recorded.token)

    @override
    def token_of(self, item: Mapping[str, Any]) -> str | None:
        held = item.get(self.token_field)
        if isinstance(held, Mapping):
            return held.get("kiln-token")
        return held.rpartition(TOKEN)[2] if isinstance(held, str) and TOKEN in held else None

    @override
    def find(self, recorded: Recorded) -> Request | None:
        return self.request("GET", self.listing, params=self.list_params)

    # Reading.

    @override
    def read(self, recorded: Recorded) -> Request:
        return self.request("GET", self.path(recorded))

    @override
    def extract(self, body: Any, recorded: Recorded) -> Any:
        if not isinstance(body, Mapping):
            return None
        found = body.get(self.key) if self.key else body
        return found if isinstance(found, Mapping) and "id" in found else None

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        """``show`` is the resource as the API gives it."""
        if observed is None:
            return {}
        return {
            **{name: observed.get(self.shown.get(name, name)) for name in self.schema.attributes if name != "show"},
            "show": observed,
        }

    @cached_property
    def drifting_fields(self) -> tuple[tuple[str, Field], ...]:
        """The fields whose values in the cloud are compared with the template's."""
        return tuple((name, how) for name, how in self.fields.items() if how.drift)

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        """What is in transition is not judged."""
        if not isinstance(self.condition(observed), Ready):
            return frozenset()
        return frozenset(
            name
            for name, how in self.drifting_fields
            if (expected := self.expected(name, desired)) is not None
            and how.api in observed
            and not self.holds(name, how, how.encode(expected), observed)
        )

    def expected(self, name: str, desired: Desired) -> Any:
        """The property's value as the cloud should show it, None if anything is fine.

        A name is ours even if not given.
        """
        value = desired.properties.get(name)
        return desired.physical_name if value is None and name == "name" else value

    def shown_value(self, name: str, how: Field, observed: Mapping[str, Any]) -> Any:
        """The property's value in the cloud, without the token."""
        value = how.decode(observed[how.api])
        if how.api == self.token_field and isinstance(value, str):
            return value.rpartition(TOKEN)[0].rstrip() if TOKEN in value else value
        if how.api == self.token_field and isinstance(value, Mapping):
            return {key: held for key, held in value.items() if key != "kiln-token"}
        return value


class Association(ResourceType):
    """A relation between existing resources.

    Its id is made of theirs, so it is known before the relation exists, and it needs no token. A subclass defines
    intent, identity, identify, read, extract, ``link`` and ``unlink``.
    """

    delete_first: ClassVar[bool] = True
    carries_token: ClassVar[bool] = False

    @override
    def imported_id(self, given: str, draft: Recorded) -> str:
        return self.identity(draft) or given

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        if desired is None:
            return Gone() if observed is None or UNDONE in observed else self.unlink(recorded, observed)
        if observed is None:
            return self.link(desired, recorded)
        return Ready(applies=desired.changed)

    @abstractmethod
    def link(self, desired: Desired, recorded: Recorded) -> Outcome:
        """Create the relation."""

    @abstractmethod
    def unlink(self, recorded: Recorded, observed: Any) -> Outcome:
        """Remove the relation."""


class Local(ResourceType):
    """A type without a cloud object. It is ready at once, and its attributes follow from its properties."""

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        return Gone() if desired is None else Ready(applies=desired.changed)

    @override
    def asked(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """No service reads them, so an empty text is a text."""
        return properties

    def identity(self, recorded: Recorded) -> str | None:
        """The physical name serves as the id."""
        return recorded.physical_name

    @override
    def read(self, recorded: Recorded) -> Request:
        """Never called, because there is no service."""
        raise LookupError(f"{recorded.type} has nothing in the cloud to read")
