"""``kubectl stack wait``: watches a Stack until it is ready or gone."""

import argparse
import asyncio
import shutil
import sys
from contextlib import AsyncExitStack
from typing import Final, TextIO

from kiln.api.kinds import STACK_RESOURCES, STACKS
from kiln.api.v1alpha1 import owner_uids, parse_duration
from kiln.kubectl import output, progress
from kiln.kubectl.following import Collection, Follower, following
from kiln.kubectl.output import Paint, Style
from kiln.kubectl.progress import TIMED_OUT, Goal, Verdict
from kiln.kubectl.session import USAGE, CommandError, Session, stack_name
from kiln.kubectl.views import StackView

DESCRIPTION = """Watch a Stack until it is ready (or, with --for deleted, gone), with a live view at a terminal and
a line for each change elsewhere. Ctrl-C ends the view and nothing else: the operator goes on.

Exit code 0: it is so; 1: it stalled, and nothing changes until somebody changes something (see: kubectl stack why);
3: not within --timeout; 130: Ctrl-C."""
TICK: Final = 0.25
"""Seconds between two pictures of the live view."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack wait``."""
    parser = commands.add_parser(
        "wait", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument("--for", dest="goal", type=Goal, choices=tuple(Goal), default=Goal.READY, help="default: ready")
    parser.add_argument("--timeout", default="0", metavar="DURATION", help="for example 10m; 0 (the default): none")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the end only")
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """The exit code of the verdict."""
    try:
        timeout = parse_duration(arguments.timeout)
    except ValueError as error:
        raise CommandError(f"--timeout: {error}", USAGE) from error
    name = stack_name(arguments.stack)
    if arguments.goal is Goal.DELETED and await session.kube.get(STACKS, session.namespace, name) is None:
        session.print(session.paint(f"stack/{name} deleted", Style.GOOD))
        return 0
    view = await session.view(arguments.stack)
    shown: Picture | Journal | None = None
    if not arguments.quiet:
        shown = Picture(sys.stdout, session.paint) if sys.stdout.isatty() else Journal()
    waiter = Waiter(session, view, arguments.goal)
    try:
        async with asyncio.timeout(timeout or None):
            found = await waiter.run(shown)
    except TimeoutError:
        found = Verdict(TIMED_OUT, f"not {arguments.goal} after {output.duration(timeout)}")
    except asyncio.CancelledError:
        if isinstance(shown, Picture):
            shown.leave()
        print(f"The operator goes on. To watch again: kubectl stack wait {view.name} -n {view.namespace}")
        raise
    if isinstance(shown, Picture):
        shown.leave()
    style = Style.GOOD if found.code == 0 else Style.BAD
    session.print(session.paint(f"stack/{view.name} {found.message}", style))
    if found.code == progress.FAILED and waiter.view is not None:
        session.print(f"To see why: kubectl stack why {view.name} -n {view.namespace}")
    return found.code


class Picture:
    """A live view at a terminal, drawn again over itself."""

    def __init__(self, stream: TextIO, paint: Paint) -> None:
        self._stream = stream
        self._paint = paint
        self._height = 0

    def show(self, view: StackView) -> None:
        """Draw the view."""
        columns, rows = shutil.get_terminal_size()
        lines = progress.screen(view, output.utc_now(), self._paint, columns - 1, max(3, min(rows - 2, 30)))
        up = f"\x1b[{self._height}F" if self._height else ""
        self._stream.write(up + "\x1b[J" + "\n".join(lines) + "\n")
        self._stream.flush()
        self._height = len(lines)

    def leave(self) -> None:
        """Leave the last picture where it is."""
        self._height = 0


class Journal:
    """A line for each change."""

    def __init__(self) -> None:
        self._before: StackView | None = None
        self._begun = output.utc_now()

    def show(self, view: StackView) -> None:
        """Print what changed since the last view."""
        now = output.utc_now()
        since = output.duration((now - self._begun).total_seconds())
        for line in progress.news(self._before, view, now):
            print(f"{since:>6}  {line}", flush=True)
        self._before = view


class Waiter:
    """Follows a Stack and its resources until a verdict."""

    def __init__(self, session: Session, view: StackView, goal: Goal) -> None:
        self._session = session
        self._uid = str(view.stack["metadata"]["uid"])
        self._name = view.name
        self._goal = goal
        self._stacks, self._resources = Collection(), Collection()
        self.view: StackView | None = view

    async def run(self, shown: "Picture | Journal | None") -> Verdict:
        """Wait. Raises KubeError if the reader may not watch Stacks."""
        session, namespace = self._session, self._session.namespace
        async with AsyncExitStack() as stack:
            changes = [
                await stack.enter_async_context(following(session.kube, res, namespace, fields=fields))
                for res, fields in (
                    (STACKS, f"metadata.name={self._name}"),
                    (STACK_RESOURCES, f"spec.stackName={self._name}"),
                )
            ]
            while True:
                await self._take(changes)
                found = progress.verdict(self.view, self._goal, self._uid)
                if shown is not None and self.view is not None:
                    shown.show(self.view)
                if found is not None:
                    return found

    async def _take(self, changes: list[Follower]) -> None:
        """Apply the changes of a tick, at least one unless the tick passes without any."""
        for follower, collection in zip(changes, (self._stacks, self._resources), strict=True):
            while not follower.changes.empty():
                change = await follower.next()
                if change is not None:
                    collection.apply(change)
        stack = self._stacks.get(self._name)
        if stack is not None:
            own = [one for one in self._resources if stack["metadata"]["uid"] in owner_uids(one)]
            self.view = StackView(stack, own, await self._session.graph(stack))
        elif await self._session.kube.get(STACKS, self._session.namespace, self._name) is None:
            self.view = None  # and not just that the watch has not named it yet
        await asyncio.sleep(TICK)
