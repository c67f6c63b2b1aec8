"""One place that turns what a call came to into a class of fault: what is done next depends on nothing else."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from reconcilers.model import Fault

RETRIED = frozenset({Fault.TRANSIENT, Fault.RATE_LIMITED, Fault.CONFLICT})
"""Classes that pass by themselves: the resource waits and tries again within the same pass."""


class CloudError(Exception):
    """A call that did not work.

    ``ambiguous``: it may have been carried out all the same, so look before sending it again.

    ``retry_after`` is in seconds, None where the service did not say. ``status`` is None where no answer came.
    """

    def __init__(
        self,
        fault: Fault,
        message: str,
        *,
        status: int | None = None,
        request_id: str = "",
        retry_after: float | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.ambiguous = ambiguous
        self.property = ""
        """The guilty property, where it is known (``networks[0].port``)."""

    def of(self, service: str) -> "CloudError":
        """The same error, whose message names the service."""
        if not self.message.startswith(f"{service}: "):
            self.message = f"{service}: {self.message}"
        return self


LONGEST_ID = 64
"""Characters of a request id: OpenStack's have 40."""
_NO_ID = re.compile(r"[^A-Za-z0-9._:-]")


def request_id_of(text: object) -> str:
    """A request id as a service gave it, cut to what such an id can be."""
    return _NO_ID.sub("", str(text or "")[: LONGEST_ID * 2])[:LONGEST_ID]


_TAG = re.compile(r"</?(?:br|p|b|h\d)\b[^<>]*>")

QUOTA_WORDS = ("quota", "limit exceeded", "exceeds the limit", "maximum number of")


def classify(method: str, status: int, headers: Mapping[str, str], body: Any, now: float) -> CloudError:
    """The error for an answer with an error status. ``now`` is the wall clock, for Retry-After given as a date."""
    text = message_of(body) or f"HTTP {status}"
    wait = _retry_after(headers.get("Retry-After"), now)
    lowered = text.lower()
    ambiguous = False
    if status == 429 or (status == 413 and wait is not None):
        fault = Fault.RATE_LIMITED
    elif status in {403, 409, 413, 400} and any(word in lowered for word in QUOTA_WORDS):
        fault = Fault.QUOTA
    elif status == 401:
        # The session has authenticated anew and sent it again: the credentials are good, the service is not.
        fault = Fault.TRANSIENT
    elif status in {408, 409, 423, 425} or (status == 400 and "in use" in lowered and method == "DELETE"):
        fault = Fault.TRANSIENT if status in {408, 425} else Fault.CONFLICT
    elif status == 503 and wait is not None:
        fault = Fault.RATE_LIMITED
    elif status == 501:
        fault = Fault.INVALID  # a provider or driver that cannot do it, now or later
    elif status >= 500:
        fault = Fault.TRANSIENT
        ambiguous = method != "GET"
    else:
        fault = Fault.INVALID
    return CloudError(
        fault,
        text,
        status=status,
        request_id=request_id_of(headers.get("x-openstack-request-id")),
        retry_after=wait,
        ambiguous=ambiguous,
    )


_SECRET_FIELDS = frozenset(
    {"adminPass", "password", "original_password", "user_data", "payload", "secret", "psk", "blob"}
)
"""Fields of request bodies whose values are nobody's business."""
_SHORTEST_SECRET = 4


def without_secrets(text: str, body: Any) -> str:
    """An answer without the passwords and user data of the request, which services quote when they refuse it."""
    for secret in sorted(_secrets(body), key=len, reverse=True):
        for form in {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}:
            text = text.replace(form, "***")
    return text


def _secrets(body: Any) -> Iterator[str]:
    if isinstance(body, Mapping):
        for name, value in body.items():
            if name in _SECRET_FIELDS and isinstance(value, str) and len(value) >= _SHORTEST_SECRET:
                yield value
            else:
                yield from _secrets(value)
    elif isinstance(body, list):
        for item in body:
            yield from _secrets(item)


def message_of(body: Any) -> str:
    """The sentence for people in an OpenStack error body, whichever of the services' shapes it has.

    It is whole: what is secret in it is hidden before it is cut.
    """
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return " ".join(body.split()) if "<" not in body else ""
    for _ in range(3):
        if not isinstance(body, Mapping):
            return _plain(str(body)) if body else ""
        for key in ("message", "faultstring", "NeutronError", "error", "explanation", "title"):
            if body.get(key):
                body = body[key]
                break
        else:
            if len(body) != 1:
                return ""
            body = next(iter(body.values()))
    return _plain(body) if isinstance(body, str) else ""


def _plain(text: str) -> str:
    """One line of text, without the tags that Glance puts into its messages."""
    return " ".join(_TAG.sub(" ", text).split())


def _retry_after(text: str | None, now: float) -> float | None:
    """Seconds to wait out of a Retry-After header (a number of seconds or a date); at most ten minutes."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), 600.0)
