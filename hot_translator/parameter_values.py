"""The values of a nested template's parameters, as its properties give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from hot_translator.expression import (
    OMITTED,
    UNKNOWN,
    Dynamic,
    Leaf,
    Scope,
    has_unknown,
    is_dynamic,
    leaves,
    never,
    resolve,
)
from hot_translator.parameters import ParameterSchema, check_value, missing


class ParameterValue(Dynamic):
    """A nested template's parameter whose value depends on resources: typed and checked when it is known."""

    __slots__ = ("_path", "_schema", "_value")

    def __init__(self, schema: ParameterSchema, value: Any, path: str) -> None:
        self._schema = schema
        self._value = value
        self._path = path

    def resolve(self, scope: Scope) -> Any:
        """The typed value; ``UNKNOWN`` while it, or a part of a list, is not there."""
        value = resolve(self._value, scope)
        if value is OMITTED:
            value = self._schema.default
            if value is None:
                raise missing(self._schema.name, self._path)
        if value is UNKNOWN or (self._schema.kind != "map" and has_unknown(value)):
            return UNKNOWN
        value = as_parameter(self._schema, value)
        if self._schema.kind == "map" and not isinstance(value, str):
            return value
        return check_value(self._schema, value, self._path)[0]

    def leaves(self) -> Iterator[Leaf]:
        """The references in the value."""
        return leaves(self._value)

    def parts(self) -> tuple[Any, ...]:
        """The value."""
        return (self._value,)

    @property
    def referenced(self) -> str | None:
        """The resource whose id the value is."""
        is_text = self._schema.kind == "string" and isinstance(self._value, Dynamic)
        return self._value.referenced if is_text else None

    def never(self, value: Any) -> bool:
        """A text as the value it is made of; a list of one id is never empty."""
        if self._schema.kind == "string":
            return not isinstance(value, str) or (isinstance(self._value, Dynamic) and self._value.never(value))
        return self._schema.kind == "list" and value == [] and never(self._value, "")


_EMPTY: Final[Mapping[str, Any]] = {"string": "", "number": 0, "boolean": False, "list": "", "map": {}}


def as_parameter(schema: ParameterSchema, value: Any) -> Any:
    """A property's value as Heat hands it to the inner template: lists as comma separated text, maps as they are.

    Null is the type's empty value, and not the parameter's default: that counts where the property is not given.
    """
    if value is None:
        return _EMPTY[schema.kind]
    if schema.kind == "list" and isinstance(value, list):
        if value and isinstance(value[0], Mapping):
            items = [item if isinstance(item, Mapping) else {} for item in value]
            return ",".join(f".member.{n}.{key}={one}" for n, item in enumerate(items) for key, one in item.items())
        return ",".join("" if item is None else str(item) for item in value)
    return value


def parameter_value(schema: ParameterSchema, value: Any, path: str) -> Any:
    """The value that a parameter gets from a property at this path, now or once it is known."""
    if not is_dynamic(value):
        return as_parameter(schema, value)
    if schema.kind == "map" and not isinstance(value, Dynamic):
        return value
    if schema.kind == "list" and isinstance(value, list) and not any(isinstance(item, dict) for item in value):
        items = replace(schema, kind="string", constraints=())
        return [ParameterValue(items, item, path) if is_dynamic(item) else str(item) for item in value]
    return ParameterValue(schema, value, path)
