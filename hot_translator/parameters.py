"""Parameters: their declarations, and what a given value becomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from hot_translator.catalogue.model import Constraint, ConstraintKind
from hot_translator.constraints import CustomConstraint, needs_cloud
from hot_translator.errors import InvalidParameter, InvalidTemplate, TranslationError
from hot_translator.limits import compile_check, to_number
from hot_translator.names import nearest
from hot_translator.parameter_constraints import cfn_constraints, check_map, hot_constraints
from hot_translator.versions import Version

Kind = Literal["string", "number", "list", "map", "boolean"]

HIDDEN_TEXT: Final = "******"
"""What is shown instead of a hidden parameter's value."""

_HOT_TYPES: Final[Mapping[str, Kind]] = {
    "string": "string",
    "number": "number",
    "comma_delimited_list": "list",
    "json": "map",
    "boolean": "boolean",
}
_CFN_TYPES: Final[Mapping[str, Kind]] = {
    "String": "string",
    "Number": "number",
    "CommaDelimitedList": "list",
    "Json": "map",
    "Boolean": "boolean",
}
_HOT_KEYS: Final = frozenset(
    {"type", "description", "default", "schema", "constraints", "hidden", "label", "immutable"}
)
_CFN_KEYS: Final = frozenset(
    {"Type", "Default", "NoEcho", "AllowedValues", "AllowedPattern", "MaxLength", "MinLength", "MaxValue", "MinValue"}
    | {"Description", "ConstraintDescription", "Label"}
)
_FITTING: Final[Mapping[ConstraintKind, frozenset[Kind]]] = {
    "range": frozenset({"number"}),
    "modulo": frozenset({"number"}),
    "length": frozenset({"string", "list", "map"}),
    "allowed_values": frozenset({"string", "number", "boolean", "list"}),
    "allowed_pattern": frozenset({"string"}),
    "custom": frozenset({"string", "number", "boolean", "list"}),
}


@dataclass(frozen=True, slots=True)
class ParameterSchema:
    """One parameter's declaration. ``kind`` is the type in the words of properties; ``default`` None means none."""

    name: str
    kind: Kind
    type: str
    default: Any = None
    description: str = ""
    label: str = ""
    hidden: bool = False
    immutable: bool = False
    constraints: tuple[Constraint, ...] = ()
    tags: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and its value, typed: int, float, bool, str, list, or any JSON for a map.

    In a nested template ``value`` may depend on resources, and then be a ``Dynamic``. ``text`` is what is shown: the
    value as text, or asterisks when it is hidden.
    """

    name: str
    value: Any
    schema: ParameterSchema

    @property
    def hidden(self) -> bool:
        """Whether the value must not be shown."""
        return self.schema.hidden

    @property
    def text(self) -> str:
        """The value as text, as Heat shows it."""
        return HIDDEN_TEXT if self.hidden else value_text(self.schema.kind, self.value)


def value_text(kind: Kind, value: Any) -> str:
    """A typed value as text: lists joined with commas, maps as JSON."""
    if kind == "list" and isinstance(value, list):
        return ",".join(value)
    if kind == "map":
        return json.dumps(value, default=str)
    return str(value)


def parse_schema(name: str, raw: Any, version: Version) -> ParameterSchema:
    """A declaration; raises ``InvalidTemplate``. The default is checked by ``check_default``."""
    path = f"{version.words.parameters}.{name}"
    keys = _HOT_KEYS | ({"tags"} if version.has_tags else set()) if version.is_hot else _CFN_KEYS
    check_map(raw, keys, f"parameter ({name})", path)
    words = ("type", "default", "description", "label") if version.is_hot else _CFN_WORDS
    type_word, default_word, description_word, label_word = words
    if type_word not in raw:
        raise InvalidTemplate(path, f"Missing parameter type for parameter: {name}")
    types = _HOT_TYPES if version.is_hot else _CFN_TYPES
    written = raw[type_word]
    kind = types.get(written) if isinstance(written, str) else None
    if kind is None:
        raise InvalidTemplate(f"{path}.{type_word}", f"Invalid type ({written}): one of {', '.join(types)} is wanted")
    tags = raw.get("tags", []) if version.is_hot else []
    if not isinstance(tags, list):
        raise InvalidTemplate(f"{path}.tags", f"Tags property should be a list for parameter: {name}")
    constraints = hot_constraints(raw, version, path) if version.is_hot else cfn_constraints(raw, path)
    schema = ParameterSchema(
        name=name,
        kind=kind,
        type=written,
        default=raw.get(default_word),
        description=str(raw.get(description_word) or ""),
        label=str(raw.get(label_word) or name),
        hidden=_is_hidden(raw, version),
        immutable=version.is_hot and bool(raw.get("immutable", False)),
        constraints=tuple(constraints),
        tags=tuple(tags),
    )
    for constraint in schema.constraints:
        if kind == "boolean" and constraint.kind == "allowed_values":
            _check_booleans(constraint.value, f"{path}.constraints")
        if kind not in _FITTING[constraint.kind]:
            raise InvalidTemplate(f"{path}.constraints", f"{constraint.kind} constraint invalid for {written}")
    return schema


def _check_booleans(values: list[Any], path: str) -> None:
    for value in values:
        try:
            to_boolean(value)
        except ValueError as error:
            raise InvalidTemplate(path, str(error)) from None


_CFN_WORDS: Final = ("Type", "Default", "Description", "Label")


def _is_hidden(raw: Mapping[str, Any], version: Version) -> bool:
    if version.is_hot:
        return bool(raw.get("hidden", False))  # Heat hides for any text, "false" too
    return str(raw.get("NoEcho", "false")).lower() == "true"


def typed(schema: ParameterSchema, value: Any) -> Any:
    """A value in the parameter's type; raises ValueError or TypeError."""
    return _CONVERSIONS[schema.kind](value)


def _number(value: Any) -> int | float:
    try:
        return to_number(value)
    except TypeError:
        msg = f"'{value}' is not a number"
        raise ValueError(msg) from None


def _list(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    if not isinstance(value, str):
        msg = f"Value must be a comma-delimited list string, not {value!r}"
        raise TypeError(msg)
    return value.split(",") if value else []


def _json(value: Any) -> Any:
    try:
        text = value if isinstance(value, str) else json.dumps(value)
        return json.loads(text) if text else text
    except (ValueError, TypeError, RecursionError) as error:
        msg = f"Value must be valid JSON: {error}"
        raise ValueError(msg) from None


def to_boolean(value: Any) -> bool:
    """A boolean in the words that Heat takes for one (true, yes, on, 1, ...). Raises ValueError."""
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    words = ", ".join(f"'{one}'" for one in sorted(_TRUE | _FALSE))
    msg = f"Unrecognized value '{value}', acceptable values are: {words}"
    raise ValueError(msg)


_TRUE: Final = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE: Final = frozenset({"0", "f", "false", "off", "n", "no"})

_CONVERSIONS: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "string": str,
    "number": _number,
    "list": _list,
    "map": _json,
    "boolean": to_boolean,
}


def _broken(schema: ParameterSchema, value: Any, *, custom: bool) -> Iterator[str]:
    """The reasons of all constraints that a value breaks."""
    for constraint in schema.constraints:
        if constraint.kind == "custom" and (not custom or needs_cloud(constraint.value)):
            continue
        try:
            reason = compile_check(constraint, schema.kind, secret=schema.hidden)(value)
        except TypeError:
            given = shown(schema, repr(value))
            reason = f"{given} is a {type(value).__name__}, which has no {constraint.kind}: put quotes around a text"
        except (ValueError, OverflowError) as error:
            reason = f"{HIDDEN_TEXT} is not a valid {schema.type}" if schema.hidden else str(error)
        if reason:
            yield reason


def check_default(schema: ParameterSchema, section: str) -> None:
    """Refuse a default of the wrong type or against a constraint, custom ones excepted."""
    if schema.default is None:
        return
    path = f"{section}.{schema.name}"
    try:
        value = schema.default
        if schema.kind == "list":
            value = value.split(",") if isinstance(value, str) else _list(value)
        reasons = list(_broken(schema, value, custom=False))
    except (ValueError, TypeError) as error:
        reasons = [_untyped(schema, error)]
    if reasons:
        raise InvalidTemplate(path, f"Invalid default {shown(schema, schema.default)} ({'; '.join(reasons)})")


def shown(schema: ParameterSchema, value: Any) -> str:
    """A value for a message, unless it is hidden."""
    return HIDDEN_TEXT if schema.hidden else str(value)


def check_value(schema: ParameterSchema, value: Any, path: str) -> tuple[Any, list[CustomConstraint]]:
    """The typed value, and the constraints that only the cloud can answer; raises ``InvalidParameter``."""
    try:
        result = typed(schema, value)
        reasons = list(_broken(schema, result if schema.kind in ("list", "map") else value, custom=True))
    except (ValueError, TypeError) as error:
        reasons, result = [_untyped(schema, error)], None
    if reasons:
        raise InvalidParameter(path, f"Parameter '{schema.name}' is invalid: {'; '.join(reasons)}")
    return result, [
        CustomConstraint(path, constraint.value, result, constraint.message, schema.hidden)
        for constraint in schema.constraints
        if constraint.kind == "custom" and needs_cloud(constraint.value)
    ]


def _untyped(schema: ParameterSchema, error: Exception) -> str:
    """Why a value is none of the parameter's type, without the value where it is hidden."""
    return f"{HIDDEN_TEXT} is not a valid {schema.type}" if schema.hidden else str(error)


def missing(name: str, path: str) -> InvalidParameter:
    """The error for a parameter without a value."""
    return InvalidParameter(path, f"The Parameter ({name}) was not provided")


def unknown(name: str, known: Mapping[str, Any], path: str) -> TranslationError:
    """The error for a value whose parameter the template does not declare."""
    near = nearest(name, known)
    hint = f" (did you mean '{near}'?)" if near else ""
    return InvalidParameter(path, f"The Parameter ({name}) was not defined in template{hint}")
