"""How a reconciliation ended, and when the next one begins: a value that every handler returns."""

from dataclasses import dataclass
from enum import StrEnum

from reconcilers.backoff import Backoff
from reconcilers.engine.control import EndReason


class PassEnd(StrEnum):
    """Why a reconciliation ended."""

    AT_REST = "AtRest"
    """The Stack is as desired, or went back to what it was."""
    DELETED = "Deleted"
    """The Stack does not exist (any more)."""
    RETRY = "Retry"
    """Something failed that may work later."""
    ROLLING_BACK = "RollingBack"
    """The operation failed, and the next reconciliation goes back."""
    STALLED = "Stalled"
    """Nothing changes until somebody changes the Stack or what it refers to."""
    SUPERSEDED = EndReason.SUPERSEDED.value
    LEASE_LOST = EndReason.LEASE_LOST.value
    OBJECT_CHANGED = EndReason.OBJECT_CHANGED.value
    WRITE_FAILED = EndReason.WRITE_FAILED.value
    KUBERNETES_FAILED = "KubernetesFailed"
    """The API server was away, or refused."""
    BROKEN = "Broken"
    """The operator itself made a mistake."""


SETTLED = frozenset({PassEnd.AT_REST, PassEnd.DELETED})
"""Ends after which the next failure is a first one."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """When the next reconciliation of a Stack begins.

    ``after`` are seconds; None: only an event begins it. With ``backoff`` the delay grows with each failure since the
    last success or new intent, and ``after`` is the least.
    """

    end: PassEnd
    after: float | None = None
    backoff: Backoff | None = None

    @classmethod
    def on_events(cls, end: PassEnd) -> "Requeue":
        """Nothing is to be done before something happens."""
        return cls(end)

    def delay(self, failures: int, jitter: float) -> float | None:
        """Seconds until the next reconciliation after so many failures in a row; None: only an event begins it."""
        if self.backoff is None:
            return self.after
        return max(self.backoff.delay(failures, jitter), self.after or 0.0)
