"""OS::Heat::ResourceChain: members of different types with the same properties."""

from __future__ import annotations

from hot_translator.functions.base import Path
from hot_translator.group import Group, MemberSections


class ResourceChain(Group):
    """Members of different types with the same properties, each after the one before unless ``concurrent``."""

    def member_names(self) -> list[str]:
        """A number for each type."""
        types = self.known("resources") or []
        return [str(index) for index in range(self.limited(len(types), "resources"))]

    def member(self, name: str) -> tuple[str, MemberSections]:
        """The type at that place, and the shared properties."""
        path = Path(self.sections.path, "properties")
        compiled = self.raw.get("resource_properties") or {}
        needs: frozenset[str] = frozenset()
        index = int(name)
        if index and str(self.known("concurrent")).lower() not in ("true", "1"):
            needs = frozenset({self.inner_place.name(str(index - 1))})
        sections = MemberSections(self.sections, path, compiled, {}, needs)
        sections.properties_path = Path(path, "resource_properties")
        return str(self.known("resources")[index]), sections
