"""Keyed digests of property values: which property changed is all that a diff needs, so values are not stored.

A digest is salted with the resource and the property, so that equal values in two places do not show as equal.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

WHOLE = "*"
"""Key of the digest of all properties together: one comparison shows that nothing changed."""
_SALTED: Final = "2-"
"""How salted digests begin. Those without are of the value alone: records of earlier versions hold them."""

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


class Digester:
    """Digests under one Stack's key (32 bytes), so that nobody can test guesses of a secret value against a status.

    ``resource`` is the logical name of the resource that the values are of; :meth:`of` gives the digester of one.
    Without it digests are not salted.
    """

    def __init__(self, key: bytes, resource: str = "") -> None:
        self._key = key
        self._resource = resource

    def of(self, resource: str) -> "Digester":
        """The digester of this resource's properties."""
        return Digester(self._key, resource)

    def value(self, value: Any) -> str:
        """Digest of one JSON value alone, independent of the order of map keys."""
        return self._digest(_canonical(value))

    def property(self, name: str, value: Any) -> str:
        """Digest of the value of one property of the resource."""
        if not self._resource:
            return self.value(value)
        salt = f"[{_canonical(self._resource)},{_canonical(name)}]"
        return _SALTED + self._digest(f"{salt}{_canonical(value)}")

    def matches(self, name: str, value: Any, digest: str | None) -> bool:
        """Whether a recorded digest is that of this value of this property, in whichever form it was recorded."""
        if digest is None:
            return False
        own = self.property(name, value) if digest.startswith(_SALTED) else self.value(value)
        return hmac.compare_digest(own, digest)

    def whole(self, properties: Mapping[str, Any]) -> str:
        """Digest of all given properties at once."""
        return self.property(WHOLE, {name: value for name, value in properties.items() if value is not None})

    def reference(self, kind: str, name: str) -> str:
        """Key under which a record keeps the id of a name. It does not show the name, which may be hidden."""
        return f"{kind}:{self.value(name)}"

    def each(self, properties: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
        """Digest of each named property that has a value."""
        return {name: self.property(name, properties[name]) for name in names if properties.get(name) is not None}

    def changed(self, properties: Mapping[str, Any], applied: Mapping[str, str]) -> frozenset[str]:
        """Names of the properties whose digest differs from the one in ``applied``, and of those given no longer."""
        given = {name for name, value in properties.items() if value is not None}
        gone = {name for name in applied if name in properties and name not in given}
        return frozenset(gone | {name for name in given if not self.matches(name, properties[name], applied.get(name))})

    def seal(self, value: Any) -> str:
        """Proof that whoever has the key made this value. It equals no digest of a value."""
        return self._digest(f"seal {_canonical(value)}")

    @staticmethod
    def same(one: str, other: str) -> bool:
        """Whether two digests are equal, in a time that does not show where they differ."""
        return hmac.compare_digest(one.encode(), other.encode())

    def seed(self, token: str) -> bytes:
        """A secret of one resource (32 bytes). It never changes."""
        return hmac.digest(self._key, token.encode(), "sha256")

    def _digest(self, text: str) -> str:
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=9).hexdigest()
