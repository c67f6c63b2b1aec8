"""How things of the cloud are found by name: one row for each kind that a template may name.

The rows stand beside the types, in ``reconcilers/<service>/lookups.py``, and are collected as types are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_DIGEST = re.compile(r"[0-9a-f]{64}")

_finders: dict[str, "Finder"] = {}


@dataclass(frozen=True, slots=True)
class Finder:
    """How things of one kind are found.

    ``service``, ``path`` and ``plural`` say where they are listed, with ``params``; the list is filtered by name.
    ``whole``: the collection has no such filter, so it is listed once and searched. ``opaque``: ids of this kind can
    look like anything, so only the cloud can tell an id from a name; ``digests``: some are 64 hexadecimal digits (users
    and groups of a directory). ``key`` is the field that is given for a name ("id", or "name" for things that are known
    by it). ``envelope`` is the key around each item. ``own``: a name means a thing of the credentials' project.
    ``domains``: ``name{domain}`` means a thing of that domain, which is given by name or id, as in Heat.
    """

    service: str
    path: str
    plural: str
    params: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    opaque: bool = False
    digests: bool = False
    key: str = "id"
    envelope: str = ""
    own: bool = False
    domains: bool = False

    def is_id(self, value: str) -> bool:
        """Whether the value is an id for certain."""
        return not self.opaque and bool(_UUID.fullmatch(value) or (self.digests and _DIGEST.fullmatch(value)))


def register_finders(finders: Mapping[str, Finder]) -> None:
    """Enter rows by the kind's name, which is that of Heat's custom constraint (``neutron.network``).

    The catalogue's lookups use the same names. A second row for a kind is a mistake: ValueError.
    """
    twice = _finders.keys() & finders.keys()
    if twice:
        raise ValueError(f"{', '.join(sorted(twice))} is declared twice")
    _finders.update(finders)


def registered() -> Mapping[str, Finder]:
    """All rows that were entered so far; :func:`reconcilers.registry.finder` knows all there are."""
    return _finders
