"""What the process keeps for each cloud goes with the connection to it."""

import gc
import weakref
from typing import Any

from kiln.clouds.address_guard import AddressGuard
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import Credential
from kiln.stack.shared import SharedState


def credential(digest: str) -> Credential:
    auth = {"auth_url": "http://127.0.0.1:1/v3", "token": "t", "project_id": "p"}
    return Credential("demo", "token", auth, digest=digest)


async def test_a_cloud_is_forgotten_when_its_connection_is_closed() -> None:
    nothing: Any = None
    clouds = CloudConnections(AddressGuard(), threads=2)
    shared = SharedState(nothing, clouds, nothing)
    first = await shared._access(credential("first"))
    assert await shared._access(credential("first")) is first
    watched = weakref.ref(first.observer)
    del first
    for number in range(40):
        await shared._access(credential(f"rotated {number}"))
    assert len(shared._sites) <= 32
    gc.collect()
    assert watched() is None
    clouds.close()
    assert not shared._sites
    shared.close()
