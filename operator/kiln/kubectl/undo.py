"""``kubectl stack undo``: back to an earlier revision."""

import argparse

from kiln.kubectl import asking, history
from kiln.kubectl.session import USAGE, CommandError, Session
from kiln.stack.operations import OperationType

DESCRIPTION = """Go back to an earlier revision, and stay there until the Stack's spec changes.

The spec is not changed: correct it, or revert it in Git, afterwards. kubectl stack history lists the revisions."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack undo``."""
    parser = commands.add_parser(
        "undo", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asking.add_arguments(parser)
    parser.add_argument(
        "--to-revision", type=int, default=0, metavar="N", help="the revision; 0 (the default): the one before"
    )
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """The exit code of :func:`kiln.kubectl.asking.ask`; 1 if there is no such revision."""
    if arguments.to_revision < 0:
        raise CommandError("--to-revision: the number of a revision is positive", USAGE)
    stack = await session.stack(arguments.stack)
    if arguments.to_revision:
        history.numbered(await history.load(session, stack), arguments.to_revision)
    what = {"type": str(OperationType.ROLLBACK), "rollback": {"revision": arguments.to_revision}}
    return await asking.ask(session, stack["metadata"]["name"], arguments, what)
