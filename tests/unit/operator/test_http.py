"""The HTTP pages of the operator's process."""

import aiohttp
import pytest

from kiln.process import http


async def get(port, path):
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_sites_of_one_port_share_it_and_port_0_is_not_served(unused_tcp_port_factory):
    port = unused_tcp_port_factory()
    ready = []
    runners = await http.serve(
        [
            http.Site("127.0.0.1", port, http.health(lambda: bool(ready))),
            http.Site("127.0.0.1", port, http.prometheus()),
            http.Site("127.0.0.1", 0, http.prometheus()),
        ]
    )
    try:
        assert len(runners) == 1
        assert await get(port, "/healthz") == (200, "ok\n")
        assert await get(port, "/readyz") == (503, "not watching yet\n")
        ready.append(True)
        assert await get(port, "/readyz") == (200, "ok\n")
        status, page = await get(port, "/metrics")
        assert (status, "kiln_queue_depth" in page) == (200, True)
    finally:
        await http.stop(runners)


async def test_a_port_in_use_closes_those_that_were_opened(unused_tcp_port_factory):
    first, taken = unused_tcp_port_factory(), unused_tcp_port_factory()
    runners = await http.serve([http.Site("127.0.0.1", taken, http.prometheus())])
    try:
        with pytest.raises(OSError, match="address already in use"):
            await http.serve(
                [http.Site("127.0.0.1", first, http.prometheus()), http.Site("127.0.0.1", taken, http.prometheus())]
            )
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(first, "/metrics")
    finally:
        await http.stop(runners)
