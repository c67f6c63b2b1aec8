"""What passes wait for and what takes the time is told in places of the code, without values."""

import asyncio
import json
import logging
import time

import aiohttp
import pytest

from kiln.api.v1alpha1 import Key
from kiln.controller.workqueue import WorkQueue
from kiln.process import debug, http

CANARY = "canary-4711-feed"


async def waits_for_a_cloud(secret, event):
    await event.wait()
    return secret


@pytest.fixture
async def at_work():
    """A queue with one pass that waits."""
    event = asyncio.Event()

    async def handler(key, superseded):
        await waits_for_a_cloud(CANARY, event)

    queue = WorkQueue(handler)
    queue.start()
    queue.add(Key("ns", "web"))
    await asyncio.sleep(0)
    yield queue
    event.set()
    await queue.stop()


async def test_the_line_of_a_pass_names_the_stack_and_where_it_waits(at_work):
    (line,) = debug.passes()
    assert line.startswith("ns/web waits at wait (asyncio/locks.py:")
    assert "< waits_for_a_cloud (operator/test_debug.py:" in line
    assert "< handler (" in line
    assert CANARY not in line


async def test_a_signal_writes_it_to_the_log(at_work, caplog):
    with caplog.at_level(logging.WARNING, "kiln.process.debug"):
        debug.log_what_is_waited_for()
    assert "ns/web waits at" in caplog.text
    assert "1 passes are under way" in caplog.text
    assert CANARY not in caplog.text


async def test_the_pages_are_served_on_loopback_alone(at_work, unused_tcp_port_factory):
    port = unused_tcp_port_factory()
    pages = await http.serve([http.Site("127.0.0.1", port, debug.routes())])
    try:
        assert pages.addresses == [("127.0.0.1", port)]
        busy = asyncio.get_running_loop().run_in_executor(None, burn, 0.4)
        async with aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/debug/passes") as answer:
                assert "ns/web waits at" in await answer.text()
            async with client.get(f"http://127.0.0.1:{port}/debug/profile?seconds=0.3") as answer:
                profile = await answer.text()
            async with client.get(f"http://127.0.0.1:{port}/debug/profile?seconds=x") as answer:
                assert answer.status == 400
        await busy
    finally:
        await pages.stop()
    assert any("burn (operator/test_debug.py:" in line for line in profile.splitlines())
    assert all(line.rsplit(" ", 1)[1].isdigit() for line in profile.splitlines())
    assert CANARY not in profile


def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        json.dumps(list(range(1000)))
