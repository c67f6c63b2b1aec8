"""How long single callbacks hold the operator's event loop: `python -m harness.loop_holds FILE run ...` is `kiln run`
with a stopwatch at each callback of the main thread's loop.

Each hold of at least ``NOTED`` seconds is a line of JSON in FILE, written at once, since the operator may be killed.
``cpu`` are the seconds that the thread itself worked: where the machine is busy with other processes, or other threads
have Python's lock, a hold takes longer than that. ``collecting`` are those of them that went to garbage collections:
these come at any place.
"""

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NOTED = 0.01
WANTED = 0.05
"""Seconds that no callback should hold the loop."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One callback that took long: seconds, seconds of CPU, what it was, and seconds of garbage collection."""

    seconds: float
    cpu: float
    what: str
    collecting: float = 0.0


class _Collections:
    """The seconds of garbage collection in this thread until now. It stands in ``gc.callbacks``."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._thread = threading.get_ident()
        self._began = 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.seconds += time.perf_counter() - self._began


def watch(note: Callable[[Hold], None]) -> Callable[[], None]:
    """Measure every callback of event loops in this thread from now on; what is returned ends that."""
    run = asyncio.Handle._run
    thread = threading.get_ident()
    collections = _Collections()
    gc.callbacks.append(collections)

    def measured(handle: Any) -> None:
        if threading.get_ident() != thread:
            run(handle)
            return
        began, worked, collected = time.perf_counter(), time.thread_time(), collections.seconds
        what = handle._callback, handle._args  # a handle forgets them when it is cancelled
        run(handle)
        seconds = time.perf_counter() - began
        if seconds >= NOTED:
            collecting = collections.seconds - collected
            note(Hold(seconds, time.thread_time() - worked, _describe(*what), collecting))

    asyncio.Handle._run = measured  # type: ignore[method-assign]

    def stop() -> None:
        asyncio.Handle._run = run  # type: ignore[method-assign]
        gc.callbacks.remove(collections)

    return stop


def _describe(callback: Any, arguments: Any) -> str:
    """The name of the coroutine or function, and where the task waits now: right after what took long."""
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        places, awaited = [], owner.get_coro()
        while awaited is not None:
            frame = getattr(awaited, "cr_frame", None)
            if frame is not None:
                places.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
            awaited = getattr(awaited, "cr_await", None)
        return f"{getattr(owner.get_coro(), '__qualname__', owner)} now at {' > '.join(places[-3:]) or 'its end'}"
    name = getattr(callback, "__qualname__", type(callback).__name__)
    return str(name)


def read(path: Path) -> list[Hold]:
    """The holds that were noted, the longest first."""
    if not path.exists():
        return []
    # A process that was killed may leave half a line.
    lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
    return sorted((Hold(**json.loads(line)) for line in lines), key=lambda one: -one.seconds)


def summary(holds: list[Hold], most: int = 5) -> list[str]:
    """Lines for people: the longest hold, how many were longer than wanted, and the longest few with their places."""
    if not holds:
        return [f"no callback held the event loop for {NOTED * 1000:.0f} ms or longer"]
    over = sum(one.seconds >= WANTED for one in holds)
    cpu = sum(one.cpu >= WANTED for one in holds)
    first = (
        f"longest hold of the event loop: {holds[0].seconds * 1000:.0f} ms; {over} of {len(holds)} holds of at least "
        f"{NOTED * 1000:.0f} ms took {WANTED * 1000:.0f} ms or longer, {cpu} by their own CPU"
    )
    rest = [
        f"  {one.seconds * 1000:.0f} ms ({one.cpu * 1000:.0f} ms CPU, {one.collecting * 1000:.0f} ms in garbage "
        f"collections) {one.what}"
        for one in holds[:most]
    ]
    return [first, *rest]


def main() -> int:
    """Run `kiln` with the rest of the command line, and note holds."""
    from kiln import cli

    path = Path(sys.argv[1])
    sys.argv = ["kiln", *sys.argv[2:]]
    with path.open("a", buffering=1) as file:

        def note(hold: Hold) -> None:
            file.write(json.dumps(asdict(hold)) + "\n")

        watch(note)
        return int(cli.main() or 0)


if __name__ == "__main__":
    sys.exit(main())
