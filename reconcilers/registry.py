"""Which types Kiln can converge, and which kinds of things it finds by name.

Every module below this package is imported once; ``@register`` and ``register_finders`` enter what it declares.
"""

import importlib
import pkgutil
from functools import cache
from typing import TypeVar

import reconcilers
from hot_translator import catalogue
from reconcilers import finders
from reconcilers.resource_type import ResourceType

_NO_SERVICES = frozenset({"reconcilers.engine", "reconcilers.cloud"})

_types: dict[str, ResourceType] = {}
Declared = TypeVar("Declared", bound=type[ResourceType])


def register(declared: Declared) -> Declared:
    """Register a type under its name. Raises ValueError for a second one of the same name."""
    if declared.type in _types:
        raise ValueError(f"{declared.type} is declared twice")
    _types[declared.type] = declared()
    return declared


@cache
def load() -> dict[str, ResourceType]:
    """All registered types by name."""
    for package in pkgutil.iter_modules(reconcilers.__path__, "reconcilers."):
        if package.ispkg and package.name not in _NO_SERVICES:
            for module in pkgutil.iter_modules(importlib.import_module(package.name).__path__, f"{package.name}."):
                importlib.import_module(module.name)
    return _types


def find(name: str) -> ResourceType | None:
    """The type of this name, or None if Kiln cannot converge it (yet).

    Types that Heat keeps only to accept old templates (OS::Glance::Image) are OS::Heat::None in Heat, and here.
    """
    found = load().get(name)
    if found is None:
        schema = catalogue.lookup(name)
        return load().get("OS::Heat::None") if schema is not None and schema.placeholder else None
    return found


def finder(kind: str) -> finders.Finder | None:
    """How things of this kind are found by name, or None if nothing here finds them."""
    load()
    return finders.registered().get(kind)
