"""The catalogue: every resource type that Heat knows, as data (``data/<service>.json``), read when it is asked for.

A file is a map of type name to entry. An entry's keys are the fields of ``model.TypeSchema``, with defaults left
out; ``aliases`` maps an old property path to the new one (null: dropped; ``{append_to, as}``: one more item of a
list). ``alias_of`` makes a name stand for another type, a trailing ``*`` for a whole family, as Heat's default
environment does. The semantics are those of Heat's own schemas; tests/unit/catalogue lists what differs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from hot_translator.catalogue.model import (
    SUPPORTED,
    Alias,
    AttributeSchema,
    Constraint,
    PropertySchema,
    Support,
    TypeSchema,
)
from hot_translator.names import nearest as names_like

__all__ = [
    "Alias",
    "AttributeSchema",
    "Constraint",
    "PropertySchema",
    "Support",
    "TypeSchema",
    "canonical",
    "default_files",
    "default_registry",
    "lookup",
    "names",
    "nearest",
]

TEMPLATE_SCHEME = "builtin:"
"""What the key of a packaged template begins with, so that no file of a user can be taken for it."""

_PACKAGE = files(__name__)
_KEPT = 1024  # names come from users, so not every one is kept
_MAX_ALIASES = 8  # a chain of aliases longer than this is a circle


def lookup(name: str) -> TypeSchema | None:
    """The type that this name stands for, or None. An alias gives the type behind it, each type once."""
    return _type(canonical(name))


@lru_cache(maxsize=_KEPT)
def canonical(name: str) -> str:
    """The name behind Heat's default aliases: OS::Metering::Alarm is OS::Aodh::Alarm, OS::Quantum::X OS::Neutron::X."""
    for _ in range(_MAX_ALIASES):
        entries = _namespace(_namespace_of(name))
        entry = entries.get(name)
        if entry is None:
            pattern = next((key for key in entries if key.endswith("*") and name.startswith(key[:-1])), None)
            if pattern is None:
                return name
            name = entries[pattern]["alias_of"].replace("*", name[len(pattern) - 1 :])
        elif "alias_of" in entry:
            name = entry["alias_of"]
        else:
            return name
    return name


@cache
def names() -> tuple[str, ...]:
    """Every type's name, in order, with the aliases and without the families (``OS::Quantum*``)."""
    every = (name for namespace in _namespaces() for name in _namespace(namespace))
    return tuple(sorted(name for name in every if not name.endswith("*")))


def nearest(name: str) -> str | None:
    """The known type whose name is most like this one, or None when none is near."""
    return names_like(name, names(), cutoff=0.75)


@cache
def default_registry() -> Mapping[str, str]:
    """Heat's default environment as a resource_registry: type name to type name, or to a key of ``default_files``."""
    registry: dict[str, str] = {}
    for namespace in _namespaces():
        for name, entry in _namespace(namespace).items():
            if "alias_of" in entry:
                registry[name] = entry["alias_of"]
            elif "template" in entry:
                registry[name] = TEMPLATE_SCHEME + entry["template"]
    return registry


@cache
def default_files() -> Mapping[str, str]:
    """The templates that ``default_registry`` names."""
    keys = [value for value in default_registry().values() if value.startswith(TEMPLATE_SCHEME)]
    folder = _PACKAGE / "templates"
    return {key: (folder / key.removeprefix(TEMPLATE_SCHEME)).read_text(encoding="utf-8") for key in keys}


def _namespace_of(name: str) -> str:
    """The file that would hold a type: ``nova`` for OS::Nova::Server, ``aws-ec2`` for AWS::EC2::Instance."""
    vendor, _, rest = name.partition("::")
    service = rest.partition("::")[0].lower()
    return service if vendor == "OS" else f"{vendor.lower()}-{service}"


@cache
def _namespaces() -> tuple[str, ...]:
    folder = _PACKAGE / "data"
    return tuple(sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json")))


@cache
def _namespace(namespace: str) -> dict[str, dict[str, Any]]:
    if namespace not in _namespaces():
        return {}
    text = (_PACKAGE / "data" / f"{namespace}.json").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = json.loads(text)
    return entries


@lru_cache(maxsize=_KEPT)
def _type(name: str) -> TypeSchema | None:
    entry = _namespace(_namespace_of(name)).get(name)
    if entry is None:
        return None
    fields = {**entry, "name": name, "support": _support(entry)}
    for section in ("properties", "update_policy"):
        fields[section] = {key: _property(schema) for key, schema in entry.get(section, {}).items()}
    fields["attributes"] = {key: _attribute(schema) for key, schema in entry.get("attributes", {}).items()}
    fields["aliases"] = tuple(_alias(old, target) for old, target in entry.get("aliases", {}).items())
    return TypeSchema(**fields)


def _property(entry: dict[str, Any]) -> PropertySchema:
    fields = {**entry, "support": _support(entry)}
    fields["constraints"] = tuple(
        Constraint(kind, value) for constraint in entry.get("constraints", ()) for kind, value in constraint.items()
    )
    if "items" in entry:
        fields["items"] = _property(entry["items"])
    if "properties" in entry:
        fields["properties"] = {key: _property(schema) for key, schema in entry["properties"].items()}
    return PropertySchema(**fields)


def _attribute(entry: dict[str, Any]) -> AttributeSchema:
    return AttributeSchema(**{**entry, "support": _support(entry)})


def _support(entry: dict[str, Any]) -> Support:
    return Support(**entry["support"]) if "support" in entry else SUPPORTED


def _alias(old: str, target: str | dict[str, Any] | None) -> Alias:
    source = tuple(old.split("."))
    if target is None:
        return Alias(source, None)
    if isinstance(target, str):
        return Alias(source, tuple(target.split(".")))
    return Alias(source, tuple(target["append_to"].split(".")), append=True, template=target.get("as"))
