"""The operator's own HTTP pages: /healthz, /readyz and /metrics.

They are served by the event loop that all passes run in. A loop that hangs does not answer, which is what a liveness
probe is to find out.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from kiln import metrics


async def serve(host: str, health_port: int, metrics_port: int, ready: Callable[[], bool]) -> list[web.AppRunner]:
    """Serve the pages on their ports (one port may serve all; 0: not at all).

    Returns what ``stop`` ends. Raises ``OSError`` where a port is taken.
    """
    ports: dict[int, web.Application] = {}

    def pages(port: int) -> web.UrlDispatcher:
        return ports.setdefault(port, web.Application()).router

    if health_port:
        pages(health_port).add_get("/healthz", _healthz)
        pages(health_port).add_get("/readyz", _readyz(ready))
    if metrics_port:
        pages(metrics_port).add_get("/metrics", _metrics)
    runners = []
    for port, application in ports.items():
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        runners.append(runner)
    return runners


async def stop(runners: list[web.AppRunner]) -> None:
    """Close the ports."""
    for runner in runners:
        await runner.cleanup()


async def _healthz(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _readyz(ready: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if ready() else web.Response(status=503, text="not watching yet\n")

    return answer


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=metrics.page(), headers={"Content-Type": metrics.CONTENT_TYPE})
