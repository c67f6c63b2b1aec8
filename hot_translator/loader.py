"""Text to plain data: JSON first, then YAML 1.1 as PyYAML's safe loader reads it, which is how Heat reads templates.

Timestamps stay text, duplicate keys keep their last value. Depth, size and the growth through aliases are bounded, so
that no text can hang or exhaust the process.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import yaml

from hot_translator.errors import InvalidTemplate
from hot_translator.expression import ATOMS
from hot_translator.yaml_reader import MAX_DEPTH, Loader, read_yaml

_END_OF_KEY: Final = re.compile(r"[.\[<]")
MAX_TEXT_SIZE: Final = 16 * 1024 * 1024
"""Characters of one template, environment or nested file."""


def load(text: str, *, what: str = "template", source: str | None = None) -> dict[str, Any]:
    """The mapping that a JSON or YAML text holds; raises ``InvalidTemplate`` with line and column.

    ``what`` names the kind of document in messages. An empty document is an empty mapping.
    """
    if len(text) > MAX_TEXT_SIZE:
        msg = f"The {what} is larger than {MAX_TEXT_SIZE} characters"
        raise InvalidTemplate(what, msg, source=source)
    data = _load_json(text)
    if data is None:
        data = read_yaml(text, what, source)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidTemplate(what, f"The {what} is not a JSON object or YAML mapping", line=1, column=1, source=source)
    return data


def _load_json(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if _is_plain(data, MAX_DEPTH) else None


def _is_plain(data: Any, depth: int) -> bool:
    if isinstance(data, dict):
        parts: Iterable[Any] = data.values()
    elif isinstance(data, list):
        parts = data
    else:
        return True
    if depth <= 0:
        return False
    for part in parts:  # noqa: SIM110 - a generator takes twice as long
        if type(part) not in ATOMS and not _is_plain(part, depth - 1):
            return False
    return True


def check_plain(data: Any, what: str) -> None:
    """Refuse given data (not text) that is nested more deeply than a text may be."""
    if not isinstance(data, dict) or not _is_plain(data, MAX_DEPTH):
        raise InvalidTemplate(what, f"The {what} must be a map, nested no deeper than {MAX_DEPTH} levels")


def locate(text: str, path: str) -> tuple[int, int] | None:
    """Line and column, from 1, of the nearest place on a dotted path; None when the text cannot be read.

    The tree of the last texts is kept, since problems come in numbers: call ``forget_places`` when they are all found.
    """
    node = _tree(text)
    if node is None:
        return None
    place, rest = _position(node), path
    while rest:
        step = _step(node, rest)
        if step is None:
            break
        place, node, rest = step
    return place


@lru_cache(maxsize=2)
def _tree(text: str) -> yaml.Node | None:
    try:
        read_yaml(text, "template", None)  # what follows has no bounds of its own
        loader = Loader(text)
        try:
            return loader.get_single_node()  # type: ignore[no-any-return]
        finally:
            loader.dispose()
    except (InvalidTemplate, yaml.YAMLError):
        return None


def forget_places() -> None:
    """Let go of the trees that ``locate`` keeps: they are many times larger than their texts."""
    _tree.cache_clear()
    _keys.cache_clear()


def _position(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _step(node: yaml.Node, path: str) -> tuple[tuple[int, int], yaml.Node, str] | None:
    """The next key or index of a path. Names may hold dots, so the longest key that fits is taken."""
    if isinstance(node, yaml.SequenceNode):
        index, _, rest = path.removeprefix("[").partition("]")
        if path.startswith("[") and index.isdigit() and int(index) < len(node.value):
            item = node.value[int(index)]
            return _position(item), item, rest.removeprefix(".")
        return None
    if not isinstance(node, yaml.MappingNode):
        return None
    keys = _keys(node)
    for end in (len(path), *(match.start() for match in reversed(list(_END_OF_KEY.finditer(path))))):
        if path[:end] in keys:
            key_node, value_node = keys[path[:end]]
            return _position(key_node), value_node, path[end:].removeprefix(".")
    return None


@lru_cache(maxsize=1000)
def _keys(node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """A map's entries by their keys; the first of several counts."""
    return {key.value: (key, value) for key, value in reversed(node.value) if isinstance(key.value, str)}
