"""OS::Heat::ResourceGroup: members that differ in a number."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from hot_translator.budget import BudgetExceeded
from hot_translator.compiler import select
from hot_translator.errors import InvalidTemplate
from hot_translator.expression import Dynamic
from hot_translator.functions.base import Path
from hot_translator.group import Group, MemberSections
from hot_translator.members import GroupState, WithoutNulls, indexed_names, removed_names, with_index, without_nulls


class ResourceGroup(Group):
    """``count`` members named "0", "1", ..., in whose properties the index variable is replaced."""

    def member_names(self) -> list[str]:
        """The first ``count`` numbers that were not removed."""
        count = self.limited(self.number("count") or 0, "count")
        tree = self.place.tree
        policies = self.known("removal_policies") or []
        mode = str(self.known("removal_policies_mode") or "append").lower()
        state = tree.groups.get(self.name, GroupState())
        self.removed = removed_names(policies, mode, state.removed, state.members or None)
        return indexed_names(count, self.removed)

    @cached_property
    def _definition(self) -> tuple[str, Any, Any]:
        path = "resource_def"
        definition = self.raw.get(path)
        if not isinstance(definition, dict) or not isinstance(definition.get("type"), str):
            self.refuse(path, "The definition of a group's members is a map with a type that is text")
            return "OS::Heat::None", {}, {}
        compiled = definition.get("properties")
        compiled = WithoutNulls(compiled) if isinstance(compiled, Dynamic) else without_nulls(compiled or {})
        return definition["type"], compiled, definition.get("metadata") or {}

    def member(self, name: str) -> tuple[str, MemberSections]:
        """The definition with the member's number in it."""
        type_name, compiled, metadata = self._definition
        path = Path(self.sections.properties_path, "resource_def")
        try:
            compiled = with_index(compiled, self._variable, name)
        except BudgetExceeded as error:
            raise InvalidTemplate(str(path), str(error)) from None
        return type_name, MemberSections(self.sections, path, compiled, metadata)

    @cached_property
    def _variable(self) -> str:
        return str(self.known("index_var") or "%index%")

    def own(self, attribute: str, path: list[Any]) -> Any:
        """``removed_rsrc_list``, or an attribute of each member."""
        if attribute == "removed_rsrc_list":
            names = self.names
            return select(sorted(self.removed), path) if names is not None else []
        return super().own(attribute, path)
