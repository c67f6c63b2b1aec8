"""Cuts secrets out of texts.

The secrets of an owner (a Stack) are one Aho-Corasick automaton: what a text costs does not depend on how many secrets
there are or how they look. Long secrets are looked for in pieces of ``PIECE`` characters, which bounds how many of them
can end at one place of a text. An automaton is never changed: a new one takes its place, so that nobody who redacts
waits for anybody who registers.
"""

import base64
import html
import itertools
import json
import re
import threading
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import quote, quote_plus

import ahocorasick

from hot_translator.hidden import MARK, SHORTEST_SECRET

MAX_TEXT: Final = 32_768
"""Characters of a redacted text; the rest is left out."""
CUT: Final = "..."
"""The end of a text of which the rest was left out."""
PIECE: Final = 32
"""Characters of the longest text that is looked for: a longer secret is found piece by piece."""
_LONG: Final = 16
"""Characters from which on a line of a secret is one by itself."""
_MOST: Final = 50_000
"""Pieces in all; the oldest owners of the tenant that has the most go first."""
_MOST_OF_ONE: Final = 10_000
"""The same of one owner; what is more is not found."""
_WITH_ENCODED: Final = 5_000
"""Pieces of one owner up to which encoded forms are among them: the rest is for plain values that are added later."""
_GROUPS: Final = 16
"""Automatons of the redactor for all owners: a change rebuilds one of them."""

_HEADER: Final = r"(?:x-auth-token|x-subject-token|authorization)['\"]?\s*[:=]\s*['\"]?(?:bearer |basic )?"
_NAMED: Final = r"['\"]?\b\w*(?:password|passwd|adminpass|secret|api_key|token)['\"]?\s*[:=]\s*"
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_PATTERNS: Final = (
    (_PRIVATE_KEY, MARK),
    (re.compile(rf"({_HEADER})[^\s'\",]+", re.IGNORECASE), rf"\g<1>{MARK}"),
    (re.compile(rf"({_NAMED})(['\"])(?:(?!\2).)+(?:\2|\Z)", re.IGNORECASE), rf"\g<1>\g<2>{MARK}\g<2>"),
    (re.compile(r"\bgAAAA(?:[\w-]{40,}={0,2}|[\w-]*\Z)"), MARK),
)
"""What looks like a secret, the end of a text that was cut included:

a private key, a header that authenticates, a quoted value after a telling name, a token.
"""

Span = tuple[int, int]


class Secrets:
    """An immutable set of texts, none longer than ``PIECE``, which are found in other texts."""

    __slots__ = ("_automaton", "pieces")

    def __init__(self, pieces: frozenset[str]) -> None:
        self.pieces = pieces
        self._automaton: ahocorasick.Automaton | None = None

    def spans(self, text: str) -> list[Span]:
        """Where they stand in a text, in order; those that overlap or touch as one."""
        if not self.pieces:
            return []
        if self._automaton is None:
            self._automaton = _automaton(self.pieces)
        return _merged((end - length + 1, end + 1) for end, length in self._automaton.iter(text))


Parts = tuple[Secrets, ...]
"""The secrets of an owner or a group, in sets that were registered one after the other."""


class Redaction(ABC):
    """Cuts the secrets of one owner, and what looks like a secret, out of texts. Safe to use from any thread."""

    @abstractmethod
    def _secrets(self) -> Iterable[Secrets]:
        """The secrets that are cut out."""

    def holds(self, text: str) -> bool:
        """Whether a secret stands in the text: a known one, or a private key."""
        return any(secrets.spans(text) for secrets in self._secrets()) or _PRIVATE_KEY.search(text) is not None

    def __call__(self, text: str, limit: int = MAX_TEXT) -> str:
        """The text without secrets. Of a text longer than ``limit`` characters the rest is left out, and no secret's
        beginning stays.
        """
        cut = len(text) > limit
        window = text[: limit + PIECE] if cut else text
        spans = _merged_all([secrets.spans(window) for secrets in self._secrets()])
        shown: list[str] = []
        position = 0
        for start, end in spans:
            if start >= limit and cut:
                break
            shown += (window[position:start], MARK)
            position = end
        shown.append(window[position:limit] if cut else window[position:])
        redacted = "".join(shown)
        for pattern, replacement in _PATTERNS:
            redacted = pattern.sub(replacement, redacted)
        return redacted + CUT if cut else redacted


class Redactor(Redaction):
    """Cuts the secrets of all owners out of texts. ``for_owner`` gives what cuts out those of one owner only.

    An owner is named ``tenant/name``, as a Stack is. Registering does little under the lock, redacting takes none as
    long as nothing has changed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: OrderedDict[str, Parts] = OrderedDict()
        self._group_of: dict[str, int] = {}
        self._groups: list[dict[str, Parts]] = [{} for _ in range(_GROUPS)]
        self._sizes = [0] * _GROUPS
        self._combined: list[Parts | None] = [()] * _GROUPS
        """The secrets of each group; None where they changed since they were put together."""
        self._tenants: Counter[str] = Counter()
        self._count = 0

    def register(self, owner: str, values: Iterable[str]) -> None:
        """From now on these are the secrets of ``owner``, in place of earlier ones."""
        pieces = _pieces(values)
        same = _together(self.of_owner(owner)) == pieces
        with self._lock:
            if same and owner in self._owners:
                self._owners.move_to_end(owner)
                return
            self._drop(owner)
            if pieces:
                self._add(owner, (Secrets(pieces),))
            self._shrink()

    def extend(self, owner: str, values: Iterable[str]) -> bool:
        """From now on these are secrets of ``owner``, too. False where it has none: then all have to be registered.

        The cost grows with the number of these values, and hardly with that of earlier ones.
        """
        parts = self.of_owner(owner)
        if not parts:
            return False
        known = sum(len(one.pieces) for one in parts)
        pieces = _pieces(values, known)
        if not pieces:
            return True
        added = Secrets(pieces)
        grown = _grown(parts, added)
        with self._lock:
            if self._owners.get(owner) is not parts:
                return False  # somebody else has just registered
            group = self._group_of[owner]
            combined = self._combined[group]
            self._owners[owner] = grown
            self._change(group, {**self._groups[group], owner: grown})
            if combined is not None:
                self._combined[group] = _grown(combined, added)
            self._account(owner, group, sum(len(one.pieces) for one in grown) - known)
            self._shrink()
        return True

    def _shrink(self) -> None:
        while self._count > _MOST and len(self._owners) > 1:
            tenant = max(self._tenants, key=lambda name: self._tenants[name])
            self._drop(next(name for name in self._owners if _tenant(name) == tenant))

    def forget(self, owner: str) -> None:
        """The owner is gone."""
        with self._lock:
            self._drop(owner)

    def for_owner(self, owner: str) -> Redaction:
        """What cuts out the secrets that this owner has when it is used, and those of nobody else."""
        return _OfOwner(self, owner)

    def of_owner(self, owner: str) -> Parts:
        """The secrets of an owner."""
        return self._owners.get(owner, ())

    def _secrets(self) -> Iterator[Secrets]:
        for group in range(_GROUPS):
            combined = self._combined[group]
            yield from self._combine(group) if combined is None else combined

    def _combine(self, group: int) -> Parts:
        with self._lock:
            members = self._groups[group]
            all_of_it = list(members.values())
        combined = all_of_it[0] if len(all_of_it) == 1 else (Secrets(frozenset().union(*map(_together, all_of_it))),)
        for one in combined:
            one.spans("")  # builds the automaton, outside of the lock
        with self._lock:
            if self._groups[group] is members:
                self._combined[group] = combined
        return combined

    def _add(self, owner: str, secrets: Parts) -> None:
        group = self._sizes.index(min(self._sizes))
        self._owners[owner] = secrets
        self._group_of[owner] = group
        self._change(group, {**self._groups[group], owner: secrets})
        self._account(owner, group, sum(len(one.pieces) for one in secrets))

    def _drop(self, owner: str) -> None:
        secrets = self._owners.pop(owner, None)
        if secrets is not None:
            group = self._group_of.pop(owner)
            self._change(group, {name: one for name, one in self._groups[group].items() if name != owner})
            self._account(owner, group, -sum(len(one.pieces) for one in secrets))

    def _change(self, group: int, members: dict[str, Parts]) -> None:
        """A new map each time: by it ``_combine`` sees that there was a change."""
        self._groups[group] = members
        self._combined[group] = None if members else ()

    def _account(self, owner: str, group: int, pieces: int) -> None:
        tenant = _tenant(owner)
        self._sizes[group] += pieces
        self._count += pieces
        self._tenants[tenant] += pieces
        if not self._tenants[tenant]:
            del self._tenants[tenant]


class _OfOwner(Redaction):
    def __init__(self, redactor: Redactor, owner: str) -> None:
        self._redactor = redactor
        self._owner = owner

    def _secrets(self) -> Iterable[Secrets]:
        return self._redactor.of_owner(self._owner)


def _grown(parts: Parts, added: Secrets) -> Parts:
    """Parts with one more. Those of like size are put together: there are few, and each piece is rebuilt seldom."""
    rest = list(parts)
    while rest and len(rest[-1].pieces) < 2 * len(added.pieces):
        added = Secrets(rest.pop().pieces | added.pieces)
    return (*rest, added)


def _together(parts: Parts) -> frozenset[str]:
    return parts[0].pieces if len(parts) == 1 else frozenset().union(*(one.pieces for one in parts))


def _tenant(owner: str) -> str:
    return owner.partition("/")[0]


def _automaton(pieces: Iterable[str]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
    for piece in pieces:
        automaton.add_word(piece, len(piece))
    automaton.make_automaton()
    return automaton


def _merged(found: Iterable[Span]) -> list[Span]:
    """Spans in the order of their ends, with those that overlap or touch as one."""
    spans: list[Span] = []
    for start, end in found:
        first = start
        while spans and first <= spans[-1][1]:
            first = min(first, spans.pop()[0])
        spans.append((first, end))
    return spans


def _merged_all(lists: Sequence[list[Span]]) -> list[Span]:
    found = [spans for spans in lists if spans]
    if len(found) < 2:
        return found[0] if found else []
    return _merged(sorted(itertools.chain.from_iterable(found), key=lambda span: span[1]))


def _pieces(values: Iterable[str], known: int = 0) -> frozenset[str]:
    """What is looked for to find these secrets, beside so many pieces that the owner has: first all of them plain, then
    as they may stand encoded in a text.
    """
    secrets = [value for value in values if len(value) >= SHORTEST_SECRET]
    plain = frozenset(itertools.islice(_cut(secrets), max(_MOST_OF_ONE - known, 0)))
    room = max(_WITH_ENCODED - known - len(plain), 0)
    encoded = itertools.chain.from_iterable(map(_encoded, secrets))
    return plain.union(itertools.islice(_cut(encoded), room))


def _cut(forms: Iterable[str]) -> Iterator[str]:
    for form in forms:
        if len(form) <= PIECE:
            if len(form) >= SHORTEST_SECRET:
                yield form
            continue
        for start in range(0, len(form) - PIECE, PIECE):
            yield form[start : start + PIECE]
        yield form[-PIECE:]


def _encoded(value: str) -> Iterator[str]:
    """A secret as it may stand in a text when it is encoded, and each line of a longer one."""
    yield json.dumps(value)[1:-1]
    yield repr(value)[1:-1]
    yield quote(value, safe="", errors="replace")
    yield quote_plus(value, errors="replace")
    yield html.escape(value)
    yield from _base64(value)
    if "\n" in value:
        yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= _LONG)


def _base64(value: str) -> Iterator[str]:
    """What stands in base64 of any text with this value in it: that depends on how many bytes go before."""
    data = value.encode(errors="replace")
    yield base64.b64encode(data).decode()
    if len(value) < _LONG // 2:
        return
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        # The first and the last characters are made of what stands around the value, too.
        inner = encoded[(before * 8 + 5) // 6 : -1]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
