"""Resolves names in properties: of things in the cloud (flavor, image, network), or inside the Stack.

What a name stood for when a property was applied stays so for as long as the property does not change: an image that is
uploaded anew under its name is no reason to rebuild servers, and a name that is only needed for unchanged properties
is not looked up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from reconcilers import paths
from reconcilers.cloud.calls import ANYBODY, Caller
from reconcilers.cloud.lookup import Lookup, UnresolvedNameError
from reconcilers.digests import Digester
from reconcilers.errors import CloudError
from reconcilers.model import Fault
from reconcilers.resource_type import ResourceType


@dataclass(frozen=True, slots=True)
class ReferenceResolver:
    """The references in one resource's properties.

    ``template`` are the properties as the template gives them. ``local`` is what stands for a value inside the Stack,
    by kind and value.
    """

    rtype: ResourceType
    template: Mapping[str, Any]
    lookup: Lookup
    digester: Digester
    caller: Caller = ANYBODY
    local: Mapping[tuple[str, str], str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    """Properties whose values no message may show; "*": all."""

    async def look_up(self, applied: Mapping[str, str], unchanged: frozenset[str]) -> Mapping[str, Any]:
        """The properties with names turned into ids. Raises CloudError, whose ``property`` is the reference's path.

        ``applied`` are the record's references, which hold for the properties that are ``unchanged``.
        """
        for place, kind, value in self._references():
            if self._applied(place, kind, value, applied, unchanged) is None:
                try:
                    await self.lookup.resolve(kind, value, self.caller)
                except UnresolvedNameError as error:
                    if self.hidden & {property_of(place), "*"}:
                        error = error.without_value()
                    error.property = place
                    raise error from None
                except CloudError as error:
                    error.property = place
                    raise
        properties = self.known(applied, unchanged)
        if properties is None:
            raise CloudError(Fault.TRANSIENT, "a name could not be looked up")
        return properties

    def known(self, applied: Mapping[str, str], unchanged: frozenset[str]) -> Mapping[str, Any] | None:
        """The same as far as no call is needed; None if one is."""
        properties = self.template
        for path, kind in self.rtype.schema.lookups.items():
            if self.template.get(property_of(path)) is None:
                continue
            for _, holder, value in paths.values_at(self.template, path):
                if isinstance(value, str) and value:
                    concrete = concrete_kind(kind, holder)
                    if self._applied(path, concrete, value, applied, unchanged) is None and not self.lookup.known(
                        concrete, value
                    ):
                        return None
            change = partial(self._identified, path, kind, applied, unchanged)
            properties = paths.rewritten(properties, path, change)
        for path, kind in self.rtype.local_lookups.items():
            properties = paths.rewritten(properties, path, partial(self._local, kind))
        return self.rtype.asked(properties)

    def recorded(self, applied: Mapping[str, str], unchanged: frozenset[str]) -> dict[str, str]:
        """The references to record: the id of each name in the properties, by kind and digest of the name."""
        found: dict[str, str] = {}
        for place, kind, value in self._references():
            identity = self._applied(place, kind, value, applied, unchanged) or self.lookup.known(kind, value)
            if identity is not None and identity != value:
                found[self.digester.reference(kind, value)] = identity
        return found

    def _references(self) -> Iterator[tuple[str, str, str]]:
        """Path (``networks[0].network``), kind and value of each reference that may be a name."""
        for path, kind in self.rtype.schema.lookups.items():
            for place, holder, value in paths.values_at(self.template, path):
                if isinstance(value, str) and value:
                    yield place, concrete_kind(kind, holder), value

    def _applied(
        self, path: str, kind: str, value: str, applied: Mapping[str, str], unchanged: frozenset[str]
    ) -> str | None:
        if not applied or property_of(path) not in unchanged:
            return None
        return applied.get(self.digester.reference(kind, value))

    def _identified(
        self,
        path: str,
        kind: str,
        applied: Mapping[str, str],
        unchanged: frozenset[str],
        holder: Mapping[str, Any],
        value: Any,
    ) -> Any:
        if not isinstance(value, str) or not value:
            return value
        concrete = concrete_kind(kind, holder)
        return self._applied(path, concrete, value, applied, unchanged) or self.lookup.known(concrete, value)

    def _local(self, kind: str, _holder: Mapping[str, Any], value: Any) -> Any:
        """The value inside the Stack that the id stands for; other values stay as they are."""
        return self.local.get((kind, value), value) if isinstance(value, str) else value


def property_of(path: str) -> str:
    """The property that a path such as ``networks[].network`` or ``networks[0].network`` begins with."""
    return path.partition(".")[0].partition("[")[0]


def concrete_kind(kind: str, holder: Mapping[str, Any]) -> str:
    """The kind of a reference; a sibling property may decide it (``neutron.{object_type}``)."""
    return kind.format_map(holder) if "{" in kind else kind
