"""Errors about hidden values: they say where, and nothing of the value.

Whatever a function or a schema says of a value may quote a part of it, so about values that are made of a hidden
parameter or file the reason is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hot_translator.errors import Problems, TranslationError
from hot_translator.expression import Dynamic, Leaf, Scope
from hot_translator.functions.base import Failure

REFUSED: Final = "a value that is hidden, or made of one that is, is refused here"
"""The reason in the place of one that may quote a hidden value."""


def private_error(error: TranslationError) -> TranslationError:
    """The same problems at the same places, without their reasons."""
    found = [
        type(one)(one.path, REFUSED, line=one.line, column=one.column, source=one.source) for one in error.problems
    ]
    return found[0] if len(found) == 1 else Problems(found)


def private(value: Any) -> Any:
    """A compiled value that is made of a hidden one: what is found to be wrong with it later is not told either."""
    if isinstance(value, Failure):
        return Failure(private_error(value.error), reported=value.reported)
    return Private(value) if isinstance(value, Dynamic) and not isinstance(value, Private) else value


class Private(Dynamic):
    """A value that depends on resources and on something hidden."""

    __slots__ = ("_value",)

    def __init__(self, value: Dynamic) -> None:
        self._value = value

    def resolve(self, scope: Scope) -> Any:
        """The value; what it raises has no reason."""
        try:
            return self._value.resolve(scope)
        except TranslationError as error:
            raise private_error(error) from None

    def leaves(self) -> Iterator[Leaf]:
        """The references in it."""
        return self._value.leaves()

    def parts(self) -> tuple[Any, ...]:
        """The value."""
        return (self._value,)

    @property
    def referenced(self) -> str | None:
        """The resource whose id it is."""
        return self._value.referenced
