"""Stands in for openstacksdk's connection, and for the threads that its requests take, below ``Cloud``."""

import asyncio
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.fake_openstack import FakeOpenStack


class Refused(Exception):  # noqa: N818
    """An answer with an error status."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


@dataclass(frozen=True)
class Response:
    """An HTTP response, as far as ``Cloud`` reads it."""

    status_code: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Network(Executor):
    """In place of threads: each call takes ``latency`` seconds of the loop's clock, its effect is in the middle."""

    def __init__(self, cloud: "FakeOpenStack") -> None:
        self._cloud = cloud
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """See Executor."""
        future: Future[Any] = Future()
        task = asyncio.get_running_loop().create_task(self._carry_out(future, lambda: work(*args, **kwargs)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return future

    async def _carry_out(self, future: "Future[Any]", work: Callable[[], Any]) -> None:
        cloud, result, error = self._cloud, None, None
        try:
            await asyncio.sleep(cloud.latency / 2)
            await cloud.point()
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = work()
            except Exception as caught:  # noqa: BLE001 - whoever waits for the call hears of it
                error = caught
            await cloud.point()
            await asyncio.sleep(cloud.latency / 2)
        except Exception as caught:  # noqa: BLE001 - the process was killed here
            error = caught
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


class Connection:
    """In place of openstacksdk's connection: an attribute for each service, whose requests ``answer`` takes."""

    def __init__(self, answer: Callable[..., Response]) -> None:
        self._answer = answer
        self.session = SimpleNamespace(get_project_id=lambda: "project")
        self.config = SimpleNamespace(get_region_name=lambda: "RegionOne")

    def __getattr__(self, service: str) -> Any:
        return SimpleNamespace(request=functools.partial(self._answer, service))
