"""OS::Heat::Value."""

from functools import cache
from typing import Any

from typing_extensions import override

from hot_translator.catalogue import PropertySchema, TypeSchema
from hot_translator.errors import ResolutionError
from hot_translator.properties import finalize
from reconcilers.model import Desired, Failed, Fault, Outcome, Recorded
from reconcilers.normal_forms import boolean
from reconcilers.registry import register
from reconcilers.resource_type import Local

_TYPES = {"string": "string", "number": "number", "boolean": "boolean", "json": "map", "comma_delimited_list": "list"}


@register
class Value(Local):
    """A value under a name. With ``type`` it is turned into that, by the rules of a property of the type."""

    type = "OS::Heat::Value"

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        if desired is not None:
            try:
                _value(desired)
            except ResolutionError as error:
                return Failed(error.reason, Fault.INVALID, "value")
        return super().step(desired, recorded, observed)

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        return {} if desired is None else {"value": _value(desired)}


def _value(desired: Desired) -> Any:
    value, kind = desired.properties.get("value"), desired.properties.get("type")
    if kind == "boolean":
        value = boolean(value)  # also "yes" and "on", as for a parameter of that type
    return value if kind is None else finalize(_schema(kind), {"value": value}, "")["value"]


@cache
def _schema(kind: str) -> TypeSchema:
    """A schema in which ``value`` is of this type."""
    of_kind: Any = _TYPES[kind]
    return TypeSchema(name="OS::Heat::Value", properties={"value": PropertySchema(type=of_kind, required=True)})
