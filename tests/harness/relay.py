"""What a fault proxy is made of: it hands requests on to a server and does, by dice, what networks do at bad times.

Listens on 127.0.0.1 in a thread of its own, with an event loop of its own.
"""

import asyncio
import collections
import hashlib
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

LOST = "response lost"
"""The request is carried out, and then the connection breaks."""
RESET = "connection reset"
"""The connection breaks before the request is carried out."""
SLOW = "slow answer"
HANG = "no answer"
"""The request is carried out, and nothing comes back for as long as the client waits."""

PAUSE = 2.0
"""Seconds by which a slow answer is late, unless a relay has another ``pause``."""
FOREVER = 600.0
"""Seconds that no client waits for."""
HOP_BY_HOP = frozenset(
    {"content-length", "connection", "transfer-encoding", "content-encoding", "server", "date", "keep-alive"}
)
"""Headers of an answer that are about one connection."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and which service it is for. Calls with the same content are equal."""

    service: str
    method: str
    path: str
    content: str = ""
    """A digest of the body."""


@dataclass(slots=True)
class Rule:
    """``fraction`` of the calls that match goes wrong in one of the ``kinds``.

    With ``first`` only the first of equal calls may, so that what is sent again gets through.
    """

    fraction: float
    kinds: tuple[str, ...]
    matches: Callable[[Call], bool] = field(default=lambda _call: True)
    first: bool = False
    _seen: set[Call] = field(default_factory=set)

    def bites(self, call: Call, dice: random.Random) -> bool:
        """Whether this call goes wrong."""
        if not self.matches(call) or (self.first and call in self._seen):
            return False
        self._seen.add(call)
        return dice.random() < self.fraction


class Relay(ABC):
    """``rules`` may be changed at any time; the first that bites counts. ``injected`` counts the faults by kind,
    ``calls`` all requests by service and method. ``changes`` are those that are no reads, in their order.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[Rule] = []
        self.injected: collections.Counter[str] = collections.Counter()
        self.calls: collections.Counter[str] = collections.Counter()
        self.changes: list[Call] = []
        self.port = 0
        self.pause = PAUSE
        self._dice = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def address(self) -> str:
        """The URL that leads here."""
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""

    def connector(self) -> aiohttp.TCPConnector:
        """How to connect to the server."""
        return aiohttp.TCPConnector(limit=0)

    # What handlers need.

    async def counted(self, request: web.Request, service: str, path: str) -> tuple[Call, str]:
        """The call, and the kind of fault that it shall suffer; empty for none."""
        content = hashlib.sha1(await request.read(), usedforsecurity=False).hexdigest()
        call = Call(service, request.method, path, content)
        self.calls[f"{service} {request.method}"] += 1
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            self.changes.append(call)
        for rule in self.rules:
            if rule.bites(call, self._dice):
                return call, self._dice.choice(rule.kinds)
        return call, ""

    def cut(self, request: web.Request) -> web.StreamResponse:
        """Break the connection."""
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=502)

    # The server.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _start(self) -> None:
        self.upstream = aiohttp.ClientSession(connector=self.connector(), timeout=aiohttp.ClientTimeout(total=None))
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        sockets: Any = site._server.sockets  # type: ignore[attr-defined]
        self.port = sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self.upstream.close()
