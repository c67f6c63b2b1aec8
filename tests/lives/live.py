"""What a resource is in the cloud, by its type: what both sides must agree on."""

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lives.values import in_order

if TYPE_CHECKING:
    from lives.side import Side

GONE = "MISSING"
Fetch = Callable[["Side", str], Any]
_CLOCKS = ("id", "tenant_id", "created_at", "updated_at", "revision_number", "standard_attr_id")
_RULE = (*_CLOCKS, "security_group_id", "belongs_to_default_sg", "normalized_cidr", "project_id")


def fetched(side: "Side", type_name: str, physical_id: str) -> Any:
    """The live object, GONE if there is none; None for types that are not looked at."""
    fetch = FETCH.get(type_name)
    return fetch(side, physical_id) if fetch is not None and physical_id else None


def _without(item: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in keys}


def _picked(item: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: item.get(key) for key in keys}


def _plain(service: str, collection: str, key: str, *without: str, owner: bool = False) -> Fetch:
    """An object without what only clocks and counters say. ``owner``: only the user that made it sees it."""

    def fetch(side: "Side", physical_id: str) -> Any:
        found = side.read(service, f"/{collection}/{physical_id}", admin=not owner)
        if found is None:
            return GONE
        item = _without(found[key] if key else found, *_CLOCKS, *without)
        # Ids in lists get their words first: in the order of the ids both sides would differ.
        return {
            name: in_order(side.normalizer.normal(value)) if isinstance(value, list) else value
            for name, value in item.items()
        }

    return fetch


def _server(side: "Side", physical_id: str) -> Any:
    found = side.read("compute", f"/servers/{physical_id}")
    if found is None:
        return GONE
    server = found["server"]
    names = ("name", "status", "key_name", "description", "config_drive", "OS-DCF:diskConfig", "OS-EXT-STS:vm_state")
    image = server["image"]
    data = server.get("OS-EXT-SRV-ATTR:user_data")
    ports = side.read("network", f"/ports?device_id={physical_id}")["ports"]
    attached = side.read("compute", f"/servers/{physical_id}/os-volume_attachments")
    done = side.read("compute", f"/servers/{physical_id}/os-instance-actions")
    if attached is None or done is None:
        return GONE  # in the meantime
    volumes, actions = attached["volumeAttachments"], done["instanceActions"]
    return {
        **_picked(server, *names),
        "metadata": _without(server["metadata"], "kiln-token"),
        "tags": sorted(server.get("tags") or []),
        "flavor": server["flavor"].get("original_name"),
        "image": image.get("id") if isinstance(image, Mapping) else image,
        "user_data": _script(data) if data else None,
        "security_groups": sorted({group["name"] for group in server.get("security_groups") or []}),
        "ports": in_order([_interface(side, port) for port in ports]),
        "volumes": in_order([{"volume": side.label(one["volumeId"]), "tag": one.get("tag")} for one in volumes]),
        "actions": [one["action"] for one in reversed(actions)],
    }


def _script(data: str) -> str | None:
    """User data; None for the archive that Heat wraps it in for its own tools."""
    text = base64.b64decode(data).decode("utf-8", "replace")
    return None if text.startswith("Content-Type: multipart/mixed") and "cfn-userdata" in text else text[:1500]


def _interface(side: "Side", port: Mapping[str, Any]) -> dict[str, Any]:
    addresses = [{"subnet": side.label(ip["subnet_id"]), "ip": ip["ip_address"]} for ip in port["fixed_ips"]]
    return {
        "id": side.label(port["id"]),
        "network": side.label(port["network_id"]),
        "fixed_ips": in_order(addresses),
        "security_groups": sorted(map(side.label, port["security_groups"])),
        **_picked(port, "port_security_enabled", "admin_state_up", "tags", "qos_policy_id", "binding:vnic_type"),
        "allowed_address_pairs": in_order([pair["ip_address"] for pair in port["allowed_address_pairs"]]),
    }


def _group(side: "Side", physical_id: str) -> Any:
    found = side.read("network", f"/security-groups/{physical_id}")
    if found is None:
        return GONE
    group = found["security_group"]
    rules = [side.normalizer.normal(_without(rule, *_RULE)) for rule in group["security_group_rules"]]
    return {**_picked(group, "name", "description", "stateful", "tags"), "rules": in_order(rules)}


def _router(side: "Side", physical_id: str) -> Any:
    found = side.read("network", f"/routers/{physical_id}")
    if found is None:
        return GONE
    legs = side.read("network", f"/ports?device_id={physical_id}")["ports"]
    shown = [{"owner": leg["device_owner"], "subnets": [ip["subnet_id"] for ip in leg["fixed_ips"]]} for leg in legs]
    return {**_without(found["router"], *_CLOCKS, "external_gateways"), "legs": in_order(side.normalizer.normal(shown))}


def _volume(side: "Side", physical_id: str) -> Any:
    found = side.read("block_storage", f"/volumes/{physical_id}")
    if found is None:
        return GONE
    volume = found["volume"]
    names = ("name", "description", "size", "status", "volume_type", "bootable", "availability_zone", "multiattach")
    return {
        **_picked(volume, *names),
        "metadata": _without(volume["metadata"], "kiln-token"),
        "attached": in_order([side.label(one["server_id"]) for one in volume["attachments"]]),
        "image": (volume.get("volume_image_metadata") or {}).get("image_name"),
    }


def _key_pair(side: "Side", physical_id: str) -> Any:
    found = side.read("compute", f"/os-keypairs/{physical_id}", admin=False)
    return _picked(found["keypair"], "name", "type") if found else GONE


def _identity(collection: str, key: str) -> Fetch:
    plain = _plain("identity", collection, key, "links", "password_expires_at", "options")

    def fetch(side: "Side", physical_id: str) -> Any:
        item = plain(side, physical_id)
        if item == GONE or collection not in ("users", "groups"):
            return item
        asked = f"/role_assignments?{key}.id={physical_id}"
        roles = side.read("identity", asked)["role_assignments"]
        shown = side.normalizer.normal([_picked(one, "role", "scope") for one in roles])
        return {**item, "roles": in_order(shown)}

    return fetch


def _balancer(collection: str, key: str) -> Fetch:
    """A part of Octavia. What traffic makes of it, and the tags by which Kiln knows it, are left out."""
    plain = _plain("load_balancer", f"lbaas/{collection}", key, "operating_status", "provisioning_status")

    def fetch(side: "Side", physical_id: str) -> Any:
        item = plain(side, physical_id)
        return item if item == GONE else {**item, "tags": [tag for tag in item["tags"] if tag]}

    return fetch


FETCH: Mapping[str, Fetch] = {
    "OS::Nova::Server": _server,
    "OS::Nova::KeyPair": _key_pair,
    "OS::Nova::ServerGroup": _plain(
        "compute", "os-server-groups", "server_group", "user_id", "members", "metadata", owner=True
    ),
    "OS::Nova::Flavor": _plain("compute", "flavors", "flavor", "links"),
    "OS::Neutron::Net": _plain("network", "networks", "network", "provider:segmentation_id", "subnets"),
    "OS::Neutron::Subnet": _plain("network", "subnets", "subnet"),
    "OS::Neutron::Port": _plain(
        "network", "ports", "port", "binding:vif_details", "binding:host_id", "binding:vif_type"
    ),
    "OS::Neutron::Router": _router,
    "OS::Neutron::FloatingIP": _plain("network", "floatingips", "floatingip", "port_details"),
    "OS::Nova::FloatingIP": _plain("network", "floatingips", "floatingip", "port_details"),
    "OS::Neutron::SecurityGroup": _group,
    "OS::Neutron::SecurityGroupRule": _plain("network", "security-group-rules", "security_group_rule", *_RULE),
    "OS::Cinder::Volume": _volume,
    "OS::Glance::WebImage": _plain("image", "images", "", "self", "file", "schema", "kiln_token", "stores"),
    **{
        f"OS::Keystone::{kind}": _identity(f"{kind.lower()}s", kind.lower())
        for kind in ("User", "Group", "Project", "Role", "Domain", "Service", "Endpoint", "Region")
    },
    "OS::Octavia::LoadBalancer": _balancer("loadbalancers", "loadbalancer"),
    "OS::Octavia::Listener": _balancer("listeners", "listener"),
    "OS::Octavia::Pool": _balancer("pools", "pool"),
    "OS::Octavia::HealthMonitor": _balancer("healthmonitors", "healthmonitor"),
    "OS::Octavia::L7Policy": _balancer("l7policies", "l7policy"),
}
