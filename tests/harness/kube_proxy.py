"""A proxy in front of kube-apiserver that refuses, delays and forgets, and lets go of watches."""

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from harness import lab
from harness.relay import HOP_BY_HOP, LOST, RESET, SLOW, Relay

CONFLICT = "409"
FORBIDDEN = "403"
THROTTLED = "429"
GONE = "410"
STATUSES: Mapping[str, tuple[int, str, dict[str, str]]] = {
    FORBIDDEN: (403, "Forbidden", {}),
    CONFLICT: (409, "Conflict", {}),
    GONE: (410, "Expired", {}),
    THROTTLED: (429, "TooManyRequests", {"Retry-After": "1"}),
    "500": (500, "InternalError", {}),
    "503": (503, "ServiceUnavailable", {}),
    "504": (504, "Timeout", {}),
}
MIXED = (*(status for status in STATUSES if status != FORBIDDEN), LOST, RESET, SLOW)
"""What passes: a missing right does not."""
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class KubeProxy(Relay):
    """The service of a call is its collection (``stacks``), and ``watch`` where it is a watch.

    What cannot be is not done: 409 is for writes, 410 for lists and watches.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        settings = yaml.safe_load(Path(lab.environment()["KUBECONFIG"]).read_text())
        self._cluster: dict[str, Any] = settings["clusters"][0]["cluster"]
        self._watches: dict[web.StreamResponse, web.Request] = {}

    def connector(self) -> aiohttp.TCPConnector:
        """See :class:`Relay`."""
        authority = self._cluster.get("certificate-authority-data")
        path = self._cluster.get("certificate-authority")
        text = base64.b64decode(authority).decode() if authority else None
        return aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=path, cadata=text))

    @property
    def watching(self) -> int:
        """How many watches are open."""
        return len(self._watches)

    def drop_watches(self) -> int:
        """Break the connection of every watch; how many there were."""
        return asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(10)

    def expire_watches(self, code: int = 410, reason: str = "Expired") -> int:
        """End every watch with an error, as an API server does that has forgotten what the client has seen."""
        return asyncio.run_coroutine_threadsafe(self._expire(code, reason), self._loop).result(10)

    async def _drop(self) -> int:
        dropped = list(self._watches.values())
        for request in dropped:
            self.cut(request)
        return len(dropped)

    async def _expire(self, code: int, reason: str) -> int:
        open_now = list(self._watches.items())
        line = json.dumps({"type": "ERROR", "object": refusal(code, reason)}) + "\n"
        for response, request in open_now:
            with contextlib.suppress(ConnectionError):
                await response.write(line.encode())
            self._watches.pop(response, None)
            if request.transport is not None:
                request.transport.close()
        return len(open_now)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """See :class:`Relay`."""
        watch = request.query.get("watch") in {"true", "1"}
        call, kind = await self.counted(request, "watch" if watch else collection(request.path), request.path)
        possible = call.method in _WRITES if kind == CONFLICT else call.method == "GET" if kind == GONE else True
        if not possible:
            kind = ""
        if kind:
            self.injected[kind] += 1
        if kind == RESET:
            return self.cut(request)
        if kind in STATUSES:
            status, reason, headers = STATUSES[kind]
            return web.json_response(refusal(status, reason), status=status, headers=headers)
        if kind == SLOW:
            await asyncio.sleep(self.pause)
        try:
            return await self._forward(request, watch=watch, lost=kind == LOST)
        except aiohttp.ClientError:
            return self.cut(request)

    async def _forward(self, request: web.Request, *, watch: bool, lost: bool) -> web.StreamResponse:
        dropped = {"host", "connection", "accept-encoding", "content-length", "transfer-encoding"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
        async with self.upstream.request(
            request.method,
            self._cluster["server"] + request.raw_path,
            headers=headers,
            data=await request.read() or None,
            allow_redirects=False,
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            if not watch or answer.status >= 300:
                body = await answer.read()
                return self.cut(request) if lost else web.Response(status=answer.status, headers=kept, body=body)
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            self._watches[response] = request
            try:
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
            finally:
                self._watches.pop(response, None)
            return response


def collection(path: str) -> str:
    """The plural in a path of the API."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return rest[0] if rest else ""


def refusal(code: int, reason: str) -> dict[str, Any]:
    """The Status that the API server answers with."""
    message = f"the proxy says {code}"
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return {**status, "code": code, "reason": reason, "message": message}
