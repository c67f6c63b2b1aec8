"""Connections to OpenStack: one a credential, shared by all Stacks that use it, closed when nobody does.

No tenant keeps more of them than its share, and nothing of a credential is ever written to a disk.
"""

import asyncio
import functools
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final
from urllib.parse import urlsplit

import openstack.connection
from keystoneauth1 import session as keystone_session
from keystoneauth1.identity import generic, v3
from openstack.config import cloud_region

from hot_translator.budget import tenant
from kiln.clouds import transport
from kiln.clouds.address_guard import AddressGuard
from kiln.clouds.credentials import Credential
from reconcilers.cloud.limits import DEFAULT, Limits

log = logging.getLogger(__name__)

_PLUGINS: Final[dict[str, Callable[..., Any]]] = {
    "password": generic.Password,
    "v3password": v3.Password,
    "token": generic.Token,
    "v3token": v3.Token,
    "v3applicationcredential": v3.ApplicationCredential,
}
_MOST: Final = 256
"""Connections that are kept open; the one that was unused longest goes first."""
_SHARE: Final = 32
"""The same of one tenant; its own go first when it has more."""
_REDIRECTS: Final = 5
"""Redirects of one call that are followed, all at one server."""


@dataclass(slots=True)
class _Entry:
    connection: "asyncio.Future[openstack.connection.Connection]"
    used: float
    tenant: str


class CloudConnections:
    """The connections. Belongs to one event loop; ``idle`` seconds without use close one."""

    def __init__(
        self, guard: AddressGuard, limits: Limits = DEFAULT, *, threads: int = 32, idle: float = 1800.0
    ) -> None:
        self.limits = limits
        self._guard = guard
        self._threads = threads
        self._idle = idle
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self.closed: Callable[[str], None] = _nothing
        """Told of the digest of each credential whose connection is closed."""

    async def get(self, credential: Credential) -> openstack.connection.Connection:
        """The connection for a credential. No call is made yet: a wrong password shows at the first one."""
        loop = asyncio.get_running_loop()
        entry = self._entries.get(credential.digest)
        if entry is None:
            made = asyncio.ensure_future(asyncio.to_thread(self._connect, credential))
            entry = self._entries[credential.digest] = _Entry(made, loop.time(), tenant.get())
            made.add_done_callback(functools.partial(self._forget_failed, credential.digest))
        entry.used = loop.time()
        self._entries.move_to_end(credential.digest)
        self._expire(loop.time())
        return await asyncio.shield(entry.connection)

    def keeps(self, digest: str) -> bool:
        """Whether the connection for the credential of this digest is open, or being made."""
        return digest in self._entries

    def close(self) -> None:
        """Close all connections."""
        while self._entries:
            self._remove(next(iter(self._entries)))

    def _forget_failed(self, digest: str, made: "asyncio.Future[openstack.connection.Connection]") -> None:
        if made.cancelled() or made.exception() is not None:
            self._entries.pop(digest, None)

    def _expire(self, now: float) -> None:
        counts = Counter(entry.tenant for entry in self._entries.values())
        for digest, entry in list(self._entries.items()) if max(counts.values()) > _SHARE else ():
            if counts[entry.tenant] > _SHARE:
                counts[entry.tenant] -= 1
                self._remove(digest)
        while self._entries:
            digest, entry = next(iter(self._entries.items()))
            if len(self._entries) <= _MOST and now - entry.used < self._idle:
                return
            self._remove(digest)

    def _remove(self, digest: str) -> None:
        _close(self._entries.pop(digest))
        self.closed(digest)

    def _connect(self, credential: Credential) -> openstack.connection.Connection:
        if not credential.verify:
            log.warning(
                "The certificate of %s is not verified: its clouds.yaml says verify: false", credential.auth_url
            )
            context = transport.tls(verify=False)
        elif credential.cacert:
            context = transport.tls_of(credential.cacert)
        else:
            context = transport.tls()
        http = transport.session(self._guard, self.limits, threads=self._threads, context=context)
        version = metadata.version("kiln")
        session = keystone_session.Session(
            auth=_PLUGINS[credential.auth_type](**credential.auth),
            session=http,
            verify=credential.verify,
            timeout=self.limits.deadline,
            redirect=_REDIRECTS,
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


def _nothing(digest: str) -> None:
    """Nobody wants to know."""


def _close(entry: _Entry) -> None:
    """Close a connection; one that is still being made is closed once it is there."""

    def close(made: "asyncio.Future[openstack.connection.Connection]") -> None:
        if not made.cancelled() and made.exception() is None:
            made.result().session.session.close()

    if entry.connection.done():
        close(entry.connection)
    else:
        entry.connection.add_done_callback(close)
