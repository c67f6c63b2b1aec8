"""The content of a status without secrets."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

from kiln.stack.shown_texts import LONGEST_DETAIL, LONGEST_MESSAGE, Redacts, shown
from kiln.stack.status import StatusUpdate

_NAMES = frozenset(
    {
        *("generation", "current_revision", "target_revision", "failed_revision", "rollback", "cancelled_revision"),
        *("handled_update_request", "handled_operation", "pending_hooks", "cleared_hooks", "groups", "pass_id"),
        *("suspended_resources", "output_objects", "restored", "nested"),
    }
)
"""Fields of a StatusUpdate that are compared with later, and hold nothing but what the operator or the template's
author named.
"""
_LIMITS = {"state": LONGEST_MESSAGE, "operation_message": LONGEST_MESSAGE} | dict.fromkeys(
    ("template_valid", "cloud_reachable"), LONGEST_MESSAGE
)


def redacted(report: StatusUpdate, redact: Redacts, redact_outputs: Redacts | None = None) -> StatusUpdate:
    """The report without hidden values, in whichever of its fields they are.

    Outputs are what users compute with, so those with a secret in them are hidden and the others are left alone.
    """
    changes: dict[str, Any] = {}
    for one in fields(report):
        value = getattr(report, one.name)
        if one.name not in _NAMES and one.name not in {"outputs", "hidden_outputs"} and value is not None:
            changes[one.name] = _redacted(value, redact, _LIMITS.get(one.name, LONGEST_DETAIL))
    if report.outputs:
        holds = (redact_outputs or redact).holds
        secret = {name for name, value in report.outputs.items() if holds(json.dumps(value, default=str))}
        changes["outputs"] = {name: value for name, value in report.outputs.items() if name not in secret}
        if secret:
            changes["hidden_outputs"] = tuple(sorted({*(report.hidden_outputs or ()), *secret}))
    return replace(report, **changes)


def _redacted(value: Any, redact: Redacts, limit: int) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return shown(value, redact, limit)
    if isinstance(value, Mapping):
        return {key: _redacted(item, redact, limit) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_redacted(item, redact, limit) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _redacted(getattr(value, one.name), redact, limit) for one in fields(value)})
    return value
