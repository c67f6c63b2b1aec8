"""SIGKILLs of the operator in the middle of what it does, while a test of something else goes on."""

import contextlib
import os
import random
import threading
from typing import Any

from harness.operator import Operator
from harness.stacks import Namespace

WANTED = "KILN_TESTS_KILLS"
"""Environment variable of the tests: the most kills for each test of a life. None: nothing is killed."""
DELAYS = (0.0, 0.2, 0.5, 1.0, 3.0)
"""Seconds from the beginning of an operation to the kill; one of them is chosen for each."""
REQUESTS = ("stackoperation", "stackchangeset", "stacksnapshot")
EVERY = 0.1

Operation = tuple[str, str]


def wanted() -> int:
    """The most kills for each test."""
    return int(os.environ.get(WANTED) or 0)


def under_way(obj: dict[str, Any]) -> Operation | None:
    """The operation that an object is in the middle of: the object, and what is done to it."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    name = f"{obj['kind']} {metadata['name']}"
    if metadata.get("deletionTimestamp"):
        return name, "deletion"
    if status.get("phase") == "Running":
        return name, str((obj.get("spec") or {}).get("type") or "request")
    if any(one["type"] == "Reconciling" and one["status"] == "True" for one in status.get("conditions", ())):
        return name, f"generation {metadata['generation']}"
    return None


class Kills(threading.Thread):
    """Kills the operator once in the middle of each operation in a namespace, and starts it again at once."""

    def __init__(self, operator: Operator, space: Namespace, dice: random.Random, most: int) -> None:
        super().__init__(daemon=True)
        self.done: list[Operation] = []
        """The operations that were interrupted, in order."""
        self._operator, self._space, self._dice, self._most = operator, space, dice, most
        self._met: set[Operation] = set()
        self._end = threading.Event()

    def run(self) -> None:
        while len(self.done) < self._most and not self._end.wait(EVERY):
            for operation in self._under_way() - self._met:
                self._met.add(operation)
                self._end.wait(self._dice.choice(DELAYS))
                if operation in self._under_way() and not self._end.is_set() and self._operator.kill_and_start():
                    self.done.append(operation)
                break

    def _under_way(self) -> set[Operation]:
        found: set[Operation] = set()
        for kind in ("stack", *REQUESTS):
            with contextlib.suppress(Exception):  # the namespace leaves, or the API server is away for the test
                found |= {operation for obj in self._space.get(kind) if (operation := under_way(obj))}
        return found

    def end(self) -> None:
        """Kill no more; the operator runs when it ran before."""
        self._end.set()
        self.join()
