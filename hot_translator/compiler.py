"""One template of the tree, compiled: its parameters, conditions and names, and snippets that become expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from hot_translator.errors import InvalidTemplate, ResolutionError, TranslationError
from hot_translator.expression import ATOMS, OMITTED, UNKNOWN, Dynamic, Leaf, Scope, is_dynamic, settled
from hot_translator.functions.base import Failure, Path
from hot_translator.functions.select import SelectPath, select_attribute
from hot_translator.private import private, private_error
from hot_translator.template import Template
from hot_translator.versions import Functions


class Entity(Protocol):
    """An enabled resource as seen by those who refer to it. The values are compiled expressions."""

    def reference(self) -> Any:
        """What get_resource gives."""

    def attribute(self, attribute: str, path: list[Any]) -> Any:
        """What get_attr gives with this path; LookupError (no KeyError) when there is no such attribute."""

    def all_attributes(self) -> Any:
        """What get_attr gives without an attribute."""

    def define(self) -> None:
        """Put its definition, and those of what it consists of, into the tree."""


class Names(Protocol):
    """What a compiler looks up outside of its template's text."""

    def parameter(self, name: str) -> Any:
        """A parameter's compiled value; KeyError when there is none."""

    def entity(self, name: str) -> Entity:
        """An enabled resource; KeyError when there is none."""

    def has_resource(self, name: str) -> bool:
        """Whether an enabled resource has this name."""

    def file(self, key: str) -> str:
        """The text of a file; KeyError when it was not given."""

    def facade(self, section: str) -> Any:
        """That section of the resource which this template stands for; LookupError when it stands for none."""

    @property
    def hidden_reads(self) -> int:
        """How often something hidden was read until now."""


Report = Callable[[TranslationError], None]


class Compiler:
    """Compiles the snippets of one template. Errors of a call are reported, and a ``Failure`` takes its place."""

    def __init__(self, template: Template, names: Names, report: Report, root: Path | None) -> None:
        self.template = template
        self.root = root
        self._names = names
        self._report = report
        self._functions: Functions = template.version.functions
        self._conditions = Conditions(self, template.version.in_conditions) if template.version.has_conditions else None

    def section(self, *keys: str | int) -> Path:
        """The path of a place in this template."""
        path = self.root
        for key in keys:
            path = Path(path, key)
        if path is None:
            path = Path(None, "template")
        return path

    def compile(self, snippet: Any, path: Path) -> Any:
        """A snippet as an expression: plain data with ``Dynamic`` parts, ``Failure`` parts and ``OMITTED`` items."""
        return compile_with(self._functions, self, snippet, path)

    def is_call(self, snippet: Any) -> bool:
        """Whether a snippet is a call of a function of this version."""
        return is_call(self._functions, snippet)

    def report(self, error: TranslationError) -> Failure:
        """Record a problem; what stands in its place refuses to be resolved."""
        self._report(error)
        return Failure(error, reported=True)

    def parameter(self, name: str) -> Any:
        """See ``Names``."""
        return self._names.parameter(name)

    def has_resource(self, name: str) -> bool:
        """See ``Names``."""
        return self._names.has_resource(name)

    def reference(self, name: str) -> Any:
        """The compiled value of get_resource."""
        return self._names.entity(name).reference()

    def attribute(self, name: str, attribute: str, path: Any) -> Any:
        """The compiled value of get_attr."""
        entity = self._names.entity(name)
        if self.template.version.attribute_paths_reach_the_resource:
            return entity.attribute(attribute, path)
        return select(entity.attribute(attribute, []), path)

    def all_attributes(self, name: str) -> Any:
        """The compiled value of get_attr with a resource alone."""
        return self._names.entity(name).all_attributes()

    def file(self, key: str) -> str:
        """See ``Names``."""
        return self._names.file(key)

    @property
    def hidden_reads(self) -> int:
        """See ``Names``."""
        return self._names.hidden_reads

    def facade(self, section: str) -> Any:
        """See ``Names``."""
        return self._names.facade(section)

    def mapping(self, name: str) -> Any:
        """A CloudFormation mapping."""
        return self.template.mappings[name]

    def compile_branch(self, snippet: Any, path: Path) -> Any:
        """A snippet of which nobody knows yet whether it is wanted: its errors are raised when it is resolved."""
        return _Quiet(self).compile(snippet, path)

    def condition(self, name: str) -> Any:
        """Whether a named condition holds: a bool, or ``Dynamic``; ValueError for an unknown name."""
        if self._conditions is None:
            msg = f'Invalid condition "{name}"'
            raise ValueError(msg)
        return self._conditions.holds(name)

    def evaluate(self, condition: Any, path: Path) -> Any:
        """A condition as it stands at a resource, an output or an ``if``: a bool, a name, or a condition function.

        Its value: a bool, or ``Dynamic`` when it depends on a resource, which a parameter of a nested template may.
        """
        if self._conditions is None:
            return self.condition(str(condition))
        return self._conditions.evaluate(condition, path)

    def check_conditions(self) -> None:
        """Report the definitions that are no conditions, used or not."""
        if self._conditions is not None:
            self._conditions.check()


def compile_with(functions: Functions, compiler: Any, snippet: Any, path: Path) -> Any:
    """Compile a snippet with a table of functions. A map of one key that names a function is a call of it."""
    if type(snippet) in ATOMS:
        return snippet
    if isinstance(snippet, dict):
        if len(snippet) == 1:
            ((name, arguments),) = snippet.items()
            function = functions.get(name) if isinstance(name, str) else None
            if function is not None:
                before = compiler.hidden_reads
                try:
                    built = function(name, compiler, Path(path, name)).compiled(arguments)
                except TranslationError as error:
                    return compiler.report(private_error(error) if compiler.hidden_reads > before else error)
                return private(built) if compiler.hidden_reads > before else built
        return {
            key: item if type(item) in ATOMS else compile_with(functions, compiler, item, Path(path, key))
            for key, item in snippet.items()
        }
    if isinstance(snippet, list):
        return [
            item if type(item) in ATOMS else compile_with(functions, compiler, item, Path(path, index))
            for index, item in enumerate(snippet)
        ]
    return snippet


def is_call(functions: Functions, snippet: Any) -> bool:
    """Whether a snippet is a map of one key that names a function."""
    if not isinstance(snippet, dict) or len(snippet) != 1:
        return False
    name = next(iter(snippet))
    return isinstance(name, str) and name in functions


class Conditions:
    """The named conditions of a template, and how conditions are read anywhere in it."""

    def __init__(self, compiler: Compiler, functions: Functions) -> None:
        self._compiler = compiler
        self._functions = functions
        self._environs = _InCondition(compiler, functions)
        self._definitions = compiler.template.conditions
        self._section = compiler.template.version.words.conditions
        self._known: dict[str, Any] = {}
        self._open: set[str] = set()

    def check(self) -> None:
        """Report each definition that is no condition. Whether it can be resolved counts only where it is used."""
        for name, definition in self._definitions.items():
            path = self._compiler.section(self._section, name)
            if not self._is_condition(definition):
                self._compiler.report(_no_condition(name, definition, path))
            elif name not in self._known:
                self._open.add(name)
                self._environs.errors.clear()
                self._environs.compile(definition, path)
                self._open.discard(name)
                for error in self._environs.errors:
                    self._compiler.report(error)

    def _is_condition(self, definition: Any) -> bool:
        return isinstance(definition, bool) or is_call(self._functions, definition)

    def holds(self, name: str) -> Any:
        """A named condition: a bool, or ``Dynamic``.

        Raises ValueError for an unknown name, ``InvalidTemplate`` for a wrong or circular definition.
        """
        if name not in self._definitions:
            msg = f'Invalid condition "{name}"'
            raise ValueError(msg)
        if name not in self._known:
            path = self._compiler.section(self._section, name)
            if name in self._open:
                raise ResolutionError(str(path), f'Circular definition for condition "{name}"')
            self._open.add(name)
            try:
                self._known[name] = self._resolve(name, path)
            finally:
                self._open.discard(name)
        return self._known[name]

    def _resolve(self, name: str, path: Path) -> Any:
        definition = self._definitions[name]
        if not self._is_condition(definition):
            raise _no_condition(name, definition, path)
        value = self._value(definition, path)
        if isinstance(value, Dynamic):
            return Undecided(value, path)
        if not isinstance(value, bool):
            raise _no_condition(name, value, path)
        return value

    def evaluate(self, condition: Any, path: Path) -> Any:
        """A condition where it is used: a bool, or ``Dynamic``. Null counts as true, as in Heat."""
        value = self._value(condition, path)
        if isinstance(value, Dynamic):
            return Undecided(value, path)
        if value is None or isinstance(value, bool):
            return value is not False
        if not isinstance(value, str):
            raise InvalidTemplate(str(path), f'Invalid condition "{value}"')
        try:
            return self.holds(value)
        except ValueError as error:
            raise InvalidTemplate(str(path), str(error)) from None

    def _value(self, condition: Any, path: Path) -> Any:
        value = compile_with(self._functions, self._environs, condition, path)
        if isinstance(value, Failure):
            raise value.error
        return settled(value)


class Undecided(Dynamic):
    """A condition that depends on a resource: a bool when that is there."""

    __slots__ = ("_path", "_value")

    def __init__(self, value: Dynamic, path: Path) -> None:
        self._value = value
        self._path = path

    def resolve(self, scope: Scope) -> Any:
        """Whether it holds; ``UNKNOWN`` while the resource is not there."""
        value = self._value.resolve(scope)
        if value is UNKNOWN or isinstance(value, bool):
            return value
        raise ResolutionError(str(self._path), f'The condition is neither true nor false, but "{value}"')

    def leaves(self) -> Iterator[Leaf]:
        """The references in the condition."""
        return self._value.leaves()

    def parts(self) -> tuple[Any, ...]:
        """What the condition is made of."""
        return (self._value,)


class _Quiet:
    """The compiler of values that may never be wanted: errors are kept where they stand."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiler, name)

    def compile(self, snippet: Any, path: Path) -> Any:
        """The snippet as an expression."""
        return compile_with(self._compiler.template.version.functions, self, snippet, path)

    def compile_branch(self, snippet: Any, path: Path) -> Any:
        """The same."""
        return self.compile(snippet, path)

    def report(self, error: TranslationError) -> Failure:
        """What raises the error when it is resolved."""
        return Failure(ResolutionError(error.path, error.reason))


def _no_condition(name: str, definition: Any, path: Path) -> InvalidTemplate:
    return InvalidTemplate(str(path), f'The definition of condition "{name}" is invalid: {definition}')


class _InCondition:
    """The compiler as the functions of a condition see it: other functions, and errors that are raised at once."""

    def __init__(self, compiler: Compiler, functions: Functions) -> None:
        self._compiler = compiler
        self._functions = functions
        self.errors: list[TranslationError] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiler, name)

    def compile(self, snippet: Any, path: Path) -> Any:
        """A snippet in which only the functions of conditions may stand."""
        return compile_with(self._functions, self, snippet, path)

    def is_call(self, snippet: Any) -> bool:
        """Whether a snippet is a call of a function that may stand here."""
        return is_call(self._functions, snippet)

    def report(self, error: TranslationError) -> Failure:
        """What refuses to be resolved; who evaluates the condition raises the error."""
        self.errors.append(error)
        return Failure(error)


def select(value: Any, path: list[Any]) -> Any:
    """get_attr's path into a compiled value: at once as far as it is known, the rest when it is resolved."""
    if not path or value is OMITTED:
        return value
    if is_dynamic(value) or is_dynamic(path):
        return SelectPath(value, path, select_attribute)
    return select_attribute(value, path)
