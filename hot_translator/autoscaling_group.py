"""OS::Heat::AutoScalingGroup: members that come and go."""

from __future__ import annotations

from typing import Any

from hot_translator.functions.base import LaterError, Path
from hot_translator.group import Group, MemberSections
from hot_translator.members import GroupState, scaled_names, scaled_size


class AutoScalingGroup(Group):
    """Members with short random names, between ``min_size`` and ``max_size`` of them."""

    def member_names(self) -> list[str]:
        """Those that exist and those that are to be added."""
        minimum, maximum = self.number("min_size") or 0, self.number("max_size") or 0
        desired = self.number("desired_capacity")
        if maximum < minimum:
            if not self.guessed:
                self.refuse("min_size", "MinSize can not be greater than MaxSize")
                return []
            maximum = minimum
        if desired is not None and not minimum <= desired <= maximum and not self.guessed:
            self.refuse("desired_capacity", f"desired_capacity must be between {minimum} and {maximum}")
            return []
        state = self.place.tree.groups.get(self.name, GroupState())
        existing = list(state.members)
        chosen = desired if state.desired_size is None else state.desired_size
        size = scaled_size(minimum, maximum, chosen, len(existing) or None)
        key = f"{self.place.pseudo.stack_id}/{self.name}"
        return scaled_names(key, self.limited(size, "max_size"), existing)

    def member(self, name: str) -> tuple[str, MemberSections]:
        """The resource that the group repeats."""
        path = Path(self.sections.properties_path, "resource")
        definition = self.raw.get("resource")
        if not isinstance(definition, dict) or not isinstance(definition.get("type"), str):
            self.refuse("resource", "The definition of a group's members is a map with a type that is text")
            return "OS::Heat::None", MemberSections(self.sections, path, {}, {})
        compiled, metadata = definition.get("properties") or {}, definition.get("metadata") or {}
        return definition["type"], MemberSections(self.sections, path, compiled, metadata)

    def one(self, attribute: str, path: list[Any]) -> Any:
        """``resource.INDEX``: members are counted here."""
        prefix, index, *rest = attribute.split(".", 2)
        if index.lstrip("-").isdigit():
            if not -len(self.names) <= int(index) < len(self.names):
                msg = f"The Referenced Attribute ({self.local_name} {attribute}) is incorrect: it has no such member"
                raise LaterError(msg)
            attribute = ".".join([prefix, self.names[int(index)], *rest])
        return super().one(attribute, path)

    def own(self, attribute: str, path: list[Any]) -> Any:
        """``outputs_list``, ``current_size``, or an attribute of each member."""
        if attribute == "current_size":
            return len(self.names)
        if attribute == "outputs_list":
            return list(self.each(attribute, path).values())
        return super().own(attribute, path)
