"""The functions that repeat a template for each item of lists: ``repeat`` in its three versions."""

from __future__ import annotations

import itertools
import math
from typing import Any

from hot_translator.budget import Meter
from hot_translator.errors import InvalidTemplate
from hot_translator.expression import Dynamic
from hot_translator.functions.base import Function, is_list, is_map, plain
from hot_translator.functions.collections import known_items
from hot_translator.sizes import CONTAINER, ITEM


class Repeat(Function):
    """``{repeat: {for_each: {var: list}, template, permutations}}``."""

    unpacked = True
    gives = list
    maps_iterate = True
    """Whether a map in for_each gives its keys (from 2016-10-14)."""
    reads_permutations = True
    """Whether ``permutations: false`` walks the lists side by side (from 2017-09-01)."""

    def build(self, snippet: Any) -> Any:
        """The compiled call. ``permutations`` must be written out, as in Heat."""
        if self.reads_permutations and is_map(snippet) and not isinstance(snippet.get("permutations", True), bool):
            reason = f'"permutations" should be boolean type for {self.name} function'
            raise InvalidTemplate(str(self.path), reason)
        return super().build(snippet)

    def check(self, arguments: Any) -> None:
        """Refuse anything but a map with for_each and template."""
        if not isinstance(arguments, dict):
            msg = f'Arguments to "{self.name}" must be a map'
            raise TypeError(msg)
        if "for_each" not in arguments or "template" not in arguments:
            msg = f'"{self.name}" needs "for_each" and "template"'
            raise KeyError(msg)
        if not isinstance(arguments["for_each"], dict | Dynamic):
            msg = f'The "for_each" argument to "{self.name}" must contain a map'
            raise TypeError(msg)

    def fitting(self, arguments: Any) -> Any:
        """No item for each unknown list, and the texts of the template: what is long is left to the real call."""
        for_each = arguments["for_each"]
        if isinstance(for_each, Dynamic):
            return None
        lists = {key: known_items(value, "") for key, value in for_each.items()}
        if not isinstance(arguments["template"], Dynamic):
            lists = {key: value[:1] or [""] if isinstance(value, list) else value for key, value in lists.items()}
        elif self.reads_permutations and not arguments.get("permutations", True):
            return None  # lists of unknown lengths
        return {"for_each": lists, "template": plain(arguments["template"])}

    def compute(self, arguments: Any) -> Any:
        """The template, once for each combination."""
        for_each = arguments["for_each"]
        product = not self.reads_permutations or arguments.get("permutations", True)
        if not is_map(for_each) or not for_each:
            msg = f'The "for_each" argument to "{self.name}" must contain a map'
            raise ValueError(msg)
        lists = [self._items(value, product=product) for value in for_each.values()]
        given = {len(items) for items, value in zip(lists, for_each.values(), strict=True) if value is not None}
        if not product and len(given) > 1:
            msg = f"For {self.name}, the length of for_each values should be equal if no nested loop"
            raise ValueError(msg)
        total = math.prod(len(items) for items in lists) if product else 0
        meter = Meter()
        meter.made(ITEM * total)
        keys = list(for_each)
        rows = itertools.product(*lists) if product else zip(*lists, strict=False)
        return [_substitute(arguments["template"], list(zip(keys, row, strict=True)), meter) for row in rows]

    def _items(self, value: Any, *, product: bool) -> list[Any]:
        if value is None:
            return []
        if is_list(value) or (self.maps_iterate and product and is_map(value)):
            return list(value)
        msg = f'The values of the "for_each" argument to "{self.name}" must be lists'
        raise TypeError(msg)


class RepeatLists(Repeat):
    """repeat before 2016-10-14."""

    maps_iterate = False
    reads_permutations = False


class RepeatMaps(Repeat):
    """repeat before 2017-09-01."""

    reads_permutations = False


def _substitute(template: Any, replacements: list[tuple[Any, Any]], meter: Meter) -> Any:
    meter.step()
    if isinstance(template, str):
        for key, value in replacements:
            if not isinstance(key, str) or not isinstance(value, str):
                what = f"the value {str(value)[:200]} of {key!r}" if isinstance(key, str) else f"the key {key!r}"
                msg = f"{what} in for_each is no text: only text can be replaced by text, so put it in quotes"
                raise TypeError(msg)
            meter.made(ITEM + template.count(key) * len(value))
            template = template.replace(key, value)
        meter.made(len(template))
        return template
    if isinstance(template, list):
        meter.made(CONTAINER)
        return [_substitute(item, replacements, meter) for item in template]
    if isinstance(template, dict):
        meter.made(CONTAINER)
        return {
            _substitute(key, replacements, meter): _substitute(item, replacements, meter)
            for key, item in template.items()
        }
    meter.made(ITEM)
    return template
