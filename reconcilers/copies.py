"""Copies of resources in OpenStack: images of servers, backups and snapshots of volumes.

The engine drives them like resources (:mod:`reconcilers.engine.copying`), with a token that proves whose they are.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from typing_extensions import override

from reconcilers.model import Desired, Failed, Gone, Outcome, Ready, Recorded, Send, Wait
from reconcilers.resource_type import RestResource

SOURCE: Final = "source"
"""The property of a copy with the physical id of what is copied."""
TOKEN_KEY: Final = "kiln-token"
"""Metadata of a copy that holds its token."""
GIB: Final = 1024**3


class CopyType(RestResource):
    """What a type declares of its copies: the request that makes one, and how its size is read."""

    kind: ClassVar[str]
    busy: ClassVar[frozenset[str]]
    """Statuses in which it is being made."""
    keeps_until_ready: ClassVar[bool] = True
    """It cannot be deleted while it is being made."""
    hint: ClassVar[str] = ""
    """What may help if OpenStack does not take the request."""
    token_field = "metadata"
    delete_is_final = False

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        """Only what carries the token is deleted: a record alone proves nothing."""
        if desired is not None:
            return self.make(desired, recorded) if observed is None else self.condition(observed)
        if observed is None or not self.owned(observed, recorded):
            return Gone()
        if self.keeps_until_ready and observed.get("status") in self.busy:
            return Wait(f"is {observed['status']}, and cannot be deleted until that is over")
        return self.remove(recorded, observed)

    @override
    def condition(self, observed: Mapping[str, Any]) -> Ready | Wait | Failed:
        """The answer to the creation may have no status yet."""
        shown = observed.get("status")
        if shown in self.ready:
            return Ready()
        if shown is None or shown in self.busy:
            return Wait(f"is {shown or 'creating'}")
        reason = observed.get("fail_reason")
        return Failed(f"went to status {shown}" + (f": {reason}" if reason else ""))

    @abstractmethod
    def make(self, desired: Desired, recorded: Recorded) -> Send:
        """The request that makes the copy of ``desired.properties[SOURCE]``."""

    @abstractmethod
    def size(self, observed: Mapping[str, Any]) -> int:
        """Its size in bytes; 0 if it is not known."""
