"""Constraints on property values, compiled: each a function from a value to None or to the reason of its refusal.

The rules are those of Heat's constraints: numbers are compared as numbers even when they came as text, allowed
values after conversion to the property's type, a pattern must match from the first to the last character.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Hashable
from typing import Any, Final

import regex

from hot_translator.budget import BudgetExceeded, remaining
from hot_translator.catalogue.model import Constraint, PropertyType
from hot_translator.constraints import check_custom
from hot_translator.expression import UNKNOWN
from hot_translator.names import did_you_mean

Check = Callable[[Any], str | None]

HIDDEN: Final = "******"
"""What stands in a message for a value that nobody may see."""

PATTERN_SECONDS: Final = 1.0
"""How long one pattern may work on one value; a catastrophic expression is refused, not waited for."""

MAX_CHOICES: Final = 20
"""How many allowed values a message names."""
MAX_SHOWN: Final = 200
"""Characters of one value in a message."""

_SHORTEST_RUN: Final = 3
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})


def compile_check(constraint: Constraint, type_: PropertyType, *, secret: bool = False) -> Check:
    """The function of a constraint on a property of this type. ``secret`` keeps the value out of the reason."""
    check = _COMPILERS[constraint.kind](constraint.value, type_, HIDDEN if secret else None)
    message = constraint.message
    if not message:
        return check
    return lambda value: message if check(value) else None


def to_number(value: Any) -> int | float:
    """Heat's str_to_num: numbers as they are, text as an int or else as a float. Raises ValueError, TypeError."""
    if isinstance(value, int | float):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def bounds(limits: dict[str, Any]) -> str:
    """``(min: 1, max: 5)``, as Heat words it."""
    return f"(min: {limits.get('min')}, max: {limits.get('max')})"


def _outside(number: float, limits: dict[str, Any]) -> bool:
    low, high = limits.get("min"), limits.get("max")
    return (low is not None and number < low) or (high is not None and number > high)


def _range(limits: dict[str, Any], _type: PropertyType, shown: str | None) -> Check:
    def check(value: Any) -> str | None:
        if _outside(to_number(value), limits):
            return f"{shown or value} is out of range {bounds(limits)}"
        return None

    return check


def _length(limits: dict[str, Any], _type: PropertyType, _shown: str | None) -> Check:
    def check(value: Any) -> str | None:
        if _outside(len(value), limits):
            return f"length ({len(value)}) is out of range {bounds(limits)}"
        return None

    return check


def _modulo(rule: dict[str, Any], _type: PropertyType, shown: str | None) -> Check:
    step, offset = rule["step"], rule["offset"]

    def check(value: Any) -> str | None:
        if to_number(value) % step != offset:
            return f"{shown or value} is not a multiple of {step} with an offset of {offset}"
        return None

    return check


def _allowed_values(allowed: list[Any], type_: PropertyType, shown: str | None) -> Check:
    choices = _choices(allowed)
    is_allowed = _among(allowed)
    is_converted = _among([_converted(value, type_) for value in allowed])

    def check(value: Any) -> str | None:
        if isinstance(value, list):
            wrong = [item for item in value if item is not UNKNOWN and not is_allowed(item)]
            if not wrong:
                return None
            value = wrong[0]
        elif is_converted(_converted(value, type_)):
            return None
        if shown:
            return f"{shown} is not an allowed value {choices}"
        hint = did_you_mean(value, (one for one in allowed if isinstance(one, str))) if isinstance(value, str) else ""
        return f"{json.dumps(value, default=str)[:MAX_SHOWN]} is not an allowed value {choices}{hint}"

    return check


def _among(allowed: list[Any]) -> Callable[[Any], bool]:
    """Whether a value is one of these, in a time that does not grow with their number, maps and lists excepted."""
    hashable = frozenset(value for value in allowed if isinstance(value, Hashable))
    others = [value for value in allowed if not isinstance(value, Hashable)]
    return lambda value: value in (hashable if isinstance(value, Hashable) else others)


def _choices(allowed: list[Any]) -> str:
    """The allowed values for a message: whole numbers in a row as ``0 to 255``, and the end of a long list left out."""
    parts: list[str] = []
    start = 0
    while start < len(allowed):
        end = start + 1
        while end < len(allowed) and _follows(allowed[end - 1], allowed[end]):
            end += 1
        if end - start > _SHORTEST_RUN:
            parts.append(f"{allowed[start]} to {allowed[end - 1]}")
        else:
            parts += (json.dumps(value, default=str)[:MAX_SHOWN] for value in allowed[start:end])
        start = end
    if len(parts) > MAX_CHOICES:
        parts[MAX_CHOICES:] = [f"... ({len(allowed)} in all)"]
    return f"[{', '.join(parts)}]"


def _follows(one: Any, other: Any) -> bool:
    return type(one) is int and type(other) is int and other == one + 1


def _allowed_pattern(pattern: str, _type: PropertyType, shown: str | None) -> Check:
    expression = regex.compile(pattern)

    def check(value: Any) -> str | None:
        quoted = shown or f'"{value}"'
        budget = remaining()
        if not budget.cpu_left:
            return (
                f'{quoted} was not matched against pattern "{pattern}": the limit of {budget.cpu:g} s of CPU is reached'
            )
        started = time.thread_time()
        try:
            match = expression.match(value, timeout=PATTERN_SECONDS)
        except TimeoutError:
            return f'{quoted} cannot be matched against pattern "{pattern}" in {PATTERN_SECONDS:g} s'
        finally:
            with contextlib.suppress(BudgetExceeded):  # this value is matched; the next one is not
                budget.spend_cpu(time.thread_time() - started)
        if match is None or match.end() != len(value):
            return f'{quoted} does not match pattern "{pattern}"'
        return None

    return check


def _custom(name: str, _type: PropertyType, shown: str | None) -> Check:
    def check(value: Any) -> str | None:
        reason = check_custom(name, value)
        if reason is None:
            return None
        return f"{shown} does not validate {name}" if shown else reason

    return check


_COMPILERS: Final[dict[str, Callable[[Any, PropertyType, str | None], Check]]] = {
    "range": _range,
    "length": _length,
    "modulo": _modulo,
    "allowed_values": _allowed_values,
    "allowed_pattern": _allowed_pattern,
    "custom": _custom,
}


def _converted(value: Any, type_: PropertyType) -> Any:
    """Heat's to_schema_type: what an allowed value and a given one are compared as."""
    if type_ == "string":
        return str(value)
    if type_ in ("integer", "number"):
        return to_number(value)
    if type_ == "boolean":
        word = str(value).strip().lower()
        return True if word in _TRUE else False if word in _FALSE else value
    return value
