"""``kiln render``: what a template becomes with its inputs, in the order in which it would be made."""

import argparse
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from hot_translator import HIDDEN_TEXT, UNKNOWN, Definition, Output, Parameter, Translation, TranslationError
from hot_translator.expression import NOWHERE, Dynamic, leaves
from kiln.tools import command_line as given
from kiln.tools.offline import run
from kiln.tools.validate import print_problems, print_warnings

DESCRIPTION = """Print the resources of a template with their final properties, in the order of their dependencies.

What only the cloud will know stands as "(known after NAME ...)", hidden parameters and what is made of them as ******,
what is made of a parameter without a value as "(needs a parameter)". Where a condition or a size needs such a value,
one is taken that the parameter allows. With --strict a parameter without a value is refused. The waves are the
resources that may be made side by side, one wave after the other."""

_SHORTEST_SECRET: Final = 4
"""Shorter hidden values are parts of ordinary words: what is made of them is hidden where it is known to be."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kiln render``."""
    parser = commands.add_parser(
        "render", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given.add_arguments(parser)
    parser.add_argument("--stack-name", default="", metavar="NAME", help="the stack's name; default: the file's")
    parser.add_argument("--strict", action="store_true", help="a parameter without a value is a problem")
    parser.add_argument("--json", action="store_true", help="print JSON instead of YAML")
    parser.set_defaults(handler=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit code 0: printed; 1: the inputs have problems."""
    inputs = given.read(arguments)
    outcome = run(inputs, stack_name=arguments.stack_name, stand_in=not arguments.strict)
    if outcome.translation is None:
        print_problems(outcome, inputs)
        return 1
    print_warnings(outcome, inputs)
    rendered = render(outcome.translation)
    if arguments.json:
        print(json.dumps(rendered, indent=2))
    else:
        print(yaml.safe_dump(rendered, sort_keys=False, allow_unicode=True, width=120), end="")
    return 0


def render(translation: Translation) -> dict[str, Any]:
    """The translation as plain data. A value that cannot be had stands with the reason."""
    resources = {name: _resource(translation.definitions[name]) for name in translation.order}
    outputs = {name: HIDDEN_TEXT if output.hidden else _output(output) for name, output in translation.outputs.items()}
    rendered = {
        "description": translation.description,
        "parameters": {name: _text(parameter) for name, parameter in translation.parameters.items()},
        "waves": [list(wave) for wave in translation.waves()],
        "resources": resources,
        "outputs": outputs,
    }
    masked: dict[str, Any] = _masked(rendered, translation.hidden_values)
    return masked


def _text(parameter: Parameter) -> str | None:
    """A parameter's value as text; null without one."""
    return None if isinstance(parameter.value, Dynamic) else parameter.text


def _output(output: Output) -> Any:
    """An output's value, or why it will have none."""
    try:
        return _shown(output.resolve(NOWHERE), output.value)
    except TranslationError as error:
        return f"(no value: {error.reason})"


def _resource(definition: Definition) -> dict[str, Any]:
    """A definition, without what is as usual."""
    values = definition.resolve(NOWHERE)
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
        "condition": _shown(definition.exists(NOWHERE), definition.condition),
        "properties": shown,
        "metadata": _shown(definition.resolve_metadata(NOWHERE), definition.metadata),
        "update_policy": dict(definition.update_policy or {}),
        "deletion_policy": definition.deletion_policy,
        "external_id": definition.external_id,
    }
    usual = {"kind": "resource", "deletion_policy": "Delete", "external_id": None, "condition": True}
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
        return f"(known after {', '.join(names)})" if names else "(needs a parameter)"
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
