"""Texts for people, in a status, an Event or a plan: without secrets, printable and short."""

from collections.abc import Callable
from typing import Protocol

from reconcilers.cloud.limits import printable

LONGEST_MESSAGE = 8192
"""Characters of a condition's message."""
LONGEST_DETAIL = 1024
"""Characters of a message about one resource or output."""
CUT = "..."


class Redacts(Protocol):
    """Cuts one Stack's secrets out of texts."""

    def __call__(self, text: str) -> str:
        """The text without them."""

    def holds(self, text: str) -> bool:
        """Whether one of them is in the text."""


def shown(text: str, redact: Callable[[str], str], limit: int = LONGEST_DETAIL) -> str:
    """A text for people: without secrets and control characters, and cut after that, since half of a secret is not
    recognised.
    """
    text = printable(redact(text))
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT
