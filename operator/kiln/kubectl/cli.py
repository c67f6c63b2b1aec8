"""``kubectl stack``: dispatches to one command, and imports only that one.

A command is a module with ``add_command(commands, help_text)``, which adds its parser and sets ``handler`` to a
coroutine function from the session and the parsed arguments to the exit code.
"""

import argparse
import asyncio
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from kubernetes.config import ConfigException

from kiln.kube.errors import KubeError
from kiln.kubectl.session import CommandError, Session, add_connection_options

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells give it."""

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "list": ("kiln.kubectl.listing", "list Stacks with what they do or why they are not ready"),
    "tree": ("kiln.kubectl.tree", "show a Stack's resources as a tree, by template or by need"),
    "wait": ("kiln.kubectl.wait", "watch a Stack until it is ready or gone"),
    "why": ("kiln.kubectl.why", "say what blocks a Stack, the deepest cause first, and what to do"),
    "events": ("kiln.kubectl.events", "show a Stack's events, with -f as they come"),
    "outputs": ("kiln.kubectl.outputs", "print a Stack's outputs"),
    "diff": ("kiln.kubectl.diff", "say what an apply would do to the cloud"),
    "history": ("kiln.kubectl.history", "list a Stack's revisions, or show one"),
    "edit-param": ("kiln.kubectl.edit", "change parameters of a Stack"),
    "retry": ("kiln.kubectl.retry", "try again now"),
    "undo": ("kiln.kubectl.undo", "go back to an earlier revision"),
}


def parser() -> argparse.ArgumentParser:
    """The parser that knows the names of the commands."""
    made = argparse.ArgumentParser("kubectl stack", description="Look at stacks that Kiln runs, and act on them.")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, help_text) in COMMANDS.items():
        commands.add_parser(name, help=help_text)
    return made


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    module, help_text = COMMANDS[name]
    commands = argparse.ArgumentParser("kubectl stack").add_subparsers()
    importlib.import_module(module).add_command(commands, help_text)
    made: argparse.ArgumentParser = commands.choices[name]
    add_connection_options(made)
    made.set_defaults(command=name)
    return made


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The command line. Exits with 2 if it is invalid."""
    if argv and argv[0] in COMMANDS:
        # Intermixed, as kubectl has it: `edit-param web -n shop size=large`.
        return command_parser(argv[0]).parse_intermixed_args(argv[1:])
    return parser().parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code; 2 for an invalid command line, 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parsed(argv)
    try:
        return asyncio.run(_run(arguments))
    except CommandError as error:
        print(f"kubectl stack {arguments.command}: {error}", file=sys.stderr)
        return error.code
    except (KubeError, ConfigException) as error:
        print(f"kubectl stack {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader, for example `head`, has closed the pipe
        sys.stderr.close()
        return 0


async def _run(arguments: argparse.Namespace) -> int:
    session = Session.open(arguments)
    try:
        return int(await arguments.handler(session, arguments))
    finally:
        session.kube.close()


if __name__ == "__main__":
    sys.exit(main())
