"""``kiln render``: what a template becomes with its inputs, in the order in which it would be made."""

import argparse
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from hot_translator import HIDDEN_TEXT, UNKNOWN, Definition, Translation, TranslationError
from hot_translator.expression import leaves
from kiln.tools import command_line as given
from kiln.tools.offline import Outcome, run
from kiln.tools.validate import print_problems

DESCRIPTION = """Print the resources of a template with their final properties, in the order of their dependencies.

What only the cloud will know stands as "(known after NAME ...)", hidden parameters and what is made of them as ******.
Every parameter needs a value. The waves are the resources that may be made side by side, one wave after the other."""

_SHORTEST_SECRET: Final = 4
"""Shorter hidden values are parts of ordinary words: what is made of them is hidden where it is known to be."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kiln render``."""
    parser = commands.add_parser(
        "render", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given.add_arguments(parser)
    parser.add_argument("--stack-name", default="", metavar="NAME", help="the stack's name; default: the file's")
    parser.add_argument("--json", action="store_true", help="print JSON instead of YAML")
    parser.set_defaults(handler=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit code 0: printed; 1: the inputs have problems."""
    inputs = given.read(arguments)
    outcome = run(inputs, stack_name=arguments.stack_name)
    if outcome.translation is None:
        print_problems(outcome, inputs)
        return 1
    try:
        rendered = render(outcome.translation)
    except TranslationError as error:
        print_problems(Outcome(error.problems), inputs)
        return 1
    if arguments.json:
        print(json.dumps(rendered, indent=2))
    else:
        print(yaml.safe_dump(rendered, sort_keys=False, allow_unicode=True, width=120), end="")
    return 0


def render(translation: Translation) -> dict[str, Any]:
    """The translation as plain data. Raises ``TranslationError`` for a value that a type refuses."""
    resources = {name: _resource(translation.definitions[name]) for name in translation.order}
    outputs = {
        name: HIDDEN_TEXT if output.hidden else _shown(output.resolve(_NothingYet()), output.value)
        for name, output in translation.outputs.items()
    }
    rendered = {
        "description": translation.description,
        "parameters": {name: parameter.text for name, parameter in translation.parameters.items()},
        "waves": [list(wave) for wave in translation.waves()],
        "resources": resources,
        "outputs": outputs,
    }
    masked: dict[str, Any] = _masked(rendered, translation.hidden_values)
    return masked


class _NothingYet:
    """What is known of the resources before any is made."""

    def reference(self, name: str) -> Any:
        """Nothing."""
        return UNKNOWN

    def attribute(self, name: str, attribute: str) -> Any:
        """Nothing."""
        return UNKNOWN

    def attributes(self, name: str) -> Any:
        """Nothing."""
        return UNKNOWN


def _resource(definition: Definition) -> dict[str, Any]:
    """A definition, without what is as usual."""
    scope = _NothingYet()
    values = definition.resolve(scope)
    sources = _by_present_names(definition)
    hidden_names = _present_names(definition, definition.hidden_properties)
    shown = {}
    for name, value in values.items():
        hidden = name in hidden_names or "*" in hidden_names
        shown[name] = HIDDEN_TEXT if hidden else _shown(value, _part(sources, name))
    more = {
        "type": definition.type,
        "kind": definition.kind,
        "requires": sorted(definition.requires),
        "properties": shown,
        "metadata": _shown(definition.resolve_metadata(scope), definition.metadata),
        "update_policy": dict(definition.update_policy or {}),
        "deletion_policy": definition.deletion_policy,
        "external_id": definition.external_id,
    }
    usual = {"kind": "resource", "deletion_policy": "Delete", "external_id": None}
    return {key: value for key, value in more.items() if value not in ({}, [], usual.get(key, ""))}


def _present_names(definition: Definition, names: Iterable[str]) -> set[str]:
    return {definition.schema.renamed(name) if definition.schema else name for name in names}


def _by_present_names(definition: Definition) -> Any:
    """The properties' expressions, under the names that the type has for them now."""
    raw, schema = definition.properties, definition.schema
    if schema is None or not isinstance(raw, Mapping):
        return raw
    return {schema.renamed(name): value for name, value in raw.items()}


def _shown(value: Any, source: Any) -> Any:
    """A value in which each unknown part says what it waits for; ``source`` is the expression that it came from."""
    if value is UNKNOWN:
        names = sorted({leaf.resource for leaf in leaves(source)})
        return f"(known after {', '.join(names)})" if names else "(known later)"
    if isinstance(value, Mapping):
        return {key: _shown(item, _part(source, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item, _part(source, index)) for index, item in enumerate(value)]
    return value


def _part(source: Any, key: Any) -> Any:
    if isinstance(source, Mapping):
        return source.get(key, source)  # under an old name, perhaps: then all of it is named
    if isinstance(source, list):
        return source[key] if key < len(source) else source
    return source


def _masked(value: Any, secrets: Iterable[str]) -> Any:
    """Plain data without the hidden values; what YAML and JSON cannot say becomes text."""
    wanted = sorted((text for text in secrets if len(text) >= _SHORTEST_SECRET), key=len, reverse=True)

    def mask(item: Any) -> Any:
        if isinstance(item, Mapping):
            return {mask(key): mask(entry) for key, entry in item.items()}
        if isinstance(item, list | tuple):
            return [mask(entry) for entry in item]
        if item is None or isinstance(item, bool | int | float):
            return item
        text = str(item)
        for secret in wanted:
            text = text.replace(secret, HIDDEN_TEXT)
        return text

    return mask(value)
