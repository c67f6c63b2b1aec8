"""Reads one stack of a live Heat through its REST API, and writes nothing.

``get`` is a function from a path below the orchestration endpoint to the JSON of the answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit

from reconcilers import registry

Get = Callable[[str], Any]

DEPTH: Final = 10
"""How deep nested stacks are read. Heat's own default limit is 5."""


@dataclass(frozen=True, slots=True)
class HeatStack:
    """A stack as Heat shows it. ``resources`` are in the form of Heat's abandon file; values may be secret."""

    stack: Mapping[str, Any]
    template: Mapping[str, Any] = field(repr=False)
    environment: Mapping[str, Any] = field(repr=False)
    files: Mapping[str, str] = field(repr=False)
    resources: Mapping[str, Any] = field(repr=False)

    @property
    def abandoned(self) -> dict[str, Any]:
        """The stack in the form of ``openstack stack abandon``."""
        return {
            "name": self.stack["stack_name"],
            "id": self.stack["id"],
            "template": self.template,
            "environment": self.environment,
            "files": self.files,
            "resources": self.resources,
        }


def read(get: Get, name: str) -> HeatStack:
    """Read a stack by its name or id. Raises what ``get`` raises."""
    stack = get(f"/stacks/{quote(name, safe='')}")["stack"]
    base = f"/stacks/{quote(stack['stack_name'], safe='')}/{stack['id']}"
    listed = get(f"{base}/resources?nested_depth={DEPTH}&with_detail=true")["resources"]
    return HeatStack(
        stack,
        get(f"{base}/template"),
        get(f"{base}/environment"),
        get(f"{base}/files") or {},
        _tree(get, listed, stack["id"]),
    )


def _tree(get: Get, listed: list[Mapping[str, Any]], root: str) -> dict[str, Any]:
    """The resources of all nested stacks as nested maps, oldest first."""
    below: dict[str, list[Mapping[str, Any]]] = {}
    for one in sorted(listed, key=lambda one: str(one.get("creation_time") or "")):
        below.setdefault(_stack_of(one), []).append(one)

    def tree(stack_id: str, seen: frozenset[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in below.get(stack_id, ()):
            nested = _link(one, "nested").rpartition("/")[2]
            entry = {"name": one["resource_name"], "type": one["resource_type"]}
            if nested and nested not in seen:
                found[one["resource_name"]] = {**entry, "resources": tree(nested, seen | {nested})}
            else:
                found[one["resource_name"]] = {**entry, **_leaf(get, one)}
        return found

    return tree(root, frozenset({root}))


def _leaf(get: Get, one: Mapping[str, Any]) -> dict[str, Any]:
    """What the abandon file says of a resource that is no stack.

    Attributes that only the creation gives are read: Heat shows ``resource_data`` to nobody.
    """
    action, _, status = str(one.get("resource_status", "")).partition("_")
    rtype = registry.find(str(one["resource_type"]))
    data = {}
    if rtype is not None and rtype.keeps:
        query = "&".join(f"with_attr={name}" for name in sorted(rtype.keeps))
        path = urlsplit(_link(one, "self")).path
        shown = get(f"{path[path.index('/stacks/') :]}?{query}")["resource"].get("attributes") or {}
        data = {name: shown[name] for name in sorted(rtype.keeps) if shown.get(name)}
    return {
        "resource_id": one.get("physical_resource_id") or None,
        "action": action,
        "status": status,
        "metadata": {},
        "resource_data": data,
    }


def _stack_of(one: Mapping[str, Any]) -> str:
    return _link(one, "stack").rpartition("/")[2]


def _link(one: Mapping[str, Any], kind: str) -> str:
    return next((str(link["href"]) for link in one.get("links") or () if link.get("rel") == kind), "")
