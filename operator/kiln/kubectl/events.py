"""``kubectl stack events``: what happened to a Stack, oldest first; with -f as it happens."""

import argparse
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from kiln.api.kinds import EVENTS
from kiln.kubectl import output, transitions
from kiln.kubectl.following import following
from kiln.kubectl.output import Cell, Paint, Style
from kiln.kubectl.session import Session, add_output_option

_HEADERS: Final = ("LAST SEEN", "TYPE", "REASON", "COUNT", "MESSAGE")


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack events``."""
    parser = commands.add_parser("events", help=help_text, description="Show the events of a Stack, oldest first.")
    parser.add_argument("stack", metavar="STACK")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("-f", "--follow", action="store_true", help="go on with new ones until Ctrl-C")
    how.add_argument(
        "--history", action="store_true", help="show the last transitions of the Stack and its resources instead"
    )
    add_output_option(parser)
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """Exit code 0."""
    stack = await session.stack(arguments.stack)
    if arguments.history:
        entries = await transitions.load(session, stack)
        if arguments.output != "table":
            session.print_as(arguments.output, entries)
        else:
            session.print(*transitions.lines(entries, output.utc_now(), session.paint))
        return 0
    # By name: what happened to an older Stack of this name belongs to the story.
    name = stack["metadata"]["name"]
    fields = f"involvedObject.kind=Stack,involvedObject.name={name}"
    if not arguments.follow:
        events = in_order(await session.kube.list(EVENTS, session.namespace, fields=fields))
        if arguments.output != "table":
            session.print_as(arguments.output, [as_value(one) for one in events])
        elif events:
            session.print(*lines(events, output.utc_now(), session.paint))
        else:
            session.print(f"no events of stack/{name}; they are kept for an hour; --history shows older things")
        return 0
    async with following(session.kube, EVENTS, session.namespace, fields=fields) as follower:
        seen: dict[str, str] = {}
        while True:
            first = await follower.next()
            batch = [first]
            while (more := await follower.next(0.2)) is not None:
                batch.append(more)
            new = [
                change.obj
                for change in batch
                if change is not None and change.kind in {"ADDED", "MODIFIED"} and _is_news(change.obj, seen)
            ]
            for event in in_order(new):
                _print_one(session, event, arguments.output)


def _is_news(event: Mapping[str, Any], seen: dict[str, str]) -> bool:
    """Whether this event, or this count of it, was not shown yet."""
    name, last = event["metadata"]["name"], _last(event)
    if seen.get(name) == last:
        return False
    seen[name] = last
    return True


def _print_one(session: Session, event: Mapping[str, Any], form: str) -> None:
    if form == "json":
        print(output.as_json(as_value(event)), flush=True)
    elif form == "yaml":
        print(f"---\n{output.as_yaml(as_value(event))}", flush=True)
    else:
        print("\n".join(output.table(_HEADERS, [_row(event, _last(event))], session.paint)[1:]), flush=True)


def in_order(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Events from the oldest to the newest."""
    return sorted(events, key=lambda one: (_last(one), one["metadata"].get("creationTimestamp", "")))


def _last(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp", ""))


def lines(events: Iterable[Mapping[str, Any]], now: datetime, paint: Paint) -> list[str]:
    """The table."""
    return output.table(_HEADERS, (_row(event, output.age(_last(event), now)) for event in events), paint)


def _row(event: Mapping[str, Any], seen: str) -> list[Cell | str]:
    kind = str(event.get("type", ""))
    style = Style.BAD if kind == "Warning" else Style.PLAIN
    count = str(event.get("count") or 1)
    return [seen, Cell(kind, style), Cell(str(event.get("reason", "")), style), count, str(event.get("message", ""))]


def as_value(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event for programs."""
    return {
        "lastSeen": _last(event),
        "firstSeen": event.get("firstTimestamp") or event["metadata"].get("creationTimestamp", ""),
        "type": event.get("type", ""),
        "reason": event.get("reason", ""),
        "count": event.get("count") or 1,
        "message": event.get("message", ""),
    }
