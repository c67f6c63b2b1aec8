"""YAML 1.1 to plain data, event by event: what PyYAML's safe loader gives, without its tree of nodes.

The tree is what makes PyYAML slow on large texts, and it has no bounds. Here depth and the growth through aliases are
bounded, an alias costs nothing, and CloudFormation's short tags are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from hot_translator.errors import InvalidTemplate

MAX_DEPTH: Final = 100
"""Containers within containers: far above what people write, far below Python's own recursion limit."""
MAX_VALUES: Final = 2_000_000
"""Scalars and containers once every alias is expanded."""

_PREFIX: Final = "tag:yaml.org,2002:"
_STR: Final = f"{_PREFIX}str"
_MERGE_TAG: Final = f"{_PREFIX}merge"

Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's parser in C where there is one."""

_LONGEST_INTEGER: Final = 4300
"""Decimal digits that Python turns into text; a number with more could not be written anywhere."""


def _integer(loader: Any, node: yaml.Node) -> int:
    """An integer of YAML 1.1: also hexadecimal, octal, binary, or in base 60."""
    text = str(node.value)
    # Python bounds what it reads in base 10, and PyYAML's way through base 60 takes time by the square of the length.
    if len(text) > _LONGEST_INTEGER * (4 if text.lstrip("+-").startswith("0b") else 1):
        raise ValueError(f"an integer has more than {_LONGEST_INTEGER} digits")
    value: int = loader.construct_yaml_int(node)
    if value.bit_length() > _LONGEST_INTEGER * 3.32:
        raise ValueError(f"an integer has more than {_LONGEST_INTEGER} digits")
    return value


_SCALARS: Final[Mapping[str, Callable[[Any, yaml.Node], Any]]] = {
    f"{_PREFIX}null": Loader.construct_yaml_null,
    f"{_PREFIX}bool": Loader.construct_yaml_bool,
    f"{_PREFIX}int": _integer,
    f"{_PREFIX}float": Loader.construct_yaml_float,
    f"{_PREFIX}binary": Loader.construct_yaml_binary,
    f"{_PREFIX}value": Loader.construct_scalar,
    f"{_PREFIX}timestamp": Loader.construct_scalar,  # Heat keeps them as text
    _MERGE_TAG: Loader.construct_scalar,
    _STR: Loader.construct_scalar,
}

_SHORT_TAGS: Final = frozenset(
    {"And", "Base64", "Equals", "FindInMap", "GetAZs", "If", "Join", "MemberListToMap", "Not", "Or", "Replace"}
    | {"ResourceFacade", "Select", "Split"}
)
_JINJA: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}")
_MERGE: Final = object()
_NO_KEY: Final = object()
_OPEN: Final = object()


@dataclass(slots=True)
class _Frame:
    """A container that is still open."""

    data: Any
    is_map: bool
    tag: str | None
    anchor: str | None
    mark: Any
    before: int
    key: Any = _NO_KEY
    merged: dict[Any, Any] | None = None


def read_yaml(text: str, what: str, source: str | None) -> Any:
    """The data of the only document, None when there is none; raises ``InvalidTemplate`` with line and column."""
    reader = _Reader(text, what, source)
    try:
        return reader.read()
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        reason = ": ".join(part for part in (error.context, error.problem) if part) or "not readable"
        raise reader.refusal(reason, mark, error.context_mark) from None
    except (yaml.YAMLError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "not readable"
        raise reader.refusal(reason, None) from None


class _Reader:
    def __init__(self, text: str, what: str, source: str | None) -> None:
        self._what = what
        self._source = source
        self._text = text
        self._parser: Any = None
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._plain: dict[str, Any] = {}
        self._count = 0
        self._root: Any = None

    def read(self) -> Any:
        """Walk through the events."""
        self._parser = parser = Loader(self._text)
        documents = 0
        try:
            while True:
                event = parser.get_event()
                kind = type(event)
                if kind is yaml.ScalarEvent:
                    self._count += 1
                    self._add(self._scalar(event), event)
                elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                    self._open(event, is_map=kind is yaml.MappingStartEvent)
                elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                    self._close()
                elif kind is yaml.AliasEvent:
                    self._alias(event)
                elif kind is yaml.DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        raise self.refusal("expected a single document", event.start_mark)
                elif kind is yaml.StreamEndEvent:
                    return self._root
        finally:
            parser.dispose()

    def refusal(self, reason: str, mark: Any, context: Any = None) -> InvalidTemplate:
        """An error at a place of the text, and in the context of another."""
        if any(_JINJA.search(self._line(place)) for place in (mark, context) if place is not None):
            reason = (
                f"this is a Jinja template ({{{{ }}}} or {{% %}}): render it first, and use what comes out ({reason})"
            )
        return InvalidTemplate(
            self._what,
            f"Error parsing {self._what}: {reason}",
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
            source=self._source,
        )

    def _line(self, mark: Any) -> str:
        start = self._text.rfind("\n", 0, mark.index) + 1
        end = self._text.find("\n", mark.index)
        return self._text[start : end if end >= 0 else None]

    def _open(self, event: Any, *, is_map: bool) -> None:
        self._count += 1
        if len(self._frames) >= MAX_DEPTH:
            raise self.refusal(f"The {self._what} is nested deeper than {MAX_DEPTH} levels", event.start_mark)
        if event.anchor:
            self._name(event.anchor, _OPEN, event)
        data: Any = {} if is_map else []
        self._frames.append(_Frame(data, is_map, event.tag, event.anchor, event.start_mark, self._count))

    def _close(self) -> None:
        frame = self._frames.pop()
        data = frame.data if frame.merged is None else {**frame.merged, **frame.data}
        if frame.tag is not None:
            data = self._tagged(frame, data)
        if frame.anchor:
            self._anchors[frame.anchor] = data, self._count - frame.before + 1
        self._add(data, None, frame.mark)

    def _name(self, anchor: str, data: Any, event: Any) -> None:
        if anchor in self._anchors:
            raise self.refusal(f"found duplicate anchor {anchor!r}", event.start_mark)
        self._anchors[anchor] = data, 1

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise self.refusal(f"found undefined alias {event.anchor!r}", event.start_mark)
        data, size = self._anchors[event.anchor]
        if data is _OPEN:
            raise self.refusal(f"the alias {event.anchor!r} contains itself", event.start_mark)
        self._count += size
        if self._count > MAX_VALUES:
            raise self.refusal(f"the aliases expand to more than {MAX_VALUES} values", event.start_mark)
        self._add(data, None, event.start_mark)

    def _add(self, data: Any, event: Any, mark: Any = None) -> None:
        """Put a value where it belongs: the key or value of the innermost map, the item of a list, the document."""
        if not self._frames:
            self._root = None if data is _MERGE else data
            return
        frame = self._frames[-1]
        if not frame.is_map:
            frame.data.append("<<" if data is _MERGE else data)
        elif frame.key is _NO_KEY:
            if isinstance(data, dict | list):
                raise self.refusal("a key must not be a list or a map", mark)
            frame.key = data
        else:
            key, frame.key = frame.key, _NO_KEY
            if key is _MERGE:
                self._merge(frame, data, mark or event.start_mark)
            else:
                frame.data[key] = "<<" if data is _MERGE else data

    def _merge(self, frame: _Frame, data: Any, mark: Any) -> None:
        maps = data if isinstance(data, list) else [data]
        if not all(isinstance(one, dict) for one in maps):
            raise self.refusal("a merge key (<<) takes a map or a list of maps", mark)
        merged = dict(frame.merged or {})
        for one in reversed(maps):
            merged.update(one)
        frame.merged = merged

    def _scalar(self, event: Any) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            data = self._resolved(event) if event.implicit[0] else event.value
        elif tag.startswith(_PREFIX):
            data = self._built(tag, event.value, event)
        else:
            args = self._resolved(event) if event.style is None else event.value
            data = self._short(tag, args, event.start_mark)
        if event.anchor:
            self._name(event.anchor, data, event)
        return data

    def _resolved(self, event: Any) -> Any:
        """A plain scalar: a number, a bool, null, a merge key, or else text. The same text is read once."""
        value = event.value
        if value in self._plain:
            return self._plain[value]
        resolvers = Loader.yaml_implicit_resolvers
        data = value
        for tag, expression in (*resolvers.get(value[:1], ()), *resolvers.get(None, ())):
            if expression.match(value):
                data = _MERGE if tag == _MERGE_TAG else self._built(tag, value, event)
                break
        self._plain[value] = data
        return data

    def _built(self, tag: str, value: str, event: Any) -> Any:
        construct = _SCALARS.get(tag)
        if construct is None:
            raise self.refusal(f"the tag {tag!r} is not known", event.start_mark)
        try:
            data = construct(self._parser, yaml.ScalarNode(tag, value, event.start_mark, event.end_mark))
        except (ValueError, IndexError, KeyError, OverflowError, yaml.YAMLError):
            kind = tag.removeprefix(_PREFIX)
            raise self.refusal(f"{value!r} is not a valid {kind}", event.start_mark) from None
        return data.decode("latin-1") if isinstance(data, bytes) else data

    def _tagged(self, frame: _Frame, data: Any) -> Any:
        tag = str(frame.tag)
        if tag == "!" or tag == _PREFIX + ("map" if frame.is_map else "seq"):
            return data
        if tag == f"{_PREFIX}set" and frame.is_map:
            return list(data)
        if tag in (f"{_PREFIX}omap", f"{_PREFIX}pairs") and not frame.is_map:
            return [list(*pair.items()) if isinstance(pair, dict) and len(pair) == 1 else pair for pair in data]
        return self._short(tag, data, frame.mark)

    def _short(self, tag: str, args: Any, mark: Any) -> Any:
        """CloudFormation's short form of a function: ``!Ref x`` is ``{Ref: x}``, ``!GetAtt a.b`` is Fn::GetAtt."""
        name = tag.removeprefix("!")
        if name == "Ref":
            return {"Ref": args}
        if name == "Condition":
            return args
        if name == "GetAtt":
            return {"Fn::GetAtt": args.split(".", 1) if isinstance(args, str) else args}
        if name in _SHORT_TAGS:
            return {f"Fn::{name}": args}
        hint = f": Heat has no function Fn::{name}" if name.isidentifier() else ""
        raise self.refusal(f"the tag {tag} is not known{hint}", mark)
