"""Values of two sides in one form, so that they can be compared, and their differences.

What only one run has (ids, addresses, times, names that were made up) becomes a word for what it stands for.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"(?<![0-9a-f-])[0-9a-f]{32}(?![0-9a-f-])")
_TOKEN = re.compile(r"\s*\(?kiln(?:-stack)?:[0-9a-f-]{36}\)?")
_BOUNDARY = re.compile(r'={10,}[^=\n"]+==')
_GROUP = "[0-9a-f]{1,4}"
_MADE_UP = (
    (re.compile(r"(?<![0-9a-f:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![0-9a-f:])"), "<mac>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?"), "<time>"),
    (re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])(?!/)"), "<ip4>"),
    (
        re.compile(r"(?<![0-9a-f:])(?:[0-9a-f]{1,4}:){1,7}(?::?[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*|:)(?![0-9a-f:/])"),
        "<ip6>",
    ),
)
IGNORED = frozenset({"dns_assignment"})
"""Keys of live objects that Neutron fills in as it likes."""
_NOTHING = (None, "", [], {})


class Normalizer:
    """Brings the values of one side into the common form.

    ``labels`` are words for ids, ``texts`` what the scenario itself says (which stays as it is), ``words`` are texts of
    this side with what stands for them, and ``stack`` begins the names that were made up.
    """

    def __init__(self, texts: str, stack: str, words: Mapping[str, str]) -> None:
        self.labels: dict[str, str] = {}
        self._texts = texts
        self._words = words
        self._auto = re.compile(
            rf"{re.escape(stack)}-[A-Za-z0-9_.-]*?-?[a-z0-9]{{12}}(?:-[A-Za-z0-9_]+-[a-z0-9]{{12}})*(?![a-z0-9])"
        )

    def normal(self, value: Any) -> Any:
        """The value with words instead of what only this side has."""
        if isinstance(value, Mapping):
            return {self.normal(key): self.normal(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.normal(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        text = _BOUNDARY.sub("=BOUNDARY=", _TOKEN.sub("", text))
        for found in {*UUID.findall(text), *_HEX.findall(text)}:
            text = text.replace(found, self.labels.get(found, "<id>"))
        text = self.labels.get(text, text)
        for pattern, word in _MADE_UP:
            text = pattern.sub(self._unless_said(word), text)
        text = self._auto.sub("<auto>", text)
        for own, word in self._words.items():
            text = text.replace(own, word)
        return text

    def _unless_said(self, word: str) -> Callable[[re.Match[str]], str]:
        return lambda found: found[0] if found[0] in self._texts else word


def in_order(items: list[Any]) -> list[Any]:
    """A list in an order of its own: services list most things as they like."""
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True, default=str))


def differences(left: Any, right: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path and both values of all that differs. Nothing, an empty text and an empty list are the same."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in sorted({*left, *right}, key=str):
            one, other = left.get(key), right.get(key)
            if key not in IGNORED and not (one in _NOTHING and other in _NOTHING):
                yield from differences(one, other, f"{path}.{key}" if path else str(key))
    elif left != right:
        yield path, left, right
