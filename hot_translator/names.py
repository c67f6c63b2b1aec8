"""Names that were meant: the nearest valid one to what somebody wrote."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from hot_translator.budget import remaining


def nearest(name: object, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name most like this one, whatever the case of the letters, or None when none is near.

    ``cutoff`` is the least likeness, from 0 (anything) to 1 (equal), as in difflib.
    """
    budget = remaining()
    if budget.comparisons <= 0:
        return None  # a hint for each of a thousand mistakes among a thousand names is a million comparisons
    by_lower = {candidate.lower(): candidate for candidate in known}
    budget.comparisons -= len(by_lower)
    found = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """``; did you mean "flavor"?`` to end a reason with, or nothing."""
    found = nearest(name, known)
    return f'; did you mean "{found}"?' if found else ""
