"""What every intrinsic function is: a node that checks its arguments once and computes a value from resolved ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from hot_translator.budget import BudgetExceeded, Meter, measure, remaining
from hot_translator.errors import EvaluationFailed, InvalidTemplate, ResolutionError, TranslationError
from hot_translator.expression import (
    ATOMS,
    OMITTED,
    UNKNOWN,
    Dynamic,
    Leaf,
    Scope,
    dynamic_parts,
    has_unknown,
    is_dynamic,
    leaves,
    resolve,
)

REFUSALS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What a function raises when it does not like its arguments."""


class Path(NamedTuple):
    """A place in the template as a linked list: cheap to extend while compiling, made text only for a message."""

    parent: Path | None
    key: str | int

    def __str__(self) -> str:
        parts: list[str] = []
        place: Path | None = self
        while place is not None:
            place, key = place
            parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
        parts.reverse()
        return "".join(parts).removeprefix(".")


class Environs(Protocol):
    """What compiling a call may look at: one template's names. See ``compiler.Unit``."""

    def parameter(self, name: str) -> Any:
        """A parameter's value, compiled; KeyError when there is none of this name, TranslationError without a value."""

    def has_resource(self, name: str) -> bool:
        """Whether an enabled resource has this name."""

    def reference(self, name: str) -> Any:
        """The compiled value of get_resource; KeyError when no enabled resource has this name."""

    def attribute(self, name: str, attribute: str, path: Any) -> Any:
        """The compiled value of get_attr; KeyError for an unknown resource, LookupError for an unknown attribute."""

    def all_attributes(self, name: str) -> Any:
        """The compiled value of get_attr with a resource alone."""

    def file(self, key: str) -> str:
        """The text of a file; KeyError when it was not given."""

    def mapping(self, name: str) -> Any:
        """A CloudFormation mapping; KeyError when it is not there."""

    def is_call(self, snippet: Any) -> bool:
        """Whether a snippet is a call of a function of this version."""

    def condition(self, name: str) -> Any:
        """Whether a named condition holds: a bool, or ``Dynamic``; ValueError for an unknown name."""

    def evaluate(self, condition: Any, path: Path) -> Any:
        """An inline condition, a bool or the name of a condition: a bool, or ``Dynamic``."""

    def compile(self, snippet: Any, path: Path) -> Any:
        """A snippet in which the functions of this template's version are compiled."""

    def compile_branch(self, snippet: Any, path: Path) -> Any:
        """The same of a value that may never be wanted: its errors are raised when it is."""

    def facade(self, section: str) -> Any:
        """That section of the resource in the parent template which this template stands for; LookupError without."""


class LaterError(LookupError):
    """What get_attr names is not there, in a place that Heat looks at only when it resolves the call: in an output it
    costs the value, in a property it is refused since it is certain to fail.
    """


class Failure(Dynamic):
    """A call whose arguments are known and which refuses them: resolving it raises. ``reported``: it is a problem
    of the template already, wherever it stands.
    """

    __slots__ = ("error", "reported")

    def __init__(self, error: TranslationError, *, reported: bool = False) -> None:
        self.error = error
        self.reported = reported

    def resolve(self, scope: Scope) -> Any:
        """Raise the error."""
        raise type(self.error)(self.error.path, self.error.reason)

    def leaves(self) -> Iterator[Leaf]:
        """None."""
        return iter(())


class Call(Dynamic):
    """A call whose arguments depend on resources, kept until they are known."""

    __slots__ = ("_arguments", "_compute", "gives", "path")

    def __init__(self, compute: Callable[[Any], Any], arguments: Any, path: Path, gives: type | None = None) -> None:
        self._compute = compute
        self._arguments = arguments
        self.path = path
        self.gives = gives

    def resolve(self, scope: Scope) -> Any:
        """The function's value; ``UNKNOWN`` as long as any part of its arguments is."""
        arguments = resolve_items(self._arguments, scope)
        try:
            remaining().spend_call()
            measure(arguments)
            if has_unknown(arguments):
                return UNKNOWN
            result = timed(self._compute, arguments)
            measure(result)
        except REFUSALS as error:
            raise ResolutionError(str(self.path), message(error)) from error
        return result

    def leaves(self) -> Iterator[Leaf]:
        """The references in the arguments."""
        return leaves(self._arguments)

    def never(self, value: Any) -> bool:
        """A call gives its own kind of value, where it has one."""
        return self.gives is not None and not isinstance(value, self.gives)

    def parts(self) -> tuple[Any, ...]:
        """The arguments."""
        return (self._arguments,)


_CALL: Final = Call(lambda arguments: arguments, None, Path(None, ""))
"""Stands for arguments that are the result of another call: what they are counts for nothing in ``check``, as in
Heat, which checks before it resolves."""


class Function:
    """A function of the language: how its arguments are checked, and what it makes of them.

    One instance stands for one call while it is compiled. ``check`` sees the compiled arguments, in which dynamic parts
    stand as ``Dynamic``; ``compute`` sees them resolved. Both raise one of ``REFUSALS`` with a message for the user.
    """

    unpacked = False
    """Whether the function takes its arguments one by one. An omitted item of the list then counts as null and keeps
    its place; else it is dropped from the list, as Heat does."""
    gives: type | None = None
    """What every call of it gives (str, list or dict), where that is the same for all arguments."""
    makes = True
    """Whether its result is its own, and not a part of the template that is compiled and counted anyway."""

    def __init__(self, name: str, environs: Environs, path: Path) -> None:
        self.name = name
        self.environs = environs
        self.path = path

    def compiled(self, snippet: Any) -> Any:
        """The compiled call, counted and measured: nothing walks over a result that is too large."""
        try:
            remaining().spend_call()
            result = self.build(snippet)
            if self.makes and not isinstance(result, Leaf):
                measure(result)
        except TranslationError:
            raise
        except (BudgetExceeded, RecursionError) as error:
            return Failure(ResolutionError(str(self.path), message(error)))
        return result

    def build(self, snippet: Any) -> Any:
        """The compiled call: its value when everything is known, else a ``Dynamic``."""
        arguments = self.environs.compile(snippet, self.path)
        try:
            self.check(_CALL if self.environs.is_call(snippet) else arguments)
        except TranslationError:
            raise
        except REFUSALS as error:
            raise InvalidTemplate(str(self.path), message(error)) from error
        return self.fold(arguments)

    def fold(self, arguments: Any) -> Any:
        """Compute at once what is known already."""
        if is_dynamic(arguments):
            failure = find_failure(arguments) or self._refusal(arguments)
            return failure or Call(self.settle_and_compute, arguments, self.path, self.gives)
        return self._tried(strip_items(arguments))

    def _tried(self, arguments: Any) -> Any:
        try:
            return timed(self.settle_and_compute, arguments)
        except EvaluationFailed:
            raise  # a translation that holds it would be kept, and it may not happen again
        except TranslationError as error:
            return Failure(error)
        except REFUSALS as error:
            return Failure(ResolutionError(str(self.path), message(error)))

    def _refusal(self, arguments: Any) -> Failure | None:
        """What the known part of the arguments is refused for, whatever the resources give for the rest."""
        fitting = self.fitting(arguments)
        result = None if fitting is None else self._tried(fitting)
        return result if isinstance(result, Failure) else None

    def fitting(self, arguments: Any) -> Any:
        """The arguments with values that the function takes in the place of those that depend on resources.

        None when nothing can be said of the known ones.
        """
        return None

    def settle_and_compute(self, arguments: Any) -> Any:
        """Treat omitted items as the function does, then compute."""
        if self.unpacked:
            if isinstance(arguments, dict):
                arguments = {key: None if item is OMITTED else item for key, item in arguments.items()}
            elif isinstance(arguments, list):
                arguments = [None if item is OMITTED else item for item in arguments]
        else:
            arguments = strip(arguments)
        return self.compute(None if arguments is OMITTED else arguments)

    def check(self, arguments: Any) -> None:
        """Refuse arguments of the wrong shape, as Heat does in validation. By default any shape will do."""

    def compute(self, arguments: Any) -> Any:
        """The value of the call: of a function that says nothing else, what it was given."""
        return arguments


class FunctionType(Protocol):
    """How a version's table holds a function: its class."""

    def __call__(self, name: str, environs: Environs, path: Path) -> Function:
        """The call of that name at that place."""


def resolve_items(value: Any, scope: Scope) -> Any:
    """Arguments resolved, with omitted ones left in the outermost list or map: the function decides what they mean."""
    if isinstance(value, dict):
        return {key: resolve(item, scope) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, scope) for item in value]
    return resolve(value, scope)


def strip_items(value: Any) -> Any:
    """``strip`` for everything below the outermost list or map."""
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items()}
    if isinstance(value, list):
        return [strip(item) for item in value]
    return value


def strip(value: Any) -> Any:
    """Data without the entries that are omitted."""
    if isinstance(value, dict):
        return {key: item if type(item) in ATOMS else strip(item) for key, item in value.items() if item is not OMITTED}
    if isinstance(value, list):
        return [item if type(item) in ATOMS else strip(item) for item in value if item is not OMITTED]
    return value


def known_or(value: Any, fitting: Any) -> Any:
    """A value without its dynamic parts: ``fitting`` when all of it is one, else null in the place of each."""
    return fitting if isinstance(value, Dynamic) else plain(value)


def plain(value: Any) -> Any:
    """Compiled data with null in the place of each dynamic part."""
    if isinstance(value, Dynamic):
        return None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def failures(value: Any) -> list[Failure]:
    """The calls that are known to fail."""
    return [part for part in dynamic_parts(value) if isinstance(part, Failure)]


def find_failure(value: Any) -> Failure | None:
    """The first call that is known to fail."""
    if type(value) is str:  # the name of a resource or parameter, mostly
        return None
    found = failures(value)
    return found[0] if found else None


def message(error: BaseException) -> str:
    """An exception's own words; Python wraps a KeyError's in quotes."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error) or type(error).__name__


def is_map(value: Any) -> bool:
    """A map, as the language understands it."""
    return isinstance(value, Mapping)


def is_list(value: Any) -> bool:
    """A list, as the language understands it: text is none."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def timed(function: Callable[[Any], Any], arguments: Any) -> Any:
    """What the function makes of its arguments. Its CPU time is taken from the budget."""
    started = time.perf_counter()
    result = function(arguments)
    remaining().spend_time(time.perf_counter() - started)
    return result


class Membership:
    """Whether values are among given ones, equal as Python's ``==`` says (1, 1.0 and True are), in a time that does not
    grow with their number, maps and lists excepted.
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._hashable: set[Any] = set()
        self._others: list[Any] = []
        self._meter = Meter()
        for value in values:
            self.add(value)

    def add(self, value: Any) -> None:
        """One more of the given values."""
        self._meter.step()
        try:
            self._hashable.add(value)
        except TypeError:
            self._others.append(value)

    def __contains__(self, value: Any) -> bool:
        self._meter.step()
        try:
            return value in self._hashable
        except TypeError:
            return value in self._others
