"""Functions of lists and maps: joins, merges, filter, contains, Fn::Select and their like."""

from __future__ import annotations

import json
from typing import Any, Final

from hot_translator.budget import Meter
from hot_translator.expression import Dynamic
from hot_translator.functions.base import Function, Membership, is_list, is_map, known_or, plain, strip
from hot_translator.functions.text import as_json
from hot_translator.sizes import ITEM

MAX_JSON: Final = 1_000_000
"""Characters of JSON that Fn::Select reads: what it makes of them is larger than the text."""


def known_items(value: Any, fitting: Any) -> Any:
    """A list with ``fitting`` for each item that is unknown; an unknown list is empty."""
    if isinstance(value, Dynamic):
        return []
    return [known_or(item, fitting) for item in value] if isinstance(value, list) else plain(value)


class ListJoin(Function):
    """``{list_join: [delimiter, list, ...]}``. Lists and maps in it become JSON; null becomes ""."""

    unpacked = True
    gives = str

    def check(self, arguments: Any) -> None:
        """Refuse anything but a delimiter and lists."""
        if not isinstance(arguments, list):
            raise TypeError(self._usage())
        if len(arguments) < 2:
            raise ValueError(self._usage())

    def settle_and_compute(self, arguments: Any) -> Any:
        """An omitted list is no list, an omitted delimiter is null."""
        delimiter, *lists = arguments
        return super().settle_and_compute([delimiter, *strip(lists)])

    def fitting(self, arguments: Any) -> Any:
        """No text for each unknown item, no item for each unknown list."""
        delimiter, *lists = arguments if isinstance(arguments, list) else [arguments]
        return [known_or(delimiter, ""), *(known_items(one, "") for one in lists)]

    def compute(self, arguments: Any) -> Any:
        """The text."""
        delimiter, *lists = arguments
        items: list[Any] = []
        for one in lists:
            if not one:
                continue
            if not is_list(one):
                msg = f'"{self.name}" must operate on a list'
                raise TypeError(msg)
            items += one
        return self._join(delimiter, items)

    def _join(self, delimiter: Any, items: list[Any]) -> str:
        if not isinstance(delimiter, str):
            msg = f'"{self.name}" delimiter must be a string'
            raise TypeError(msg)
        texts = [self._text(item) for item in items]
        Meter().made(sum(map(len, texts)) + len(delimiter) * len(texts))
        return delimiter.join(texts)

    def _text(self, item: Any) -> str:
        if item is None:
            return ""
        if isinstance(item, str):
            return item
        if isinstance(item, dict | list):
            return as_json(item)
        msg = f"Items to join must be string, map or list not {str(item)[:200]}"
        raise TypeError(msg)

    def _usage(self) -> str:
        return f'Incorrect arguments to "{self.name}" should be: [" ", ["str1", "str2"]]'


class ListJoinPlain(ListJoin):
    """Fn::Join, and list_join before 2015-10-15: one list, of texts only."""

    def check(self, arguments: Any) -> None:
        """Refuse anything but a delimiter and one list."""
        super().check(arguments)
        if len(arguments) != 2:
            raise ValueError(self._usage())

    def settle_and_compute(self, arguments: Any) -> Any:
        """An omitted argument is null."""
        return Function.settle_and_compute(self, arguments)

    def compute(self, arguments: Any) -> Any:
        """The text."""
        delimiter, items = arguments
        if items is not None and not is_list(items):
            msg = f'"{self.name}" must operate on a list'
            raise TypeError(msg)
        return self._join(delimiter, items or [])

    def _text(self, item: Any) -> str:
        if item is None or isinstance(item, str):
            return item or ""
        msg = f"Items to join must be strings not {str(item)[:200]}"
        raise TypeError(msg)


class ListConcat(Function):
    """``{list_concat: [list, ...]}``."""

    gives = list

    def fitting(self, arguments: Any) -> Any:
        """An empty list for each unknown one."""
        return known_items(arguments, [])

    def compute(self, arguments: Any) -> Any:
        """One list; null counts as an empty one."""
        if not is_list(arguments):
            msg = f'Incorrect arguments to "{self.name}" should be: [[<value 1>], [<value 2>]]'
            raise TypeError(msg)
        for one in arguments:
            if one is not None and not is_list(one):
                msg = f"Incorrect arguments: Items to concat must be lists, not {str(one)[:200]}"
                raise TypeError(msg)
        Meter().made(ITEM * sum(len(one) for one in arguments if one))
        return [item for one in arguments if one for item in one]


class ListConcatUnique(ListConcat):
    """``{list_concat_unique: [list, ...]}``: of equal items the first is kept."""

    def compute(self, arguments: Any) -> Any:
        """One list without repetitions."""
        return unique(super().compute(arguments))


def unique(items: list[Any]) -> list[Any]:
    """The items without repetitions, equal as Python's ``==`` says (1, 1.0 and True are)."""
    kept: list[Any] = []
    known = Membership()
    for item in items:
        if item not in known:
            known.add(item)
            kept.append(item)
    return kept


class MapMerge(Function):
    """``{map_merge: [map, ...]}``: shallow, later ones win."""

    gives = dict

    def fitting(self, arguments: Any) -> Any:
        """An empty map for each unknown one."""
        return known_items(arguments, {})

    def compute(self, arguments: Any) -> Any:
        """One map; null counts as an empty one."""
        if not is_list(arguments) and arguments != "":
            msg = f'Incorrect arguments to "{self.name}" should be: [{{"key1": "val1"}}, {{"key2": "val2"}}]'
            raise TypeError(msg)
        merged: dict[Any, Any] = {}
        for one in arguments:
            if one is not None and not is_map(one):
                msg = f"Incorrect arguments: Items to merge must be maps, not {str(one)[:200]}"
                raise TypeError(msg)
            merged.update(one or {})
        return merged


class MapReplace(Function):
    """``{map_replace: [map, {keys: {old: new}, values: {old: new}}]}``."""

    gives = dict

    def fitting(self, arguments: Any) -> Any:
        """An empty map for each unknown one."""
        return [known_or(one, {}) for one in arguments] if isinstance(arguments, list) else plain(arguments)

    def compute(self, arguments: Any) -> Any:
        """The map with its keys renamed and its values replaced."""
        if not isinstance(arguments, list) or len(arguments) != 2:
            raise TypeError(self._usage())
        source, replacements = (self._map(argument) for argument in arguments)
        if any(key not in ("keys", "values") for key in replacements):
            raise ValueError(self._usage())
        keys = self._map(replacements.get("keys"))
        values = self._map(replacements.get("values"))
        result: dict[Any, Any] = {}
        for old, value in source.items():
            new = keys.get(old)
            if new is None:
                new = old
            elif (new in source and new != old) or new in result:
                msg = f"key replacement {new} collides with a key in the map"
                raise ValueError(msg)
            result[new] = values.get(value, value) if not isinstance(value, dict | list) else value
        return result

    def _map(self, value: Any) -> dict[Any, Any]:
        if value is not None and not is_map(value):
            raise TypeError(self._usage())
        return value or {}

    def _usage(self) -> str:
        return f'Incorrect arguments to "{self.name}" should be: [{{map}}, {{"keys": {{map}}, "values": {{map}}}}]'


class Filter(Function):
    """``{filter: [values, list]}``: the list without the values."""

    unpacked = True

    def check(self, arguments: Any) -> None:
        """Refuse anything but two arguments."""
        if not is_list(arguments):
            msg = f'Argument to "{self.name}" must be a list'
            raise TypeError(msg)
        if len(arguments) != 2:
            msg = f'"{self.name}" expected 2 arguments of the form [values, sequence] but got {len(arguments)}'
            raise ValueError(msg)

    def fold(self, arguments: Any) -> Any:
        """An empty list stays what it is, whatever the values are."""
        if not arguments[1]:
            return arguments[1]
        return super().fold(arguments)

    def fitting(self, arguments: Any) -> Any:
        """No values, or a list of one, where they are unknown."""
        values, items = arguments if isinstance(arguments, list) else (None, None)
        return [known_or(values, []), known_or(items, [""])]

    def compute(self, arguments: Any) -> Any:
        """What is left of the list."""
        values, items = arguments
        if not items:
            return items
        if not isinstance(items, list):
            msg = f'"{self.name}" only works with lists'
            raise TypeError(msg)
        if not values:
            return items
        if not isinstance(values, list):
            msg = f'"{self.name}" filters a list of values'
            raise TypeError(msg)
        left_out = Membership(values)
        return [item for item in items if item not in left_out]


class Contains(Function):
    """``{contains: [value, sequence]}``: for a text, whether it is a part of it."""

    unpacked = True

    def check(self, arguments: Any) -> None:
        """Refuse anything but two arguments."""
        if not arguments or not isinstance(arguments, list):
            msg = f'Incorrect arguments to "{self.name}" should be: ["value1", ["value1", "value2"]]'
            raise TypeError(msg)
        if len(arguments) != 2:
            msg = f'Arguments to "{self.name}" must be of the form: [value1, [value1, value2]]'
            raise ValueError(msg)

    def fitting(self, arguments: Any) -> Any:
        """A text, or an empty list, where they are unknown."""
        value, items = arguments
        return [known_or(value, ""), known_or(items, [])]

    def compute(self, arguments: Any) -> Any:
        """Whether it is."""
        value, items = arguments
        if not isinstance(items, list | str):
            msg = f'Second argument to "{self.name}" should be a sequence'
            raise TypeError(msg)
        return value in items


class FnSelect(Function):
    """``{Fn::Select: [index, list | map | JSON text]}``; what is not there gives ""."""

    unpacked = True

    def check(self, arguments: Any) -> None:
        """Refuse anything but two arguments."""
        if not is_list(arguments) or len(arguments) != 2:
            msg = f'Arguments to "{self.name}" must be of the form [index, collection]'
            raise ValueError(msg)

    def fitting(self, arguments: Any) -> Any:
        """The index counts by itself where it is neither a name nor a number."""
        index, items = arguments
        if isinstance(index, Dynamic) or (isinstance(items, Dynamic) and isinstance(index, str | int)):
            return None
        return [plain(index), known_or(items, [])]

    def compute(self, arguments: Any) -> Any:
        """The entry."""
        index, items = arguments
        if items is None or items == "":
            return ""
        if isinstance(items, str):
            if len(items) > MAX_JSON:
                msg = f"a text of more than {MAX_JSON} characters is not read as JSON"
                raise ValueError(msg)
            items = json.loads(items)
            if items is None:
                return ""
        if is_map(items):
            if not isinstance(index, str):
                msg = f'Index to "{self.name}" must be a string'
                raise TypeError(msg)
            return items.get(index, "")
        if not is_list(items):
            msg = f"Arguments to {self.name} not fully resolved"
            raise TypeError(msg)
        try:
            return items[int(index)]
        except IndexError:
            return ""
        except (ValueError, TypeError):
            msg = f'Index to "{self.name}" must be an integer'
            raise TypeError(msg) from None


class MemberListToMap(Function):
    """``{Fn::MemberListToMap: [key name, value name, [".member.0.Name=k", ".member.0.Value=v"]]}``."""

    unpacked = True

    def check(self, arguments: Any) -> None:
        """Refuse anything but two names and a list."""
        if not is_list(arguments) or len(arguments) != 3:
            msg = f"Wrong Arguments to {self.name}: [key name, value name, list] is wanted"
            raise TypeError(msg)
        if not isinstance(arguments[0], str) or not isinstance(arguments[1], str):
            msg = f"{self.name} Key Name and Value Name must be strings"
            raise TypeError(msg)

    def fitting(self, arguments: Any) -> Any:
        """An entry for each unknown item."""
        key_name, value_name, members = arguments
        return [known_or(key_name, "k"), known_or(value_name, "v"), known_items(members, ".member.0.k=v")]

    def compute(self, arguments: Any) -> Any:
        """The map of each member's key to its value."""
        key_name, value_name, members = arguments
        if isinstance(members, str | dict) and not members:
            return {}
        if not is_list(members) or not all(isinstance(member, str) for member in members):
            msg = "Member list items must be strings"
            raise TypeError(msg)
        partial = dict(member.split("=", 1) for member in members)
        found: dict[str, dict[str, Any]] = {}
        for name, value in partial.items():
            parts = name.split(".")
            if len(parts) == 4 and parts[:2] == ["", "member"]:
                found.setdefault(parts[2], {})[parts[3]] = value
        ordered = [found[index] for index in sorted(found, key=lambda text: (len(text), text))]
        return {member[key_name]: member[value_name] for member in ordered if {key_name, value_name} <= member.keys()}


class GetAvailabilityZones(Function):
    """``{Fn::GetAZs: region}``: the region is ignored, as Heat ignores it."""

    def compute(self, arguments: Any) -> Any:
        """The zones."""
        return ["nova"]
