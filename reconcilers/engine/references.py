"""Properties that refer to things in the cloud by name, and to software configurations of the Stack by id."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from reconcilers import paths
from reconcilers.engine.context import ReconcileContext
from reconcilers.errors import CloudError
from reconcilers.model import Fault
from reconcilers.resource_type import ResourceType


@dataclass(frozen=True, slots=True)
class Naming:
    """The references in one resource's properties. ``template`` are the properties as the template gives them."""

    world: ReconcileContext
    rtype: ResourceType
    template: Mapping[str, Any]

    async def look_up(self) -> Mapping[str, Any]:
        """The properties with names turned into ids, and ids of configurations into their text. Raises CloudError."""
        for kind, value in self._references():
            await self.world.lookup.resolve(kind, value)
        properties = self.known()
        if properties is None:
            raise CloudError(Fault.TRANSIENT, "a name could not be looked up")
        return properties

    def known(self) -> Mapping[str, Any] | None:
        """The same as far as no call is needed; None if one is."""
        if not all(self.world.lookup.known(kind, value) for kind, value in self._references()):
            return None
        properties = self.template
        for path, kind in self.rtype.schema.lookups.items():
            properties = paths.rewritten(properties, path, partial(self._identified, kind))
        for path in self.rtype.texts:
            properties = paths.rewritten(properties, path, self._text)
        return properties

    def _references(self) -> Iterator[tuple[str, str]]:
        """Kind and value of each reference that may be a name."""
        for path, kind in self.rtype.schema.lookups.items():
            for holder, value in paths.values_at(self.template, path):
                if isinstance(value, str) and value:
                    yield _kind(kind, holder), value

    def _identified(self, kind: str, holder: Mapping[str, Any], value: Any) -> Any:
        """The id for a name of this kind, known by now."""
        return self.world.lookup.known(_kind(kind, holder), value) if isinstance(value, str) and value else value

    def _text(self, _holder: Mapping[str, Any], value: Any) -> Any:
        """The text of a software configuration for its id; other values stand for themselves."""
        return self.world.texts.get(value, value) if isinstance(value, str) else value


def _kind(kind: str, holder: Mapping[str, Any]) -> str:
    """The kind of a reference; some are told by a sibling property (``neutron.{object_type}``)."""
    return kind.format_map(holder) if "{" in kind else kind
