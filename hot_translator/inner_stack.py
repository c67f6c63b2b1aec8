"""The stack that Heat would make for a group or a nested template: its identity, and what is inside."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hot_translator.entities import Place, UnknownAttributeError
from hot_translator.expression import leaves
from hot_translator.functions.base import LaterError
from hot_translator.members import nested_stack
from hot_translator.names import did_you_mean
from hot_translator.registry import Implementation
from hot_translator.sections import Sections
from hot_translator.tree import Pseudo

if TYPE_CHECKING:
    from hot_translator.compiler import Entity

TOO_DEEP: Final = "Templates are nested deeper than {}: each group counts as one more, as in Heat"


def nested_pseudo(place: Place, local_name: str) -> Pseudo:
    """The pseudo parameters inside of a group or nested template."""
    outer = place.pseudo
    name, inner_id = nested_stack(outer.stack_name, outer.stack_id, local_name)
    return replace(outer, stack_name=name, stack_id=inner_id)


def inner_place(place: Place, sections: Sections, implementation: Implementation, local_name: str) -> Place:
    """Where the resources inside of a group or nested template are made. ``sections`` are those of the resource."""
    requires = {leaf.resource for leaf in leaves(sections.properties)}
    return replace(
        place,
        registry=place.registry.child(implementation, local_name),
        pseudo=nested_pseudo(place, local_name),
        prefix=f"{place.name(local_name)}/",
        depth=place.depth + 1,
        parent=place.name(local_name),
        needs=place.needs | sections.needs | requires,
    )


def inner_attribute(group: str, attribute: str, path: list[Any], has: Any, entity: Any) -> Any:
    """``resource.NAME`` or ``resource.NAME.ATTRIBUTE`` of a group or nested template."""
    _, name, *rest = attribute.split(".", 2)
    incorrect = f"The Referenced Attribute ({group} {attribute}) is incorrect"
    if not has(name):
        msg = f"{incorrect}: it has no member {name}"
        raise LaterError(msg)
    inner: Entity = entity(name)
    keys = [*rest, *path]
    if not keys:
        return inner.reference()
    if not isinstance(keys[0], str):
        msg = f"{incorrect}: {keys[0]} is no attribute's name"
        raise LaterError(msg)
    try:
        return inner.attribute(keys[0], keys[1:])
    except UnknownAttributeError as error:
        hint = did_you_mean(error.attribute, error.known)
        msg = f"{incorrect}: the member {name} ({error.type}) has no attribute {error.attribute}{hint}"
        raise LaterError(msg) from None
