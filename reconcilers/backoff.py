"""Growing delays between tries."""

from dataclasses import dataclass
from typing import Final

_MOST_DOUBLINGS: Final = 32


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff: ``first`` seconds, then each delay ``factor`` times the one before, at most ``longest``.

    Pure: the caller counts the tries and chooses the jitter.
    """

    first: float
    longest: float
    factor: float = 2.0

    def delay(self, tries: int, jitter: float = 1.0) -> float:
        """Seconds before the next try after this many failed ones (1 or more), times the jitter."""
        grown = self.first * self.factor ** min(max(tries, 1) - 1, _MOST_DOUBLINGS)
        return float(min(grown, self.longest) * jitter)
