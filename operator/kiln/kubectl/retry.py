"""``kubectl stack retry``: an attempt now instead of after the backoff."""

import argparse

from kiln.api.kinds import STACKS
from kiln.api.v1alpha1 import ANNOTATION_RECONCILE_AT
from kiln.kubectl import output
from kiln.kubectl.session import Session


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack retry``."""
    parser = commands.add_parser("retry", help=help_text, description="Try again now, and forget the backoff.")
    parser.add_argument("stack", metavar="STACK")
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """Exit code 0."""
    stack = await session.stack(arguments.stack)
    name = stack["metadata"]["name"]
    annotations = {ANNOTATION_RECONCILE_AT: output.utc_now().isoformat()}
    await session.kube.patch(STACKS, session.namespace, name, {"metadata": {"annotations": annotations}})
    session.print(f"stack/{name} is tried again; to watch: kubectl stack wait {name} -n {session.namespace}")
    return 0
