"""Following a path into a value: get_param's way and get_attr's way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hot_translator.expression import UNKNOWN, Dynamic, Leaf, Scope, leaves, resolve


def select_parameter(value: Any, path: Sequence[Any]) -> Any:
    """get_param: lists take an int or its text, texts give characters, and a path that leads nowhere gives ""."""
    for key in path:
        if not isinstance(value, dict | list | str) or not isinstance(key, str | int):
            return ""
        try:
            value = value[key] if isinstance(value, dict) else value[int(key)]
        except (LookupError, ValueError, TypeError):
            return ""
    return value


def select_attribute(value: Any, path: Sequence[Any]) -> Any:
    """get_attr: a list takes an int only, and a path that leads nowhere gives null."""
    for key in path:
        if not isinstance(value, dict | list | str) or not isinstance(key, str | int):
            return None
        try:
            value = value[key]  # type: ignore[index]
        except (LookupError, TypeError):
            return None
    return value


class SelectPath(Dynamic):
    """A path into a value, either of which depends on resources."""

    __slots__ = ("_path", "_select", "_value")

    def __init__(self, value: Any, path: Sequence[Any], select: Callable[[Any, Sequence[Any]], Any]) -> None:
        self._value = value
        self._path = list(path)
        self._select = select

    def resolve(self, scope: Scope) -> Any:
        """The selected part; ``UNKNOWN`` when the way to it is."""
        value = resolve(self._value, scope)
        for key in resolve(self._path, scope):
            if value is UNKNOWN or key is UNKNOWN:
                return UNKNOWN
            value = self._select(value, (key,))
        return value

    def leaves(self) -> Iterator[Leaf]:
        """The references in the value and in the path."""
        yield from leaves(self._value)
        yield from leaves(self._path)

    def parts(self) -> tuple[Any, ...]:
        """The value and the path."""
        return self._value, self._path
