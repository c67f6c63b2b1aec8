"""What can be wrong with a template, an environment or a parameter: always a path and a reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class TranslationError(Exception):
    """A problem at one place of a template, an environment or a parameter.

    ``path`` is dotted, as Heat writes it (``resources.web.properties.networks[0].port``); ``reason`` is one
    sentence for the person who wrote the text; ``line`` and ``column`` count from 1 and are None where the text
    is not at hand. ``source`` names the file when it is not the root template.
    """

    kind: ClassVar[str] = "InvalidTemplate"
    transient: ClassVar[bool] = False
    """Whether the same text may be fine later."""

    def __init__(
        self, path: str, reason: str, *, line: int | None = None, column: int | None = None, source: str | None = None
    ) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason
        self.line = line
        self.column = column
        self.source = source

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.reason), self.__dict__

    @property
    def problems(self) -> tuple[TranslationError, ...]:
        """Every single problem that this error stands for: itself, unless it is a collection."""
        return (self,)

    def conceal(self, values: Iterable[str], mark: str) -> None:
        """Put ``mark`` in the place of each of these values."""
        for problem in self.problems:
            for value in values:
                problem.path = problem.path.replace(value, mark)
                problem.reason = problem.reason.replace(value, mark)
            problem.args = (problem.path, problem.reason)


class InvalidTemplate(TranslationError):  # noqa: N818 - the name is the condition's reason
    """The template (or an environment, or a file) breaks a rule of the language or of a resource type."""


class InvalidParameter(TranslationError):  # noqa: N818 - the name is the condition's reason
    """A parameter's value is missing, of the wrong type, or against a constraint."""

    kind = "InvalidParameter"


class ResolutionError(TranslationError):
    """A function refuses the values that the resources gave: the template may be right, the value is not."""

    kind = "ResolutionFailed"


class EvaluationFailed(TranslationError):  # noqa: N818 - the name is the condition's reason
    """No process came to an answer for a function. The machine may lack memory or time: later it may work."""

    kind = "EvaluationFailed"
    transient = True


class Problems(TranslationError):  # noqa: N818 - many errors, not one
    """All problems that one run found, in the order of the text."""

    def __init__(self, found: Iterable[TranslationError]) -> None:
        self.all: tuple[TranslationError, ...] = tuple(one for problem in found for one in problem.problems)
        first = self.all[0]
        super().__init__(first.path, first.reason, line=first.line, column=first.column, source=first.source)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.all)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.all,)

    @property
    def problems(self) -> tuple[TranslationError, ...]:
        """Every problem found."""
        return self.all

    @property
    def transient(self) -> bool:  # type: ignore[override]
        """Whether nothing of it is wrong for good."""
        return all(problem.transient for problem in self.all)

    @property
    def kind(self) -> str:  # type: ignore[override]
        """``InvalidParameter`` when nothing else is wrong, else ``InvalidTemplate``."""
        kinds = {problem.kind for problem in self.all}
        return kinds.pop() if len(kinds) == 1 else InvalidTemplate.kind


def under(path: str, key: object) -> str:
    """The path of an entry: ``path.key`` for a map's key, ``path[3]`` for a list's index."""
    if isinstance(key, int) and not isinstance(key, bool):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def raise_all(problems: list[TranslationError]) -> None:
    """Raise what was collected: nothing, the only one, or all as ``Problems``."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise Problems(problems)
