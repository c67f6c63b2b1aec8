"""From a command line's inputs to a translation, with every problem on the way and where it is in which file."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hot_translator import (
    Environment,
    Pseudo,
    Template,
    Translation,
    parse_environment,
    parse_template,
    translate,
)
from hot_translator.errors import InvalidTemplate, TranslationError
from kiln.tools.command_line import Inputs
from kiln.tools.placeholders import StandIn
from reconcilers import registry

_ID: Final = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the inputs: a translation, or problems. ``missing`` are the parameters without a value."""

    problems: tuple[TranslationError, ...] = ()
    missing: tuple[str, ...] = ()
    template: Template | None = None
    translation: Translation | None = field(default=None, repr=False)
    warnings: tuple[TranslationError, ...] = ()


def run(inputs: Inputs, *, stack_name: str = "", stand_in: bool = False) -> Outcome:
    """Translate the inputs. With ``stand_in``, parameters without a value are no problem, and nothing is known of them.

    The pseudo parameters are those of a stack that does not exist: ids of zeros, and the template's name.
    """
    problems = list(inputs.problems)
    template = _parsed_template(inputs, problems)
    environments = _parsed_environments(inputs, problems)
    if template is None or len(environments) < len(inputs.environments):
        return Outcome(_in_order(problems, inputs))
    missing = _missing(template, environments, inputs.parameters)
    unknown = {*_wrong_parameters(template, problems), *(missing if stand_in else ())}
    parameters: dict[str, Any] = {**inputs.parameters} | {name: StandIn(template.parameters[name]) for name in unknown}
    name = stack_name or Path(inputs.template.name).stem
    pseudo = Pseudo(stack_name=name, stack_id=str(_ID), project_id=_ID.hex, region="RegionOne")
    translation = None
    try:
        translation = translate(
            template, environment=environments, parameters=parameters, files=inputs.files, pseudo=pseudo
        )
    except TranslationError as error:
        # That a file is missing is said already, with more words, where it is named.
        absent = {(file_of(problem, inputs), problem.line) for problem in inputs.problems}
        problems += [it for it in error.problems if (file_of(it, inputs), it.line) not in absent]
    if translation is not None:
        problems += translation.broken_rules
    if problems or translation is None:
        return Outcome(_in_order(problems, inputs), missing, template)
    warnings = [*translation.warnings, *_not_built(translation, template)]
    return Outcome((), missing, template, translation, _in_order(warnings, inputs))


def _not_built(translation: Translation, template: Template) -> Iterator[TranslationError]:
    """A warning for the first resource of each type that Kiln checks, and refuses when it is to be deployed."""
    told = set()
    for definition in translation.definitions.values():
        if definition.virtual or definition.type in told or registry.find(definition.type) is not None:
            continue
        told.add(definition.type)
        reason = f"the type {definition.type} is not built yet: the template is checked, and cannot be deployed"
        yield template.located(InvalidTemplate(f"{definition.path}.type", reason))


def file_of(problem: TranslationError, inputs: Inputs) -> str:
    """The path of the file that a problem is in."""
    source = problem.source or inputs.template.name
    return inputs.origins.get(source, source)


def _parsed_template(inputs: Inputs, problems: list[TranslationError]) -> Template | None:
    try:
        return parse_template(inputs.template.text, name=inputs.template.name, problems=problems)
    except TranslationError as error:
        problems += error.problems
        return None


def _parsed_environments(inputs: Inputs, problems: list[TranslationError]) -> list[Environment]:
    parsed = []
    for document in inputs.environments:
        try:
            parsed.append(parse_environment(document.text, name=document.name))
        except TranslationError as error:
            problems += error.problems
    return parsed


def _wrong_parameters(template: Template, problems: Sequence[TranslationError]) -> list[str]:
    """The parameters whose declarations are wrong: more cannot be said about their values."""
    paths = [f"{problem.path}." for problem in problems]
    section = template.version.words.parameters
    return [name for name in template.parameters if any(path.startswith(f"{section}.{name}.") for path in paths)]


def _missing(template: Template, environments: Sequence[Environment], parameters: Mapping[str, Any]) -> tuple[str, ...]:
    given = set(parameters)
    for environment in environments:
        for section in (environment.parameters, environment.parameter_defaults):
            given.update(name for name, value in section.items() if value is not None)
    return tuple(name for name, schema in template.parameters.items() if schema.default is None and name not in given)


def _in_order(problems: Sequence[TranslationError], inputs: Inputs) -> tuple[TranslationError, ...]:
    """The problems file by file, the root template first, from top to bottom."""
    root = inputs.template.name

    def place(problem: TranslationError) -> tuple[bool, str, int, int]:
        file = file_of(problem, inputs)
        return file != root, file, problem.line or 0, problem.column or 0

    return tuple(sorted(problems, key=place))
