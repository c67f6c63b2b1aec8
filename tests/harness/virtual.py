"""An event loop whose clock jumps: whoever sleeps is woken at once, at the time that he asked for."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(Exception):  # noqa: N818
    """Everybody waits for somebody else."""


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Never waits; tells the loop how long it would have."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Stuck
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at zero seconds."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 0.0
        super().__init__(selector)

    def time(self) -> float:
        """Seconds of the clock that jumps."""
        return self.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, in such a loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
