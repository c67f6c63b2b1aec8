"""Suspending and resuming a Stack (``spec.powerState``): what is wished, and what the status says of it. Pure."""

from dataclasses import dataclass
from typing import Final

from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import Condition, Operation, PowerState, Reason, StackSpec


@dataclass(frozen=True, slots=True)
class PowerWish:
    """Which resources are to be suspended.

    ``whole``: all of the Stack. ``resources`` are those that StackOperations suspended, which stay so when the whole
    Stack is resumed. ``resuming``: the Stack was suspended, or is not resumed completely.
    """

    whole: bool = False
    resources: frozenset[str] = frozenset()
    resuming: bool = False


NO_WISH: Final = PowerWish()


def wish(spec: StackSpec, status: StackStatus) -> PowerWish:
    """What the spec and earlier StackOperations ask for."""
    whole = spec.power_state is PowerState.SUSPENDED
    resuming = not whole and Condition.SUSPENDED in status.conditions
    return PowerWish(whole, frozenset(status.suspended_resources), resuming)


def operation(wished: PowerWish, status: StackStatus, usual: Operation, asked: Operation | None) -> Operation:
    """The operation of a reconciliation: Suspend or Resume, if nothing but the power state has to change.

    ``asked``: a StackOperation suspends or resumes a resource.
    """
    if usual is not Operation.REPAIR:
        return usual
    if asked is not None:
        return asked
    if wished.whole and not status.is_true(Condition.SUSPENDED):
        return Operation.SUSPEND
    return Operation.RESUME if wished.resuming else usual


def condition(wished: PowerWish, *, reached: bool) -> tuple[bool | None, str, str] | None:
    """The condition Suspended: status, reason and message. A status of None removes it; None leaves it as it is."""
    if wished.whole and reached:
        return True, Reason.SUSPENDED, "all resources that can be suspended are suspended"
    if wished.whole:
        return False, Reason.SUSPENDING, "resources are suspended once all of them match the Stack"
    if reached:
        return None, "", ""
    return (False, Reason.RESUMING, "resources are being resumed") if wished.resuming else None
