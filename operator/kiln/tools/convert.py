"""``kiln convert``: a template with types that OpenStack no longer has, written with those that took their place."""

import argparse
import sys
from typing import Final

import yaml

from hot_translator import catalogue
from hot_translator.errors import TranslationError
from hot_translator.loader import load
from kiln.tools import command_line as given
from kiln.tools.lbaas import FIRST_VERSION, Conversion

DESCRIPTION = """Print a template with types that OpenStack no longer has written with those that took their place.

Types of LBaaS version 2 become those of Octavia; all else in the text stays as it is, comments too. Those of version 1
were put together in another way: such a template is written anew, without its comments. What needs a person's hand is
printed as FILE: PATH: REASON. Nested templates are converted one by one."""

WIDTH: Final = 120


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kiln convert``."""
    parser = commands.add_parser(
        "convert", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-t", "--template", required=True, metavar="FILE", help="the template; - for standard input")
    parser.set_defaults(handler=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit code 0: converted, or nothing to convert; 1: something is left for a person."""
    document = given.document(arguments.template)
    try:
        text, problems = convert(document.text, document.name)
    except TranslationError as error:
        print(f"{document.name}: {error}", file=sys.stderr)
        return 1
    print(text, end="" if text.endswith("\n") else "\n")
    for path, reason in problems:
        print(f"{document.name}: {path}: {reason}", file=sys.stderr)
    return 1 if problems else 0


def convert(text: str, name: str) -> tuple[str, list[tuple[str, str]]]:
    """The text of the converted template, and what could not be converted: path and reason.

    Raises ``InvalidTemplate`` for a text that cannot be read.
    """
    conversion = Conversion(load(text, source=name))
    if any(catalogue.canonical(kind) in FIRST_VERSION for kind in conversion.types.values()):
        converted = conversion.run()
        return yaml.safe_dump(converted, sort_keys=False, allow_unicode=True, width=WIDTH), conversion.problems
    conversion.run()
    return _with_other_types(text), conversion.problems


def _with_other_types(text: str) -> str:
    """The text with the names of types changed where they stand, as whole values."""
    tree = yaml.compose(text, Loader=yaml.CSafeLoader)
    changes: dict[tuple[int, int], str] = {}
    waiting, seen = [tree], {id(tree)}
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            schema = catalogue.lookup(node.value)
            if schema is not None and schema.successor:
                changes[node.start_mark.index, node.end_mark.index] = schema.successor
        elif isinstance(node, yaml.MappingNode | yaml.SequenceNode):
            parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
            for part in parts:
                if id(part) not in seen:
                    seen.add(id(part))
                    waiting.append(part)
    for (start, end), successor in sorted(changes.items(), reverse=True):
        quote = text[start] if text[start] in "'\"" else ""
        text = f"{text[:start]}{quote}{successor}{quote}{text[end:]}"
    return text
