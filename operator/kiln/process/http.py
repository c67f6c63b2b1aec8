"""The operator's own HTTP pages: health and metrics. Each concern is a function that gives its routes.

The event loop that runs the reconciliations serves them. If it hangs, /healthz does not answer, and the liveness probe
notices.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiohttp import web

from kiln import metrics


class Site(NamedTuple):
    """Routes and where they are served. Sites of one address share its port; a port of 0 is not served."""

    host: str
    port: int
    routes: Sequence[web.RouteDef]


async def serve(sites: Sequence[Site]) -> list[web.AppRunner]:
    """Serve the sites. Returns what :func:`stop` takes. Raises ``OSError`` if a port is in use."""
    applications: dict[tuple[str, int], web.Application] = {}
    for site in sites:
        if site.port:
            applications.setdefault((site.host, site.port), web.Application()).add_routes(site.routes)
    runners = []
    for (host, port), application in applications.items():
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        runners.append(runner)
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await stop(runners)
            raise
    return runners


async def stop(runners: Sequence[web.AppRunner]) -> None:
    """Close the ports."""
    for runner in runners:
        await runner.cleanup()


def health(ready: Callable[[], bool]) -> list[web.RouteDef]:
    """/healthz: the event loop runs. /readyz: ``ready`` is true (the watches are open)."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if ready() else web.Response(status=503, text="not watching yet\n")

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]


def prometheus() -> list[web.RouteDef]:
    """/metrics, in the text format of Prometheus."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.page(), headers={"Content-Type": metrics.CONTENT_TYPE})

    return [web.get("/metrics", page)]
