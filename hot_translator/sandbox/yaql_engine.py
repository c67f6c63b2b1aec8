"""yaql with Heat's default limits and some more. Imported only by workers: it takes a second and 30 MB."""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import lru_cache
from typing import Any, Final

import yaql
from yaql.language import specs, utils, yaqltypes

from hot_translator.sandbox.yaql_context import bounded_context
from hot_translator.sizes import CONTAINER, ITEM

LIMIT_ITERATORS: Final = 200
MEMORY_QUOTA: Final = 10_000
MAX_CALLS: Final = 20_000
"""Calls of yaql's functions and operators in one evaluation: a second or two of work."""
MAX_RESULT: Final = 1_000_000
"""Size of a result, in characters (see ``sizes``)."""


def _finalize(obj: Any, engine: Any) -> Any:
    return _Result(engine).plain(obj)


specs.inject("engine", yaqltypes.Engine())(_finalize)
specs.name("#finalize")(_finalize)


_ENGINE: Final = yaql.YaqlFactory().create({"yaql.limitIterators": LIMIT_ITERATORS, "yaql.memoryQuota": MEMORY_QUOTA})
_CONTEXT: Final = bounded_context(_finalize)


@lru_cache(maxsize=64)
def parse(expression: str) -> Any:
    """The parsed expression. Raises YaqlException and whatever else its parser raises."""
    return _ENGINE(expression)


def evaluate(expression: str, data: Any) -> Any:
    """What an expression makes of ``$.data``, as plain data. Raises whatever its functions raise."""
    return parse(expression).evaluate({"data": data}, _CONTEXT.for_evaluation(MAX_CALLS))


class _Result:
    """Turns a result into plain data, as yaql does, and ends where that becomes too large."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._left = MAX_RESULT

    def plain(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | float):
            self._take(ITEM)
            return value
        if isinstance(value, str):
            self._take(ITEM + len(value))
            return value
        if isinstance(value, int):
            self._take(ITEM + value.bit_length() // 4)
            return value
        if isinstance(value, Mapping):
            self._take(CONTAINER)
            return {self.plain(key): self.plain(item) for key, item in self._limited(value.items())}
        if isinstance(value, Set):
            return sorted({self.plain(item) for item in self._limited(value)}, key=repr)
        if isinstance(value, tuple | list) or utils.is_iterable(value):
            self._take(CONTAINER)
            return [self.plain(item) for item in self._limited(value)]
        msg = f"the result is a {type(value).__name__}, which is no plain data"
        raise TypeError(msg)

    def _limited(self, items: Any) -> Any:
        return utils.limit_iterable(items, self._engine)

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            msg = f"the result is larger than {MAX_RESULT} characters"
            raise ValueError(msg)
