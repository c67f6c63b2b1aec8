"""What only some resource types can do: small optional protocols, with pure step functions.

A type has a capability by having its methods. The engine asks :func:`suspendable` and never for a class.
"""

from functools import cache
from typing import Any, ClassVar, Protocol, runtime_checkable

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
