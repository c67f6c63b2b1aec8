"""What the tests against a hostile cloud share."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from hostile import hostile_cloud
from kiln.clouds.address_guard import AddressGuard
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import Credential
from reconcilers.cloud.limits import Limits
from reconcilers.cloud.session import Cloud

PASSWORD = "Hunter2-Secret"
SMALL = Limits(
    deadline=0.6, wire=1 << 20, body=1 << 20, values=20_000, items=5_000, pages=20, error=4096, list_deadline=5.0
)
"""Bounds that are reached soon."""


@pytest.fixture
def server():
    with hostile_cloud.running() as made:
        yield made


def credential(url, **options):
    auth = {"auth_url": f"{url}/v3", "username": "u", "password": PASSWORD, "project_name": "p"}
    auth |= {"user_domain_name": "d", "project_domain_name": "d"}
    return Credential("demo", "password", auth, digest=url + repr(options), **options)


@pytest.fixture
async def connect(server):
    """Makes a :class:`Cloud` of the hostile server, and counts the threads that are busy with it."""
    pools, connections = [], []

    async def make(limits=SMALL, guard=None, url="", **options):
        clouds = CloudConnections(guard or AddressGuard(), limits, threads=4)
        connections.append(clouds)
        pool = ThreadPoolExecutor(4)
        pools.append(pool)
        return Cloud(await clouds.get(credential(url or server.url, **options)), pool, limits=limits)

    yield make
    for clouds in connections:
        clouds.close()
    for pool in pools:
        # A thread that is held any longer than the deadline fails the test.
        await asyncio.wait_for(asyncio.to_thread(pool.shutdown), 5.0)
