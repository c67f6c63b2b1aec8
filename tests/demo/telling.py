"""What the demo prints: lines for people, in colour on a terminal."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

COLOURS = {"Ready": "32", "Failed": "31", "Deleting": "33", "Creating": "36", "Updating": "36"}


class StackReporter:
    """Prints to standard output; times are seconds since it was made."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def _print(self, text: str = "", colour: str = "") -> None:
        print(f"\033[{colour}m{text}\033[0m" if colour and self._coloured else text, flush=True)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._begin

    def step(self, title: str, *explanations: str) -> None:
        """A new part begins."""
        self._print()
        self._print(f"[{self.seconds:5.1f} s] {title}", "1")
        for line in explanations:
            self._print(f"          {line}")

    def command(self, text: str) -> None:
        """What a user would type for the same effect."""
        self._print(f"          $ {text}", "2")

    def say(self, text: str, colour: str = "") -> None:
        """A line of its own."""
        self._print(f"[{self.seconds:5.1f} s]   {text}", colour)

    def block(self, text: str) -> None:
        """Several lines, as they are."""
        for line in text.rstrip().splitlines():
            self._print(f"          {line}".rstrip())

    def moved(self, name: str, rtype: str, state: str, message: str = "") -> None:
        """A resource is in another state."""
        line = f"{name:<10} {rtype:<29} {state}" + (f"  ({message})" if message else "")
        self.say(line, COLOURS.get(state.split(maxsplit=1)[0], ""))


def tree(owned: Mapping[str, list[Mapping[str, Any]]], name: str) -> str:
    """The objects that a Stack owns, below it; ``owned`` maps kinds to objects."""
    rows = [("StackResource", *_resource(one)) for one in _in_order(owned["stackresources"])]
    rows += [("StackRevision", one["metadata"]["name"], "", "") for one in owned["stackrevisions"]]
    rows += [("Secret", one["metadata"]["name"], "the Stack's key", "") for one in owned["secrets"]]
    lines = [f"Stack {name}"]
    for number, (kind, what, detail, identity) in enumerate(rows, 1):
        branch = "└─" if number == len(rows) else "├─"
        lines.append(f"{branch} {kind} {what:<9} {detail:<30} {identity}".rstrip())
    return "\n".join(lines)


def _resource(one: Mapping[str, Any]) -> tuple[str, str, str]:
    status = one.get("status", {})
    return one["spec"]["logicalName"], f"{one['spec']['type']:<27}", f"{status.get('physicalID', '')}"


def _in_order(resources: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What others need comes first."""
    depth: dict[str, int] = {}
    needs = {one["spec"]["logicalName"]: one.get("status", {}).get("requires", []) for one in resources}

    def of(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((of(other) for other in needs.get(name, ())), default=0)
        return depth[name]

    return sorted(resources, key=lambda one: (of(one["spec"]["logicalName"]), one["spec"]["logicalName"]))


def outputs(values: Mapping[str, Any]) -> str:
    """Names and values of outputs."""
    return "\n".join(f"{name:<8} {json.dumps(value)}" for name, value in values.items())


def follow(
    tell: StackReporter, look: Callable[[], dict[str, tuple[str, str, str]]], done: Callable[[], bool], timeout: float
) -> None:
    """Print each change of what ``look`` shows (name -> type, state, message) until ``done``.

    Raises TimeoutError.
    """
    end = time.monotonic() + timeout
    shown = look()
    while True:
        finished = done()
        now = look()
        for name, (rtype, state, message) in now.items():
            if shown.get(name) != (rtype, state, message):
                tell.moved(name, rtype, state, message)
        for name in shown.keys() - now.keys():
            tell.moved(name, shown[name][0], "gone")
        shown = now
        if finished:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"not done after {timeout:.0f} s")
        time.sleep(0.4)
