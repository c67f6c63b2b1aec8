"""if, equals, not, and, or: known when the template is translated, since conditions never depend on resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hot_translator.errors import InvalidTemplate, TranslationError
from hot_translator.expression import OMITTED
from hot_translator.functions.base import REFUSALS, Function, is_list, message


class If(Function):
    """``{if: [condition, value, value]}``: a macro, so that only the chosen branch is compiled."""

    may_omit = False
    """Whether the second value may be left out (from 2021-04-16): the item or entry then vanishes."""

    def build(self, snippet: Any) -> Any:
        """The chosen branch, compiled."""
        if not is_list(snippet) or not (2 if self.may_omit else 3) <= len(snippet) <= 3:
            reason = f'Arguments to "{self.name}" must be of the form: [condition_name, value_if_true, value_if_false]'
            raise InvalidTemplate(str(self.path), reason)
        condition, yes, *no = snippet
        try:
            chosen = self.environs.evaluate(condition, self.path)
        except TranslationError:
            raise
        except REFUSALS as error:
            raise InvalidTemplate(str(self.path), message(error)) from error
        if chosen:
            return self.environs.compile(yes, self.path)
        return self.environs.compile(no[0], self.path) if no else OMITTED


class IfMayOmit(If):
    """``if`` from 2021-04-16."""

    may_omit = True


class Equals(Function):
    """``{equals: [a, b]}``."""

    unpacked = True

    def check(self, arguments: Any) -> None:
        """Refuse anything but two arguments."""
        if not isinstance(arguments, list) or len(arguments) != 2:
            msg = f'Arguments to "{self.name}" must be of the form: [value_1, value_2]'
            raise ValueError(msg)

    def compute(self, arguments: Any) -> Any:
        """Whether they are equal as Python sees it: 7 and 7.0 are, 1 and "1" are not."""
        return bool(arguments[0] == arguments[1])


class And(Function):
    """``{and: [condition, condition, ...]}``."""

    def check(self, arguments: Any) -> None:
        """Refuse fewer than two conditions."""
        if not is_list(arguments):
            msg = f'Arguments to "{self.name}" must be a list of conditions'
            raise ValueError(msg)
        if len(arguments) < 2:
            msg = f'The minimum number of condition arguments to "{self.name}" is 2'
            raise ValueError(msg)

    def compute(self, arguments: Any) -> Any:
        """Whether all hold."""
        return all(self._conditions(arguments))

    def _conditions(self, arguments: Any) -> Iterator[bool]:
        return (holds(self, argument) for argument in arguments)


class Or(And):
    """``{or: [condition, condition, ...]}``."""

    def compute(self, arguments: Any) -> Any:
        """Whether one holds."""
        return any(self._conditions(arguments))


class Not(Function):
    """``{not: condition}``."""

    def check(self, arguments: Any) -> None:
        """Refuse nothing at all."""
        if arguments is None:
            msg = f'Argument to "{self.name}" must be a condition'
            raise ValueError(msg)

    def compute(self, arguments: Any) -> Any:
        """Whether it does not hold."""
        return not holds(self, arguments)


class FnNot(Not):
    """``{Fn::Not: [condition]}``."""

    unpacked = True

    def check(self, arguments: Any) -> None:
        """Refuse anything but a list of one."""
        if not is_list(arguments) or len(arguments) != 1:
            msg = f'Arguments to "{self.name}" must be of the form: [condition]'
            raise ValueError(msg)

    def compute(self, arguments: Any) -> Any:
        """Whether it does not hold."""
        return not holds(self, arguments[0])


def holds(function: Function, condition: Any) -> bool:
    """A condition that is a bool, or the name of one. Null counts as true, as in Heat."""
    if condition is None or isinstance(condition, bool):
        return condition is not False
    if not isinstance(condition, str):
        msg = f'Invalid condition "{condition}"'
        raise ValueError(msg)  # noqa: TRY004
    return function.environs.condition(condition)


class Removed(Function):
    """A function that this version of the language has no more."""

    def build(self, snippet: Any) -> Any:
        """Refuse."""
        reason = f"The function {self.name} is not supported in this version of HOT"
        raise InvalidTemplate(str(self.path), reason)


class Misplaced(Function):
    """A function that may not stand in a condition."""

    def build(self, snippet: Any) -> Any:
        """Refuse."""
        raise InvalidTemplate(str(self.path), f'The function "{self.name}" is invalid in this context')
