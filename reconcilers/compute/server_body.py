"""What a server is asked for with: the body of POST /servers, from the properties, as Heat and novaclient write it."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from reconcilers.metadata import texts
from reconcilers.model import Desired, Failed, Fault

AUTOMATIC = "2.36"
"""The last microversion in which Nova picks the network by itself when none is named."""
CREATE = "2.52"
"""Names networks, tags them (2.42) and the server; still takes personality, which 2.57 ended."""
TYPED_VOLUMES = "2.67"
"""A block device says its volume type."""
TOKEN_KEY = "kiln-token"
"""The key of the metadata that holds the ownership token."""
MOST_METADATA = 128
"""Entries of metadata that a server may have, where nobody set another quota."""

Properties = Mapping[str, Any]


def encoded(content: str) -> str:
    """User data and injected files travel in base64."""
    return base64.b64encode(content.encode()).decode()


def microversion(properties: Properties) -> str:
    """The lowest one that knows all that is asked for."""
    if any(device.get("volume_type") for device in properties.get("block_device_mapping_v2") or ()):
        return TYPED_VOLUMES
    return CREATE if properties.get("networks") else AUTOMATIC


def carries_tags(properties: Properties) -> bool:
    """Whether the creating request can carry the server's tags; else they follow."""
    return microversion(properties) != AUTOMATIC


def body(desired: Desired, nics: Sequence[Mapping[str, Any]] | str | None) -> dict[str, Any]:
    """The body of POST /servers, without the token. ``nics`` as Nova takes them; None where Nova shall choose."""
    properties = desired.properties
    server: dict[str, Any] = {
        "name": properties.get("name") or desired.physical_name,
        "flavorRef": properties["flavor"],
        "imageRef": properties.get("image") or "",
        "metadata": texts(properties.get("metadata")),
    }
    optional = {
        "key_name": properties.get("key_name"),
        "availability_zone": properties.get("availability_zone"),
        "config_drive": properties.get("config_drive") or None,
        "adminPass": properties.get("admin_pass") or None,
        "OS-DCF:diskConfig": properties.get("diskConfig"),
        "reservation_id": properties.get("reservation_id"),
        "networks": nics,
        "security_groups": [{"name": group} for group in properties.get("security_groups") or ()] or None,
        "user_data": encoded(properties["user_data"]) if properties.get("user_data") else None,
        "personality": _files(properties.get("personality") or {}) or None,
        "tags": (list(properties.get("tags") or ()) or None) if carries_tags(properties) else None,
        "block_device_mapping": [_legacy_device(device) for device in properties.get("block_device_mapping") or ()]
        or None,
        "block_device_mapping_v2": _devices(properties) or None,
    }
    server.update({key: value for key, value in optional.items() if value is not None})
    hints = properties.get("scheduler_hints")
    return {"server": server, **({"os:scheduler_hints": dict(hints)} if hints else {})}


def problem(properties: Properties) -> Failed | None:
    """What Heat's validation refuses before anything is sent."""
    for wrong in (_device_problem(properties), _boot_problem(properties), _version_problem(properties)):
        if wrong is not None:
            return wrong
    return None


def _files(personality: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"path": path, "contents": encoded(str(content or ""))} for path, content in sorted(personality.items())]


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _legacy_device(device: Mapping[str, Any]) -> dict[str, Any]:
    return _given(
        device_name=device["device_name"],
        volume_id=device.get("volume_id"),
        snapshot_id=device.get("snapshot_id"),
        volume_size=device.get("volume_size"),
        delete_on_termination=device.get("delete_on_termination"),
    )


def _devices(properties: Properties) -> list[dict[str, Any]]:
    """Block devices; an image beside them is the first, local one."""
    devices = [_device(device) for device in properties.get("block_device_mapping_v2") or ()]
    if devices and properties.get("image"):
        root = {"source_type": "image", "destination_type": "local", "boot_index": 0, "delete_on_termination": True}
        devices.insert(0, {"uuid": properties["image"], **root})
    return devices


_KEPT_AS_THEY_ARE = (
    "device_name",
    "device_type",
    "disk_bus",
    "boot_index",
    "volume_size",
    "delete_on_termination",
    "volume_type",
)


def _device(device: Mapping[str, Any]) -> dict[str, Any]:
    """One block device: what Heat makes of its source, overruled by what is given."""
    for source, name in (("volume", "volume_id"), ("snapshot", "snapshot_id"), ("image", "image")):
        if device.get(name):
            base = {"uuid": device[name], "source_type": source, "destination_type": "volume", "boot_index": 0}
            base["delete_on_termination"] = False
            break
    else:
        base = {"source_type": "blank", "destination_type": "local", "boot_index": -1, "delete_on_termination": True}
        swap = device.get("swap_size")
        size = swap or device.get("ephemeral_size")
        base.update(_given(volume_size=size, guest_format="swap" if swap else device.get("ephemeral_format")))
    return {**base, **_given(**{key: device.get(key) for key in _KEPT_AS_THEY_ARE if device.get(key) != ""})}


_SOURCES = ("volume_id", "snapshot_id", "image", "swap_size")


def _device_problem(properties: Properties) -> Failed | None:
    old, new = properties.get("block_device_mapping") or (), properties.get("block_device_mapping_v2") or ()
    if old and new:
        return _refused("block_device_mapping and block_device_mapping_v2 exclude each other", "block_device_mapping")
    for index, device in enumerate(old):
        if bool(device.get("volume_id")) == bool(device.get("snapshot_id")):
            return _refused("needs either volume_id or snapshot_id", f"block_device_mapping[{index}]")
    for index, device in enumerate(new):
        sources = [name for name in _SOURCES if device.get(name) is not None]
        sources += ["ephemeral"] if device.get("ephemeral_size") or device.get("ephemeral_format") else []
        if len(sources) != 1:
            told = f"got {' and '.join(sources)}" if sources else "got none"
            wanted = "volume_id, snapshot_id, image, swap_size, ephemeral_size, ephemeral_format"
            return _refused(f"needs exactly one of {wanted}: {told}", f"block_device_mapping_v2[{index}]")
    return None


def _boot_problem(properties: Properties) -> Failed | None:
    new = properties.get("block_device_mapping_v2") or ()
    sources = [properties["image"]] if properties.get("image") else []
    for device in new:
        if device.get("boot_index") in {None, 0}:
            sources += [device[name] for name in ("volume_id", "snapshot_id", "image") if device.get(name)]
    old = any(device["device_name"] == "vda" for device in properties.get("block_device_mapping") or ())
    if not sources and not old:
        return _refused("neither image nor a bootable volume is given", "image")
    if new and len(sources) > 1:
        return _refused(
            "there are several things to boot from: set boot_index of all but one", "block_device_mapping_v2"
        )
    return None


def _version_problem(properties: Properties) -> Failed | None:
    if properties.get("personality") and microversion(properties) == TYPED_VOLUMES:
        return _refused("no Nova API takes both personality and a block device's volume_type", "personality")
    return None


def _refused(reason: str, prop: str) -> Failed:
    return Failed(reason, Fault.INVALID, prop)
