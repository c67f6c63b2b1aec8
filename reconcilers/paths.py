"""Values at a property path such as ``networks[].network``. ``[]`` stands for each item of a list."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def values_at(
    properties: Mapping[str, Any], path: str, around: str = ""
) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Each value that stands at the path: its own path (``networks[0].network``), the map that holds it (or the map
    around its list), and the value. ``around`` begins each path.
    """
    head, _, rest = path.partition(".")
    name = head.removesuffix("[]")
    value = properties.get(name)
    many = head.endswith("[]") and isinstance(value, list)
    items: list[Any] = value if isinstance(value, list) and many else [value]
    for index, item in enumerate(items):
        place = f"{around}{name}[{index}]" if many else f"{around}{name}"
        if rest and isinstance(item, Mapping):
            yield from values_at(item, rest, f"{place}.")
        elif not rest and item is not None:
            yield place, properties, item


def rewritten(
    properties: Mapping[str, Any], path: str, change: Callable[[Mapping[str, Any], Any], Any]
) -> Mapping[str, Any]:
    """The properties with every value at the path changed; the given ones are left alone."""
    head, _, rest = path.partition(".")
    name = head.removesuffix("[]")
    if properties.get(name) is None:
        return properties

    def one(item: Any) -> Any:
        if rest:
            return rewritten(item, rest, change) if isinstance(item, Mapping) else item
        return item if item is None else change(properties, item)

    value = properties[name]
    many = head.endswith("[]") and isinstance(value, list)
    return {**properties, name: [one(item) for item in value] if many else one(value)}
