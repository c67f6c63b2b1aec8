"""``kubectl stack outputs``: a Stack's outputs; hidden ones on request, with the rights of the command's user."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kiln.api.kinds import SECRETS
from kiln.kubectl import output
from kiln.kubectl.clouds import clouds
from kiln.kubectl.output import Cell, Paint, Style
from kiln.kubectl.session import CommandError, Session, add_output_option
from kiln.stack import published_outputs
from kiln.stack.planning import stack_outputs

DESCRIPTION = """Print a Stack's outputs, or the value of one.

Outputs that hold secrets are not in the Stack. With --show-hidden they are read from the Secret STACK-outputs, with
your own rights. What is not there is computed anew from the Stack's inputs and from OpenStack: for that you have to be
allowed to read the Secrets that the Stack uses."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack outputs``."""
    parser = commands.add_parser(
        "outputs", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument("name", metavar="OUTPUT", nargs="?", default="", help="print the value of this one only")
    parser.add_argument("--show-hidden", action="store_true", help="compute hidden outputs, and show them")
    add_output_option(parser)
    parser.set_defaults(handler=main)


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a Stack's outputs."""

    values: Mapping[str, Any]
    errors: Mapping[str, str]
    hidden: frozenset[str]


def of_status(status: Mapping[str, Any]) -> Found:
    """The outputs in a Stack's status."""
    hidden = frozenset(status.get("hiddenOutputs") or ())
    return Found(status.get("outputs") or {}, status.get("outputErrors") or {}, hidden)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """Exit code 0; 1 if the output that is asked for has no value, or may not be shown."""
    stack = await session.stack(arguments.stack)
    found = of_status(stack.get("status") or {})
    if arguments.show_hidden and found.hidden:
        found = await _of_secret(session, stack, found)
    if arguments.show_hidden and found.hidden:
        with clouds(session.kube) as shared:
            computed = await stack_outputs(shared, stack)
        values = {name: computed.values[name] for name in found.hidden if name in computed.values}
        errors = {name: computed.errors[name] for name in found.hidden if name in computed.errors}
        found = Found({**found.values, **values}, {**found.errors, **errors}, found.hidden - {*values, *errors})
    if arguments.name:
        value = one(found, arguments.name)
        if arguments.output == "table":
            session.print(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        else:
            session.print_as(arguments.output, value)
    elif arguments.output == "table":
        session.print(*lines(found, session.paint))
    else:
        session.print_as(arguments.output, dict(found.values))
    return 0


async def _of_secret(session: Session, stack: Mapping[str, Any], found: Found) -> Found:
    """The outputs with those that the Secret of the Stack has."""
    name = published_outputs.secret_name(stack["metadata"]["name"])
    secret = await session.kube.get(SECRETS, session.namespace, name)
    values = {}
    for output_name in found.hidden:
        there, value = published_outputs.hidden_value(stack, secret, output_name)
        if there:
            values[output_name] = value
    return Found({**found.values, **values}, found.errors, found.hidden - values.keys())


def one(found: Found, name: str) -> Any:
    """The value of an output. Raises CommandError if there is none to show."""
    if name in found.values:
        return found.values[name]
    if name in found.hidden:
        raise CommandError(f"the output {name!r} is hidden: give --show-hidden")
    if name in found.errors:
        raise CommandError(f"the output {name!r} has no value: {found.errors[name]}")
    there = ", ".join(sorted({*found.values, *found.hidden, *found.errors})) or "none"
    raise CommandError(f"there is no output {name!r}; there are: {there}")


def lines(found: Found, paint: Paint) -> list[str]:
    """The table."""
    rows: dict[str, Cell | str] = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.values.items()
    }
    rows |= {name: Cell("<hidden>", Style.DIM) for name in found.hidden}
    rows |= {name: Cell(f"<no value: {why}>", Style.BAD) for name, why in found.errors.items() if name not in rows}
    return output.table(["OUTPUT", "VALUE"], ([name, rows[name]] for name in sorted(rows)), paint)
