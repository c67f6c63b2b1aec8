"""Work in dependency order, as parallel as the order allows."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Set
from typing import Any


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
