"""``kubectl stack list``: one line a Stack that says whether it is done, and if not, why."""

import argparse
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from kiln.api.kinds import STACKS
from kiln.api.v1alpha1 import Condition
from kiln.kubectl import output
from kiln.kubectl.output import Cell, Paint, Style
from kiln.kubectl.session import Session, add_output_option
from kiln.kubectl.views import Json, StackView, ready_cell, result_cell
from reconcilers.cloud.limits import printable

LONGEST: Final = 100
"""Columns of a message, unless -o wide."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack list``."""
    parser = commands.add_parser("list", help=help_text, description="List Stacks.")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="those of all namespaces")
    parser.add_argument("-l", "--selector", default="", metavar="LABELS", help="those with these labels only")
    parser.add_argument("--not-ready", action="store_true", help="those that are not ready only")
    add_output_option(parser, "wide")
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """Exit code 0."""
    namespace = "" if arguments.all_namespaces else session.namespace
    stacks = await session.kube.list(STACKS, namespace, labels=arguments.selector)
    views = sorted((StackView(stack) for stack in stacks), key=lambda one: (one.namespace, one.name))
    if arguments.not_ready:
        views = [view for view in views if not (view.observed and view.status.is_true(Condition.READY))]
    if arguments.output in {"json", "yaml"}:
        session.print_as(arguments.output, [summary(view) for view in views])
    elif not views:
        session.print("no Stacks" if arguments.all_namespaces else f"no Stacks in the namespace {namespace}")
    else:
        limit = None if arguments.output == "wide" else LONGEST
        session.print(*lines(views, output.utc_now(), session.paint, namespaces=not namespace, limit=limit))
    return 0


def lines(
    views: Sequence[StackView], now: datetime, paint: Paint, *, namespaces: bool, limit: int | None = LONGEST
) -> list[str]:
    """The table."""
    headers = ["NAME", "READY", "OPERATION", "RESULT", "RESOURCES", "DRIFT", "AGE", "MESSAGE"]
    return output.table(
        ["NAMESPACE", *headers] if namespaces else headers,
        ([*([view.namespace] if namespaces else []), *_row(view, now, limit)] for view in views),
        paint,
    )


def _row(view: StackView, now: datetime, limit: int | None) -> list[Cell | str]:
    status = view.status
    last = status.last_operation
    resources: Json = view.raw_status.get("resources") or {}
    drifted = status.is_true(Condition.DRIFT_DETECTED)
    message = _message(view)
    return [
        view.name,
        ready_cell(status) if view.observed else Cell("Unknown", Style.BUSY),
        last.type if last else "-",
        result_cell(last.result if last else "-"),
        str(resources.get("summary", "-")),
        Cell("yes", Style.BUSY) if drifted else "no",
        output.age(view.stack["metadata"].get("creationTimestamp"), now),
        message if limit is None else output.cut(printable(message), limit),
    ]


def _message(view: StackView) -> str:
    if not view.observed:
        return "the operator has not seen the newest spec"
    status = view.status
    if status.is_true(Condition.READY):
        return ""
    return f"{status.reason(Condition.READY)}: {status.message(Condition.READY)}"


def summary(view: StackView) -> dict[str, Any]:
    """The same for programs."""
    status = view.status
    last = status.last_operation
    ready = view.observed and status.is_true(Condition.READY)
    return {
        "namespace": view.namespace,
        "name": view.name,
        "ready": ready,
        "reason": status.reason(Condition.READY),
        "message": status.message(Condition.READY),
        "operation": last.type if last else "",
        "result": last.result if last else "",
        "resources": dict(view.raw_status.get("resources") or {}),
        "drift": status.is_true(Condition.DRIFT_DETECTED),
        "observed": view.observed,
        "created": view.stack["metadata"].get("creationTimestamp", ""),
    }
