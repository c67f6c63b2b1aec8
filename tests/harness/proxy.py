"""A proxy in front of every service of a cloud that does, by dice, what networks and clouds do at bad times.

The clouds.yaml that it gives leads to Keystone through it; in all that comes back the addresses of services are
replaced, so every client ends up here for every service, without any setting.
"""

import asyncio
import collections
import json
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import yaml
from aiohttp import web

LOST = "response lost"
RESET = "connection reset"
SLOW = "slow answer"
STALE = "list without what is new"
EXPIRED = "token expired"
"""This call's token is refused from now on; a new one is not."""
STATUSES: Mapping[str, tuple[int, dict[str, str]]] = {
    "500": (500, {}),
    "502": (502, {}),
    "503": (503, {}),
    "503 with Retry-After": (503, {"Retry-After": "1"}),
    "429": (429, {}),
    "429 with Retry-After": (429, {"Retry-After": "1"}),
    EXPIRED: (401, {}),
}
MIXED = (*STATUSES, LOST, RESET, SLOW, STALE)
NEW = 1.5
"""Seconds for which a stale list does not show something."""
PAUSE = 2.0
"""Seconds by which a slow answer is late."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the port of its service says which service it is."""

    service: str
    method: str
    path: str


@dataclass(slots=True)
class Rule:
    """``fraction`` of the calls that match goes wrong in one of the ``kinds``."""

    fraction: float
    kinds: tuple[str, ...] = MIXED
    matches: Callable[[Call], bool] = field(default=lambda _call: True)


class FaultProxy:
    """Listens on 127.0.0.1 in a thread of its own. ``rules`` may be changed at any time; the first that bites counts.

    ``down`` holds the service types that do not answer at all. ``injected`` counts the faults by kind.
    """

    def __init__(self, clouds_yaml: str, cloud: str, seed: int = 0) -> None:
        self._cloud: dict[str, Any] = yaml.safe_load(clouds_yaml)["clouds"][cloud]
        self.cloud = cloud
        self.rules: list[Rule] = []
        self.down: set[str] = set()
        self.injected: collections.Counter[str] = collections.Counter()
        self.calls: collections.Counter[str] = collections.Counter()
        self.port = 0
        self._dice = random.Random(seed)
        self._keystone = urlsplit(self._cloud["auth"]["auth_url"])
        self._services = {str(self._keystone.port): "identity"}
        self._new: dict[str, float] = {}
        self._expired: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def clouds_yaml(self) -> str:
        """A clouds.yaml that leads through the proxy."""
        here = f"http://127.0.0.1:{self.port}/at/{self._keystone.port}{self._keystone.path}"
        cloud = {**self._cloud, "auth": {**self._cloud["auth"], "auth_url": here}}
        return yaml.safe_dump({"clouds": {self.cloud: cloud}})

    # The server.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _start(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        self._upstream = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120))
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/at/{port}{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._upstream.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        port, path = request.match_info["port"], request.match_info["path"]
        call = Call(self._services.get(port, port), request.method, path)
        self.calls[f"{call.service} {call.method}"] += 1
        kind = self._fault(call)
        token = request.headers.get("X-Auth-Token", "")
        if kind == EXPIRED and token:
            self._expired.add(token)
        if token in self._expired:
            kind = EXPIRED
        if call.service in self.down:
            kind = RESET
        if kind:
            self.injected[kind] += 1
        if kind == RESET:
            return self._cut(request)
        if kind in STATUSES:
            status, headers = STATUSES[kind]
            body = {"error": {"message": f"the proxy says {kind}", "code": status}}
            return web.json_response(body, status=status, headers=headers)
        if kind == SLOW:
            await asyncio.sleep(PAUSE)
        status, headers, body = await self._forward(request, port)
        if kind == LOST:
            return self._cut(request)
        if request.method == "GET" and kind == STALE:
            body = self._without_new(body)
        return web.Response(status=status, headers=headers, body=body)

    def _fault(self, call: Call) -> str:
        for rule in self.rules:
            if rule.matches(call) and self._dice.random() < rule.fraction:
                return self._dice.choice(rule.kinds)
        return ""

    def _cut(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=502)

    async def _forward(self, request: web.Request, port: str) -> tuple[int, dict[str, str], bytes]:
        """Carry the request out; the answer with its addresses replaced."""
        dropped = {"host", "connection", "accept-encoding", "content-length", "transfer-encoding"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
        url = f"{self._keystone.scheme}://{self._keystone.hostname}:{port}" + request.raw_path.partition(port)[2]
        async with self._upstream.request(
            request.method, url, headers=headers, data=await request.read() or None, allow_redirects=False
        ) as answer:
            body = await answer.read()
            if request.method == "POST" and answer.status < 300:
                self._learn(request.path, body)
            kept = {name: self._here(value) for name, value in answer.headers.items() if name.lower() not in _OWN}
            text = "json" in answer.headers.get("Content-Type", "")
            return answer.status, kept, self._here(body.decode()).encode() if text else body

    def _here(self, text: str) -> str:
        """The text with the services' addresses turned into the proxy's."""
        address = re.compile(rf"{self._keystone.scheme}://{re.escape(str(self._keystone.hostname))}:(\d+)")
        return address.sub(rf"http://127.0.0.1:{self.port}/at/\1", text)

    def _learn(self, path: str, body: bytes) -> None:
        """Which service is where, from tokens; and what has just been made."""
        try:
            content = json.loads(body)
        except ValueError:
            return
        if path.endswith("/auth/tokens"):
            for service in content["token"].get("catalog", ()):
                for endpoint in service["endpoints"]:
                    self._services[str(urlsplit(endpoint["url"]).port)] = service["type"]
            return
        now = time.monotonic()
        for made in (*content.values(), content) if isinstance(content, dict) else ():
            if isinstance(made, dict) and "id" in made:
                self._new[str(made["id"])] = now

    def _without_new(self, body: bytes) -> bytes:
        """A list without what was made a moment ago."""
        try:
            content = json.loads(body)
        except ValueError:
            return body
        if not isinstance(content, dict):
            return body
        horizon = time.monotonic() - NEW
        shown = {
            key: [one for one in value if not isinstance(one, dict) or self._new.get(str(one.get("id")), 0) < horizon]
            if isinstance(value, list)
            else value
            for key, value in content.items()
        }
        return json.dumps(shown).encode()


_OWN = frozenset(
    {"content-length", "connection", "transfer-encoding", "content-encoding", "server", "date", "keep-alive"}
)
