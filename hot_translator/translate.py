"""The way from a template to definitions: pure, and the same for the same inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hot_translator import implicit
from hot_translator.budget import limited
from hot_translator.entities import Place
from hot_translator.environment import Environment, merge_environments, with_flat_parameters
from hot_translator.errors import InvalidParameter, TranslationError, raise_all
from hot_translator.hidden import SHORTEST_SECRET
from hot_translator.loader import forget_places
from hot_translator.members import GroupState
from hot_translator.parameters import HIDDEN_TEXT, ParameterSchema, unknown
from hot_translator.registry import Registry
from hot_translator.template import Template, locate_error, parse_file
from hot_translator.translation import Definition, Translation, check_requirements, topological_order
from hot_translator.tree import Limits, Pseudo, Tree
from hot_translator.unit import Unit

_TEMPLATE_MARKS = ("heat_template_version", "HeatTemplateFormatVersion", "AWSTemplateFormatVersion")


@limited()
def translate(  # noqa: PLR0913 - all that a translation depends on
    template: Template,
    *,
    environment: Environment | Sequence[Environment] = (),
    parameters: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    pseudo: Pseudo,
    groups: Mapping[str, GroupState] | None = None,
    limits: Limits | None = None,
    hidden: Collection[str] = (),
    hidden_files: Collection[str] = (),
    hidden_environments: Collection[int] = (),
) -> Translation:
    """Translate a template.

    ``parameters`` win over those of the environments. ``files`` are the texts that get_file and nested templates name.
    ``groups`` is what is known of each group from before, by its name among the definitions. ``hidden`` are the names
    of parameters that are hidden though the template does not say so, ``hidden_files`` the keys of files whose texts
    are, ``hidden_environments`` the places of environments whose values are.

    Raises ``TranslationError``: the only problem, or ``Problems`` with all of them.
    """
    secret = [one for index, one in enumerate(_sequence(environment)) if index in hidden_environments]
    defaults = frozenset(name for one in secret for name in one.parameter_defaults)
    template = template.hiding({*hidden, *defaults, *(name for one in secret for name in one.parameters)})
    tree = Tree(
        files or {},
        limits or Limits(),
        groups or {},
        hidden_files=frozenset(hidden_files),
        hidden_defaults=defaults,
    )
    merged = _environment(environment, template, tree)
    if parameters:
        merged = with_flat_parameters(_declared(merged, template, tree), parameters)
    for name in merged.parameters:
        if name not in template.parameters:
            tree.report(unknown(name, template.parameters, f"{template.version.words.parameters}.{name}"))
    place = Place(
        tree, Registry.of(merged.resource_registry), merged.parameter_defaults, pseudo, source=template.source
    )
    try:
        unit = Unit(template, place, merged.parameters)
        unit.expand()
        outputs = unit.outputs()
        unit.warn_of_outputs()
    except TranslationError as error:
        tree.report(error)
    _raise(tree, template)
    definitions = _complete(tree)
    try:
        order = topological_order(definitions)
        check_requirements(definitions, order, tree.limits.requirements)
    except TranslationError as error:
        tree.report(error)
        _raise(tree, template)
        raise
    translation = Translation(
        description=template.description,
        definitions=definitions,
        outputs=outputs,
        parameters=unit.parameters,
        hidden_values=frozenset(tree.hidden_values),
        lookups=tuple(tree.lookups),
        order=order,
        groups=dict(tree.translated_groups),
        warnings=(*template.warnings, *_told(tree, template, tree.warnings)),
        broken_rules=_told(tree, template, tree.broken_rules),
        event_sinks=tuple(merged.event_sinks),
        template_version=template.version.value,
    )
    tree.release()
    return translation


def _raise(tree: Tree, template: Template) -> None:
    hidden = _secrets(tree)
    for problem in tree.problems:
        locate_error(problem, template.text, template.source)
        problem.conceal(hidden, HIDDEN_TEXT)
    forget_places()
    if tree.problems:
        tree.release()
    raise_all(tree.problems)


def _told(tree: Tree, template: Template, found: list[TranslationError]) -> tuple[TranslationError, ...]:
    """What was found, with its places and without hidden values."""
    hidden = _secrets(tree)
    for one in found:
        template.located(one)
        one.conceal(hidden, HIDDEN_TEXT)
    forget_places()
    return tuple(found)


def _secrets(tree: Tree) -> list[str]:
    """The hidden values to keep out of messages, longest first."""
    return sorted((value for value in tree.hidden_values if len(value) >= SHORTEST_SECRET), key=len, reverse=True)


def _complete(tree: Tree) -> dict[str, Definition]:
    """The definitions with the implicit edges and the attributes that others read."""
    extra: dict[str, set[str]] = {}
    for dependant, requirement in implicit.edges(tree.definitions):
        extra.setdefault(dependant, set()).add(requirement)
    complete = {}
    for name, definition in tree.definitions.items():
        used = tree.attributes_used.get(name)
        more = extra.get(name)
        if used or more:
            definition = replace(  # noqa: PLW2901
                definition,
                requires=definition.requires | (more or frozenset()),
                attributes_used=frozenset(used or ()),
            )
        complete[name] = definition
    return complete


def _declared(merged: Environment, template: Template, tree: Tree) -> Environment:
    """The environment without the parameters that no template of the tree declares, each with a warning.

    Heat reads over them as soon as parameters are given beside the environment, so that several templates may share
    one environment; without such parameters it refuses them, as a parameter that a template does not declare.
    """
    undeclared = merged.parameters.keys() - template.parameters.keys()
    if not undeclared:
        return merged
    known = all_schemas(template, tree.files)
    left_out = sorted(name for name in undeclared if name not in known)
    _warn_of_left_out(left_out, merged.source, tree)
    parameters = {name: value for name, value in merged.parameters.items() if name not in left_out}
    return replace(merged, parameters=parameters)


def _warn_of_left_out(names: Iterable[str], source: str | None, tree: Tree) -> None:
    for name in names:
        reason = f"no template declares the parameter {name} of the environment: it is left out"
        tree.warn(InvalidParameter(f"parameters.{name}", reason, source=source))


def _sequence(given: Environment | Sequence[Environment]) -> Sequence[Environment]:
    return (given,) if isinstance(given, Environment) else given


def _environment(given: Environment | Sequence[Environment], template: Template, tree: Tree) -> Environment:
    if isinstance(given, Environment):
        return given
    if not given:
        return Environment()
    if len(given) == 1:
        return given[0]
    merged = merge_environments(given, all_schemas(template, tree.files))
    for environment in given:
        wanted = [name for name, value in environment.parameters.items() if value is not None]
        _warn_of_left_out((name for name in wanted if name not in merged.parameters), environment.source, tree)
    return merged


def all_schemas(template: Template, files: Mapping[str, str]) -> dict[str, ParameterSchema]:
    """The parameters of every template of the tree. The root's count where names are the same."""
    schemas: dict[str, ParameterSchema] = {}
    for name, text in files.items():
        if any(mark in text for mark in _TEMPLATE_MARKS):
            try:
                schemas.update(parse_file(text, name).parameters)
            except TranslationError:
                continue  # a file that is no template; one that is used as such is refused where it is used
    return {**schemas, **template.parameters}
