"""The constraints in the declarations of parameters, in HOT and in CloudFormation."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import regex

from hot_translator.catalogue.model import Constraint, ConstraintKind
from hot_translator.errors import InvalidTemplate
from hot_translator.limits import to_number
from hot_translator.versions import Version

MAX_PATTERN: Final = 10_000
"""Characters of an allowed_pattern."""

_KINDS: Final[Mapping[str, ConstraintKind]] = {
    "modulo": "modulo",
    "range": "range",
    "length": "length",
    "allowed_values": "allowed_values",
    "allowed_pattern": "allowed_pattern",
    "custom_constraint": "custom",
}
"""The kinds of constraints. Of several in one item the first in this order counts, as in Heat."""
_CONSTRAINT_KEYS: Final = frozenset({"description", *_KINDS})


def check_map(raw: Any, keys: frozenset[str], entity: str, path: str) -> None:
    """Raise ``InvalidTemplate`` unless it is a map with these keys alone; ``entity`` says what of."""
    if not isinstance(raw, Mapping):
        raise InvalidTemplate(path, f"Invalid {entity}, expected a mapping")
    for key in raw:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            raise InvalidTemplate(f"{path}.{key}", f"Invalid key '{key}' for {entity}{hint}")


def hot_constraints(raw: Mapping[str, Any], version: Version, path: str) -> Iterator[Constraint]:
    """The constraints of a declaration in HOT; raises ``InvalidTemplate``."""
    constraints = raw.get("constraints")
    path = f"{path}.constraints"
    if constraints is None:
        return
    if not isinstance(constraints, list):
        raise InvalidTemplate(path, "Invalid parameter constraints, expected a list")
    for index, one in enumerate(constraints):
        here = f"{path}[{index}]"
        check_map(one, _CONSTRAINT_KEYS, "parameter constraints", here)
        kind = next((key for key in _KINDS if key in one and (key != "modulo" or version.has_modulo)), None)
        if kind is None:
            raise InvalidTemplate(here, "No constraint expressed")
        yield _constraint(_KINDS[kind], one[kind], str(one.get("description") or ""), f"{here}.{kind}")


def cfn_constraints(raw: Mapping[str, Any], path: str) -> Iterator[Constraint]:
    """The constraints of a declaration in CloudFormation's words; raises ``InvalidTemplate``."""
    message = str(raw.get("ConstraintDescription") or "")
    if "MinValue" in raw or "MaxValue" in raw:
        yield _constraint("range", {"min": raw.get("MinValue"), "max": raw.get("MaxValue")}, message, path)
    if "MinLength" in raw or "MaxLength" in raw:
        yield _constraint("length", {"min": raw.get("MinLength"), "max": raw.get("MaxLength")}, message, path)
    if "AllowedValues" in raw:
        yield _constraint("allowed_values", raw["AllowedValues"], message, f"{path}.AllowedValues")
    if "AllowedPattern" in raw:
        yield _constraint("allowed_pattern", raw["AllowedPattern"], message, f"{path}.AllowedPattern")


def _constraint(kind: ConstraintKind, value: Any, message: str, path: str) -> Constraint:
    try:
        return Constraint(kind, _DEFINITIONS[kind](value, path), message)
    except (ValueError, TypeError) as error:
        raise InvalidTemplate(path, str(error)) from error


def _limits(value: Any, path: str) -> dict[str, int | float]:
    check_map(value, frozenset({"min", "max"}), "range constraint", path)
    limits = {key: to_number(limit) for key, limit in value.items() if limit is not None}
    if not limits:
        msg = "A range or length constraint must have a min value and/or a max value specified."
        raise ValueError(msg)
    return limits


def _length(value: Any, path: str) -> dict[str, int | float]:
    limits = _limits(value, path)
    if not all(isinstance(limit, int) for limit in limits.values()):
        msg = "min/max length must be integral"
        raise ValueError(msg)
    return limits


def _modulo(value: Any, path: str) -> dict[str, int]:
    check_map(value, frozenset({"step", "offset"}), "modulo constraint", path)
    if value.get("step") is None or value.get("offset") is None:
        msg = "A modulo constraint must have a step value and an offset value specified."
        raise ValueError(msg)
    step, offset = to_number(value["step"]), to_number(value["offset"])
    if int(step) != step or int(offset) != offset:
        msg = "step/offset must be integer"
        raise ValueError(msg)
    if step == 0:
        msg = "step cannot be 0."
        raise ValueError(msg)
    if abs(offset) >= abs(step):
        msg = "offset must be smaller (by absolute value) than step."
        raise ValueError(msg)
    if step * offset < 0:
        msg = "step and offset must be both positive or both negative."
        raise ValueError(msg)
    return {"step": int(step), "offset": int(offset)}


def _values(value: Any, _path: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        msg = "AllowedValues must be a list"
        raise TypeError(msg)
    return list(value)


def _pattern(value: Any, _path: str) -> str:
    if not isinstance(value, str):
        msg = "AllowedPattern must be a string"
        raise TypeError(msg)
    if len(value) > MAX_PATTERN:
        msg = f"the pattern is longer than {MAX_PATTERN} characters"
        raise ValueError(msg)
    try:
        re.compile(value)
        regex.compile(value)
    except (re.error, regex.error, OverflowError, RecursionError) as error:
        msg = f'the pattern "{value}" is not a regular expression: {error}'
        raise ValueError(msg) from error
    return value


def _custom(value: Any, _path: str) -> str:
    if not isinstance(value, str):
        msg = "a custom constraint is named by text"
        raise TypeError(msg)
    return value


_DEFINITIONS: Final[Mapping[ConstraintKind, Callable[[Any, str], Any]]] = {
    "range": _limits,
    "length": _length,
    "modulo": _modulo,
    "allowed_values": _values,
    "allowed_pattern": _pattern,
    "custom": _custom,
}
