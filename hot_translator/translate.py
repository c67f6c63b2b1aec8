"""The way from a template to definitions: pure, and the same for the same inputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hot_translator import implicit
from hot_translator.allowance import limited
from hot_translator.entities import Place
from hot_translator.environment import Environment, merge_environments, with_flat_parameters
from hot_translator.errors import TranslationError, raise_all
from hot_translator.loader import forget_places
from hot_translator.parameters import HIDDEN_TEXT, ParameterSchema, unknown
from hot_translator.registry import Registry
from hot_translator.template import Template, locate_error, parse_file
from hot_translator.translation import Definition, Translation, topological_order
from hot_translator.tree import Limits, Pseudo, Tree
from hot_translator.unit import Unit

_SHORTEST = 4
"""Shorter values are parts of ordinary words, and a message without those could not be read."""
_TEMPLATE_MARKS = ("heat_template_version", "HeatTemplateFormatVersion", "AWSTemplateFormatVersion")


@limited()
def translate(  # noqa: PLR0913 - all that a translation depends on
    template: Template,
    *,
    environment: Environment | Sequence[Environment] = (),
    parameters: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    pseudo: Pseudo,
    group_state: Mapping[str, frozenset[str]] | None = None,
    group_references: Mapping[str, Mapping[str, Any]] | None = None,
    limits: Limits | None = None,
    hidden: Collection[str] = (),
) -> Translation:
    """Translate a template.

    ``parameters`` win over those of the environments. ``files`` are the texts that get_file and nested templates name.
    ``group_state`` is what the last translation gave, and ``group_references`` the reference ids of each group's
    members that exist, by their local names, oldest first. ``hidden`` are the names of parameters that are hidden
    though the template does not say so.

    Raises ``TranslationError``: the only problem, or ``Problems`` with all of them.
    """
    template = _with_hidden(template, hidden)
    tree = Tree(files or {}, limits or Limits(), group_state or {}, group_references or {})
    merged = _environment(environment, template, tree.files)
    merged = with_flat_parameters(merged, parameters or {})
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
    except TranslationError as error:
        tree.report(error)
    _raise(tree, template)
    definitions = _complete(tree)
    try:
        order = topological_order(definitions)
    except TranslationError as error:
        tree.report(error)
        _raise(tree, template)
        raise
    return Translation(
        description=template.description,
        definitions=definitions,
        outputs=outputs,
        parameters=unit.parameters,
        hidden_values=frozenset(tree.hidden_values),
        lookups=tuple(tree.lookups),
        order=order,
        group_state=dict(tree.new_group_state),
        members=dict(tree.members),
        warnings=_warnings(unit),
        event_sinks=tuple(merged.event_sinks),
        template_version=template.version.value,
    )


def _with_hidden(template: Template, names: Collection[str]) -> Template:
    told = {
        name: replace(schema, hidden=True)
        for name, schema in template.parameters.items()
        if name in names and not schema.hidden
    }
    return replace(template, parameters={**template.parameters, **told}) if told else template


def _raise(tree: Tree, template: Template) -> None:
    hidden = sorted((value for value in tree.hidden_values if len(value) >= _SHORTEST), key=len, reverse=True)
    for problem in tree.problems:
        locate_error(problem, template.text, template.source)
        problem.conceal(hidden, HIDDEN_TEXT)
    forget_places()
    raise_all(tree.problems)


def _warnings(unit: Unit) -> tuple[TranslationError, ...]:
    warnings = tuple(unit.template.located(failure.error) for failure in unit.failures())
    forget_places()
    return warnings


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


def _environment(
    given: Environment | Sequence[Environment], template: Template, files: Mapping[str, str]
) -> Environment:
    if isinstance(given, Environment):
        return given
    if not given:
        return Environment()
    return merge_environments(given, all_schemas(template, files)) if len(given) > 1 else given[0]


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
