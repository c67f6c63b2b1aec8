"""The contract between a resource type and the engine."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from hot_translator import UNKNOWN, catalogue
from reconcilers.model import OPENSTACK, Desired, Failed, Fault, Outcome, Recorded, Replace, Request, Send
from reconcilers.normal_forms import given

CONFIG_TEXT = "heat.config"
"""Kind of local look-up: the id of a software configuration of the Stack is replaced by its text."""


class ResourceType(ABC):
    """The contract between a type and the engine. Every method is pure."""

    type: ClassVar[str]
    service: ClassVar[str] = ""
    """The SDK's name of the service; empty: no cloud object."""
    transport: ClassVar[str] = OPENSTACK
    """Through what its resources are observed and changed; see :mod:`reconcilers.cloud.transports`."""
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

    needs_running: ClassVar[bool] = False
    """Its requests are refused while a resource that it requires is suspended, so that one is resumed first."""

    secret_attributes: ClassVar[frozenset[str]] = frozenset()
    """Attributes that no message may show, though an output may, besides those that the catalogue marks."""

    @cached_property
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
            name: value if value is None or value is True or value is False else self._asked(name, value)
            for name, value in properties.items()
        }

    def _asked(self, name: str, value: Any) -> Any:
        if name in self.empty_counts:
            return value
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

    def applied_by_create(self, desired: Desired) -> frozenset[str]:
        """The properties that the creating request carries, of those that are to be applied."""
        return frozenset()

    def foresee(self, step: Send, recorded: Recorded, observed: Any) -> Any:
        """What the cloud will show once this request has had its effect; UNKNOWN if only the cloud can say it.

        For plans: an answer here lets them say which requests follow. ``observed`` is None before a creation, whose
        new id is in ``recorded``.
        """
        return UNKNOWN

    def current_value(self, name: str, observed: Any) -> Any:
        """The value of a property in the cloud, in the form of the template; UNKNOWN if it does not show it.

        For plans: the old value of a property that somebody else changed.
        """
        return UNKNOWN

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

    # Resources that existed before the Stack.

    keeps: ClassVar[frozenset[str]] = frozenset()
    """Attributes with secrets that only the creation gives (a generated password). They are taken over with the
    resource, from Heat's ``resource_data`` of the same names; see ``Desired.kept``."""

    def imported_id(self, given: str, draft: Recorded) -> str:
        """The physical id of an existing resource. ``given`` is Heat's id; a relation has one of its own in Kiln.

        ``draft`` is the record with the data that follows from the properties.
        """
        return given

    def claim(self, recorded: Recorded, observed: Any) -> Send | None:
        """The request that puts the record's ownership token into an existing resource; None if it cannot carry it.

        It changes nothing else. What has the token already needs none.
        """
        return None

    def imported_name(self, observed: Any) -> str:
        """The name of an existing resource, which becomes the physical name of its record; empty if it has none."""
        return str(observed.get("name") or "") if isinstance(observed, Mapping) else ""

    def imported_data(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """The record's data for what Heat kept beside the id (``resource_data``)."""
        return {}

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

    @cached_property
    def list_key(self) -> tuple[Any, ...]:
        """Types with the same key share a bulk list."""
        params = tuple(sorted(self.list_params.items()))
        return (self.service, self.listing, params, self.microversion, self.transport)

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> Request:
        """A request to the service of the type, through its transport, with the microversion of its reads."""
        options = {"microversion": self.microversion, "transport": self.transport, **options}
        return Request(self.service, method, path, body, **options)

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

    def token_of(self, item: Mapping[str, Any]) -> str | None:
        """The token of an item of a list; None if it has none, or does not show it as such."""
        return None
