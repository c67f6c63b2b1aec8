"""The errors of calls to the Kubernetes API, by the API server's own words."""

import json
from collections.abc import Mapping, Sequence
from typing import Final


class KubeError(Exception):
    """The API server refused a call, or did not answer (``status`` 0). ``reason`` is its own word, as ``Forbidden``."""

    def __init__(
        self, status: int, reason: str, message: str, retry_after: float = 0.0, causes: Sequence[str] = ()
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.causes = tuple(causes)
        """The invalid fields, if the API server named them."""
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class NotFound(KubeError):  # noqa: N818 - the API server's own word
    """404."""


class Conflict(KubeError):  # noqa: N818
    """409: somebody else changed the object first, or a precondition does not hold."""


class AlreadyExists(Conflict):
    """409 of a create."""


class Gone(KubeError):  # noqa: N818
    """410: the continue token or resource version is too old."""


class Invalid(KubeError):  # noqa: N818
    """422: the object violates the schema."""


class Forbidden(KubeError):  # noqa: N818
    """403: RBAC, a quota, an admission rule, or a namespace that is being deleted."""


class NamespaceTerminating(Forbidden):
    """403: the namespace is being deleted, and takes nothing new."""


class Unreachable(KubeError):  # noqa: N818
    """No answer: connection refused, reset, or timed out."""


_CLASSES: Final[Mapping[int, type[KubeError]]] = {403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone, 422: Invalid}


def error_of(status: int, data: bytes, retry_after: str) -> KubeError:
    """The error of an answer. ``retry_after`` is the header of that name, or empty."""
    try:
        answer = json.loads(data)
    except ValueError:
        # A proxy on the way may answer with plain text.
        answer = {"message": data[:500].decode(errors="replace").strip()}
    if not isinstance(answer, dict):
        answer = {}
    seconds = float(retry_after) if retry_after.isdigit() else 0.0
    reason, message = str(answer.get("reason") or status), str(answer.get("message") or "")
    causes = (answer.get("details") or {}).get("causes") or ()
    kind = _CLASSES.get(status, KubeError)
    if kind is Forbidden and any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        kind = NamespaceTerminating
    return kind(status, reason, message, min(seconds, 30.0), [str(cause.get("field", "")) for cause in causes])
