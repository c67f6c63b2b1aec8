"""What most resource types are made of: a declaration, and the ordinary life that follows from it.

A type is a subclass of :class:`RestResource` (something with its own id in a REST collection), :class:`Association` (a
relation between things that has no id of its own) or :class:`Local` (no cloud object at all), in a file of its own,
with the ``@register`` decorator. It says only what is particular; docs/adding-a-type.md walks through one.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from hot_translator import catalogue
from reconcilers.fields import KEEP, Field, same_name_fields
from reconcilers.model import Desired, Failed, Fault, Gone, Outcome, Ready, Recorded, Replace, Request, Send, Wait
from reconcilers.normal_forms import given

__all__ = [
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


CONFIG_TEXT = "heat.config"
"""Kind of local look-up: the id of a software configuration of the Stack is replaced by its text."""

UNDONE = "undone"
"""The ``into`` of a Send that removes a relation. Its answer shows that nothing is left, so no look is needed."""


class ResourceType(ABC):
    """The contract between a type and the engine. Every method is pure."""

    type: ClassVar[str]
    service: ClassVar[str] = ""
    """The SDK's name of the service; empty: no cloud object."""
    delete_first: ClassVar[bool] = False
    """A replacement deletes the old resource first, because both would need the same name, address or link."""
    dies_with: ClassVar[str] = ""
    """Key in the record's data with the id of a parent whose deletion includes this resource, without a call."""
    local_lookups: ClassVar[Mapping[str, str]] = {}
    """Paths of properties (``parts[].config``) that may hold the id of a value inside the Stack, with its kind."""
    provides: ClassVar[Mapping[str, str]] = {}
    """Kinds of values inside the Stack that the resource's id stands for, with the attribute that holds the value."""
    deletes_without_read: ClassVar[bool] = False
    """The same request deletes it in every state. If it does not exist, the answer says so."""
    patience: ClassVar[float] = math.inf
    """Seconds after which a wait for the cloud counts as a failure, and is reported as one."""
    carries_token: ClassVar[bool] = True
    """The resource carries its ownership token. If it cannot, only a record proves that the Stack created it."""
    empty_counts: ClassVar[frozenset[str]] = frozenset()
    """Properties in which an empty text is a value (no gateway) and not the absence of one."""

    secret_attributes: ClassVar[frozenset[str]] = frozenset()
    """Attributes that no message may show, though an output may, besides those that the catalogue marks."""

    @property
    def schema(self) -> catalogue.TypeSchema:
        """The catalogue entry: properties, attributes, and the effect of updates."""
        found = catalogue.lookup(self.type)
        if found is None:
            raise LookupError(f"{self.type} has no catalogue entry")
        return found

    def asked(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """The properties as the type shall see them: an empty text counts as not given, at every depth.

        So do Heat's clients; see :func:`reconcilers.normal_forms.given`.
        """
        return {
            name: value if name in self.empty_counts else self._asked(name, value) for name, value in properties.items()
        }

    def _asked(self, name: str, value: Any) -> Any:
        schema = self.schema.properties.get(name)
        if value == "" and schema is not None and schema.default:
            return schema.default
        return given(value, schema)

    def intent(self, desired: Desired) -> Mapping[str, str]:
        """Data that a deletion needs besides the id. It is stored before the first call."""
        return {}

    def identity(self, recorded: Recorded) -> str | None:
        """The physical id, if it is known before the resource exists (chosen by us, or made of other ids)."""
        return None

    @abstractmethod
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        """The next step. ``desired`` is None for a deletion; ``observed`` is None if the resource does not exist."""

    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Whether the change needs a new resource, or is refused. The default follows the catalogue."""
        for name in sorted(desired.changed):
            how = self.schema.update_of(name)
            if how == "refuse":
                return Failed(f"{name} cannot be changed once the resource exists", Fault.INVALID, name)
            if how == "replace":
                return Replace(f"{name} changed", delete_first=self.delete_first)
        return None

    def mend(self, recorded: Recorded, observed: Any) -> Send | None:
        """A request that may repair a resource in ERROR before it is recreated; None if there is none, or it was tried.

        Its ``remember`` has to record that it was tried.
        """
        return None

    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        """Values for get_attr, except those that cost a call: :meth:`attribute_request`."""
        return {}

    def attribute_request(
        self,
        attribute: str,
        desired: Desired | None,
        recorded: Recorded,
        observed: Any,
    ) -> Request | Mapping[str, Request] | None:
        """The read, or reads, that an attribute needs besides the resource. Sent only if something refers to it."""
        return None

    def read_attribute(self, attribute: str, body: Any, recorded: Recorded, observed: Any) -> Any:
        """The attribute's value from the answer to its request, or from a map of answers to several requests."""
        return body

    def reference(self, recorded: Recorded, attributes: Mapping[str, Any]) -> Any:
        """The value of get_resource."""
        return recorded.physical_id

    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        """Properties of the template that have another value in the cloud."""
        return frozenset()

    # How the engine reads it.

    listing: ClassVar[str] = ""
    """Path of the bulk list that shows this resource with all that step needs."""
    list_params: ClassVar[Mapping[str, Any]] = {}
    plural: ClassVar[str] = ""
    """Key of the list in its answer."""
    listed_below: ClassVar["ResourceType | None"] = None
    """Where no list has all of the kind: the type that they are below. ``listing`` has ``{id}`` for the id of one, and
    an item of that type's list shows under ``plural`` whether something is below it.
    """
    microversion: ClassVar[str | None] = None
    """Microversion of reads. Other requests name their own."""

    @property
    def list_key(self) -> tuple[Any, ...]:
        """Types with the same key share a bulk list."""
        return (self.service, self.listing, tuple(sorted(self.list_params.items())), self.microversion)

    def identify(self, item: Mapping[str, Any]) -> Iterable[str]:
        """The physical ids of this item of the bulk list."""
        return (str(item["id"]),)

    @abstractmethod
    def read(self, recorded: Recorded) -> Request:
        """The decisive read of one resource.

        404, or an answer in which :meth:`extract` finds nothing, means that it does not exist.
        """

    def extract(self, body: Any, recorded: Recorded) -> Any:
        """The resource in the answer to :meth:`read`, or to a write that returns it; None if it is not there."""
        return body

    def find(self, recorded: Recorded) -> Request | None:
        """The read that finds a resource by its token, after an unfinished creation (see :meth:`owned`)."""
        return None

    def owned(self, item: Mapping[str, Any], recorded: Recorded) -> bool:
        """Whether this item is the resource of the record: whether it carries the token."""
        return False

    def is_ours(self, observed: Any, recorded: Recorded) -> bool:
        """Whether what exists under a record's id is what the Stack made. To be asked before it is deleted: a record
        may have been written by somebody else, or its id may stand for something new.

        It carries the token. Of a type that cannot carry one the record alone is the proof.
        """
        return not self.carries_token or (isinstance(observed, Mapping) and self.owned(observed, recorded))

    def token_of(self, item: Mapping[str, Any]) -> str | None:
        """The token of an item of a list; None if it has none, or does not show it as such."""
        return None


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
        request = Request(
            self.service,
            "POST",
            self.collection,
            self.wrap(body),
            microversion=self.microversion,
            bulk_envelope=bulk_envelope,
        )
        return Send(request, applies=self.applied_by_create(desired) - later, creates=True)

    def applied_by_create(self, desired: Desired) -> frozenset[str]:
        """The properties that the creating request carries; the others follow in updates."""
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
        request = Request(
            self.service, self.update_method, self.path(recorded), self.wrap(body), microversion=self.microversion
        )
        return Send(request, applies=desired.changed)

    def remove(self, recorded: Recorded, observed: Any) -> Outcome:
        """Delete it, and wait until it is gone."""
        if observed is None:
            return Gone()
        if self.leaving(observed):
            return Wait("being deleted")
        request = Request(
            self.service, "DELETE", self.path(recorded), done=frozenset({404}), microversion=self.microversion
        )
        return Send(request, deletes=self.delete_is_final)

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
        return Request(self.service, "GET", self.listing, params=self.list_params, microversion=self.microversion)

    # Reading.

    @override
    def read(self, recorded: Recorded) -> Request:
        return Request(self.service, "GET", self.path(recorded), microversion=self.microversion)

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

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        """What is in transition is not judged."""
        if not isinstance(self.condition(observed), Ready):
            return frozenset()
        return frozenset(
            name
            for name, how in self.fields.items()
            if how.drift
            and how.api in observed
            and (expected := self.expected(name, desired)) is not None
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
