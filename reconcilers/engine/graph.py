"""Runs work in dependency order, as parallel as the order allows."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from hot_translator import Definition

AT_ONCE: Final = 2_000
"""Works that run at one time. Each holds some kilobytes, also while it only waits for the cloud."""
_LOOKS: Final = 20_000
"""Requirements that are looked at before others get their turn on the event loop."""
_BREATH: Final = 50
"""Works that are begun before others get their turn on the event loop."""


def _nothing(_name: str) -> None:
    """Do nothing."""


async def run_in_dependency_order(
    requires: Mapping[str, Set[str]],
    work: Callable[[str], Awaitable[bool]],
    ahead: Callable[[str], None] = _nothing,
) -> frozenset[str]:
    """Run ``work(name)`` once the work of all requirements of ``name`` has returned True.

    Requirements that are not in the mapping count as done. ``ahead(name)`` is called earlier, when the work of all
    requirements has started. At most ``AT_ONCE`` run at one time. Returns the names whose work never started. If work
    raises, no more work starts, running work completes, and the first exception is raised.
    """
    missing: dict[str, int] = {}
    dependants: dict[str, list[str]] = defaultdict(list)
    looked_at = 0
    for name, needs in requires.items():
        wanted = needs & requires.keys()
        missing[name] = len(wanted)
        for other in wanted:
            dependants[other].append(name)
        looked_at += 1 + len(needs)
        if looked_at > _LOOKS:
            looked_at = 0
            await asyncio.sleep(0)
    unbegun = dict(missing)
    finished: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()
    possible = deque(name for name, count in missing.items() if not count)
    begun: set[str] = set()
    running: set[asyncio.Task[Any]] = set()

    def begin(name: str) -> None:
        task = asyncio.ensure_future(work(name))
        task.set_name(name)
        begun.add(name)
        running.add(task)
        task.add_done_callback(finished.put_nowait)
        for other in dependants[name]:
            unbegun[other] -= 1
            if not unbegun[other]:
                ahead(other)

    broken: BaseException | None = None
    while running or (possible and broken is None):
        while possible and broken is None and len(running) < AT_ONCE and finished.empty():
            for _ in range(min(_BREATH, len(possible), AT_ONCE - len(running))):
                begin(possible.popleft())
            await asyncio.sleep(0)
        task = await finished.get()
        running.discard(task)
        error = task.exception()  # asked of each: otherwise asyncio complains
        broken = broken or error
        if broken is None and task.result():
            for other in dependants[task.get_name()]:
                missing[other] -= 1
                if not missing[other]:
                    possible.append(other)
    if broken is not None:
        raise broken
    return frozenset(requires.keys() - begun)


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


def all_requirements(definitions: Mapping[str, Definition]) -> dict[str, frozenset[str]]:
    """:func:`concrete_requirements` of each definition. Those that require the same share one set."""
    shared: dict[frozenset[str], frozenset[str]] = {}
    found = {}
    for name, definition in definitions.items():
        direct = definition.requires
        if direct not in shared:
            shared[direct] = _concrete(definitions, direct)
        needs = shared[direct]
        found[name] = needs - {name} if name in needs else needs
    return found


def concrete_requirements(definitions: Mapping[str, Definition], name: str) -> frozenset[str]:
    """Names of the cloud resources that a definition requires, also through groups and nested templates."""
    return _concrete(definitions, definitions[name].requires) - {name}


def _concrete(definitions: Mapping[str, Definition], direct: frozenset[str]) -> frozenset[str]:
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
    return frozenset(found)
