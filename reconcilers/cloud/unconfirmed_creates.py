"""Tracks create requests that were sent but never answered.

A service may carry out such a request some time later. Until that time has passed, a record without a resource is kept,
and a resource that may have a duplicate is checked again.
"""

import math
from typing import Final

UNDER_WAY: Final = 75.0
"""Seconds after which such a request has ended in the cloud. Services, proxies and Kiln give up after a minute."""


class UnconfirmedCreates:
    """There is one in a process. ``since`` is when the process began to act; earlier processes sent nothing later.

    Tokens are those of :class:`reconcilers.model.Recorded`. Times are those of the event loop, in seconds.
    """

    def __init__(self, since: float = -math.inf) -> None:
        self.since = since
        self._ours: set[str] = set()
        self._unanswered: dict[str, float] = {}

    def intended(self, token: str) -> None:
        """This process created the record of this token, so it knows all requests that were sent for it."""
        self._ours.add(token)

    def unanswered(self, token: str, now: float) -> None:
        """A create request was sent, and its outcome is unknown."""
        self._unanswered[token] = now

    def forget(self, token: str) -> None:
        """The record of this token is gone."""
        self._ours.discard(token)
        self._unanswered.pop(token, None)

    def doubtful_until(self, token: str) -> float:
        """The time until which a resource with this token may still appear."""
        last = self._unanswered.get(token, -math.inf if token in self._ours else self.since)
        return last + UNDER_WAY
