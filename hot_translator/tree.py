"""What all templates of one translation share: inputs, limits, and what has been found so far."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hot_translator import catalogue
from hot_translator.constraints import CustomConstraint
from hot_translator.errors import InvalidTemplate, TranslationError
from hot_translator.members import GroupResult, GroupState
from hot_translator.parameters import ParameterSchema
from hot_translator.private import private_error
from hot_translator.translation import Definition

MAX_DEPTH: Final = 5
"""How deep templates and groups may nest, as in Heat."""
MAX_RESOURCES: Final = 20_000
"""Resources of the whole tree: about two seconds of CPU and 60 MB for the members of a group.

Heat's default is 1,000.
"""
MAX_REQUIREMENTS: Final = 1_000_000
"""Of all resources together. Each of a thousand members may require each of another thousand."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a tree of templates may become."""

    depth: int = MAX_DEPTH
    resources: int = MAX_RESOURCES
    requirements: int = MAX_REQUIREMENTS


@dataclass(frozen=True, slots=True)
class Pseudo:
    """What the pseudo parameters give: OS::stack_name, OS::stack_id, OS::project_id, OS::region."""

    stack_name: str
    stack_id: str
    project_id: str
    region: str

    @property
    def arn(self) -> str:
        """The stack's identifier in CloudFormation's style, which is also what refers to a nested stack."""
        return f"arn:openstack:heat::{self.project_id}:stacks/{self.stack_name}/{self.stack_id}"


@dataclass(slots=True)
class Tree:
    """One translation under way."""

    files: Mapping[str, str]
    limits: Limits
    groups: Mapping[str, GroupState]
    definitions: dict[str, Definition] = field(default_factory=dict)
    problems: list[TranslationError] = field(default_factory=list)
    warnings: list[TranslationError] = field(default_factory=list)
    broken_rules: list[TranslationError] = field(default_factory=list)
    lookups: list[CustomConstraint] = field(default_factory=list)
    hidden_values: set[str] = field(default_factory=set)
    attributes_used: dict[str, set[str]] = field(default_factory=dict)
    translated_groups: dict[str, GroupResult] = field(default_factory=dict)
    hidden_files: frozenset[str] = frozenset()
    """Keys of the files whose texts are hidden."""
    hidden_defaults: frozenset[str] = frozenset()
    """Names of parameters, in any template, whose default values in the environment are hidden."""
    hidden_reads: int = 0
    """How often a hidden parameter or file was read: a snippet derives from one when compiling it raises this."""
    resources: int = 0
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _made: list[dict[str, Any]] = field(default_factory=list)

    def made_by_name(self) -> dict[str, Any]:
        """A new map for what is made when it is first asked for. It is emptied at the end of the translation."""
        self._made.append({})
        return self._made[-1]

    def release(self) -> None:
        """Drop what only the translation needed.

        Functions in the result hold the names of their template. With all that was made for these, a translation would
        be a circle, which only a full garbage collection finds: one of a large Stack stops all threads for a second.
        """
        self.definitions.clear()
        for made in self._made:
            made.clear()

    def report(self, error: TranslationError) -> None:
        """Keep a problem, once."""
        self._keep(error, self.problems)

    def warn(self, warning: TranslationError) -> None:
        """Keep a warning, once."""
        self._keep(warning, self.warnings)

    def break_rule(self, error: TranslationError) -> None:
        """Keep a broken rule between properties, once."""
        self._keep(error, self.broken_rules)

    def _keep(self, error: TranslationError, kept: list[TranslationError]) -> None:
        for problem in error.problems:
            if problem.source in self.hidden_files:
                problem = private_error(problem)  # noqa: PLW2901
            key = (problem.path, problem.reason)
            if key not in self._seen:
                self._seen.add(key)
                kept.append(problem)

    def count(self, number: int, path: str) -> None:
        """Count resources; raises ``InvalidTemplate`` when they are too many."""
        self.resources += number
        if self.resources > self.limits.resources:
            raise InvalidTemplate(path, f"The templates make more than {self.limits.resources} resources")

    def file_key(self, key: str, source: str | None) -> str:
        """The key of a file as a template names it: as it is, or relative to the template; KeyError when missing."""
        if key in self.files or key in catalogue.default_files():
            return key
        candidates = [posixpath.normpath(key)]
        if source and "://" not in key and not key.startswith("/"):
            candidates.insert(0, posixpath.normpath(posixpath.join(posixpath.dirname(source), key)))
        for candidate in candidates:
            if candidate in self.files:
                return candidate
        raise KeyError(key)

    def file(self, key: str, source: str | None) -> str:
        """The text of a file; KeyError when it was not given."""
        found = self.file_key(key, source)
        if found in self.hidden_files:
            self.hidden_reads += 1
        return self.files[found] if found in self.files else catalogue.default_files()[found]

    def hide(self, schema: ParameterSchema, value: Any) -> None:
        """Keep the texts of a hidden value, so that they can be kept out of everything."""
        if schema.hidden:
            self.hidden_values.update(text for text in _texts(value) if text)


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [] if value is None or isinstance(value, bool) or not isinstance(value, str | int | float) else [str(value)]
