"""``kubectl stack retry``: an attempt now instead of after the backoff."""

import argparse

from kiln.kubectl import asking
from kiln.kubectl.session import Session
from kiln.stack.operations import OperationType


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack retry``."""
    description = "Try again now what failed, was cancelled or was rolled back, without waiting for the backoff."
    parser = commands.add_parser("retry", help=help_text, description=description)
    asking.add_arguments(parser)
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """The exit code of :func:`kiln.kubectl.asking.ask`."""
    stack = await session.stack(arguments.stack)
    return await asking.ask(session, stack["metadata"]["name"], arguments, {"type": str(OperationType.RETRY)})
