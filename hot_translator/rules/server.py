"""Nova: what a server boots from and how it is attached, and the policy of a server group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hot_translator.rules.given import Breach, Given, Rule, exclusive, together

_SOURCES: Final = ("volume_id", "snapshot_id", "image")
_KINDS: Final = (*_SOURCES, "swap_size", "ephemeral_size", "ephemeral_format")


def _boots(it: Given) -> Iterator[Breach]:
    """Exactly one thing to boot from."""
    certain, possible = int(it.has("image")), not it.known("image")
    for mapping in it.items("block_device_mapping"):
        yield from _mapping(mapping)
        possible |= mapping["device_name"] == "vda" or not mapping.known("device_name")
    for mapping in it.items("block_device_mapping_v2"):
        yield from _mapping_v2(mapping)
        if not mapping.known("boot_index"):
            possible = True
        elif mapping["boot_index"] in (None, 0):
            certain += bool(mapping.filled(*_SOURCES))
            possible |= not all(mapping.known(name) for name in _SOURCES)
    possible |= not it.whole("block_device_mapping") or not it.whole("block_device_mapping_v2")
    if not certain and not possible:
        yield it.breach("", "Neither image nor a bootable volume is specified: the server has nothing to boot from")
    if certain > 1 and it.has("block_device_mapping_v2"):
        reason = f"Multiple bootable sources ({certain}): give one image or one device the boot_index 0"
        yield it.breach("block_device_mapping_v2", reason)


def _mapping(mapping: Given) -> Iterator[Breach]:
    yield from exclusive("volume_id", "snapshot_id")(mapping)
    if mapping.lacks("volume_id") and mapping.lacks("snapshot_id"):
        yield mapping.breach("", "Either volume_id or snapshot_id must be specified for a device mapping")


def _mapping_v2(mapping: Given) -> Iterator[Breach]:
    kinds = [*mapping.filled(*_SOURCES, "swap_size"), *mapping.filled("ephemeral_size", "ephemeral_format")[:1]]
    if len(kinds) > 1:
        yield mapping.breach(kinds[1], together(*kinds))
    if all(mapping.lacks(name) for name in _KINDS):
        yield mapping.breach("", f"One of {', '.join(_KINDS)} must be specified for a device")


def _networks(it: Given) -> Iterator[Breach]:
    known, networks = list(it.items("networks")), it["networks"]
    for network in known:
        yield from _network(network)
    allocated = any(network.has("allocate_network") for network in known)
    if allocated and isinstance(networks, list) and len(networks) > 1:
        yield it.breach("networks", "allocate_network cannot be specified beside other network interfaces")
    if it.has("security_groups") and any(network.has("port") for network in known):
        reason = (
            "Cannot define security_groups of a server and networks with a port at the same time: the port has its own"
        )
        yield it.breach("security_groups", reason)


def _network(network: Given) -> Iterator[Breach]:
    if all(network.lacks(name) for name in ("network", "port", "subnet", "allocate_network")):
        yield network.breach("", "One of network, port, subnet or allocate_network must be specified")
    if network.has("allocate_network") and (others := network.filled("network", "port", "subnet", "fixed_ip", "tag")):
        yield network.breach(others[0], f"{others[0]} cannot be specified beside allocate_network")
    if network.has("fixed_ip") and network.has("port"):
        yield network.breach("fixed_ip", f"{together('fixed_ip', 'port')}: the port has its address")
    alone = all(network.lacks(name) for name in ("port", "subnet", "port_extra_properties"))
    if network.has("floating_ip") and network.has("network") and alone:
        reason = "floating_ip is not supported with a network alone, since Nova makes that port: add a subnet or a port"
        yield network.breach("floating_ip", reason)


def _policies(it: Given) -> Iterator[Breach]:
    policies: Any = it["policies"]
    if isinstance(policies, list) and len(policies) != 1:
        yield it.breach("policies", f"A server group has exactly one policy, not {len(policies)}")


def _x509(it: Given) -> Iterator[Breach]:
    if it["type"] == "x509" and it.lacks("public_key"):
        yield it.breach("public_key", "An x509 key pair needs a public_key: a certificate")


RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "OS::Nova::Server": (exclusive("block_device_mapping", "block_device_mapping_v2"), _boots, _networks),
    "OS::Nova::ServerGroup": (_policies,),
    "OS::Nova::KeyPair": (_x509,),
}
