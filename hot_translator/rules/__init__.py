"""Rules between the properties of one resource, which no schema of a single property can say.

They are those of the ``validate`` methods of Heat's resources, and those that the services are certain to apply: a
server needs something to boot from, a subnet a CIDR or a pool. They are checked before anything is created as far as
the values are known, and again when the rest is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hot_translator.rules import balancing, heat, identity, network, server, storage
from hot_translator.rules.given import Breach, Given, Rule

__all__ = ["Breach", "breaches", "refine"]

_RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    **balancing.RULES,
    **heat.RULES,
    **identity.RULES,
    **network.RULES,
    **server.RULES,
    **storage.RULES,
}


def breaches(type_name: str, values: Mapping[str, Any]) -> Iterator[Breach]:
    """What is certainly wrong with the properties of a resource of this type.

    ``values`` are final values (``properties.finalize``), in which ``UNKNOWN`` may stand anywhere.
    """
    given = Given(values)
    for rule in _RULES.get(type_name, ()):
        yield from rule(given)


def refine(type_name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The final values, where one property gives another its type. Raises ``RefusedError``."""
    return heat.typed_value(values) if type_name == heat.VALUE else values
