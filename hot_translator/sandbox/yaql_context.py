"""The context of yaql's evaluations: its standard library, with what has no bounds of its own replaced.

Regular expressions are matched by the ``regex`` package, which can be stopped, and not by ``re``, which cannot.
"""

from __future__ import annotations

import collections.abc  # noqa: F401 - yaql uses it without importing it
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import regex
import yaql
from yaql.language import contexts, specs, yaqltypes

PATTERN_SECONDS: Final = 0.5
"""How long one pattern may work on one text."""
MAX_BITS: Final = 80_000
"""Of a whole number, as yaql's memory quota has it."""

MAX_ITEMS: Final = 100_000
"""Of a range, a repetition or a cycle."""

_PATTERN: Final = type(regex.compile("."))


class BoundedContext(contexts.Context):  # type: ignore[misc]
    """A context that counts the calls that are made in it and in its children."""

    def __init__(self, parent_context: Any = None, data: Any = yaql.utils.NO_VALUE, convention: Any = None) -> None:
        super().__init__(parent_context, data, convention)
        self._left: list[int] = parent_context._left if isinstance(parent_context, BoundedContext) else [0]  # noqa: SLF001

    def for_evaluation(self, calls: int) -> BoundedContext:
        """A child with a count of its own."""
        child = BoundedContext(self)
        child._left = [calls]
        return child

    def __call__(self, name: str, engine: Any, *args: Any, **kwargs: Any) -> Any:
        """A call of a function by its name; ValueError when there were too many."""
        self._left[0] -= 1
        if self._left[0] < 0:
            msg = "the expression takes too many steps"
            raise ValueError(msg)
        return super().__call__(name, engine, *args, **kwargs)


_TEXT: Final = yaqltypes.String()
_NUMBER: Final = yaqltypes.Number()
_NUMBER_OR_NULL: Final = yaqltypes.Number(nullable=True)
_ANY: Final = yaqltypes.PythonType(object, nullable=True)
_ITERABLE: Final = yaqltypes.Iterable()
_LAMBDA: Final = yaqltypes.Lambda(with_context=True)

_Callable = TypeVar("_Callable", bound=Callable[..., Any])
_FUNCTIONS: Final[list[Callable[..., Any]]] = []


def _function(name: str, *, method: bool = False, **types: Any) -> Callable[[_Callable], _Callable]:
    """Say what yaql must know of a function: its name, whether it is a method, and the types of its parameters."""

    def mark(function: _Callable) -> _Callable:
        for parameter, kind in types.items():
            specs.parameter(parameter, kind)(function)
        specs.name(name)(function)
        if method:
            specs.method(function)
        _FUNCTIONS.append(function)
        return function

    return mark


def bounded_context(finalizer: Callable[..., Any]) -> BoundedContext:
    """The standard library with the functions below in place of its own. ``finalizer`` makes results plain data."""
    context = BoundedContext(yaql.create_context(regex=False, finalizer=finalizer))
    for function in _FUNCTIONS:
        context.register_function(function)
    return context


@_function("pow", a=_NUMBER, b=_NUMBER, c=_NUMBER_OR_NULL)
def _pow(a: Any, b: Any, c: Any = None) -> Any:
    if c is None and isinstance(a, int) and isinstance(b, int) and a.bit_length() * b > MAX_BITS:
        msg = f"{a} to the power {b} is too large"
        raise ValueError(msg)
    return pow(a, b, c)


@_function("shiftBitsLeft", value=int, bits_number=int)
def _shift_bits_left(value: int, bits_number: int) -> int:
    if bits_number > MAX_BITS:
        msg = f"a shift by {bits_number} bits is too large"
        raise ValueError(msg)
    return value << bits_number


def _bounded(items: Iterator[Any]) -> Iterator[Any]:
    """The items, as long as they are not too many: some of yaql's functions count or sum them without a look."""
    for number, item in enumerate(items):
        if number >= MAX_ITEMS:
            msg = f"a sequence of more than {MAX_ITEMS} items is too long"
            raise ValueError(msg)
        yield item


@_function("range", stop=int)
def _range(stop: int) -> Iterator[int]:
    return _bounded(iter(range(stop)))


@_function("range", start=int, stop=int, step=int)
def _range_from(start: int, stop: int, step: int = 1) -> Iterator[int]:
    return _bounded(iter(range(start, stop, step)))


@_function("sequence", start=int, step=int)
def _sequence(start: int = 0, step: int = 1) -> Iterator[int]:
    return _bounded(itertools.count(start, step))


@_function("repeat", method=True, value=_ANY, times=int)
def _repeat(value: Any, times: int = -1) -> Iterator[Any]:
    return _bounded(itertools.repeat(value) if times < 0 else itertools.repeat(value, times))


@_function("cycle", method=True, collection=_ITERABLE)
def _cycle(collection: Any) -> Iterator[Any]:
    return _bounded(itertools.cycle(collection))


@_function("regex", pattern=_TEXT)
def _regex(pattern: str, ignore_case: bool = False, multi_line: bool = False, dot_all: bool = False) -> Any:  # noqa: FBT001, FBT002 - yaql's signature
    flags = regex.VERSION0 | regex.UNICODE
    flags |= regex.IGNORECASE if ignore_case else 0
    flags |= regex.MULTILINE if multi_line else 0
    flags |= regex.DOTALL if dot_all else 0
    return regex.compile(pattern, flags)


def _found(pattern: Any, text: str) -> Any:
    compiled = pattern if isinstance(pattern, _PATTERN) else regex.compile(pattern, regex.VERSION0)
    return compiled.search(text, timeout=PATTERN_SECONDS)


@_function("matches", method=True, regexp=_PATTERN, string=_TEXT)
def _matches(regexp: Any, string: str) -> bool:
    return _found(regexp, string) is not None


@_function("matches", method=True, string=_TEXT, regexp=_TEXT)
def _text_matches(string: str, regexp: str) -> bool:
    return _found(regexp, string) is not None


@_function("#operator_=~", regexp=_PATTERN, string=_TEXT)
def _fits(string: str, regexp: Any) -> bool:
    return _found(regexp, string) is not None


@_function("#operator_=~", pattern=_TEXT, string=_TEXT)
def _text_fits(string: str, pattern: str) -> bool:
    return _found(pattern, string) is not None


@_function("#operator_!~", regexp=_PATTERN, string=_TEXT)
def _differs(string: str, regexp: Any) -> bool:
    return _found(regexp, string) is None


@_function("#operator_!~", pattern=_TEXT, string=_TEXT)
def _text_differs(string: str, pattern: str) -> bool:
    return _found(pattern, string) is None


def _publish(context: Any, match: Any) -> None:
    """Give a selector the groups of a match: ``$1`` is the whole of it."""
    for number in range(len(match.groups()) + 1):
        context[f"${number + 1}"] = _group(match, number)
    for name in match.groupdict():
        context[f"${name}"] = _group(match, name)


def _group(match: Any, group: int | str) -> dict[str, Any]:
    return {"value": match.group(group), "start": match.start(group), "end": match.end(group)}


@_function("search", method=True, regexp=_PATTERN, string=_TEXT, selector=_LAMBDA)
def _search(context: Any, regexp: Any, string: str, selector: Any = None) -> Any:
    match = _found(regexp, string)
    if match is None or selector is None:
        return match and match.group()
    inner = context.create_child_context()
    _publish(inner, match)
    return selector(inner)


@_function("searchAll", method=True, regexp=_PATTERN, string=_TEXT, selector=_LAMBDA)
def _search_all(context: Any, regexp: Any, string: str, selector: Any = None) -> Iterator[Any]:
    for match in regexp.finditer(string, timeout=PATTERN_SECONDS):
        if selector is None:
            yield match.group()
        else:
            inner = context.create_child_context()
            _publish(inner, match)
            yield selector(inner)


@_function("split", method=True, regexp=_PATTERN, string=_TEXT, max_split=int)
def _split(regexp: Any, string: str, max_split: int = 0) -> Any:
    return regexp.split(string, max_split, timeout=PATTERN_SECONDS)


@_function("split", method=True, regexp=_PATTERN, string=_TEXT, max_split=int)
def _split_text(string: str, regexp: Any, max_split: int = 0) -> Any:
    return regexp.split(string, max_split, timeout=PATTERN_SECONDS)


@_function("replace", method=True, regexp=_PATTERN, string=_TEXT, repl=_TEXT, count=int)
def _replace(regexp: Any, string: str, repl: str, count: int = 0) -> Any:
    return regexp.sub(repl, string, count, timeout=PATTERN_SECONDS)


@_function("replace", method=True, regexp=_PATTERN, string=_TEXT, repl=_TEXT, count=int)
def _replace_text(string: str, regexp: Any, repl: str, count: int = 0) -> Any:
    return regexp.sub(repl, string, count, timeout=PATTERN_SECONDS)


def _replaced_by(context: Any, regexp: Any, string: str, repl: Any, count: int) -> Any:
    def replacement(match: Any) -> str:
        inner = context.create_child_context()
        _publish(inner, match)
        return str(repl(inner))

    return regexp.sub(replacement, string, count, timeout=PATTERN_SECONDS)


@_function("replaceBy", method=True, regexp=_PATTERN, string=_TEXT, repl=_LAMBDA, count=int)
def _replace_by(context: Any, regexp: Any, string: str, repl: Any, count: int = 0) -> Any:
    return _replaced_by(context, regexp, string, repl, count)


@_function("replaceBy", method=True, regexp=_PATTERN, string=_TEXT, repl=_LAMBDA, count=int)
def _replace_text_by(context: Any, string: str, regexp: Any, repl: Any, count: int = 0) -> Any:
    return _replaced_by(context, regexp, string, repl, count)


@_function("escapeRegex", string=_TEXT)
def _escape_regex(string: str) -> str:
    return regex.escape(string)


@_function("isRegex")
def _is_regex(value: Any) -> bool:
    return isinstance(value, _PATTERN)
