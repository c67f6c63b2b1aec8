"""Tables, colours, ages, JSON and YAML: how commands print values. Pure, except for :func:`is_colourful`."""

import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, TextIO

import yaml

from reconcilers.cloud.limits import printable


class Style(Enum):
    """What a text means, as the number of a terminal's colour."""

    PLAIN = ""
    GOOD = "32"
    BUSY = "33"
    BAD = "31"
    STRONG = "1"
    DIM = "2"


Paint = Callable[[str, Style], str]


def plain(text: str, _style: Style) -> str:
    """No colour."""
    return text


def coloured(text: str, style: Style) -> str:
    """The text in a colour, as terminals understand it."""
    return f"\x1b[{style.value}m{text}\x1b[0m" if style.value and text else text


def is_colourful(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and its user has not refused them (NO_COLOR)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with a meaning."""

    text: str
    style: Style = Style.PLAIN


Row = Sequence["Cell | str"]


def table(headers: Sequence[str], rows: Iterable[Row], paint: Paint = plain) -> list[str]:
    """Lines of columns that are two blanks apart. Texts are made printable; the last column is not padded."""
    grid = [[Cell(header, Style.STRONG) for header in headers]]
    grid += [[_cell(one) for one in row] for row in rows]
    widths = [max(width(row[column].text) for row in grid) for column in range(len(headers))]
    lines = []
    for row in grid:
        padding = [" " * (size - width(cell.text)) for cell, size in zip(row, widths, strict=True)]
        padding[-1] = ""
        cells = [paint(cell.text, cell.style) + blanks for cell, blanks in zip(row, padding, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def _cell(one: "Cell | str") -> Cell:
    return Cell(printable(one)) if isinstance(one, str) else Cell(printable(one.text), one.style)


def width(text: str) -> int:
    """The columns that a text takes at a terminal."""
    return sum(
        2 if unicodedata.east_asian_width(one) in "WF" else 0 if unicodedata.combining(one) else 1 for one in text
    )


def cut(text: str, columns: int) -> str:
    """The text, or its beginning with an ellipsis, in at most so many columns."""
    if width(text) <= columns:
        return text
    while text and width(text) >= columns:
        text = text[:-1]
    return text + "…"


_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Seconds as kubectl prints ages: the two largest units while there are few, then one."""
    left = max(0, int(seconds))
    for index, (unit, size) in enumerate(_UNITS):
        count = left // size
        if count or unit == "s":
            rest = (left % size) // _UNITS[index + 1][1] if index + 1 < len(_UNITS) else 0
            more = f"{rest}{_UNITS[index + 1][0]}" if rest and count < 10 else ""
            return f"{count}{unit}{more}"
    raise AssertionError("seconds are the last unit")


def parsed_time(stamp: object) -> datetime | None:
    """A time of the API, None if it is absent or unreadable."""
    try:
        return datetime.fromisoformat(str(stamp))
    except ValueError:
        return None


def age(stamp: object, now: datetime) -> str:
    """How long ago a time of the API is; ``-`` if it is unknown."""
    then = parsed_time(stamp)
    return "-" if then is None else duration((now - then).total_seconds())


def utc_now() -> datetime:
    """Now, with its time zone."""
    return datetime.now(UTC)


def as_json(value: Any) -> str:
    """A value for programs."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def as_yaml(value: Any) -> str:
    """The same as YAML; texts of several lines stay readable."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False).rstrip("\n")


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
