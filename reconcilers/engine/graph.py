"""Runs work in dependency order, as parallel as the order allows."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from typing import Any

from hot_translator import Definition


def _nothing(_name: str) -> None:
    """Do nothing."""


async def run_in_dependency_order(
    requires: Mapping[str, Set[str]],
    work: Callable[[str], Awaitable[bool]],
    ahead: Callable[[str], None] = _nothing,
) -> frozenset[str]:
    """Run ``work(name)`` once the work of all requirements of ``name`` has returned True.

    Requirements that are not in the mapping count as done. ``ahead(name)`` is called earlier, when the work of all
    requirements has started. Returns the names whose work never started. If work raises, no more work starts, running
    work completes, and the first exception is raised.
    """
    missing = {name: len(needs & requires.keys()) for name, needs in requires.items()}
    unbegun = dict(missing)
    dependants: dict[str, list[str]] = defaultdict(list)
    for name, needs in requires.items():
        for other in needs & requires.keys():
            dependants[other].append(name)
    finished: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()
    begun: dict[str, asyncio.Task[Any]] = {}

    def begin(name: str) -> None:
        begun[name] = asyncio.ensure_future(work(name))
        begun[name].set_name(name)
        begun[name].add_done_callback(finished.put_nowait)
        for other in dependants[name]:
            unbegun[other] -= 1
            if not unbegun[other]:
                ahead(other)

    for name, count in missing.items():
        if not count:
            begin(name)
    broken: BaseException | None = None
    ended = 0
    while ended < len(begun):
        task = await finished.get()
        ended += 1
        error = task.exception()
        broken = broken or error
        if broken is not None or not task.result():
            continue
        for other in dependants[task.get_name()]:
            missing[other] -= 1
            if not missing[other]:
                begin(other)
    if broken is not None:
        raise broken
    return frozenset(requires.keys() - begun.keys())


def without_circles(requires: Mapping[str, Set[str]]) -> dict[str, set[str]]:
    """The requirements without circles: one requirement of each circle is dropped."""
    kept = {name: set(needs) for name, needs in requires.items()}
    while True:
        try:
            TopologicalSorter(kept).prepare()
        except CycleError as error:
            # graphlib names each after the one that it is required by.
            first, second = error.args[1][0], error.args[1][1]
            kept[second].discard(first)
        else:
            return kept


def concrete_requirements(definitions: Mapping[str, Definition], name: str) -> frozenset[str]:
    """Names of the cloud resources that a definition requires, also through groups and nested templates."""
    direct = definitions[name].requires
    if not any(other not in definitions or definitions[other].virtual for other in direct):
        return direct
    found: set[str] = set()
    seen: set[str] = set()
    stack = list(direct)
    while stack:
        other = stack.pop()
        if other in seen or other not in definitions:
            continue
        seen.add(other)
        if definitions[other].virtual:
            stack.extend(definitions[other].requires)
        else:
            found.add(other)
    return frozenset(found - {name})
