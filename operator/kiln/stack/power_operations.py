"""StackOperations that suspend or resume a single resource, a group or a nested template. Pure."""

from collections.abc import Sequence
from typing import Final

from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import PowerState, StackSpec
from kiln.stack.operations import Effects, OperationType, Rejection, StackOperation
from reconcilers import registry
from reconcilers.capabilities import suspendable
from reconcilers.model import Recorded

TYPES: Final = frozenset({OperationType.SUSPEND, OperationType.RESUME})
"""The StackOperations of this module."""
MOST_SUSPENDED: Final = 100
"""Names that ``status.suspendedResources`` holds."""


def effects(
    operation: StackOperation, status: StackStatus, spec: StackSpec, records: Sequence[Recorded]
) -> Effects | Rejection:
    """What a Suspend or Resume changes in the status, or why it cannot be done."""
    if status.handled_operation == operation.uid:
        return Effects(operation.uid)
    held, name = status.suspended_resources, operation.resource
    if operation.type is OperationType.RESUME:
        return _resumed(operation, held, spec)
    found = [one for one in records if one.name == name or one.name.startswith(f"{name}/")]
    if not found:
        return Rejection(f"there is no resource {name!r}")
    if not any(suspendable(registry.find(one.type)) and not one.external for one in found):
        types = ", ".join(sorted({one.type for one in found})[:3])
        return Rejection(f"nothing of {name!r} can be suspended: {types}")
    if len(held) >= MOST_SUSPENDED and name not in held:
        return Rejection(f"{MOST_SUSPENDED} resources are suspended one by one already; spec.powerState suspends all")
    return Effects(operation.uid, suspended_resources=tuple(sorted({*held, name})))


def _resumed(operation: StackOperation, held: Sequence[str], spec: StackSpec) -> Effects | Rejection:
    name = operation.resource
    if spec.power_state is PowerState.SUSPENDED:
        return Rejection("the whole Stack is suspended; set spec.powerState to Running")
    if name in held:
        return Effects(operation.uid, suspended_resources=tuple(one for one in held if one != name))
    above = next((one for one in held if name.startswith(f"{one}/")), None)
    if above is not None:
        return Rejection(f"{name!r} is suspended together with {above!r}; resume that")
    return Rejection(f"no StackOperation has suspended {name!r}; those that are: {', '.join(held) or 'none'}")
