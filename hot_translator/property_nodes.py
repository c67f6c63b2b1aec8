"""The compiled form of a property: a node, which checks compiled data and coerces resolved data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from hot_translator.catalogue.model import PropertySchema
from hot_translator.errors import InvalidTemplate, TranslationError, under
from hot_translator.expression import ATOMS, UNKNOWN, Dynamic, Omitted, has_unknown
from hot_translator.functions.base import Call
from hot_translator.limits import HIDDEN, Check, compile_check, to_number


class RefusedError(Exception):
    """A value that its schema refuses. ``keys`` leads to it, the innermost key first."""

    def __init__(self, reason: str, *keys: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.keys = list(keys)


class Node(ABC):
    """One property: what its type makes of a value, then its constraints."""

    __slots__ = ("checks", "convert", "default", "implemented", "secret")

    own: ClassVar[type] = str
    foreign: ClassVar[tuple[type, ...]] = ()
    """The property's type, and the types of which no value can become it."""

    def __init__(self, schema: PropertySchema, *, secret: bool) -> None:
        self.checks: tuple[Check, ...] = tuple(
            compile_check(constraint, schema.type, secret=secret) for constraint in schema.constraints
        )
        self.convert = schema.convert
        self.implemented = schema.implemented
        self.secret = secret
        self.default: Any = None  # already coerced; None: there is none

    @abstractmethod
    def coerce(self, value: Any) -> Any:
        """The value in the property's type; null is the type's empty value. Raises ``RefusedError``."""

    def value(self, given: Any) -> Any:
        """The final value of a resolved one; its constraints wait until all of it is known. Raises ``RefusedError``."""
        if given is UNKNOWN:
            return UNKNOWN
        if given is None and self.default is not None:
            return copied(self.default)
        value = self.coerce(given)
        if self.checks and has_unknown(value):
            return value
        for check in self.checks:
            reason = check(value)
            if reason is not None:
                raise RefusedError(reason)
        return value

    def check(self, raw: Any, path: str, problems: list[TranslationError]) -> None:
        """Append what is certainly wrong with a compiled value."""
        if isinstance(raw, LATER):
            self.check_kind(raw, path, problems)
            return
        try:
            self.value(raw)
        except RefusedError as refused:
            problems.append(problem(path, refused))

    def check_kind(self, raw: Any, path: str, problems: list[TranslationError]) -> None:
        """Append it when a call is certain to give a kind of value that is none of the property's type."""
        gives = raw.gives if isinstance(raw, Call) else None
        if gives is not None and gives in self.foreign and not (self.convert and gives is not dict):
            reason = f"{_KINDS[gives]} (of the function {raw.path.key}) is not {_KINDS[self.own]}"
            problems.append(InvalidTemplate(path, reason))

    def shown(self, value: Any) -> str:
        """The value as a message may show it."""
        if self.secret:
            return f"{HIDDEN} (a {type(value).__name__})"
        if isinstance(value, dict | list) and (partly_later(value) or has_unknown(value)):
            return "a map" if isinstance(value, dict) else "a list"
        return repr(value)


class AnyNode(Node):
    """Takes every value as it is."""

    __slots__ = ()

    def coerce(self, value: Any) -> Any:
        """The value itself."""
        return value

    def check(self, raw: Any, path: str, problems: list[TranslationError]) -> None:
        """Nothing can be wrong."""


class StringNode(Node):
    """Text; bools and integers become text, other values are refused."""

    __slots__ = ()
    foreign = (list, dict)

    def coerce(self, value: Any) -> str:
        """The text."""
        if isinstance(value, str):
            return value
        if value is None:
            return ""
        if isinstance(value, int):
            return str(value)
        raise RefusedError(f"Value must be a string; got {self.shown(value)}")


class IntegerNode(Node):
    """Whatever Python's int() takes: "5", 5.7 (5), True (1)."""

    __slots__ = ()
    own = float
    foreign = (list, dict)

    def coerce(self, value: Any) -> int:
        """The integer."""
        try:
            return int(value or 0) if value is None else int(value)
        except (ValueError, TypeError, OverflowError):
            raise RefusedError(f"Value {self.shown(value)} is not an integer") from None


class NumberNode(Node):
    """A number as it is, text as an integer or else as a float."""

    __slots__ = ()
    own = float
    foreign = (list, dict)

    def coerce(self, value: Any) -> int | float:
        """The number."""
        try:
            return 0 if value is None else to_number(value)
        except (ValueError, TypeError):
            raise RefusedError(f"Value {self.shown(value)} is not a number") from None


class BooleanNode(Node):
    """A bool, or "true" or "false" in any case."""

    __slots__ = ()
    own = bool
    foreign = (list, dict)

    def coerce(self, value: Any) -> bool:
        """The bool."""
        if isinstance(value, bool):
            return value
        if value is None:
            return False
        word = value.lower() if isinstance(value, str) else ""
        if word not in ("true", "false"):
            raise RefusedError(f"{self.shown(value)} is not a valid boolean")
        return bool(word == "true")


def problem(path: str, refused: RefusedError) -> TranslationError:
    """The error of a refusal below a path."""
    for key in reversed(refused.keys):
        path = under(path, key)
    return InvalidTemplate(path, refused.reason)


def copied(value: Any) -> Any:
    """A copy of plain data that shares no container with it."""
    if isinstance(value, dict):
        return {key: item if type(item) in ATOMS else copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [item if type(item) in ATOMS else copied(item) for item in value]
    return value


def partly_later(value: Any) -> bool:
    """Whether any part of compiled data is not plain data yet."""
    if isinstance(value, dict):
        return any(partly_later(item) for item in value.values())
    if isinstance(value, list):
        return any(partly_later(item) for item in value)
    return isinstance(value, LATER)


_KINDS: Final[Mapping[type, str]] = {
    str: "text",
    list: "a list",
    dict: "a map",
    float: "a number",
    bool: "a boolean",
}
LATER: Final = (Dynamic, Omitted, type(UNKNOWN))
