"""Connections to OpenStack: one a credential, shared by all Stacks that use it, closed when nobody does.

Every connection, whatever URL led to it (auth_url, a service catalogue, a redirect), is checked for where it really
ends before anything is sent: a cloud's catalogue is as little to be trusted as the clouds.yaml that named the cloud.
"""

import asyncio
import contextlib
import functools
import ipaddress
import logging
import os
import socket
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import openstack.connection
import requests
import urllib3
from keystoneauth1 import session as keystone_session
from keystoneauth1.identity import generic, v3
from openstack.config import cloud_region

from kiln.clouds.credentials import Credential

log = logging.getLogger(__name__)

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PLUGINS: Final[dict[str, Callable[..., Any]]] = {
    "password": generic.Password,
    "v3password": v3.Password,
    "token": generic.Token,
    "v3token": v3.Token,
    "v3applicationcredential": v3.ApplicationCredential,
}
_MOST: Final = 256
"""Connections that are kept open; the one that was unused longest goes first."""
_CONNECT_TIMEOUT: Final = 10.0
_TIMEOUT: Final = 60.0
"""Seconds that a service may stay silent."""


class AddressDenied(OSError):  # noqa: N818
    """A URL leads to a place where no cloud may be."""


class AddressGuard:
    """Which addresses clouds may have. ``allowed`` networks win over ``denied`` ones."""

    def __init__(self, denied: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
        self._denied = tuple(ipaddress.ip_network(network, strict=False) for network in denied)
        self._allowed = tuple(ipaddress.ip_network(network, strict=False) for network in allowed)

    def check(self, address: str) -> None:
        """Raise ``AddressDenied`` for an IP address where no cloud may be."""
        found = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(found, "ipv4_mapped", None)
        if mapped is not None:
            # ::ffff:169.254.169.254 is the same place.
            found = mapped
        if _within(found, self._denied) and not _within(found, self._allowed):
            raise AddressDenied(f"the operator's settings forbid clouds at {address}")


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: Iterable[_Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def default_denied() -> tuple[str, ...]:
    """Where no cloud is by default:

    link-local (the node's metadata service), the Kubernetes API, and in a pod loopback.
    """
    denied = ["169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128"]
    api = os.environ.get("KUBERNETES_SERVICE_HOST")
    if api:
        denied += ["127.0.0.0/8", "::1/128"]
        denied += sorted({str(entry[4][0]) for entry in socket.getaddrinfo(api, None)})
    return tuple(denied)


def _guarded(pool: type[Any], guard: AddressGuard) -> type[Any]:
    """A pool class of urllib3 whose connections look where they lead: nothing at all is sent to a denied place."""

    class Connection(pool.ConnectionCls):  # type: ignore[name-defined,misc]
        def _new_conn(self) -> socket.socket:
            # Before it connects: whether a port of a denied place is open is nobody's business either. A name that
            # leads nowhere is reported in the usual way.
            with contextlib.suppress(socket.gaierror, UnicodeError):
                for *_, address in socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM):
                    guard.check(str(address[0]))
            connected: socket.socket = super()._new_conn()
            try:
                # The name may have led elsewhere the second time.
                guard.check(connected.getpeername()[0])
            except AddressDenied:
                connected.close()
                raise
            return connected

    class Pool(pool):  # type: ignore[misc]
        ConnectionCls = Connection

    return Pool


class _Adapter(keystone_session.TCPKeepAliveAdapter):
    """keystoneauth's transport with a pool for all threads, and the guard."""

    def __init__(self, guard: AddressGuard, threads: int) -> None:
        self._guard = guard
        super().__init__(pool_connections=threads, pool_maxsize=threads)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _guarded(urllib3.HTTPConnectionPool, self._guard),
            "https": _guarded(urllib3.HTTPSConnectionPool, self._guard),
        }

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """A place that cannot be reached shows soon; an answer may take as long as the caller allows."""
        timeout = kwargs.get("timeout")
        if isinstance(timeout, int | float):
            kwargs["timeout"] = (min(timeout, _CONNECT_TIMEOUT), timeout)
        return super().send(*args, **kwargs)


@dataclass(slots=True)
class _Entry:
    connection: "asyncio.Future[openstack.connection.Connection]"
    used: float


class CloudConnections:
    """The connections. Belongs to one event loop; ``idle`` seconds without use close one."""

    def __init__(self, guard: AddressGuard, *, threads: int = 32, idle: float = 1800.0) -> None:
        self._guard = guard
        self._threads = threads
        self._idle = idle
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._files = _Certificates()

    async def get(self, credential: Credential) -> openstack.connection.Connection:
        """The connection for a credential. No call is made yet: a wrong password shows at the first one."""
        loop = asyncio.get_running_loop()
        entry = self._entries.get(credential.digest)
        if entry is None:
            made = asyncio.ensure_future(asyncio.to_thread(self._connect, credential))
            entry = self._entries[credential.digest] = _Entry(made, loop.time())
            made.add_done_callback(functools.partial(self._forget_failed, credential.digest))
        entry.used = loop.time()
        self._entries.move_to_end(credential.digest)
        self._expire(loop.time())
        return await asyncio.shield(entry.connection)

    def close(self) -> None:
        """Close all connections and remove the certificates' files."""
        while self._entries:
            _, entry = self._entries.popitem()
            _close(entry)
        self._files.close()

    def _forget_failed(self, digest: str, made: "asyncio.Future[openstack.connection.Connection]") -> None:
        if made.cancelled() or made.exception() is not None:
            self._entries.pop(digest, None)

    def _expire(self, now: float) -> None:
        while self._entries:
            digest, entry = next(iter(self._entries.items()))
            if len(self._entries) <= _MOST and now - entry.used < self._idle:
                return
            del self._entries[digest]
            _close(entry)

    def _connect(self, credential: Credential) -> openstack.connection.Connection:
        http = requests.Session()
        # Without any auth of its own requests would look into the operator's ~/.netrc.
        http.auth = _no_auth
        adapter = _Adapter(self._guard, self._threads)
        http.mount("http://", adapter)
        http.mount("https://", adapter)
        if not credential.verify:
            log.warning(
                "The certificate of %s is not verified: its clouds.yaml says verify: false", credential.auth_url
            )
        verify: bool | str = credential.verify
        if credential.verify and credential.cacert:
            verify = self._files.path(credential.digest, credential.cacert)
        version = metadata.version("kiln")
        session = keystone_session.Session(
            auth=_PLUGINS[credential.auth_type](**credential.auth),
            session=http,
            verify=verify,
            timeout=_TIMEOUT,
            app_name="kiln",
            app_version=version,
        )
        options: dict[str, Any] = dict(credential.options)
        region = cloud_region.from_session(
            session,
            name=urlsplit(credential.auth_url).hostname,
            region_name=credential.region_name,
            app_name="kiln",
            app_version=version,
            **options,
        )
        return openstack.connection.Connection(config=region)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _close(entry: _Entry) -> None:
    """Close a connection; one that is still being made is closed once it is there."""

    def close(made: "asyncio.Future[openstack.connection.Connection]") -> None:
        if not made.cancelled() and made.exception() is None:
            made.result().session.session.close()

    if entry.connection.done():
        close(entry.connection)
    else:
        entry.connection.add_done_callback(close)


class _Certificates:
    """Files for the certificates that came inline, since requests reads such only from files.

    Private, and gone at exit.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def path(self, digest: str, pem: str) -> str:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="kiln-")
            path = Path(self._folder.name, f"{digest}.pem")
            if not path.exists():
                path.touch(mode=0o600)
                path.write_text(pem)
            return str(path)

    def close(self) -> None:
        with self._lock:
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None
