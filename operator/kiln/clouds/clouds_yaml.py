"""A clouds.yaml as texts with their places, without trusting it and without quoting it.

Anything in it may be a password, also what is no value: of ``password:x`` without a blank YAML makes a key, of
``password: !x`` a tag. So errors say in fixed words what is wrong, and in which line and column.

Scalars stay the texts that they are written as: a password of ``0123`` or ``1:30`` is no number.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import yaml

_MAX_ALIASES: Final = 20
_MAX_DEPTH: Final = 12
_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value"))
_NO_TEXT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class CloudsYamlError(Exception):
    """The text cannot be used. The message is made of fixed words, a line and a column."""


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar; ``value`` is None where it is empty or ``null``."""

    value: str | None
    place: str


@dataclass(frozen=True, slots=True)
class Block:
    """A mapping. ``keys`` says where each key stands."""

    members: Mapping[str, "Text | Block | Items"]
    keys: Mapping[str, str]
    place: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list; nothing that is used is one."""

    place: str


def read(text: str) -> Text | Block | Items:
    """The document. Raises :class:`CloudsYamlError`."""
    try:
        _check_bounds(text)
        # The loader in C is faster and has no bound on nesting.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise CloudsYamlError("there is nothing in it")
        return _value(root)
    except yaml.scanner.ScannerError as error:
        raise CloudsYamlError(f"this is not YAML: a sign cannot be where it is{_at(error.problem_mark)}") from None
    except yaml.parser.ParserError as error:
        raise CloudsYamlError(f"this is not YAML: the structure is broken{_at(error.problem_mark)}") from None
    except yaml.composer.ComposerError as error:
        raise CloudsYamlError(
            f"an alias without an anchor, or a second document or anchor of one name{_at(error.problem_mark)}"
        ) from None
    except yaml.MarkedYAMLError as error:
        raise CloudsYamlError(f"something cannot be merged or has no use{_at(error.problem_mark)}") from None
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError):
        raise CloudsYamlError("this is not YAML, or nested too deeply") from None


def _at(mark: "yaml.Mark | None") -> str:
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""


def _check_bounds(text: str) -> None:
    """Refuse what costs much more to load than to write.

    Nested aliases multiply, merge keys copy what they name, and the parser's time grows with the square of the depth.
    """
    aliases = depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if aliases > _MAX_ALIASES:
            raise CloudsYamlError(f"more than {_MAX_ALIASES} aliases are too many: write the values out")
        if depth > _MAX_DEPTH:
            raise CloudsYamlError(f"more than {_MAX_DEPTH} levels are too deep")


def _value(node: yaml.Node, depth: int = 0) -> Text | Block | Items:
    place = _at(node.start_mark)
    if depth > _MAX_DEPTH:
        raise CloudsYamlError(f"more than {_MAX_DEPTH} levels are too deep")
    if isinstance(node, yaml.MappingNode):
        if node.tag != f"{_TAG}map":
            raise CloudsYamlError(f"a tag that has no use here{place}")
        members: dict[str, Text | Block | Items] = {}
        keys: dict[str, str] = {}
        for key, value in _pairs(node, depth):
            name = _value(key, depth + 1)
            if not isinstance(name, Text) or name.value is None:
                raise CloudsYamlError(f"a key must be a text{_at(key.start_mark)}")
            members[name.value] = _value(value, depth + 1)
            keys[name.value] = _at(key.start_mark)
        return Block(members, keys, place)
    if isinstance(node, yaml.SequenceNode):
        return Items(place)
    if node.tag not in _SCALARS:
        raise CloudsYamlError(f"a tag that has no use here{place}")
    if _NO_TEXT.search(node.value):
        raise CloudsYamlError(f"a control character, a line break or half of a character pair in a value{place}")
    return Text(None if node.tag == f"{_TAG}null" else node.value, place)


def _pairs(node: yaml.MappingNode, depth: int) -> "Iterator[tuple[yaml.Node, yaml.Node]]":
    """The members of a mapping, merged ones first, so that its own win."""
    if depth > _MAX_DEPTH:
        raise CloudsYamlError(f"more than {_MAX_DEPTH} levels are too deep")
    for key, value in node.value:
        if key.tag == f"{_TAG}merge":
            for merged in reversed(value.value) if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(merged, yaml.MappingNode):
                    raise CloudsYamlError(f"only mappings can be merged{_at(key.start_mark)}")
                yield from _pairs(merged, depth + 1)
    yield from ((key, value) for key, value in node.value if key.tag != f"{_TAG}merge")
