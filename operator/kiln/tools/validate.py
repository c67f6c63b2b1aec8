"""``kiln validate``: check a template with all that it names, and print every problem with its place."""

import argparse
import json
import sys
from typing import Any

from hot_translator.errors import TranslationError
from kiln.tools import command_line as given
from kiln.tools.command_line import Inputs
from kiln.tools.offline import Outcome, file_of, run

DESCRIPTION = """Check a template, its environments and all files that they name, without a cloud or a cluster.

Every problem is printed as FILE:LINE:COLUMN: PATH: REASON. A warning is of what stops nothing, or not yet: an output
that will have no value, a type that Kiln knows and cannot make so far, a word that is ignored. Names of flavors,
images, networks and the like are not looked up. Parameters without a value are only listed, and what depends on them is
not checked, unless --strict."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kiln validate``."""
    parser = commands.add_parser(
        "validate", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given.add_arguments(parser)
    parser.add_argument("--strict", action="store_true", help="a parameter without a value is a problem")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(handler=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit code 0: no problem; 1: problems."""
    inputs = given.read(arguments)
    outcome = run(inputs, stand_in=not arguments.strict)
    print(json.dumps(as_json(outcome, inputs), indent=2) if arguments.json else as_text(outcome, inputs))
    return 1 if outcome.problems else 0


def as_text(outcome: Outcome, inputs: Inputs) -> str:
    """The report for people."""
    lines = [line_of(problem, inputs) for problem in outcome.problems]
    if outcome.problems:
        number = len(outcome.problems)
        lines.append(f"{number} problem{'s' * (number > 1)}")
    elif outcome.translation:
        lines += [line_of(it, inputs, "warning: ") for it in outcome.warnings]
        lines.append(f"{inputs.template.name}: valid, {len(outcome.translation.definitions)} resources")
    if outcome.missing and not outcome.problems:
        lines.append(f"parameters without a value: {', '.join(outcome.missing)}")
    return "\n".join(lines)


def as_json(outcome: Outcome, inputs: Inputs) -> dict[str, Any]:
    """The report for programs."""
    report: dict[str, Any] = {
        "valid": not outcome.problems,
        "problems": [_as_json(problem, inputs) for problem in outcome.problems],
        "missingParameters": list(outcome.missing),
    }
    if outcome.translation:
        report["warnings"] = [_as_json(warning, inputs) for warning in outcome.warnings]
        report["resources"] = len(outcome.translation.definitions)
    return report


def _as_json(problem: TranslationError, inputs: Inputs) -> dict[str, Any]:
    return {
        "file": file_of(problem, inputs),
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "reason": problem.reason,
        "kind": problem.kind,
    }


def line_of(problem: TranslationError, inputs: Inputs, word: str = "") -> str:
    """One problem as compilers print it."""
    place = [file_of(problem, inputs), *(str(part) for part in (problem.line, problem.column) if part is not None)]
    return f"{':'.join(place)}: {word}{problem}"


def print_warnings(outcome: Outcome, inputs: Inputs) -> None:
    """What the other commands say beside their output about inputs that are valid."""
    for warning in outcome.warnings:
        print(line_of(warning, inputs, "warning: "), file=sys.stderr)
    if outcome.missing:
        print(f"parameters without a value: {', '.join(outcome.missing)}", file=sys.stderr)


def print_problems(outcome: Outcome, inputs: Inputs) -> None:
    """What the other commands say about inputs that are not valid."""
    for problem in outcome.problems:
        print(line_of(problem, inputs), file=sys.stderr)
