"""Room for Stacks of many resources. Each takes memory while it is reconciled: a namespace reconciles few at once."""

import contextlib
from collections.abc import Iterator
from typing import Final

from kiln.api.v1alpha1 import Key

COUNTED: Final = 2_000
"""Stacks of fewer resources take no room."""
ROOM: Final = 25_000
"""Resources of the large Stacks that one namespace reconciles at one time. One alone may have more."""


class LargeStacks:
    """The large Stacks that are known, and those that are being reconciled. It belongs to the event loop's thread."""

    def __init__(self, room: int = ROOM, counted: int = COUNTED) -> None:
        self._room = room
        self._counted = counted
        self._sizes: dict[Key, int] = {}
        self._active: set[Key] = set()

    @contextlib.contextmanager
    def reconciled(self, key: Key) -> Iterator[None]:
        """Within it the Stack takes its room."""
        self._active.add(key)
        try:
            yield
        finally:
            self._active.discard(key)

    def note(self, key: Key, resources: int) -> None:
        """The Stack has so many resources now."""
        if resources > self._counted:
            self._sizes[key] = resources
        else:
            self._sizes.pop(key, None)

    def has_room(self, key: Key) -> bool:
        """Whether the Stack may be reconciled beside those of its namespace that are reconciled now."""
        others = [one for one in self._active if one != key and one.namespace == key.namespace and one in self._sizes]
        taken = sum(self._sizes[one] for one in others)
        return not taken or key not in self._sizes or taken + self._sizes[key] <= self._room

    def forget(self, key: Key) -> None:
        """The Stack does not exist any more."""
        self._sizes.pop(key, None)
