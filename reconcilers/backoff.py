"""Growing delays between tries."""

from dataclasses import dataclass
from typing import Final

_MOST_DOUBLINGS: Final = 32


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff: ``first`` seconds, each further delay ``factor`` times the one before, at most ``longest``.

    Pure: the number of tries, and the jitter, are the caller's.
    """

    first: float
    longest: float
    factor: float = 2.0

    def delay(self, tries: int, jitter: float = 1.0) -> float:
        """Seconds before the next try after so many failed ones (1 or more), times the jitter."""
        grown = self.first * self.factor ** min(max(tries, 1) - 1, _MOST_DOUBLINGS)
        return float(min(grown, self.longest) * jitter)
