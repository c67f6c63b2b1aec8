"""``kubectl stack why``: what blocks a Stack, in plain words."""

import argparse
from dataclasses import asdict
from typing import Any, Final

from kiln.kubectl import output
from kiln.kubectl.diagnosis import Cause, Diagnosis, diagnose
from kiln.kubectl.output import Paint, Style
from kiln.kubectl.session import CommandError, Session, add_output_option

DESCRIPTION = """Say what blocks a Stack, or one of its resources: the deepest cause first, with the request id of
OpenStack and the next step to take.

Exit code 0: nothing blocks it, or only work in progress; 1: something does."""
MOST_NAMED: Final = 5
"""Blocked resources that are named."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack why``."""
    parser = commands.add_parser(
        "why", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument("resource", metavar="RESOURCE", nargs="?", default="", help="its name in the template")
    add_output_option(parser)
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """Exit code 0: nothing blocks it but time; 1: something does."""
    view = await session.view(arguments.stack)
    resource = arguments.resource
    if resource and not view.type_of(resource):
        raise CommandError(f"the Stack {view.name!r} has no resource {resource!r}")
    found = diagnose(view, output.utc_now(), resource)
    if arguments.output == "table":
        session.print(*lines(found, session.paint))
    else:
        session.print_as(arguments.output, as_value(found))
    return 1 if found.blocked else 0


def lines(found: Diagnosis, paint: Paint) -> list[str]:
    """The diagnosis for people."""
    shown = [paint(found.summary, Style.STRONG)]
    for number, cause in enumerate(found.causes, 1):
        style = Style.BUSY if cause.only_waits else Style.BAD
        shown += ["", f"{number}. {cause.where}: {paint(cause.reason, style)}"]
        shown += [f"     {line}" for line in _cause_lines(cause, paint)]
    if found.notes:
        shown += ["", *(paint(f"note: {note}", Style.DIM) for note in found.notes)]
    return shown


def _cause_lines(cause: Cause, paint: Paint) -> list[str]:
    shown = [cause.message] if cause.message else []
    if cause.request_id:
        shown.append(f"request   {cause.request_id} (look for it in the log of {cause.service or 'the service'})")
    if cause.blocks:
        named = ", ".join(cause.blocks[:MOST_NAMED])
        more = f" and {len(cause.blocks) - MOST_NAMED} more" if len(cause.blocks) > MOST_NAMED else ""
        shown.append(f"blocks    {named}{more}")
    shown.append(f"next      {paint(cause.next_step, Style.GOOD)}")
    return shown


def as_value(found: Diagnosis) -> dict[str, Any]:
    """The diagnosis for programs."""
    names = {"next_step": "nextStep", "request_id": "requestID", "only_waits": "onlyWaits"}
    causes = [
        {names.get(key, key): list(value) if isinstance(value, tuple) else value for key, value in asdict(one).items()}
        for one in found.causes
    ]
    return {"summary": found.summary, "blocked": found.blocked, "causes": causes, "notes": list(found.notes)}
