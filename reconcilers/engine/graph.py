"""Work in dependency order, as parallel as the order allows."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from typing import Any

from hot_translator import Definition


def _nothing(_name: str) -> None:
    """Prepare nothing."""


async def run_in_dependency_order(
    requires: Mapping[str, Set[str]],
    work: Callable[[str], Awaitable[bool]],
    ahead: Callable[[str], None] = _nothing,
) -> frozenset[str]:
    """Run ``work(name)`` once the work of all that ``name`` requires has returned True; what is not in the mapping
    counts as done. ``ahead(name)`` is called before, when the work of all that it requires has begun.

    Returns the names whose work was never begun. If work raises, nothing more is begun, what is under way runs to its
    end, and the first exception is raised.
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
    """The same requirements without those that close a circle: of each circle one is dropped."""
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
    """Names of the cloud resources that a definition depends on, through groups and nested templates."""
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
