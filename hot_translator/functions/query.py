"""yaql: the query language, loaded only when a template uses it, with Heat's default limits and two more.

Heat bounds the elements of an iteration and the size of a value. Loops within loops, functions that call themselves,
powers and regular expressions can still run for hours; here the calls of one evaluation are counted, and the rest is
replaced by bounded versions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import regex

from hot_translator.expression import Dynamic
from hot_translator.functions.base import REFUSALS, Function, message

LIMIT_ITERATORS: Final = 200
MEMORY_QUOTA: Final = 10_000
MAX_CALLS: Final = 20_000
"""Calls of yaql's functions and operators in one evaluation: a second or two of work."""
MAX_EXPRESSION: Final = 20_000
"""Characters of an expression."""


@lru_cache(maxsize=1)
def _engine() -> tuple[Any, Any, tuple[type[BaseException], ...]]:
    """The parser, the context that every evaluation starts from, and what an evaluation may raise."""
    import yaql  # noqa: PLC0415 - half a second that most templates never need
    from yaql.language.exceptions import YaqlException  # noqa: PLC0415

    from hot_translator.functions.query_context import bounded_context  # noqa: PLC0415

    options = {"yaql.limitIterators": LIMIT_ITERATORS, "yaql.memoryQuota": MEMORY_QUOTA}
    errors = (YaqlException, StopIteration, RuntimeError, regex.error, MemoryError, AssertionError, OSError, *REFUSALS)
    return yaql.YaqlFactory().create(options), bounded_context(), errors


@lru_cache(maxsize=256)
def _statement(expression: str) -> Any:
    engine, _, errors = _engine()
    if len(expression) > MAX_EXPRESSION:
        msg = f"the expression is longer than {MAX_EXPRESSION} characters"
        raise ValueError(msg)
    try:
        return engine(expression)
    except errors as error:
        msg = f"Bad expression {message(error)}"
        raise ValueError(msg) from error


class Yaql(Function):
    """``{yaql: {expression, data}}``: the expression sees ``$.data``."""

    unpacked = True

    def check(self, arguments: Any) -> None:
        """Refuse other keys and an expression that cannot be parsed."""
        if not isinstance(arguments, dict):
            msg = f'Arguments to "{self.name}" must be a map'
            raise TypeError(msg)
        if "expression" not in arguments or set(arguments) - {"expression", "data"}:
            msg = f'"{self.name}" takes "expression" and "data"'
            raise KeyError(msg)
        if not isinstance(arguments["expression"], Dynamic):
            self._parse(arguments["expression"])

    def compute(self, arguments: Any) -> Any:
        """The value of the expression."""
        statement = self._parse(arguments["expression"])
        _, context, errors = _engine()
        try:
            result = statement.evaluate({"data": arguments.get("data", {})}, context.for_evaluation(MAX_CALLS))
            return _plain(result)
        except errors as error:
            msg = f"{self.name}: {message(error)}"
            raise ValueError(msg) from error

    def _parse(self, expression: Any) -> Any:
        if not isinstance(expression, str):
            msg = f'The "expression" argument to {self.name} must contain a string'
            raise TypeError(msg)
        return _statement(expression)


def _plain(value: Any) -> Any:
    """A result as the plain data that the rest of the language knows."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=repr)
    msg = f"the result is a {type(value).__name__}, which is no plain data"
    raise TypeError(msg)
