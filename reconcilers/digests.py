"""Keyed digests of property values: which property changed is all that a diff needs, so values are not stored.

A digest is salted with the resource and the property, so that equal values in two places do not show as equal.
"""

import hashlib
import hmac
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, Final

from hot_translator.sizes import size_of

WHOLE: Final = "*"
"""Key of the digest of all properties together: one comparison shows that nothing changed."""
CREATED: Final = "+"
"""Key in the digests of a resource that is not complete yet, and whose creating request was answered."""
_SALTED: Final = "2-"
"""How salted digests begin. Those without are of the value alone: records of earlier versions hold them."""
_PIECE: Final = 1 << 16
"""Characters that are written at once. Other threads wait as long as that takes: the encoder does not let them in."""

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode

_text = lru_cache(4096)(_canonical)
"""The same of names."""


LARGE: Final = _PIECE
"""Characters from which on the digest of a value must not be made on an event loop."""


def is_large(value: Any) -> bool:
    """Whether the digest of a JSON value takes so long that it must not be made on an event loop."""
    if isinstance(value, str):
        return len(value) > LARGE
    try:
        return size_of(value) > LARGE
    except ValueError:
        return False  # nested too deep, or a number too long: the encoder refuses it as well


def canonical(value: Any) -> Iterable[str]:
    """The text that is digested, in pieces where it is long: JSON in ASCII, with sorted keys and without blanks."""
    return _pieces(value, {}) if is_large(value) else (_canonical(value),)


def _pieces(value: Any, known: dict[int, tuple[int, int]]) -> Iterator[str]:
    if isinstance(value, str):
        yield '"'
        for start in range(0, len(value), _PIECE):
            yield _canonical(value[start : start + _PIECE])[1:-1]
        yield '"'
    elif not isinstance(value, dict | list | tuple) or size_of(value, known) <= _PIECE:
        yield _canonical(value)
    elif isinstance(value, dict):
        for mark, (key, item) in zip(itertools.chain("{", itertools.repeat(",")), sorted(value.items()), strict=False):
            yield mark
            yield from _pieces(key, known) if isinstance(key, str) else [_canonical({key: 0})[1:-3]]
            yield ":"
            yield from _pieces(item, known)
        yield "}"
    else:
        for mark, item in zip(itertools.chain("[", itertools.repeat(",")), value, strict=False):
            yield mark
            yield from _pieces(item, known)
        yield "]"


class Digester:
    """Digests under one Stack's key (32 bytes), so that nobody can test guesses of a secret value against a status.

    ``resource`` is the logical name of the resource that the values are of; :meth:`of` gives the digester of one.
    Without it digests are not salted.
    """

    def __init__(self, key: bytes, resource: str = "") -> None:
        self._key = key
        self._resource = resource

    @property
    def place(self) -> tuple[bytes, str]:
        """What its digests depend on beside the values."""
        return self._key, self._resource

    def of(self, resource: str) -> "Digester":
        """The digester of this resource's properties."""
        return Digester(self._key, resource)

    def value(self, value: Any) -> str:
        """Digest of one JSON value alone, independent of the order of map keys."""
        return self._digest("", value)

    def property(self, name: str, value: Any, *, small: bool = False) -> str:
        """Digest of the value of one property of the resource. ``small``: it is known not to be large."""
        if not self._resource:
            return self.value(value)
        salt = f"[{_text(self._resource)},{_text(name)}]"
        if small:
            return _SALTED + self._hash(f"{salt}{_canonical(value)}".encode()).hexdigest()
        return _SALTED + self._digest(salt, value)

    def matches(self, name: str, value: Any, digest: str | None) -> bool:
        """Whether a recorded digest is that of this value of this property, in whichever form it was recorded."""
        if digest is None:
            return False
        own = self.property(name, value) if digest.startswith(_SALTED) else self.value(value)
        return hmac.compare_digest(own, digest)

    def reference(self, kind: str, name: str) -> str:
        """Key under which a record keeps the id of a name. It does not show the name, which may be hidden.

        It is not salted: the id beside it shows anyway which names are equal.
        """
        return f"{kind}:{self.value(name)}"

    def seal(self, value: Any) -> str:
        """Proof that whoever has the key made this value. It equals no digest of a value."""
        return self._digest("seal ", value)

    @staticmethod
    def same(one: str, other: str) -> bool:
        """Whether two digests are equal, in a time that does not show where they differ."""
        return hmac.compare_digest(one.encode(), other.encode())

    def seed(self, token: str) -> bytes:
        """A secret of one resource (32 bytes). It never changes."""
        return hmac.digest(self._key, token.encode(), "sha256")

    def _hash(self, data: bytes) -> "hashlib.blake2b":
        return hashlib.blake2b(data, key=self._key, digest_size=9)

    def _digest(self, salt: str, value: Any) -> str:
        made = self._hash(salt.encode())
        for piece in canonical(value):
            made.update(piece.encode())
        return made.hexdigest()


class PropertyDigests:
    """The digests of one resource's properties. Each is made when it is asked for first."""

    def __init__(
        self,
        digester: Digester,
        properties: Mapping[str, Any],
        *,
        large: bool | None = None,
        wholes: dict[Any, str] | None = None,
    ) -> None:
        """``large``: whether they are together (:func:`is_large`), where that is known.

        ``wholes`` keeps the digests of all properties at once, for as long as these stay the same.
        """
        self._digester = digester
        self._properties = properties
        self._wholes = {} if wholes is None else wholes
        self.large = is_large(self._given) if large is None else large
        self._made: dict[str, str] = {}

    @cached_property
    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in self._properties.items() if value is not None}

    @property
    def whole(self) -> str:
        """Digest of all given properties at once."""
        place = self._digester.place
        found = self._wholes.get(place)
        if found is None:
            found = self._wholes[place] = self._digest(WHOLE)
        return found

    def each(self, names: Iterable[str]) -> dict[str, str]:
        """Digest of each named property that has a value."""
        return {name: self._digest(name) for name in names if name in self._given}

    def make(self) -> None:
        """Make all of them now: where the properties are large, in a thread."""
        for name in (WHOLE, *self._given):
            self._digest(name)

    def changed(self, applied: Mapping[str, str]) -> frozenset[str]:
        """Names of the properties whose digest differs from the one in ``applied``, and of those given no longer."""
        gone = {name for name in applied if name in self._properties and name not in self._given}
        return frozenset(gone | {name for name in self._given if not self._matches(name, applied.get(name))})

    def _matches(self, name: str, digest: str | None) -> bool:
        if digest is not None and not digest.startswith(_SALTED):
            return self._digester.matches(name, self._given[name], digest)
        return digest is not None and self._digester.same(self._digest(name), digest)

    def _digest(self, name: str) -> str:
        made = self._made.get(name)
        if made is None:
            value = self._given if name == WHOLE else self._given[name]
            made = self._made[name] = self._digester.property(name, value, small=not self.large)
        return made
