"""``kiln``: dispatches to one command, and imports only that one.

A command is a module with ``add_command(commands, help_text)``, which adds its parser and sets ``handler`` to a
function from the parsed arguments to the exit code.
"""

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kiln.tools.command_line import UsageError

USAGE: Final = 2
"""Exit code for an invalid command line, the same as argparse's."""


class Command(NamedTuple):
    """The module of a command, and its help text."""

    module: str
    help: str


COMMANDS: Final[Mapping[str, Command]] = {
    "run": Command("kiln.process.manager", "run the operator"),
    "validate": Command("kiln.tools.validate", "check a template and all that it names"),
    "render": Command("kiln.tools.render", "print a template's resources with their properties, in order"),
    "graph": Command("kiln.tools.graph", "print the dependencies of a template's resources as dot or Mermaid"),
    "plan": Command("kiln.tools.plan", "print what the operator would do about a Stack"),
    "version": Command("kiln.tools.version", "print the version"),
    "convert": Command("kiln.tools.convert", "write a template with types that OpenStack still has"),
    "import-heat": Command("kiln.tools.import_heat", "print manifests that take over a stack of a live Heat"),
    "export": Command("kiln.tools.export", "write the file with which Heat takes a Stack over"),
    "pack": Command("kiln.tools.pack", "make a Stack manifest of a template and all that it names"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code; 2 for an invalid command line."""
    argv = sys.argv[1:] if argv is None else argv
    parser = _parser(argv[0] if argv else "")
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.handler(arguments))
    except UsageError as error:
        print(f"kiln {arguments.command}: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:  # the reader, for example `head`, has closed the pipe
        sys.stderr.close()
        return 0


def _parser(wanted: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("kiln", description="OpenStack Heat's templates on Kubernetes.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        if name == wanted:
            importlib.import_module(command.module).add_command(commands, command.help)
        else:
            commands.add_parser(name, help=command.help)
    return parser


if __name__ == "__main__":
    sys.exit(main())
