"""Where clouds may be: a tenant names its cloud, and a cloud names its services, so both may name any address.

Denied are the metadata services of cloud providers, link-local addresses, and, in a cluster, what is inside of it: the
API server, nodes, pods and Services. An IPv6 address that carries an IPv4 address is denied with it.
"""

import asyncio
import ipaddress
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from kiln.api.kinds import ENDPOINT_SLICES, NODES, SERVICE_CIDRS, Resource
from kiln.kube.client import Kube
from kiln.kube.errors import KubeError

log = logging.getLogger(__name__)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA_SERVICES: Final = (
    "169.254.0.0/16",  # AWS, Azure, Google, OpenStack, Oracle, DigitalOcean, Hetzner, Scaleway, Tencent, ECS, EKS, ...
    "fe80::/10",  # OpenStack's fe80::a9fe:a9fe
    "fd00:ec2::/32",  # AWS: metadata, DNS, time, EKS pod identity
    "fd20:ce::/32",  # Google
    "fd00:a9fe:a9fe::/48",  # Akamai (Linode)
    "fd00:42::/32",  # Scaleway
    "fd00:c1::/32",  # Oracle
    "168.63.129.16/32",  # Azure's wire server
    "100.100.100.200/32",  # Alibaba
    "100.100.2.0/24",  # Alibaba's internal DNS
    "100.96.0.96/32",  # Volcengine
    "192.0.0.0/24",  # Oracle Classic's 192.0.0.192; IETF protocol assignments
    "192.80.8.124/32",  # Equinix Metal
)
"""Addresses at which providers tell a machine its credentials, or what comes near it."""
NO_HOSTS: Final = ("0.0.0.0/8", "::/128", "224.0.0.0/4", "255.255.255.255/32", "ff00::/8")
"""Addresses of no single other host: "this host", multicast, broadcast."""
LOOPBACK: Final = ("127.0.0.0/8", "::1/128")

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_SIIT: Final = ipaddress.IPv6Network("::ffff:0:0:0/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})

REFRESHED: Final = 120.0
"""Seconds between looks at what is in the cluster."""


class AddressDenied(OSError):  # noqa: N818
    """A URL leads to a place where no cloud may be."""


class AddressGuard:
    """Which addresses clouds may have. ``allowed`` networks win over all that are denied."""

    def __init__(self, denied: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
        self._denied = _networks(denied)
        self._allowed = _networks(allowed)
        self._cluster: tuple[_Network, ...] = ()

    def deny_cluster(self, networks: Iterable[str]) -> None:
        """These networks are the cluster's, in place of those that were known before."""
        self._cluster = _networks(networks)

    def check(self, address: str) -> None:
        """Raise ``AddressDenied`` for an IP address where no cloud may be, or that leads to such a one."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            raise AddressDenied("this is no IP address") from None
        for one in (found, *embedded(found)):
            if _within(one, self._allowed):
                continue
            if _within(one, self._denied) or _within(one, self._cluster):
                raise AddressDenied(f"the operator's settings forbid clouds at {address}")


def embedded(address: _Address) -> Iterator[_Address]:
    """The IPv4 addresses that an IPv6 address leads to, by each form that is in use (RFC 4291, 6052, 3056, 4380, 5214,
    7915), and the last 32 bits of a network-specific translation prefix only where its form shows.
    """
    if not isinstance(address, ipaddress.IPv6Address):
        return
    bits = int(address)
    last = ipaddress.IPv4Address(bits & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or address in _SIIT or (address in _COMPATIBLE and bits > 1):
        yield last
    if address in _LOCAL_NAT64:
        # RFC 8215 leaves open how long the prefix is; RFC 6052 says where the address stands for each length.
        yield last
        for length in (48, 56, 64):
            yield _after_prefix(bits, length)
    if (bits >> 32) & 0xFFFFFFFF in _ISATAP:
        yield last


def _after_prefix(bits: int, length: int) -> ipaddress.IPv4Address:
    """The IPv4 address behind a translation prefix of this length: bits 64 to 71 are left out (RFC 6052, 2.2)."""
    octets = bits.to_bytes(16, "big")
    without = octets[:8] + octets[9:]
    begin = length // 8
    return ipaddress.IPv4Address(without[begin : begin + 4])


def _networks(texts: Iterable[str]) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _within(address: _Address, networks: Iterable[_Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def default_denied() -> tuple[str, ...]:
    """Where no cloud is by default, before the cluster has been looked at: in a pod also loopback, the pod itself and
    the Service of the API server.
    """
    denied = [*METADATA_SERVICES, *NO_HOSTS]
    api = os.environ.get("KUBERNETES_SERVICE_HOST")
    if api:
        denied += [*LOOPBACK]
        denied += sorted({str(entry[4][0]) for entry in socket.getaddrinfo(api, None)})
        denied += [one for one in os.environ.get("POD_IPS", "").split(",") if one]
    return tuple(denied)


async def cluster_networks(kube: Kube) -> tuple[str, ...]:
    """The networks of the cluster: endpoints of the API server, nodes' addresses and pod networks, Services' networks.

    What the operator may not list, or this cluster does not have, is left out. Pod networks are those that nodes name
    (``spec.podCIDRs``); a network plugin that has its own is named in the operator's settings.
    """
    answers = await asyncio.gather(
        _listed(kube, ENDPOINT_SLICES, "default", labels="kubernetes.io/service-name=kubernetes"),
        _listed(kube, NODES),
        _listed(kube, SERVICE_CIDRS),
    )
    found: set[str] = set()
    for obj, read in zip(answers, (_endpoints, _node, _service_networks), strict=True):
        for one in obj:
            found.update(text for text in read(one) if _is_network(text))
    return tuple(sorted(found))


def in_cluster() -> bool:
    """Whether this process runs in a pod, with the cluster's inside within its reach."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


async def inform(guard: AddressGuard, kube: Kube) -> None:
    """Tell the guard of the cluster's networks."""
    try:
        guard.deny_cluster(await cluster_networks(kube))
    except KubeError as error:
        log.warning("The cluster's networks could not be read; those known before stay denied: %s", error)


async def keep_informed(guard: AddressGuard, kube: Kube) -> None:
    """Tell the guard of the cluster's networks again and again, for ever."""
    while True:
        await asyncio.sleep(REFRESHED)
        await inform(guard, kube)


async def _listed(kube: Kube, res: Resource, ns: str = "", *, labels: str = "") -> "list[dict[str, Any]]":
    try:
        return await kube.list(res, ns, labels=labels)
    except KubeError as error:
        if error.status not in {403, 404}:
            raise
        return []


def _endpoints(endpoint_slice: Mapping[str, Any]) -> Iterator[str]:
    for endpoint in endpoint_slice.get("endpoints") or ():
        yield from endpoint.get("addresses") or ()


def _node(node: Mapping[str, Any]) -> Iterator[str]:
    spec = node.get("spec") or {}
    yield from spec.get("podCIDRs") or [spec.get("podCIDR") or ""]
    for address in (node.get("status") or {}).get("addresses") or ():
        yield str(address.get("address") or "")


def _service_networks(cidr: Mapping[str, Any]) -> Iterator[str]:
    yield from (cidr.get("spec") or {}).get("cidrs") or ()


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
