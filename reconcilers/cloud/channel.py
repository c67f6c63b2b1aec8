"""Where requests go."""

from typing import Any, Protocol

from reconcilers.cloud.calls import ANYBODY, Caller
from reconcilers.cloud.session import Answer
from reconcilers.model import Request


class Channel(Protocol):
    """What carries out requests: :class:`reconcilers.cloud.session.Cloud` for OpenStack."""

    async def send(self, request: Request, caller: Caller = ANYBODY) -> Answer:
        """Send one request. Raises CloudError, and what ``caller.check`` raises."""

    async def list(self, request: Request, plural: str, caller: Caller = ANYBODY) -> list[dict[str, Any]]:
        """All items of a collection. Raises the same errors."""
