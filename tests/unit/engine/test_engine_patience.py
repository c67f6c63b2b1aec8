"""What the cloud never finishes is waited for as long as its type says, and then reported."""

from collections.abc import Callable
from typing import Any

import pytest
from harness import virtual
from harness.universe import Universe

from reconcilers.compute.server import Server
from reconcilers.model import Fault


def test_a_wait_that_does_not_end_is_a_failure_after_the_patience_of_the_type(
    template: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.fake_openstack.BUILDING", 1e9)
    monkeypatch.setattr(Server, "patience", 600.0)

    async def life() -> None:
        universe = Universe()
        result = await universe.once(template(without=("volume",)))
        (failure,) = result.failures
        assert failure.fault is Fault.RESOURCE
        assert failure.reason == "is BUILD for 10 minutes, and no end is in sight"
        assert universe.physical("server"), "it is recorded, so the next reconciliation goes on with it"
        assert len(universe.cloud.sent("POST", "servers")) == 1

    virtual.run(life())
