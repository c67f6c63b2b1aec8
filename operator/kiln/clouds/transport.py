"""How bytes travel to a cloud and back: within bounds, to allowed addresses, and never past a redirect elsewhere.

All calls go this way, those that keystoneauth makes by itself (tokens, versions) included. A connection, whatever URL
led to it (auth_url, a service catalogue, a redirect), is checked for where it ends before anything is sent.
"""

import functools
import os
import socket
import ssl
import threading
import zlib
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

import certifi
import requests
import urllib3
import urllib3.util.connection
from keystoneauth1 import session as keystone_session
from requests.utils import select_proxy
from urllib3 import exceptions as http_exceptions
from urllib3.util import ssl_

from kiln.clouds.address_guard import AddressGuard
from reconcilers.cloud import calls
from reconcilers.cloud.calls import Call, CallEnded
from reconcilers.cloud.limits import DEFAULT, AnswerRefused, Limits, decode_json

_CHUNK: Final = 64 << 10
_MOST_ADDRESSES: Final = 8
"""Addresses of one name that are tried."""
_REDIRECTS: Final = frozenset({301, 302, 303, 305, 307, 308})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def session(
    guard: AddressGuard, limits: Limits = DEFAULT, *, threads: int = 32, context: ssl.SSLContext | None = None
) -> requests.Session:
    """An HTTP session for one credential. ``context`` is how certificates are verified (default: :func:`tls`)."""
    made = requests.Session()
    # Without any auth of its own requests would look into the operator's ~/.netrc.
    made.auth = _no_auth
    # Nothing of OpenStack needs cookies, and a jar would keep whatever a cloud puts into it.
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = CloudAdapter(guard, limits, threads, context or tls())
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made


@functools.cache
def tls(*, verify: bool = True) -> ssl.SSLContext:
    """The verification of certificates by the well-known authorities (or those of REQUESTS_CA_BUNDLE), or none."""
    context = ssl_.create_urllib3_context()
    if verify:
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
        folder = Path(bundle).is_dir()
        context.load_verify_locations(cafile=None if folder else bundle, capath=bundle if folder else None)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def tls_of(pem: str) -> ssl.SSLContext:
    """The verification by these authorities alone. Raises ``ssl.SSLError``, ``ValueError``."""
    context = ssl_.create_urllib3_context()
    context.load_verify_locations(cadata=pem)
    return context


def _connection(kind: type[Any], guard: AddressGuard | None, limits: Limits) -> type[Any]:
    """A connection class of urllib3 that looks where it leads (not to a proxy: that is the operator's own), and tells
    the call that waits at it.
    """

    class Connection(kind):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            call = calls.current.get()
            try:
                found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
            except (socket.gaierror, UnicodeError) as error:
                reason = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
                raise http_exceptions.NameResolutionError(self.host, self, reason) from error
            # All before the first is tried: whether a port of a denied place is open is nobody's business either.
            if guard is not None:
                for *_, address in found:
                    guard.check(str(address[0]))
            failure: OSError | None = None
            for *_, address in found[:_MOST_ADDRESSES]:
                left = min(limits.connect, call.check() if call else limits.connect)
                try:
                    connected = urllib3.util.connection.create_connection(
                        (str(address[0]), self.port), left, socket_options=self.socket_options
                    )
                except OSError as error:
                    failure = error
                    continue
                try:
                    if guard is not None:
                        guard.check(connected.getpeername()[0])
                except BaseException:
                    connected.close()
                    raise
                return connected
            if isinstance(failure, TimeoutError):
                raise http_exceptions.ConnectTimeoutError(self, f"{self.host} did not answer") from failure
            raise http_exceptions.NewConnectionError(self, f"connection refused or unreachable: {failure}") from failure

        def connect(self) -> None:
            super().connect()
            self._attach()

        def request(self, *args: Any, **kwargs: Any) -> None:
            self._attach()
            super().request(*args, **kwargs)

        def _attach(self) -> None:
            call = calls.current.get()
            if call is not None:
                call.attach(self)

    return Connection


def _pools(guard: AddressGuard | None, limits: Limits) -> dict[str, type[Any]]:
    def pool(kind: type[Any]) -> type[Any]:
        return type("Pool", (kind,), {"ConnectionCls": _connection(kind.ConnectionCls, guard, limits)})

    return {"http": pool(urllib3.HTTPConnectionPool), "https": pool(urllib3.HTTPSConnectionPool)}


class CloudAdapter(keystone_session.TCPKeepAliveAdapter):
    """keystoneauth's transport with a pool for all threads, the guard, and the bounds."""

    def __init__(
        self, guard: AddressGuard, limits: Limits = DEFAULT, threads: int = 32, context: ssl.SSLContext | None = None
    ) -> None:
        self._guard = guard
        self._limits = limits
        self._context = context or tls()
        super().__init__(pool_connections=threads, pool_maxsize=threads)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """See the base class."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._guard, self._limits)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """See the base class."""
        manager = super().proxy_manager_for(*args, **kwargs)
        if type(manager) is urllib3.ProxyManager:
            manager.pool_classes_by_scheme = _pools(None, self._limits)
        return manager

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Certificates are verified by the context that this adapter was made with, and by nothing else."""
        host, _ = super().build_connection_pool_key_attributes(request, False, None)  # noqa: FBT003 - as inherited
        return host, {"ssl_context": self._context} if host["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """See :meth:`build_connection_pool_key_attributes`: files are never read."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - as inherited
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request and receive all of the answer, within the bounds and the time of the call under way.

        Raises AddressDenied, AnswerRefused, and what the base class raises.
        """
        call = calls.current.get()
        if call is not None:
            return self._exchange(request, call, proxies)
        # keystoneauth by itself, outside of any call.
        call = Call(self._limits.deadline)
        call.begin()
        timer = threading.Timer(self._limits.deadline, call.end, ["the time for one call is over"])
        timer.daemon = True
        timer.start()
        token = calls.current.set(call)
        try:
            return self._exchange(request, call, proxies)
        finally:
            calls.current.reset(token)
            timer.cancel()

    def _exchange(self, request: requests.PreparedRequest, call: Call, proxies: Any) -> requests.Response:
        self._check_proxied(request, proxies)
        # What is decoded below, and nothing else.
        request.headers["Accept-Encoding"] = "gzip"
        left = call.check()
        try:
            response = super().send(
                request, stream=True, timeout=(min(left, self._limits.connect), left), proxies=proxies
            )
            try:
                self._check_headers(response)
                _check_redirect(request, response)
                content = self._content(response, call)
            except BaseException:
                response.close()
                raise
            response.raw.release_conn()
        except CallEnded:
            raise
        except Exception:
            # Whatever it looks like, the end of the call was its cause.
            call.check()
            raise
        finally:
            call.detach()
        call.check()
        response._content = content  # noqa: SLF001 - what reading it unbounded would have set
        response._content_consumed = True  # noqa: SLF001
        response.json = functools.partial(_json, content, self._limits)  # type: ignore[method-assign]
        return response

    def _check_proxied(self, request: requests.PreparedRequest, proxies: Any) -> None:
        """A proxy connects by itself; so the guard looks at what the URL says, as far as names are known here."""
        if not select_proxy(request.url or "", proxies):
            return
        try:
            found = socket.getaddrinfo(urlsplit(request.url or "").hostname, None)
        except (socket.gaierror, UnicodeError):
            return
        for *_, address in found:
            self._guard.check(str(address[0]))

    def _check_headers(self, response: requests.Response) -> None:
        for name, value in response.headers.items():
            if len(value) > self._limits.header:
                shown = name if name.isascii() and name.replace("-", "").isalnum() else "with an odd name"
                raise AnswerRefused(
                    f"has a header {shown[:40]} of more than {self._limits.header} bytes (limit: header)"
                )

    def _content(self, response: requests.Response, call: Call) -> bytes:
        """The body, decompressed while it is received. Of an error only as much as its message may need."""
        limits, failed = self._limits, response.status_code >= 400
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise AnswerRefused("is compressed in a way that was not asked for")
        unpack = _Gunzip() if encoding.endswith("gzip") else None
        most = limits.error if failed else limits.body
        parts: list[bytes] = []
        received = size = 0
        while chunk := response.raw.read(_CHUNK, decode_content=False):
            call.check()
            received += len(chunk)
            if received > limits.wire:
                raise AnswerRefused(f"has more than {limits.wire} bytes on the wire (limit: wire)")
            part = unpack(chunk, most - size + 1) if unpack else chunk
            size += len(part)
            parts.append(part)
            if size > most:
                if failed:
                    # The rest is of no use; the connection is not used again.
                    response.raw.close()
                    break
                raise AnswerRefused(f"has more than {most} bytes (limit: body)")
        return b"".join(parts)


class _Gunzip:
    """Decompresses a stream of gzip members, never more than it is asked for."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(31)

    def __call__(self, chunk: bytes, most: int) -> bytes:
        """At most ``most`` bytes; when there are as many, the rest is lost."""
        parts: list[bytes] = []
        try:
            while chunk and most > 0:
                if self._member.eof:
                    self._member = zlib.decompressobj(31)
                part = self._member.decompress(chunk, most)
                most -= len(part)
                parts.append(part)
                chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        except zlib.error:
            raise AnswerRefused("says that it is gzip and is not") from None
        return b"".join(parts)


def _json(content: bytes, limits: Limits, **_: Any) -> Any:
    return decode_json(content, limits)


def _check_redirect(request: requests.PreparedRequest, response: requests.Response) -> None:
    """A redirect would carry the credentials along: it may lead to another path or port name of the same server only,
    or from http to https of the same host.
    """
    if response.status_code not in _REDIRECTS or "Location" not in response.headers:
        return
    try:
        here = urlsplit(request.url or "")
        there = urlsplit(urljoin(request.url or "", response.headers["Location"]))
        same = _origin(here) == _origin(there)
        upgrade = (here.scheme, there.scheme) == ("http", "https") and here.hostname == there.hostname
    except ValueError:
        same = upgrade = False
    if not (same or upgrade):
        raise AnswerRefused("is a redirect to another host; credentials are not sent there")


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _DEFAULT_PORTS.get(url.scheme)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
