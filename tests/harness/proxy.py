"""A proxy in front of every service of a cloud that does, by dice, what networks and clouds do at bad times.

The clouds.yaml that it gives leads to Keystone through it; in all that comes back the addresses of services are
replaced, so every client ends up here for every service, without any setting.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml
from aiohttp import web

from harness.relay import FOREVER, HANG, HOP_BY_HOP, LOST, RESET, SLOW, Call, Relay

STALE = "list without what is new"
EXPIRED = "token expired"
"""This call's token is refused from now on; a new one is not."""
STATUSES: Mapping[str, tuple[int, dict[str, str]]] = {
    "500": (500, {}),
    "502": (502, {}),
    "503": (503, {}),
    "503 with Retry-After": (503, {"Retry-After": "1"}),
    "504": (504, {}),
    "429": (429, {}),
    "429 with Retry-After": (429, {"Retry-After": "1"}),
    EXPIRED: (401, {}),
}
MIXED = (*STATUSES, LOST, RESET, SLOW, STALE)
NEW = 1.5
"""Seconds for which a stale list does not show something."""


class FaultProxy(Relay):
    """``down`` holds the service types that do not answer at all.

    ``twist`` gets each answer that is JSON and may change what the client sees of it.
    """

    def __init__(self, clouds_yaml: str, cloud: str, seed: int = 0) -> None:
        super().__init__(seed)
        self._cloud: dict[str, Any] = yaml.safe_load(clouds_yaml)["clouds"][cloud]
        self.cloud = cloud
        self.down: set[str] = set()
        self.twist: Callable[[Call, Any], Any] = lambda _call, content: content
        self._keystone = urlsplit(self._cloud["auth"]["auth_url"])
        self._services = {str(self._keystone.port): "identity"}
        self._new: dict[str, float] = {}
        self._expired: set[str] = set()

    @property
    def clouds_yaml(self) -> str:
        """A clouds.yaml that leads through the proxy."""
        here = f"{self.address}/at/{self._keystone.port}{self._keystone.path}"
        cloud = {**self._cloud, "auth": {**self._cloud["auth"], "auth_url": here}}
        return yaml.safe_dump({"clouds": {self.cloud: cloud}})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """See :class:`Relay`. After /at/ a path has the port of its service."""
        port, _, rest = request.path.removeprefix("/at/").partition("/")
        if not port.isdigit():
            # A client looks for versions one level above a service too.
            return web.Response(status=404)
        call, kind = await self.counted(request, self._services.get(port, port), f"/{rest}")
        kind = self._about_tokens(request.headers.get("X-Auth-Token", ""), kind)
        if call.service in self.down:
            kind = RESET
        if kind:
            self.injected[kind] += 1
        if kind == RESET:
            return self.cut(request)
        if kind in STATUSES:
            status, headers = STATUSES[kind]
            body = {"error": {"message": f"the proxy says {kind}", "code": status}}
            return web.json_response(body, status=status, headers=headers)
        if kind == SLOW:
            await asyncio.sleep(self.pause)
        answer = await self._forward(request, call, port, stale=kind == STALE)
        if kind == HANG:
            await asyncio.sleep(FOREVER)
        return self.cut(request) if kind in {LOST, HANG} else answer

    def _about_tokens(self, token: str, kind: str) -> str:
        """A token that expired stays so; a request without one cannot suffer that."""
        if kind == EXPIRED and token:
            self._expired.add(token)
        if token in self._expired:
            return EXPIRED
        return "" if kind == EXPIRED else kind

    async def _forward(self, request: web.Request, call: Call, port: str, *, stale: bool) -> web.Response:
        """Carry the request out; the answer with its addresses replaced."""
        dropped = {"host", "connection", "accept-encoding", "content-length", "transfer-encoding"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
        url = f"{self._keystone.scheme}://{self._keystone.hostname}:{port}" + request.raw_path.partition(port)[2]
        async with self.upstream.request(
            request.method, url, headers=headers, data=await request.read() or None, allow_redirects=False
        ) as answer:
            body = await answer.read()
            kept = {name: self._here(value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            if "json" in answer.headers.get("Content-Type", "") and body:
                content = json.loads(body)
                if call.method == "POST" and answer.status < 300:
                    self._learn(call.path, content)
                if call.method == "GET" and stale:
                    content = self._without_new(content)
                body = self._here(json.dumps(self.twist(call, content))).encode()
            return web.Response(status=answer.status, headers=kept, body=body)

    def _here(self, text: str) -> str:
        """The text with the services' addresses turned into the proxy's."""
        address = re.compile(rf"{self._keystone.scheme}://{re.escape(str(self._keystone.hostname))}:(\d+)")
        return address.sub(rf"{self.address}/at/\1", text)

    def _learn(self, path: str, content: Any) -> None:
        """Which service is where, from tokens; and what has just been made."""
        if path.endswith("/auth/tokens"):
            for service in content["token"].get("catalog", ()):
                for endpoint in service["endpoints"]:
                    self._services[str(urlsplit(endpoint["url"]).port)] = service["type"]
            return
        now = time.monotonic()
        for made in (*content.values(), content) if isinstance(content, dict) else ():
            if isinstance(made, dict) and "id" in made:
                self._new[str(made["id"])] = now

    def _without_new(self, content: Any) -> Any:
        """A list without what was made a moment ago."""
        if not isinstance(content, dict):
            return content
        horizon = time.monotonic() - NEW

        def old(one: Any) -> bool:
            return not isinstance(one, dict) or self._new.get(str(one.get("id")), 0) < horizon

        return {
            key: [one for one in value if old(one)] if isinstance(value, list) else value
            for key, value in content.items()
        }
