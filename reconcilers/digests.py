"""Keyed digests of property values: which property changed is all that a diff needs, so values are not stored."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any

WHOLE = "*"
"""Key of the digest over all properties together: equal means that nothing changed, with one comparison."""


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


class Digester:
    """Digests under one Stack's key (32 bytes), so that nobody can test guesses of a secret value against a status."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def value(self, value: Any) -> str:
        """Digest of one JSON value, independent of the order of map keys."""
        return hashlib.blake2b(_canonical(value).encode(), key=self._key, digest_size=9).hexdigest()

    def whole(self, properties: Mapping[str, Any]) -> str:
        """Digest of all given properties at once."""
        return self.value({name: value for name, value in properties.items() if value is not None})

    def reference(self, kind: str, name: str) -> str:
        """Key under which a record keeps what a name stood for: it does not show the name, which may be hidden."""
        return f"{kind}:{self.value(name)}"

    def each(self, properties: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
        """Digest of each named property that has a value."""
        return {name: self.value(properties[name]) for name in names if properties.get(name) is not None}

    def changed(self, properties: Mapping[str, Any], applied: Mapping[str, str]) -> frozenset[str]:
        """Names whose value differs from the one that ``applied`` holds the digest of; given before and no longer
        counts too.
        """
        now = self.each(properties, properties)
        return frozenset(
            name
            for name in {*now, *(key for key in applied if key in properties)}
            if now.get(name) != applied.get(name)
        )

    def seed(self, token: str) -> bytes:
        """A secret of one resource (32 bytes), the same for its whole life."""
        return hmac.new(self._key, token.encode(), hashlib.sha256).digest()
