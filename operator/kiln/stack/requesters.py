"""Who asked for an operation, from the field managers of the objects that asked. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import Operation

OPERATOR: Final = "kiln"
"""The operator's own field manager."""
INPUT: Final = "a change of an input"
ON_FAILURE: Final = "spec.onFailure"
_OF_THE_SPEC: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.SUSPEND, Operation.RESUME})


def manager_of_spec(obj: Mapping[str, Any]) -> str:
    """The field manager that last wrote an object's spec, such as ``kubectl``; empty if nothing says so."""
    found = [
        entry
        for entry in obj["metadata"].get("managedFields") or ()
        if "f:spec" in (entry.get("fieldsV1") or {}) and entry.get("manager") != OPERATOR
    ]
    newest: Mapping[str, Any] = max(found, key=lambda entry: str(entry.get("time", "")), default={})
    return str(newest.get("manager", ""))


def requested_by(operation: Operation, stack: Mapping[str, Any], request: str, *, again: bool = False) -> str:
    """Who asked for an operation that begins; empty where nobody did, or nothing says who.

    ``request`` is the StackOperation that is carried out, as text. ``again``: it is tried again after a failure.
    """
    if request:
        return request
    last = stack.get("status", {}).get("lastOperation") or {}
    if again and last.get("type") == operation:
        return str(last.get("requestedBy", ""))
    if operation is Operation.ROLLBACK:
        return ON_FAILURE
    if operation not in _OF_THE_SPEC:
        return ""
    observed = StackStatus.parse(stack).observed_generation
    return INPUT if observed == stack["metadata"].get("generation") else manager_of_spec(stack)
