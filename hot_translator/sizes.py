"""The size of plain and compiled data: what it would take when written out, shared parts as often as they appear.

Values may share parts: ``[x, x]`` of ``[y, y]`` of ... holds few objects, and doubles with each level for everything
that walks, compares or serialises it. Here each distinct part is looked at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, Final

from hot_translator.expression import Dynamic

ITEM: Final = 16
"""What each item, key, number and text counts beside its characters: about what Python needs to hold it."""
CONTAINER: Final = 64
"""What a list or a map counts beside its items."""
MAX_NESTING: Final = 200
"""Lists and maps within one another. What walks over values recurs."""
MAX_DIGITS: Final = 4_300
"""Of a number: Python writes no longer ones."""

_BITS: Final = int(MAX_DIGITS * 3.3219)


def size_of(value: Any, known: dict[int, tuple[int, int]] | None = None) -> int:
    """The size in characters. Raises ValueError for what is nested too deep or holds a number that is too long.

    ``known`` keeps the sizes of the parts, so that these can be asked for as long as the value lives.
    """
    try:
        return _measure(value, {} if known is None else known)[0]
    except RecursionError:
        raise ValueError(_too_deep()) from None


def _measure(value: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """The size, and how many containers are within one another. ``known`` holds those of the parts seen, by id."""
    kind = type(value)
    if kind is str:
        return ITEM + len(value), 0
    if value is None or kind is bool or kind is float:
        return ITEM, 0
    if isinstance(value, str | bytes):
        return ITEM + len(value), 0
    if isinstance(value, int):
        return ITEM + _digits(value), 0
    parts = _parts(value)
    if parts is None:
        return ITEM, 0
    found = known.get(id(value))
    if found is not None:
        return found
    size, height = CONTAINER, 0
    for part in parts:
        if type(part) is str:
            size += ITEM + len(part)
            continue
        more, depth = _measure(part, known)
        size += more
        height = max(height, depth)
    if height >= MAX_NESTING:
        raise ValueError(_too_deep())
    known[id(value)] = size, height + 1
    return size, height + 1


def _parts(value: Any) -> Any:
    """What a container holds; None for what is none."""
    if isinstance(value, dict):
        return (*value, *value.values())
    if isinstance(value, list | tuple | Set):
        return value
    if isinstance(value, Dynamic):
        return value.parts()
    if isinstance(value, Mapping):
        return (*value, *value.values())
    return None


def _digits(value: int) -> int:
    bits = value.bit_length()
    if bits > _BITS:
        msg = f"a number of more than {MAX_DIGITS} digits is too long"
        raise ValueError(msg)
    return bits * 3 // 10


def _too_deep() -> str:
    return f"the value is nested deeper than {MAX_NESTING} levels"
