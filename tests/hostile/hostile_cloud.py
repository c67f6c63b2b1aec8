"""A cloud that means harm: its Keystone and Neutron answer as a mode says, at 127.0.0.1.

Modes are functions that get the request's handler, one for each part of the cloud. ``well_behaved`` is the answer where
a mode concerns another part.
"""

import contextlib
import json
import socketserver
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

Mode = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One connection. ``body`` is the request's."""

    protocol_version = "HTTP/1.1"
    server: "HostileCloud"

    def handle_any(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, dict(self.headers), self.body))
        part = "token" if self.path.startswith("/v3/auth/tokens") else "net" if self.path.startswith("/net") else "v3"
        with contextlib.suppress(OSError):
            self.server.modes.get(part, well_behaved)(self)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the names that http.server looks for

    def answer(self, status: int, content: Any, **headers: str) -> None:
        """Send JSON, or bytes as they are."""
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content_Type": "application/json", "Content_Length": str(len(raw)), **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class HostileCloud(socketserver.ThreadingMixIn, HTTPServer):
    """The server; ``modes`` are by part: ``token``, ``v3`` (versions of Keystone), ``net``."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.modes: dict[str, Mode] = {}
        self.asked: deque[tuple[str, str, dict[str, str], bytes]] = deque(maxlen=1000)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is meant."""

    def token(self, network: str = "") -> dict[str, Any]:
        """A token's body; ``network`` is the endpoint of the network service if that is elsewhere."""

        def entry(kind: str, url: str) -> dict[str, Any]:
            endpoint = {"id": kind, "interface": "public", "region": "R", "region_id": "R", "url": url}
            return {"type": kind, "name": kind, "id": kind, "endpoints": [endpoint]}

        domain = {"id": "d", "name": "d"}
        return {
            "token": {
                "methods": ["password"],
                "user": {"id": "u", "name": "u", "domain": domain},
                "project": {"id": "p", "name": "p", "domain": domain},
                "roles": [],
                "catalog": [entry("network", network or f"{self.url}/net"), entry("identity", f"{self.url}/v3")],
                "expires_at": "2099-01-01T00:00:00.000000Z",
                "issued_at": "2025-01-01T00:00:00.000000Z",
            }
        }


@contextlib.contextmanager
def running() -> Iterator[HostileCloud]:
    """A server on a port of its own."""
    server = HostileCloud()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def well_behaved(handler: Handler) -> None:
    """What an honest cloud answers."""
    path = handler.path.partition("?")[0].rstrip("/")
    url = handler.server.url
    if path == "/v3/auth/tokens":
        handler.answer(201, handler.server.token(), X_Subject_Token="t" * 40)
    elif path == "/v3":
        link = [{"rel": "self", "href": f"{url}/v3/"}]
        handler.answer(200, {"version": {"id": "v3.14", "status": "stable", "links": link}})
    elif path == "/net":
        link = [{"rel": "self", "href": f"{url}/net/v2.0/"}]
        handler.answer(200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": link}]})
    elif handler.command == "POST":
        handler.answer(201, {"network": {"id": "n", "status": "ACTIVE", **json.loads(handler.body)["network"]}})
    else:
        handler.answer(200, {"networks": []})


def only_lists(mode: Mode) -> Mode:
    """Versions are told as an honest cloud tells them; the mode is for what comes after."""

    def choose(handler: Handler) -> None:
        (well_behaved if handler.path.rstrip("/") in {"/net", "/v3"} else mode)(handler)

    return choose


def fixed(status: int, content: Any, **headers: str) -> Mode:
    """Always the same answer."""
    return only_lists(lambda handler: handler.answer(status, content, **headers))


def bomb(megabytes: int, wrap: tuple[bytes, bytes] = (b'{"networks": [], "x": "', b'"}')) -> Mode:
    """A small body that becomes large when it is decompressed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = packer.compress(wrap[0])
    packed += b"".join(packer.compress(b"a" * (1 << 20)) for _ in range(megabytes))
    packed += packer.compress(wrap[1]) + packer.flush()
    return fixed(200, packed, Content_Encoding="gzip")


def flood(handler: Handler) -> None:
    """A body without an end."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65536)


def drip(part: str, pause: float = 0.05) -> Mode:
    """One byte after the other, for ever: of the ``status`` line, a ``header``, the ``body``, ``chunks``, ``trailers``
    or ``continue`` (answers that say that another one follows).
    """

    def mode(handler: Handler) -> None:
        starts = {
            "status": b"HTTP/1.1 200 O",
            "header": b"HTTP/1.1 200 OK\r\nX-Slow: ",
            "headers": b"HTTP/1.1 200 OK\r\n",
            "body": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
            "error": b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n",
            "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
            "continue": b"",
            "silence": b"",
        }
        pieces = {"chunks": b"1\r\n \r\n", "trailers": b"X: y\r\n", "continue": b"HTTP/1.1 100 Continue\r\n\r\n"}
        handler.wfile.write(starts[part])
        handler.wfile.flush()
        while True:
            if part != "silence":
                handler.wfile.write(pieces.get(part, b"0" if part == "size" else b" "))
                handler.wfile.flush()
            time.sleep(pause)

    return only_lists(mode)


def endless_pages(handler: Handler) -> None:
    """Each page says that another one follows."""
    items = [{"id": f"{time.monotonic_ns()}-{index}", "name": "x" * 100} for index in range(1000)]
    link = [{"rel": "next", "href": handler.server.url}]
    handler.answer(200, {"networks": items, "networks_links": link})


def same_page(handler: Handler) -> None:
    """One page that leads to itself."""
    link = [{"rel": "next", "href": handler.server.url}]
    handler.answer(200, {"networks": [{"id": "same"}], "networks_links": link})


def redirect(to: str, status: int = 307) -> Mode:
    """Somewhere else, with all that was sent."""
    return lambda handler: handler.answer(status, b"", Location=to)


def echo(status: int) -> Mode:
    """What was sent, in the message of an error."""

    def mode(handler: Handler) -> None:
        text = handler.body.decode("utf-8", "replace")
        handler.answer(status, {"error": {"code": status, "message": f"refused: {text}"}})

    return mode


def catalogue(network: str) -> Mode:
    """A token whose catalogue has the network service at this URL."""
    return lambda handler: handler.answer(201, handler.server.token(network), X_Subject_Token="t" * 40)
