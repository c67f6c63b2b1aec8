"""How a reconciliation ended and when the next one starts, as a value."""

from dataclasses import dataclass
from enum import StrEnum

from reconcilers.backoff import Backoff
from reconcilers.engine.control import EndReason


class PassEnd(StrEnum):
    """Why a reconciliation ended."""

    AT_REST = "AtRest"
    """The Stack is as desired, or the rollback completed."""
    DELETED = "Deleted"
    """The Stack does not exist."""
    RETRY = "Retry"
    """Something failed that may succeed later."""
    ROLLING_BACK = "RollingBack"
    """The operation failed, and the next reconciliation rolls back."""
    STALLED = "Stalled"
    """Nothing changes until somebody changes the Stack, or an object that it refers to."""
    HOOK_PENDING = "HookPending"
    """Resources wait at hooks."""
    WAITING_FOR_STACK = "WaitingForStack"
    """An output of another Stack has no value yet."""
    DELETION_BLOCKED = "DeletionBlocked"
    """Other Stacks use outputs of the one that is being deleted."""
    WAITING_FOR_ROOM = "WaitingForRoom"
    """Other large Stacks of the namespace are reconciled first."""
    PAUSED = "Paused"
    """``spec.paused`` is set."""
    AWAITING_APPROVAL = "AwaitingApproval"
    """The operation waits for the approval of its plan."""
    SUPERSEDED = EndReason.SUPERSEDED.value
    LEASE_LOST = EndReason.LEASE_LOST.value
    OBJECT_CHANGED = EndReason.OBJECT_CHANGED.value
    WRITE_FAILED = EndReason.WRITE_FAILED.value
    KUBERNETES_FAILED = "KubernetesFailed"
    """The API server did not answer, or refused."""
    BROKEN = "Broken"
    """The operator has a bug."""


SETTLED = frozenset(
    {
        PassEnd.AT_REST,
        PassEnd.DELETED,
        PassEnd.PAUSED,
        PassEnd.HOOK_PENDING,
        PassEnd.WAITING_FOR_STACK,
        PassEnd.DELETION_BLOCKED,
        PassEnd.WAITING_FOR_ROOM,
        PassEnd.AWAITING_APPROVAL,
    }
)
"""Ends that reset the backoff."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """When the next reconciliation of a Stack starts.

    ``after`` is in seconds; None: only an event starts it. With ``backoff`` the delay grows with each failure since the
    last success or new intent, and ``after`` is the minimum.
    """

    end: PassEnd
    after: float | None = None
    backoff: Backoff | None = None

    @classmethod
    def on_events(cls, end: PassEnd) -> "Requeue":
        """Wait for an event."""
        return cls(end)

    def delay(self, failures: int, jitter: float) -> float | None:
        """Seconds until the next reconciliation after this many failures in a row; None: only an event starts it."""
        if self.backoff is None:
            return self.after
        return max(self.backoff.delay(failures, jitter), self.after or 0.0)
