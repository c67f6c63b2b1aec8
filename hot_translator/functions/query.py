"""yaql: the query language. Its expressions are parsed and evaluated in processes of their own, see ``sandbox``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from hot_translator.errors import EvaluationFailed
from hot_translator.expression import Dynamic
from hot_translator.functions.base import Function, message
from hot_translator.sandbox import pool

MAX_EXPRESSION: Final = 20_000
"""Characters of an expression."""


@lru_cache(maxsize=256)
def _check(expression: str) -> None:
    """Refuse an expression that cannot be parsed."""
    if len(expression) > MAX_EXPRESSION:
        msg = f"the expression is longer than {MAX_EXPRESSION} characters"
        raise ValueError(msg)
    try:
        pool.request({"expression": expression})
    except pool.RefusedError as error:
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
        """The value of the expression.

        Raises ValueError with its error, or with the limit that it exceeds, and ``EvaluationFailed`` without an answer.
        """
        expression = self._parse(arguments["expression"])
        try:
            return pool.request({"expression": expression, "data": arguments.get("data", {})})
        except pool.RefusedError as error:
            msg = f"{self.name}: {message(error)}"
            raise ValueError(msg) from error
        except pool.SandboxError as error:
            raise self._unanswered(error) from error

    def _parse(self, expression: Any) -> str:
        if not isinstance(expression, str):
            msg = f'The "expression" argument to {self.name} must contain a string'
            raise TypeError(msg)
        try:
            _check(expression)
        except pool.SandboxError as error:
            raise self._unanswered(error) from error
        return expression

    def _unanswered(self, error: pool.SandboxError) -> EvaluationFailed:
        return EvaluationFailed(str(self.path), f"{self.name}: {error}")
