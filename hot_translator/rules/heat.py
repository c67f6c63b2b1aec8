"""Heat's own types: the type of a value, the length of a random string, the actions of a software component."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from hot_translator.catalogue.model import PropertySchema
from hot_translator.expression import UNKNOWN
from hot_translator.nodes import compile_property
from hot_translator.parameters import to_boolean
from hot_translator.property_nodes import Node, RefusedError
from hot_translator.rules.given import Breach, Given, Rule

VALUE: Final = "OS::Heat::Value"

_TYPES: Final[Mapping[str, Any]] = {
    "string": "string",
    "number": "number",
    "boolean": "boolean",
    "json": "map",
    "comma_delimited_list": "list",
}


def typed_value(values: dict[str, Any]) -> dict[str, Any]:
    """The properties of an OS::Heat::Value with its value in the wanted type; words like "yes" are booleans too.

    Raises ``RefusedError`` when the value is none of the type.
    """
    kind, value = values.get("type"), values.get("value", UNKNOWN)
    if kind not in _TYPES or value is UNKNOWN:
        return values
    if kind == "boolean" and isinstance(value, str):
        try:
            return {**values, "value": to_boolean(value)}
        except ValueError as error:
            raise RefusedError(str(error), "value") from None
    try:
        return {**values, "value": _node(kind).value(value)}
    except RefusedError as refused:
        refused.keys.append("value")
        raise


@cache
def _node(kind: str) -> Node:
    return compile_property(PropertySchema(_TYPES[kind]), secret=False)


def _length(it: Given) -> Iterator[Breach]:
    length, least = it["length"], 0
    for name in ("character_classes", "character_sequences"):
        least += sum(item["min"] or 0 for item in it.items(name))
    if length is not None and least > length:
        reason = f"is {length}, and the minimums of the classes and sequences are {least} together"
        yield it.breach("length", reason)


def _actions(it: Given) -> Iterator[Breach]:
    seen: set[str] = set()
    for config in it.items("configs"):
        actions = config["actions"]
        known = {action for action in actions if isinstance(action, str)} if isinstance(actions, list) else set()
        if both := sorted(seen & known):
            yield config.breach("actions", f"Only one config may be for the action {both[0]}")
        seen |= known


def _step(it: Given) -> Iterator[Breach]:
    kind = it["adjustment_type"]
    if it.has("min_adjustment_step") and kind not in (None, "percent_change_in_capacity"):
        yield it.breach("min_adjustment_step", "has a meaning only for the type percent_change_in_capacity")


RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "OS::Heat::RandomString": (_length,),
    "OS::Heat::ScalingPolicy": (_step,),
    "OS::Heat::SoftwareComponent": (_actions,),
}
