"""What the translator's tests share: translating a text, and a scope of made-up resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

import pytest

from hot_translator import UNKNOWN, Pseudo, Translation, TranslationError, parse_environment, parse_template, translate

PSEUDO = Pseudo(stack_name="stack", stack_id="0f0e", project_id="project", region="RegionOne")


@dataclass
class Cloud:
    """Resources by name: an id, and attributes. What is not listed is not there yet."""

    ids: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def reference(self, name: str) -> Any:
        self.reads.append(name)
        return self.ids.get(name, UNKNOWN)

    def attribute(self, name: str, attribute: str) -> Any:
        self.reads.append(f"{name}.{attribute}")
        return self.values.get((name, attribute), UNKNOWN)

    def attributes(self, name: str) -> Any:
        found = {attribute: value for (one, attribute), value in self.values.items() if one == name}
        return found or UNKNOWN


@pytest.fixture
def cloud() -> type[Cloud]:
    return Cloud


@pytest.fixture
def translated() -> Callable[..., Translation]:
    def run(text: str, *, environment: Any = (), name: str | None = None, **kwargs: Any) -> Translation:
        kwargs.setdefault("pseudo", PSEUDO)
        if isinstance(environment, str):
            environment = parse_environment(dedent(environment))
        return translate(parse_template(dedent(text), name=name), environment=environment, **kwargs)

    return run


@pytest.fixture
def refused(translated: Callable[..., Translation]) -> Callable[..., list[str]]:
    """The problems of a text, each as ``path: reason``."""

    def run(text: str, **kwargs: Any) -> list[str]:
        with pytest.raises(TranslationError) as error:
            translated(text, **kwargs)
        return [str(problem) for problem in error.value.problems]

    return run
