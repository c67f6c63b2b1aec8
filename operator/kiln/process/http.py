"""The operator's own HTTP pages: health and metrics. Each concern is a function that gives its routes.

A thread with an event loop of its own serves them: a probe that waited for its turn among the reconciliations would say
how busy the operator is, and not whether it works. That is what :class:`Heartbeat` says. Pages that read what the
reconciliations change are made by their event loop (:func:`made_by`).
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from aiohttp import web

from kiln import metrics

T = TypeVar("T")
Handler = Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]

HUNG: Final = 15.0
"""Seconds without a heartbeat after which the event loop counts as hung."""
_BEAT: Final = 0.1


class Site(NamedTuple):
    """Routes and where they are served. Sites of one address share its port; a port of 0 is not served."""

    host: str
    port: int
    routes: Sequence[web.RouteDef]


class Heartbeat:
    """Says that the event loop of the reconciliations runs. Any thread may ask."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            self._last = self._clock()
            await asyncio.sleep(_BEAT)

    @property
    def age(self) -> float:
        """Seconds since the event loop ran. It is some tenths of a second where the loop has nothing to do."""
        return self._clock() - self._last


class Pages:
    """Pages that are served until :meth:`stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="http", daemon=True)
        self._runners: list[web.AppRunner] = []

    async def start(self, sites: Sequence[Site]) -> None:
        """Serve the sites. Raises ``OSError`` if a port is in use; then none is served."""
        self._thread.start()
        try:
            await self._there(self._serve(sites))
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the ports and end the thread."""
        await self._there(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The hosts and ports that are open."""
        return [address[:2] for runner in self._runners for address in runner.addresses]

    def _there(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _serve(self, sites: Sequence[Site]) -> None:
        applications: dict[tuple[str, int], web.Application] = {}
        for site in sites:
            if site.port:
                applications.setdefault((site.host, site.port), web.Application()).add_routes(site.routes)
        for (host, port), application in applications.items():
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            self._runners.append(runner)
            await web.TCPSite(runner, host, port).start()

    async def _close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()


async def serve(sites: Sequence[Site]) -> Pages:
    """Serve the sites. Raises ``OSError`` if a port is in use; then none is served."""
    pages = Pages()
    await pages.start(sites)
    return pages


def made_by(loop: asyncio.AbstractEventLoop, handler: Handler) -> Handler:
    """A handler whose answer ``loop`` makes, whichever loop serves it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(handler(request), loop))

    return handle


def health(heartbeat: Heartbeat, ready: Callable[[], bool]) -> list[web.RouteDef]:
    """/healthz: the event loop runs, and when it did last. /readyz: ``ready`` is true (the watches are open)."""

    async def healthz(_request: web.Request) -> web.Response:
        age = heartbeat.age
        if age > HUNG:
            return web.Response(status=503, text=f"the event loop has not run for {age:.0f} s\n")
        return web.Response(text=f"ok, the event loop ran {age:.2f} s ago\n")

    async def readyz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if ready() else web.Response(status=503, text="not watching yet\n")

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]


def prometheus() -> list[web.RouteDef]:
    """/metrics, in the text format of Prometheus. To be called on the event loop of the reconciliations."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.page(), headers={"Content-Type": metrics.CONTENT_TYPE})

    return [web.get("/metrics", made_by(asyncio.get_running_loop(), page))]
