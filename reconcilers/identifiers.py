"""Names and tokens.

The identity of a resource, in Kubernetes and in the cloud, follows from its Stack, its logical name and a serial
number. So a lost object is created again under the same name with the same token, and two writers cannot create it
twice.
"""

import base64
import re
import uuid
from typing import Final

_UNFIT = re.compile(r"[^a-z0-9-]+")
_TAIL: Final = 10
"""Characters of the token at the end of an object's name."""


def token(stack_uid: str, logical_name: str, serial: int) -> str:
    """The ownership token of the serial-th resource of this logical name: a UUID that only this Stack can compute."""
    return str(uuid.uuid5(uuid.UUID(stack_uid), f"{logical_name}/{serial}"))


def object_name(stack: str, logical_name: str, token: str) -> str:
    """Name of the StackResource: readable, a DNS label of at most 63 characters, unique by the token."""
    readable = _UNFIT.sub("-", f"{stack}-{logical_name}".lower()).strip("-")
    return f"{readable[:52].rstrip('-')}-{_tail(token)}"


def child_name(physical_name: str, token: str) -> str:
    """Name of the child Stack that a resource is: a DNS label of at most 63 characters, unique by the token.

    ``physical_name`` is that of the resource; its own unique part is left out.
    """
    readable = _UNFIT.sub("-", physical_name.rpartition("-")[0].lower()).strip("-") or "stack"
    return f"{readable[:52].rstrip('-')}-{_tail(token)}"


def is_child_name(name: str, token: str) -> bool:
    """Whether the child Stack of this token may have this name."""
    return len(_tail(token)) == _TAIL and name.endswith(f"-{_tail(token)}")


def _tail(token: str) -> str:
    return token.replace("-", "")[:_TAIL]


def physical_name(stack: str, local_name: str, token: str, limit: int) -> str:
    """Name in the cloud if the template gives none: Heat's ``stack-resource-shortid``, shortened as in Heat.

    ``stack`` is the stack that the resource would be in, in Heat: groups and nested templates are stacks of their own.
    ``limit`` is the longest name of the type. Shortened names keep their first two characters and their tail.
    """
    short = base64.b32encode(uuid.UUID(token).bytes[:8]).decode().lower().rstrip("=")[:12]
    name = f"{stack}-{local_name}-{short}"
    return name if len(name) <= limit else f"{name[:2]}-{name[-(limit - 3) :]}"
