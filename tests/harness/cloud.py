"""Listings of a whole project, to see what is there, left over, doubled or missing."""

from typing import Any

COLLECTIONS = (
    ("network", "/networks", "networks"),
    ("network", "/subnets", "subnets"),
    ("network", "/ports", "ports"),
    ("network", "/routers", "routers"),
    ("network", "/floatingips", "floatingips"),
    ("network", "/security-groups", "security_groups"),
    ("network", "/security-group-rules", "security_group_rules"),
    ("compute", "/servers/detail", "servers"),
    ("compute", "/os-server-groups", "server_groups"),
    ("compute", "/os-keypairs", "keypairs"),
    ("block_storage", "/volumes/detail", "volumes"),
    ("image", "/images", "images"),
)

Inventory = dict[str, dict[str, dict[str, Any]]]


def inventory(connection: Any) -> Inventory:
    """Everything that the project has: kind -> id -> the API's JSON."""
    project = connection.session.get_project_id()
    found: Inventory = {}
    for service, path, plural in COLLECTIONS:
        params = {"project_id": project} if service == "network" else {}
        items = getattr(connection, service).get(path, params=params).json()[plural]
        items = [item.get("keypair", item) for item in items]
        mine = [item for item in items if item.get("tenant_id", item.get("owner", project)) in {project, None}]
        found[plural] = {str(item.get("id") or item["name"]): item for item in mine}
    return found


def difference(before: Inventory, after: Inventory) -> dict[str, list[str]]:
    """What came and what went: kind -> lines such as "+ name (id)"."""
    lines: dict[str, list[str]] = {}
    for kind in before:
        old, new = before[kind], after[kind]
        told = [f"+ {new[key].get('name', '')} ({key})" for key in new.keys() - old.keys()]
        told += [f"- {old[key].get('name', '')} ({key})" for key in old.keys() - new.keys()]
        if told:
            lines[kind] = sorted(told)
    return lines
