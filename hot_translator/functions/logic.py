"""if, equals, not, and, or.

Conditions are known when the template is translated, but for those of a nested template on a parameter that comes from
a resource: they are decided then as far as they can be, and else when the resource is there.
"""

from __future__ import annotations

import functools
from typing import Any

from hot_translator.errors import InvalidTemplate, ResolutionError, TranslationError
from hot_translator.expression import OMITTED, Choice, Dynamic, certainly_equal, is_dynamic
from hot_translator.functions.base import REFUSALS, Call, Failure, Function, find_failure, is_list, message


class If(Function):
    """``{if: [condition, value, value]}``: a macro, so that only the chosen branch is compiled."""

    makes = False
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
        if isinstance(chosen, Dynamic):
            branches = [self.environs.compile_branch(branch, self.path) for branch in (yes, *no)]
            return Choice(chosen, branches[0], branches[1] if no else OMITTED)
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

    def fold(self, arguments: Any) -> Any:
        """Decided at once where the unknown values cannot change it: an id is never empty."""
        if is_dynamic(arguments) and find_failure(arguments) is None:
            equal = certainly_equal(*arguments)
            if equal is not None:
                return equal
        return super().fold(arguments)

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

    decisive = False
    """What one condition must be to decide alone."""

    def fold(self, arguments: Any) -> Any:
        """Decided by those that are known where they suffice, else when the others are."""
        return _combined(self, list(arguments), self.decisive) if is_list(arguments) else super().fold(arguments)


class Or(And):
    """``{or: [condition, condition, ...]}``."""

    decisive = True


class Not(Function):
    """``{not: condition}``."""

    def check(self, arguments: Any) -> None:
        """Refuse nothing at all."""
        if arguments is None:
            msg = f'Argument to "{self.name}" must be a condition'
            raise ValueError(msg)

    def fold(self, arguments: Any) -> Any:
        """Whether it does not hold."""
        return _negated(self, arguments)


class FnNot(Not):
    """``{Fn::Not: [condition]}``."""

    unpacked = True

    def check(self, arguments: Any) -> None:
        """Refuse anything but a list of one."""
        if not is_list(arguments) or len(arguments) != 1:
            msg = f'Arguments to "{self.name}" must be of the form: [condition]'
            raise ValueError(msg)

    def fold(self, arguments: Any) -> Any:
        """Whether it does not hold."""
        return _negated(self, arguments[0]) if is_list(arguments) else super().fold(arguments)


def _negated(function: Function, condition: Any) -> Any:
    found = _found(function, condition)
    if isinstance(found, Failure) or not isinstance(found, Dynamic):
        return found if isinstance(found, Failure) else not found
    return Call(functools.partial(_not, function), found, function.path, bool)


def _not(function: Function, value: Any) -> bool:
    return not holds(function, value)


def _combined(function: Function, conditions: list[Any], decisive: bool) -> Any:  # noqa: FBT001 - a value
    undecided = []
    for condition in conditions:
        found = _found(function, condition)
        if isinstance(found, Failure):
            return found
        if isinstance(found, Dynamic):
            undecided.append(found)
        elif found is decisive:
            return decisive
    if not undecided:
        return not decisive
    return Call(functools.partial(_decided, function, decisive), undecided, function.path, bool)


def _decided(function: Function, decisive: bool, values: list[Any]) -> bool:  # noqa: FBT001 - a value
    return decisive if any(holds(function, value) is decisive for value in values) else not decisive


def _found(function: Function, condition: Any) -> Any:
    """What is known of a condition: a bool, or what it depends on, or its failure."""
    if isinstance(condition, Dynamic):
        return condition
    try:
        return holds(function, None if condition is OMITTED else condition)
    except TranslationError as error:
        return Failure(error)
    except REFUSALS as error:
        return Failure(ResolutionError(str(function.path), message(error)))


def holds(function: Function, condition: Any) -> Any:
    """A condition that is a bool, or the name of one. Null counts as true, as in Heat. ``Dynamic`` if undecided."""
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
