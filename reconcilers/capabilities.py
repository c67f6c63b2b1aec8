"""What only some resource types can do: small optional protocols, with pure step functions.

A type has a capability by having its methods. The engine asks :func:`suspendable` and never for a class.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Protocol, runtime_checkable

from reconcilers.copies import CopyType
from reconcilers.model import Outcome, Recorded


@runtime_checkable
class Suspendable(Protocol):
    """A type whose resources can be suspended and resumed.

    Both methods are level-triggered like ``step``: the engine calls them again with what it then observes, until they
    return Ready or Failed. ``observed`` is never None.
    """

    changed_while_suspended: ClassVar[frozenset[str]]
    """Properties that change in place while the resource is suspended. For all others it is resumed first."""

    def suspend(self, recorded: Recorded, observed: Any) -> Outcome:
        """The next step until the resource is suspended, or does not run for another reason."""

    def resume(self, recorded: Recorded, observed: Any) -> Outcome:
        """The next step until the resource is not suspended any more. One that others stopped stays stopped."""


@cache
def suspendable(rtype: object) -> Suspendable | None:
    """The type as one that can be suspended; None if it cannot.

    The answer is kept for each type: Python looks for the methods anew at each ``isinstance``, which is slow.
    """
    return rtype if isinstance(rtype, Suspendable) else None


@runtime_checkable
class Snapshottable(Protocol):
    """A type whose resources can be copied in OpenStack, and made again from a copy.

    A copy is a resource with a type of its own (:class:`reconcilers.copies.CopyType`), so it is created, found again
    after a lost answer and deleted like any other.
    """

    copies: ClassVar[Mapping[str, CopyType]]
    """The types of copies by their kind (``Image``)."""
    kept_as: ClassVar[str]
    """The kind that is made before a deletion under ``deletion_policy: Snapshot``."""

    def copy_kind(self, observed: Any, preferred: frozenset[str]) -> str:
        """The kind to make of this resource, of ``preferred`` where there are several; empty: nothing to copy."""

    def restored(self, kind: str, identity: str) -> Mapping[str, Any]:
        """The properties that make the resource from this copy, in place of the template's."""
