"""Lists and maps that others add to as well: tags, metadata, members, extra specs.

A resource makes its own entries and ends them when the template gives them no longer; what others added is left alone.
Which entries are its own stands in its record as keyed digests, since an entry may come from a secret.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from reconcilers.model import Desired, Pause, Recorded, Request, Send


def entries(values: Iterable[Any] | None) -> list[str]:
    """A list's entries as the texts that services take, each once; what is no text as JSON."""
    texts = (value if isinstance(value, str) else json.dumps(value, sort_keys=True) for value in values or ())
    return list(dict.fromkeys(texts))


def digest(entry: str, desired: Desired) -> str:
    """What the record holds of an entry: 12 hexadecimal digits under the resource's secret."""
    return hmac.new(desired.seed, entry.encode(), hashlib.sha256).hexdigest()[:12]


def noted(name: str, entries: Iterable[str], desired: Desired) -> dict[str, str]:
    """The record's data for the entries of the property ``name`` that the creating request carries."""
    own = {digest(entry, desired) for entry in entries}
    return {_key(name): " ".join(sorted(own))} if own else {}


def _key(name: str) -> str:
    return f"own {name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnItems:
    """How far the entries of the property ``name`` are from those wanted.

    ``wanted``, ``present`` and ``missing`` are names of entries: those of the template, those that the resource shows,
    and the wanted ones that are not there or have another value. ``add`` gives the request for one entry, or for all
    that are missing if ``add_together``; ``end`` gives the request that ends one.
    """

    name: str
    wanted: Collection[str]
    present: Collection[str]
    missing: Collection[str]
    add: Callable[[list[str]], Request]
    end: Callable[[str], Request]
    add_together: bool = False

    def advance(self, desired: Desired, recorded: Recorded, seen: Mapping[str, Any]) -> Send | Pause | None:
        """The next call towards the wanted entries, or None when nothing is left to do.

        ``seen`` is the observed resource, in which entries that were dealt with since the last look have keys. The last
        call is followed by a fresh look.
        """
        name, key = self.name, _key(self.name)
        known = frozenset(recorded.data.get(key, "").split())
        own = frozenset(digest(entry, desired) for entry in self.wanted)
        added = [entry for entry in sorted(self.missing) if f"+{name} {entry}" not in seen and f"+{name}" not in seen]
        ended = [
            entry
            for entry in sorted(set(self.present) - set(self.wanted))
            if digest(entry, desired) in known and f"-{name} {entry}" not in seen
        ]
        calls = (1 if self.add_together else len(added)) * bool(added) + len(ended)
        if added:
            batch, mark = (added, f"+{name}") if self.add_together else (added[:1], f"+{name} {added[0]}")
            remember = {} if own <= known else {key: " ".join(sorted(known | own))}
            return Send(self.add(batch), into=mark if calls > 1 else "", remember=remember)
        if ended:
            return Send(self.end(ended[0]), into=f"-{name} {ended[0]}" if calls > 1 else "")
        if known != own:
            # Only now is it certain that what is no longer wanted is gone, so only now may it be forgotten.
            return Pause(0, remember={key: " ".join(sorted(own))})
        return None


def tag(
    service: str,
    path: str,
    desired: Desired,
    recorded: Recorded,
    seen: Mapping[str, Any],
    *,
    microversion: str | None = None,
    whole: bool = False,
) -> Send | Pause | None:
    """The next call towards the property ``tags``; None when nothing is left to do.

    ``path`` is that of the resource's tags, below which each has a path of its own. ``whole``: the service takes all
    at once there, which is done where it takes nobody's tag away.
    """
    wanted, present = frozenset(entries(desired.properties.get("tags"))), frozenset(seen.get("tags") or ())
    together = whole and not present

    def one(method: str, name: str, *done: int) -> Request:
        where = f"{path}/{quote(name, safe='')}"
        return Request(service, method, where, microversion=microversion, done=frozenset(done))

    return OwnItems(
        name="tags",
        wanted=wanted,
        present=present,
        missing=wanted - present,
        add=lambda names: Request(service, "PUT", path, {"tags": names}) if together else one("PUT", names[0]),
        end=lambda name: one("DELETE", name, 404),
        add_together=together,
    ).advance(desired, recorded, seen)
