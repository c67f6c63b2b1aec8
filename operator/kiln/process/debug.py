"""Debug pages: what does each reconciliation wait for, and where do the threads spend their time?

The answers contain places in the code and names of Stacks, but no values, so anybody may see them.
"""

import asyncio
import collections
import logging
import sys
import threading
import time
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, Final

from aiohttp import web

from kiln.controller.workqueue import PASS
from kiln.process.http import made_by

log = logging.getLogger(__name__)

LONGEST: Final = 120.0
"""Seconds of one profile."""
_EVERY: Final = 0.01
_DEEPEST: Final = 40
_IDLE: Final = frozenset({"selectors.py", "threading.py", "queue.py"})
"""Files in which idle threads wait."""


def passes() -> list[str]:
    """A line for each running reconciliation with the place where it waits: callers first."""
    tasks = (task for task in asyncio.all_tasks() if task.get_name().startswith(PASS))
    lines = [f"{task.get_name().removeprefix(PASS)} waits at {' < '.join(_waits_at(task))}" for task in tasks]
    return sorted(lines)


def parts() -> list[str]:
    """The same for all other tasks (single resources, lists, the Lease): how many wait in which place."""
    tasks = (task for task in asyncio.all_tasks() if not task.get_name().startswith(PASS))
    counts = collections.Counter(" < ".join(_waits_at(task)) for task in tasks)
    return [f"{count} parts wait at {place}" for place, count in counts.most_common()]


def threads() -> list[str]:
    """A line for each busy thread with its place in the code."""
    frames = sys._current_frames()  # noqa: SLF001 - documented, and the only way
    lines = []
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if frame is not None and not _is_idle(frame):
            lines.append(f"thread {thread.name} is at {' < '.join(_chain(frame)[:6])}")
    return sorted(lines)


def log_what_is_waited_for() -> None:
    """Log all of that (SIGUSR2)."""
    for line in (*passes(), *parts(), *threads()):
        log.warning("%s", line)
    log.warning("%d passes are under way", len(passes()))


async def profile(seconds: float) -> str:
    """Sample the threads 100 times a second. Returns lines of "outer;inner count", the input of flame graph tools."""
    counts = await asyncio.to_thread(_sample, min(seconds, LONGEST))
    return "".join(f"{stack} {count}\n" for stack, count in counts.most_common())


def routes() -> list[web.RouteDef]:
    """/debug/passes and /debug/profile. They are for 127.0.0.1 only, since a profile costs CPU.

    To be called on the event loop of the reconciliations.
    """
    loop = asyncio.get_running_loop()
    pages = {"/debug/passes": _passes_page, "/debug/profile": _profile_page}
    return [web.get(path, made_by(loop, page)) for path, page in pages.items()]


async def _passes_page(_request: web.Request) -> web.Response:
    return web.Response(text="".join(f"{line}\n" for line in (*passes(), *parts(), *threads())))


async def _profile_page(request: web.Request) -> web.Response:
    try:
        seconds = float(request.query.get("seconds", "10"))
    except ValueError:
        return web.Response(status=400, text="seconds must be a number\n")
    return web.Response(text=await profile(seconds))


def _waits_at(task: asyncio.Task[Any]) -> Iterator[str]:
    """Places of a suspended task, the innermost first."""
    found: list[str] = []
    awaited: Any = task.get_coro()
    while awaited is not None and len(found) < _DEEPEST:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            found.append(_place(frame.f_code, frame.f_lineno))
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return reversed(found)


def _sample(seconds: float) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    own = threading.get_ident()
    names: dict[int, str] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for ident, frame in sys._current_frames().items():  # noqa: SLF001 - see above
            if ident == own or _is_idle(frame):
                continue
            if ident not in names:
                names = {thread.ident or 0: thread.name for thread in threading.enumerate()}
            counts[";".join([names.get(ident, "thread"), *reversed(_chain(frame))])] += 1
        time.sleep(_EVERY)
    return counts


def _chain(frame: FrameType) -> list[str]:
    chain: list[str] = []
    outer: FrameType | None = frame
    while outer is not None and len(chain) < _DEEPEST:
        chain.append(_place(outer.f_code, outer.f_lineno))
        outer = outer.f_back
    return chain


def _is_idle(frame: FrameType) -> bool:
    return _file(frame.f_code) in _IDLE or frame.f_code.co_name in {"_worker", "_sample"}


def _place(code: CodeType, line: int) -> str:
    return f"{code.co_name} ({'/'.join(code.co_filename.split('/')[-2:])}:{line})"


def _file(code: CodeType) -> str:
    return code.co_filename.rsplit("/", 1)[-1]
