"""Which files a template or an environment names, as Heat's command line client finds them, and how to rename them.

A template names files with ``get_file``, with a resource type that is a template, and with the ``TemplateURL`` of a
CloudFormation stack; an environment with the values
of its resource_registry. The text is never rendered anew: where a name must change, that scalar alone is replaced.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import yaml

from hot_translator.errors import under
from hot_translator.registry import TEMPLATE_ENDINGS
from hot_translator.yaml_reader import Loader, read_yaml

VERSION_KEYS: Final = ("heat_template_version", "HeatTemplateFormatVersion", "AWSTemplateFormatVersion")

_NOT_TYPES: Final = frozenset({"base_url", "hooks", "restricted_actions"})


class FileName(NamedTuple):
    """A name of a file as it is written: ``base`` is what an environment's base_url adds in front of it.

    ``path`` is dotted, as for errors. ``start`` and ``end`` are the places of the scalar in the text, ``line`` and
    ``column`` its first, from 1.
    """

    name: str
    base: str
    path: str
    start: int
    end: int
    line: int
    column: int


def is_template(data: Any) -> bool:
    """Whether data is a template, by its version key."""
    return isinstance(data, Mapping) and any(key in data for key in VERSION_KEYS)


def names_in_template(text: str, source: str) -> Iterator[FileName]:
    """The files that a template's text names. Raises ``InvalidTemplate``."""
    root = _composed(text, "template", source)
    waiting = [("", root)] if root else []
    seen: set[int] = set()  # an alias leads to the same node again
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(under(path, index), item) for index, item in reversed([*enumerate(node.value)])]
        elif isinstance(node, yaml.MappingNode):
            entries = [(key.value, under(path, key.value), value) for key, value in node.value]
            for key, place, value in entries:
                if isinstance(value, yaml.ScalarNode) and _is_text(value) and _names_file(key, value.value):
                    yield _file_name(value, place, "")
            waiting += [(place, value) for _, place, value in reversed(entries)]


def names_in_environment(text: str, source: str) -> Iterator[FileName]:
    """The files that an environment's resource_registry names. Raises ``InvalidTemplate``."""
    path = "resource_registry"
    registry = _child(_composed(text, "environment", source), path)
    base = _text(_child(registry, "base_url"))
    yield from _types(registry, path, base)
    path = under(path, "resources")
    resources = _child(registry, "resources")
    if isinstance(resources, yaml.MappingNode):
        for key, entry in resources.value:
            yield from _types(entry, under(path, key.value), _text(_child(entry, "base_url")) or base)


def renamed(text: str, names: Mapping[FileName, str]) -> str:
    """The text with other names in these places, and every other character as it was."""
    for place, name in sorted(names.items(), key=lambda item: item[0].start, reverse=True):
        text = text[: place.start] + json.dumps(name, ensure_ascii=False) + text[place.end :]
    return text


def _names_file(key: Any, value: str) -> bool:
    if key in ("type", "Type"):
        return value.endswith(TEMPLATE_ENDINGS)
    return bool(value) and key in ("get_file", "TemplateURL")


def _composed(text: str, what: str, source: str) -> yaml.Node | None:
    """The tree of a text's nodes. JSON may be indented with tabs, YAML may not; the places of everything stay."""
    if text.lstrip().startswith("{"):
        text = text.replace("\t", " ")
    read_yaml(text, what, source)  # PyYAML's tree has no bounds of its own
    node: yaml.Node | None = yaml.compose(text, Loader=Loader)
    return node


def _types(registry: yaml.Node | None, path: str, base: str) -> Iterator[FileName]:
    if not isinstance(registry, yaml.MappingNode):
        return
    for key, value in registry.value:
        is_name = isinstance(value, yaml.ScalarNode) and _is_text(value) and value.value and "::" not in value.value
        if is_name and key.value not in _NOT_TYPES:
            yield _file_name(value, under(path, key.value), base)


def _file_name(node: yaml.ScalarNode, path: str, base: str) -> FileName:
    start, end = node.start_mark, node.end_mark
    return FileName(node.value, base, path, start.index, end.index, start.line + 1, start.column + 1)


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in reversed(node.value) if key.value == name), None)


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) and _is_text(node) else ""


def _is_text(node: yaml.ScalarNode) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:str")
