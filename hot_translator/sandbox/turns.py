"""A number of slots that tenants share fairly."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """At most ``slots`` threads work at one time, ``share`` of one tenant; tenants that wait take turns."""

    def __init__(self, slots: int, share: int) -> None:
        self._lock = threading.Lock()
        self._free = slots
        self._share = share
        self._busy: Counter[str] = Counter()
        self._lines: OrderedDict[str, deque[threading.Event]] = OrderedDict()
        """What waits, by tenant; the tenant whose turn is next comes first."""

    @contextmanager
    def slot(self, tenant: str) -> Iterator[None]:
        """Wait for a slot, and hold it within."""
        turn = threading.Event()
        with self._lock:
            self._lines.setdefault(tenant, deque()).append(turn)
            self._begin()
        try:
            turn.wait()
            yield
        finally:
            with self._lock:
                if turn.is_set():
                    self._free += 1
                    self._busy[tenant] -= 1
                    if not self._busy[tenant]:
                        del self._busy[tenant]
                else:
                    self._leave(tenant, turn)
                self._begin()

    def _begin(self) -> None:
        """Give the free slots to those whose turn it is."""
        while self._free and (tenant := self._next()) is not None:
            line = self._lines[tenant]
            turn = line[0]
            self._leave(tenant, turn)
            if tenant in self._lines:
                self._lines.move_to_end(tenant)
            self._free -= 1
            self._busy[tenant] += 1
            turn.set()

    def _next(self) -> str | None:
        return next((tenant for tenant in self._lines if self._busy[tenant] < self._share), None)

    def _leave(self, tenant: str, turn: threading.Event) -> None:
        line = self._lines[tenant]
        line.remove(turn)
        if not line:
            del self._lines[tenant]
