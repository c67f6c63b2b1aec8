"""Stand-ins for parameters that have no value yet, so that a template can be checked without any.

A stand-in is ``Dynamic``: what it flows into is not checked, since nobody knows the value. Where a value must be
known, in conditions and counts, it is one that the parameter's declaration allows.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hot_translator.expression import UNKNOWN, Dynamic, Guesses, Leaf, Scope
from hot_translator.parameters import ParameterSchema

_SAMPLES: Final[Mapping[str, Any]] = {"string": "", "number": 1, "boolean": True, "list": [], "map": {}}


class StandIn(Dynamic):
    """The value of a parameter that was not given."""

    __slots__ = ("_sample", "name")

    def __init__(self, schema: ParameterSchema) -> None:
        self.name = schema.name
        self._sample = sample(schema)

    def resolve(self, scope: Scope) -> Any:
        """A value that the declaration allows, where one must be known; else it is not."""
        return self._sample if isinstance(scope, Guesses) else UNKNOWN

    def leaves(self) -> Iterator[Leaf]:
        """None: it depends on no resource."""
        return iter(())


def sample(schema: ParameterSchema) -> Any:
    """A value of the parameter's type: the first that is allowed, the least, or an empty one."""
    limits = {constraint.kind: constraint.value for constraint in schema.constraints}
    if "allowed_values" in limits:
        first = limits["allowed_values"][0]
        return [first] if schema.kind == "list" else first
    least = limits.get("range", {}).get("min")
    if schema.kind == "number" and least is not None:
        return least
    if schema.kind == "string" and "length" in limits:
        return "x" * int(limits["length"].get("min", 0))
    return _SAMPLES[schema.kind]
