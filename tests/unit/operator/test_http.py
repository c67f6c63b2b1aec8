"""The HTTP pages of the operator's process."""

import asyncio
import threading
import urllib.error
import urllib.request

import aiohttp
import pytest
from aiohttp import web

from kiln.process import http


async def get(port, path):
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_sites_of_one_port_share_it_and_port_0_is_not_served(unused_tcp_port_factory):
    port = unused_tcp_port_factory()
    ready = []
    pages = await http.serve(
        [
            http.Site("127.0.0.1", port, http.health(http.Heartbeat(lambda: 0.0), lambda: bool(ready))),
            http.Site("127.0.0.1", port, http.prometheus()),
            http.Site("127.0.0.1", 0, http.prometheus()),
        ]
    )
    try:
        assert pages.addresses == [("127.0.0.1", port)]
        assert await get(port, "/healthz") == (200, "ok, the event loop ran 0.00 s ago\n")
        assert await get(port, "/readyz") == (503, "not watching yet\n")
        ready.append(True)
        assert await get(port, "/readyz") == (200, "ok\n")
        status, page = await get(port, "/metrics")
        assert (status, "kiln_queue_depth" in page) == (200, True)
    finally:
        await pages.stop()


async def test_a_port_in_use_closes_those_that_were_opened(unused_tcp_port_factory):
    first, taken = unused_tcp_port_factory(), unused_tcp_port_factory()
    pages = await http.serve([http.Site("127.0.0.1", taken, http.prometheus())])
    try:
        with pytest.raises(OSError, match="address already in use"):
            await http.serve(
                [http.Site("127.0.0.1", first, http.prometheus()), http.Site("127.0.0.1", taken, http.prometheus())]
            )
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(first, "/metrics")
    finally:
        await pages.stop()


async def test_health_is_told_while_the_event_loop_is_busy_and_until_it_counts_as_hung(unused_tcp_port):
    now = [100.0]
    heartbeat = http.Heartbeat(lambda: now[0])
    beating = asyncio.ensure_future(heartbeat.run())
    pages = await http.serve([http.Site("127.0.0.1", unused_tcp_port, http.health(heartbeat, lambda: True))])

    def ask():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{unused_tcp_port}/healthz", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    try:
        # The event loop of this test waits for each of the answers and cannot give them.
        now[0] += 0.5
        assert ask() == (200, "ok, the event loop ran 0.50 s ago\n")
        now[0] += http.HUNG
        assert ask() == (503, "the event loop has not run for 16 s\n")
        await asyncio.sleep(0.3)
        assert ask() == (200, "ok, the event loop ran 0.00 s ago\n")
    finally:
        beating.cancel()
        await pages.stop()


async def test_a_page_of_the_reconciliations_is_made_by_their_event_loop(unused_tcp_port):
    threads = []

    async def page(_request):
        threads.append(threading.get_ident())
        return web.Response(text="made\n")

    routes = [web.get("/page", http.made_by(asyncio.get_running_loop(), page))]
    pages = await http.serve([http.Site("127.0.0.1", unused_tcp_port, routes)])
    try:
        assert await get(unused_tcp_port, "/page") == (200, "made\n")
    finally:
        await pages.stop()
    assert threads == [threading.get_ident()]
