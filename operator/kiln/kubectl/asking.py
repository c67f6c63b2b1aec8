"""Asks something of a Stack once: creates a StackOperation, and waits for what comes of it."""

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any, Final

from kiln.api.kinds import STACK_OPERATIONS
from kiln.api.v1alpha1 import API_VERSION, RequestPhase, parse_duration
from kiln.kubectl.following import following
from kiln.kubectl.output import Style
from kiln.kubectl.session import USAGE, CommandError, Session
from reconcilers.cloud.limits import printable

FAILED: Final = 1
TIMED_OUT: Final = 3
_LONGEST_PREFIX: Final = 57
"""Characters of a generated name before its suffix, so that the whole fits into a label."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of a command that asks for something."""
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument("--no-wait", dest="wait", action="store_false", help="return as soon as it is asked for")
    parser.add_argument(
        "--timeout", default="0", metavar="DURATION", help="how long to wait; 0 (the default): no limit"
    )


async def ask(session: Session, name: str, arguments: argparse.Namespace, what: Mapping[str, Any]) -> int:
    """Create a StackOperation, and wait for its end. ``what`` is its spec without the Stack's name.

    Exit code 0: it succeeded, or with --no-wait is asked for; 1: it failed; 3: not within --timeout.
    """
    try:
        timeout = parse_duration(arguments.timeout)
    except ValueError as error:
        raise CommandError(f"--timeout: {error}", USAGE) from error
    body = {
        "apiVersion": API_VERSION,
        "kind": STACK_OPERATIONS.kind,
        "metadata": {"generateName": f"{name[:_LONGEST_PREFIX].rstrip('-.')}-"},
        "spec": {"stackName": name, **what},
    }
    created = await session.kube.create(STACK_OPERATIONS, session.namespace, body)
    operation = str(created["metadata"]["name"])
    session.print(f"stackoperation/{operation} created: {what['type']}")
    if not arguments.wait:
        session.print(f"To watch: kubectl stack wait {name} -n {session.namespace}")
        return 0
    try:
        async with asyncio.timeout(timeout or None):
            phase, message = await _end(session, operation)
    except TimeoutError:
        raise CommandError(f"{what['type']} has not ended after {arguments.timeout}; it goes on", TIMED_OUT) from None
    except asyncio.CancelledError:
        session.print(f"The operator goes on. To watch: kubectl stack wait {name} -n {session.namespace}")
        raise
    good = phase == RequestPhase.SUCCEEDED
    text = f"{what['type']} {phase}" + (f": {printable(message)}" if message else "")
    session.print(session.paint(text, Style.GOOD if good else Style.BAD))
    if not good:
        session.print(f"To see why: kubectl stack why {name} -n {session.namespace}")
    return 0 if good else FAILED


async def _end(session: Session, operation: str) -> tuple[str, str]:
    """Phase and message of a StackOperation when it has ended. Raises CommandError if it is deleted before."""
    fields = f"metadata.name={operation}"
    async with following(session.kube, STACK_OPERATIONS, session.namespace, fields=fields) as follower:
        while True:
            change = await follower.next()
            if change is None or change.kind == "RESET":
                continue
            status = change.obj.get("status") or {}
            if status.get("phase") in {RequestPhase.SUCCEEDED, RequestPhase.FAILED}:
                return str(status["phase"]), str(status.get("message") or "")
            if change.kind == "DELETED":
                raise CommandError(f"stackoperation/{operation} was deleted before it ended")
