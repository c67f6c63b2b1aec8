"""Seals on records: proof that the operator itself wrote what a deletion goes by.

Whoever may write StackResources could write one that leads to a resource of somebody else in the same project; its
token follows from the Stack's uid, which is no secret. A seal is made with the Stack's key, which is in a Secret.
"""

from typing import Final

from reconcilers.digests import Digester
from reconcilers.model import Intent, Recorded

NONE: Final = ""
"""The seal of a record that the operator only took over, and of one of an earlier version."""


def of(digester: Digester, record: Recorded | Intent) -> str:
    """The seal of a record. It covers type, token, physical id and data."""
    physical_id = record.physical_id if isinstance(record, Recorded) else None
    return digester.seal([record.type, record.token, physical_id, dict(record.data)])


def holds(digester: Digester, recorded: Recorded) -> bool:
    """Whether the operator wrote this record under this key."""
    return recorded.seal != NONE and digester.same(recorded.seal, of(digester, recorded))
