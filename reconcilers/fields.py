"""How a property stands in the API: what a type's table of fields is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hot_translator.catalogue import PropertySchema
from reconcilers.normal_forms import canonical

KEEP = object()
"""As a field's ``reset``: what the template no longer gives stays as it is (the API has no word for its default)."""


def same(value: Any) -> Any:
    """Encode or decode nothing."""
    return value


@dataclass(frozen=True, slots=True)
class Field:
    """How one property stands in the API: its key there, and how its value is written and read back.

    ``decode`` turns the observed value, or the encoded one, into the property's form. Values are compared in their
    normal form, which follows from the catalogue (:mod:`reconcilers.normal_forms`); ``ordered`` says that the order of
    a list counts, ``additive`` that others add to a list or map, so that only what is given is compared. ``drift``
    False leaves the property out of the drift check (the API does not show it, or changes it by itself). ``reset`` is
    sent when the template no longer gives the property.
    """

    api: str
    encode: Callable[[Any], Any] = same
    decode: Callable[[Any], Any] = same
    create: bool = True
    update: bool = True
    drift: bool = True
    reset: Any = None
    ordered: bool = False
    additive: bool = False

    def agrees(self, shown: Any, sent: Any, schema: PropertySchema | None) -> bool:
        """Whether ``shown``, decoded already, is what a request with ``sent`` brings about."""
        wanted = self.decode(sent)
        if shown == wanted:
            return True  # in whatever form: equal values have equal normal forms
        left = canonical(shown, schema, ordered=self.ordered)
        right = canonical(wanted, schema, ordered=self.ordered)
        if not self.additive:
            return bool(left == right)
        if isinstance(right, Mapping):
            return right.items() <= (left or {}).items()
        return all(item in (left or ()) for item in right or ())


def same_name_fields(*names: str) -> dict[str, Field]:
    """Fields whose key in the API is the property's own name."""
    return {name: Field(name) for name in names}
