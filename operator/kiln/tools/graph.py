"""``kiln graph``: the dependencies of a template's resources as a picture's source."""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from hot_translator import Translation
from kiln.tools import command_line as given
from kiln.tools.offline import run
from kiln.tools.validate import print_problems

DESCRIPTION = """Print the dependencies among a template's resources, stated and implicit, for Graphviz or Mermaid.

An arrow leads from a resource to one that must be there first. Parameters need no value."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kiln graph``."""
    parser = commands.add_parser(
        "graph", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given.add_arguments(parser)
    parser.add_argument("--format", choices=sorted(FORMATS), default="dot", help="default: dot")
    parser.set_defaults(handler=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit code 0: printed; 1: the inputs have problems."""
    inputs = given.read(arguments)
    outcome = run(inputs, stand_in=True)
    if outcome.translation is None:
        print_problems(outcome, inputs)
        return 1
    print("\n".join(FORMATS[arguments.format](outcome.translation)))
    return 0


def dot(translation: Translation) -> Iterator[str]:
    """Lines of Graphviz's language."""
    yield "digraph stack {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, fontname="sans-serif"];'
    for name in translation.order:
        definition = translation.definitions[name]
        style = ", style=dashed" if definition.virtual else ""
        label = json.dumps(f"{name}\n{definition.type}")
        yield f"  {json.dumps(name)} [label={label}{style}];"
    for name, need in _edges(translation):
        yield f"  {json.dumps(name)} -> {json.dumps(need)};"
    yield "}"


def mermaid(translation: Translation) -> Iterator[str]:
    """Lines of Mermaid's language. Names may hold anything, so the nodes have numbers."""
    numbers = {name: f"n{number}" for number, name in enumerate(translation.order)}
    yield "graph LR"
    for name, number in numbers.items():
        label = f"{name}<br/>{translation.definitions[name].type}".replace('"', "#quot;")
        yield f'  {number}["{label}"]'
    for name, need in _edges(translation):
        yield f"  {numbers[name]} --> {numbers[need]}"


def _edges(translation: Translation) -> Iterator[tuple[str, str]]:
    for name in translation.order:
        for need in sorted(translation.definitions[name].requires):
            if need in translation.definitions:
                yield name, need


FORMATS: Final[Mapping[str, Callable[[Translation], Iterator[str]]]] = {"dot": dot, "mermaid": mermaid}
