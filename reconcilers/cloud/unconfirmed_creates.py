"""What one process knows of creations whose outcome nobody knows: sent, and never answered.

A request that nobody waits for any more may still be carried out, some time later. Until that time has passed, a record
that seems to stand for nothing is kept, and one that may have a twin is looked at again.
"""

import math
from typing import Final

UNDER_WAY: Final = 75.0
"""Seconds after which such a request has ended in the cloud: services and their proxies give up after a minute, as we
do.
"""


class UnconfirmedCreates:
    """One a process. ``since`` is when it began to act: whoever acted before it has sent nothing later.

    Tokens are those of :class:`reconcilers.model.Recorded`, times are the event loop's, in seconds.
    """

    def __init__(self, since: float = -math.inf) -> None:
        self.since = since
        self._ours: set[str] = set()
        self._unanswered: dict[str, float] = {}

    def intended(self, token: str) -> None:
        """This process made the record of this token, so all that was sent for it is known here."""
        self._ours.add(token)

    def unanswered(self, token: str, now: float) -> None:
        """A creation was sent, and nobody knows what came of it."""
        self._unanswered[token] = now

    def forget(self, token: str) -> None:
        """Its record is gone."""
        self._ours.discard(token)
        self._unanswered.pop(token, None)

    def doubtful_until(self, token: str) -> float:
        """Until when something may still appear that carries this token."""
        last = self._unanswered.get(token, -math.inf if token in self._ours else self.since)
        return last + UNDER_WAY
