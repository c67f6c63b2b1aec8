"""The compiled sections of a resource, as its template writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from hot_translator.budget import refusing
from hot_translator.errors import InvalidTemplate, TranslationError
from hot_translator.expression import NOWHERE, is_dynamic, resolve, settled
from hot_translator.functions.base import Failure, Path, failures, find_failure, strip
from hot_translator.names import did_you_mean

if TYPE_CHECKING:
    from hot_translator.template import ResourceSnippet
    from hot_translator.unit import Unit


class Sections(Protocol):
    """Where a resource's compiled sections come from: its own text, or that of its group."""

    @property
    def path(self) -> Path:
        """The resource's place in the template."""

    @property
    def properties_path(self) -> Path:
        """The properties' place."""

    @property
    def properties(self) -> Any:
        """The compiled properties."""

    @property
    def hidden_properties(self) -> frozenset[str]:
        """The properties into which a hidden parameter went."""

    @property
    def hidden_parts(self) -> frozenset[str]:
        """Of those that are maps, the keys into which it went, where that is known: ``parameters.password``."""

    @property
    def metadata(self) -> Any:
        """The compiled metadata."""

    @property
    def update_policy(self) -> Any:
        """The compiled update policy."""

    @property
    def deletion_policy(self) -> str:
        """Delete, Retain or Snapshot."""

    @property
    def external_id(self) -> str | None:
        """The id of an existing resource that the definition stands for."""

    @property
    def description(self) -> str:
        """The resource's description."""

    @property
    def needs(self) -> frozenset[str]:
        """The names of what depends_on names."""

    def report(self, error: TranslationError) -> None:
        """Record a problem."""

    def break_rule(self, error: TranslationError) -> None:
        """Record a broken rule between properties."""

    def warn(self, warning: TranslationError) -> None:
        """Record a warning."""


class Written:
    """The sections of a resource that stands in a template, each compiled when it is first asked for."""

    def __init__(self, unit: Unit, snippet: ResourceSnippet, path: Path) -> None:
        self._unit = unit
        self._snippet = snippet
        self.path = path
        self._words = unit.template.version.words
        self.properties_path = Path(path, self._words.properties)
        self.hidden_properties: frozenset[str] = frozenset()
        self.hidden_parts: frozenset[str] = frozenset()
        self._compiling = False
        self._skip_absent()

    def _skip_absent(self) -> None:
        """Set the sections that the resource does not have. Most resources have properties alone."""
        if self._snippet.metadata is None:
            self.metadata = {}
        if self._snippet.update_policy is None:
            self.update_policy = {}
        if self._snippet.deletion_policy is None:
            self.deletion_policy = "Delete"
        if self._snippet.external_id is None:
            self.external_id = None
        if not self._snippet.depends_on:
            self.needs = frozenset()

    @cached_property
    def properties(self) -> Any:
        """The compiled properties. Those that refer to themselves, through an output of theirs, are refused."""
        if self._compiling:
            reason = f"Circular dependency found: the properties of {self._snippet.name} are made of themselves"
            raise InvalidTemplate(str(self.properties_path), reason)
        self._compiling = True
        try:
            compiled = self._compile_properties()
        finally:
            self._compiling = False
        return self._checked(compiled, self._words.properties)

    def _compile_properties(self) -> Any:
        snippet, compiler, tree = self._snippet.properties, self._unit.compiler, self._unit.tree
        path = self.properties_path
        if not isinstance(snippet, Mapping) or len(snippet) == 1:
            before = tree.hidden_reads
            compiled = strip(compiler.compile(snippet, path))
            if tree.hidden_reads > before:
                names = frozenset(compiled if isinstance(compiled, dict) else ())
                # A call makes the names too.
                whole = not isinstance(compiled, dict) or compiler.is_call(snippet)
                self.hidden_properties = names | {"*"} if whole else names
            return compiled if compiled is not None else {}
        hidden: set[str] = set()
        compiled = {}
        for name, value in snippet.items():
            before = tree.hidden_reads
            compiled[name] = value if type(value) is str else compiler.compile(value, Path(path, name))
            if tree.hidden_reads > before:
                hidden.add(name)
        self.hidden_properties = frozenset(hidden)
        self.hidden_parts = frozenset(part for name in hidden for part in self._hidden_parts(name, snippet[name]))
        return strip(compiled)

    def _hidden_parts(self, name: str, snippet: Any) -> Iterator[str]:
        """The keys of a property, which is a map, into which something hidden went."""
        compiler, tree = self._unit.compiler, self._unit.tree
        if not isinstance(snippet, Mapping) or compiler.is_call(snippet):
            return
        for key, value in snippet.items():
            before = tree.hidden_reads
            compiler.compile(value, Path(Path(self.properties_path, name), key))
            if tree.hidden_reads > before:
                yield f"{name}.{key}"

    def _checked(self, compiled: Any, section: str) -> Any:
        """Report the calls that are certain to fail, and a section that is no map."""
        for failure in failures(compiled):
            if not failure.reported:
                self.report(InvalidTemplate(failure.error.path, failure.error.reason))
        if not isinstance(compiled, dict) and not is_dynamic(compiled):
            self.report(InvalidTemplate(f"{self.path}.{section}", f"The {section} must be a map"))
            return {}
        return compiled

    def _section(self, snippet: Any, section: str) -> Any:
        if snippet is None:
            return {}
        compiled = strip(self._unit.compiler.compile(snippet, Path(self.path, section)))
        if find_failure(compiled) is None:
            try:
                with refusing(f"{self.path}.{section}"):
                    resolve(compiled, NOWHERE)
            except TranslationError as error:
                self.report(error if error.transient else InvalidTemplate(error.path, error.reason))
        return self._checked(compiled if compiled is not None else {}, section)

    @cached_property
    def metadata(self) -> Any:
        """The compiled metadata."""
        return self._section(self._snippet.metadata, self._words.metadata)

    @cached_property
    def update_policy(self) -> Any:
        """The compiled update policy."""
        return self._section(self._snippet.update_policy, self._words.update_policy)

    @cached_property
    def deletion_policy(self) -> str:
        """Delete, Retain or Snapshot."""
        policy = self._text(self._snippet.deletion_policy, self._words.deletion_policy)
        if policy is None:
            return "Delete"
        known = self._unit.template.version.deletion_policies
        if policy not in known:
            path = f"{self.path}.{self._words.deletion_policy}"
            hint = did_you_mean(policy, known)
            self.report(InvalidTemplate(path, f'Invalid deletion policy "{policy}"{hint}'))
            return "Delete"
        return known[policy]

    @cached_property
    def external_id(self) -> str | None:
        """The id of an existing resource that the definition stands for."""
        return self._text(self._snippet.external_id, self._words.external_id or "external_id")

    def _text(self, snippet: Any, section: str) -> str | None:
        """A section that is text, or a call that gives text before anything is created."""
        if snippet is None:
            return None
        path = Path(self.path, section)
        value = strip(self._unit.compiler.compile(snippet, path))
        if not isinstance(value, Failure):
            value = settled(value)
        if isinstance(value, Failure):
            if not value.reported:
                self.report(InvalidTemplate(value.error.path, value.error.reason))
        elif is_dynamic(value):
            self.report(InvalidTemplate(str(path), f"The {section} must not depend on a resource"))
        elif not isinstance(value, str):
            self.report(InvalidTemplate(str(path), f"Resource {self._snippet.name} {section} type must be string"))
        else:
            return value
        return None

    @property
    def description(self) -> str:
        """The resource's description."""
        return self._snippet.description

    @cached_property
    def needs(self) -> frozenset[str]:
        """The names of what depends_on names."""
        needs = self._unit.needs(self._snippet, self.path)
        if self._snippet.depends_on and self.external_id is not None:
            path = f"{self.path}.{self._words.depends_on}"
            reason = "A resource with an external_id is there already: it must not depend on another"
            self.report(InvalidTemplate(path, reason))
        return needs

    def report(self, error: TranslationError) -> None:
        """Record a problem."""
        self._unit.report(error)

    def break_rule(self, error: TranslationError) -> None:
        """Record a broken rule between properties."""
        self._unit.break_rule(error)

    def warn(self, warning: TranslationError) -> None:
        """Record a warning."""
        self._unit.warn(warning)
