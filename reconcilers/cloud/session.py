"""One project of one OpenStack: the only place from which requests leave.

openstacksdk gives authentication, the catalogue, microversions and adapters; bodies are raw JSON (a GET through a
Resource object costs five times the CPU).
"""

import asyncio
import contextvars
import math
import random
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from reconcilers.cloud import calls
from reconcilers.cloud.calls import ANYBODY, Call, CallEnded, Caller
from reconcilers.cloud.faults import as_cloud_errors, identified_by, refusals
from reconcilers.cloud.limits import DEFAULT, AnswerRefused, Limits, decode_json
from reconcilers.cloud.pages import marker_of, page_of
from reconcilers.errors import CloudError, classify, request_id_of, without_secrets
from reconcilers.model import Fault, Request

LIST_AGAIN = (0.3, 1.2)
"""Seconds before a list that a service did not give is asked for again. A pass begins with one list of each kind: with
one call in ten that fails, most passes would end before they began."""

REFUSED = 5.0
"""Seconds for which one refused attempt to authenticate stands for all."""

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("global_request_id", default="")
"""The pass's own id (``req-<uuid>``), sent with each call and found in the services' logs."""


class Meter(Protocol):
    """What is counted of each call."""

    def __call__(self, service: str, method: str, status: int, seconds: float) -> None:
        """``status`` is the HTTP status, 0 where no answer came."""


def unmetered(service: str, method: str, status: int, seconds: float) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the HTTP status, the decoded body (None if there was none), and OpenStack's id of the request."""

    status: int
    body: Any
    request_id: str
    size: int = 0
    """Bytes of the body."""


@dataclass(slots=True)
class _ServiceThrottle:
    """The way to one service: how many calls may be under way, and until when none may start (it asked us to wait)."""

    slots: asyncio.Semaphore
    paused_until: float = -math.inf
    """Loop time."""


@dataclass(slots=True)
class Cloud:
    """Sends requests for one credential, with bounded concurrency per service. ``connection`` is openstacksdk's.

    ``executor`` is the process's one pool for blocking calls.
    """

    connection: Any
    executor: Executor
    meter: Meter = unmetered
    concurrency: int = 24
    fence: Callable[[], bool] = lambda: True
    """Whether this process may still change anything: asked at the last instant before a request leaves."""
    limits: Limits = DEFAULT
    _throttles: dict[str, _ServiceThrottle] = field(default_factory=dict)
    _project: str | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _refusal: tuple[float, CloudError] | None = None
    """Why the last attempt to authenticate failed, and until when that is the answer to all who ask."""

    async def send(self, request: Request, caller: Caller = ANYBODY) -> Answer:
        """Send one request. Raises :class:`CloudError` for anything but success or a status in ``request.done``.

        Nothing is sent twice here: whoever asked knows whether it may be. The messages of errors are as the service
        gave them: whoever shows them hides what is secret.

        A caller that has had enough (``caller.check`` raises, its deadline passes, it is superseded) does not wait for
        its turn any longer, and not for an answer that only reads: what ``check`` raises is raised. ``check`` is asked
        after the wait, right before the request leaves. A request that may change something is awaited to its end
        once it has left, which is at the latest when ``limits.deadline`` has passed.
        """
        async with self._throttled(request.service, caller) as throttle:
            caller.check()
            started = time.monotonic()
            status = 0
            try:
                reads = request.method in {"GET", "HEAD"}
                answer: Answer = await self._call(lambda: self._exchange(request), caller, abandonable=reads)
                status = answer.status
            except CloudError as error:
                status = error.status or 0
                if error.fault is Fault.RATE_LIMITED:
                    throttle.paused_until = max(throttle.paused_until, _now() + (error.retry_after or 1.0))
                raise
            else:
                return answer
            finally:
                self.meter(request.service, request.method, status, time.monotonic() - started)

    async def list(self, request: Request, plural: str, caller: Caller = ANYBODY) -> "list[dict[str, Any]]":
        """All items of a collection, following the services' page links; each item is a JSON object.

        Raises :class:`CloudError`, which names the service: a list is about no single resource.
        """
        limits = self.limits
        until = _now() + limits.list_deadline
        items: list[dict[str, Any]] = []
        markers: set[str] = set()
        size = 0
        following: Request | None = request
        while following is not None:
            answer = await self._read(following, caller)
            with refusals(request, answer.request_id):
                page = page_of(answer.body, plural)
                items.extend(page)
                size += answer.size
                if len(items) > limits.items:
                    raise AnswerRefused(f"has more than {limits.items} {plural} (limit: items)")
                if size > limits.list_body:
                    raise AnswerRefused(f"has more than {limits.list_body} bytes on its pages (limit: list_body)")
                marker = marker_of(answer.body, plural, page)
                if marker in markers:
                    raise AnswerRefused("has a page that leads to itself")
                if marker and len(markers) + 1 >= limits.pages:
                    raise AnswerRefused(f"has more than {limits.pages} pages (limit: pages)")
                if marker and _now() > until:
                    raise AnswerRefused(f"takes more than {limits.list_deadline:g} s (limit: list_deadline)")
                markers.add(marker)
            following = (
                Request(
                    request.service,
                    "GET",
                    request.path,
                    params={**request.params, "marker": marker},
                    microversion=request.microversion,
                    headers=request.headers,
                )
                if marker
                else None
            )
        return items

    async def _read(self, request: Request, caller: Caller) -> Answer:
        """Send a request that changes nothing; what passes by itself is tried again a little later."""
        for seconds in LIST_AGAIN:
            try:
                return await self.send(request, caller)
            except CloudError as error:
                passes = error.fault in {Fault.TRANSIENT, Fault.RATE_LIMITED}
                if not passes or isinstance(error.__cause__, (AnswerRefused, CallEnded)):
                    raise error.of(request.service) from error.__cause__
                await caller.sleep(seconds * random.uniform(0.7, 1.3))  # noqa: S311
        try:
            return await self.send(request, caller)
        except CloudError as error:
            raise error.of(request.service) from error.__cause__

    async def project_id(self) -> str:
        """The id of the project that the credential is scoped to.

        One asks Keystone for all: a hundred Stacks with a wrong password do not lock its user out, nor wait a hundred
        times for a Keystone that does not answer.
        """
        async with self._asking:
            if self._project is None:
                if self._refusal is not None and _now() < self._refusal[0]:
                    raise self._refusal[1].with_traceback(None)
                try:
                    work = self.connection.session.get_project_id
                    self._project = await self._call(lambda: identified_by(work))
                except CloudError as error:
                    self._refusal = _now() + REFUSED, error.of("identity")
                    raise
            return self._project

    @property
    def region(self) -> str:
        """The region's name, empty where the cloud has none."""
        return str(self.connection.config.get_region_name() or "")

    async def _call(self, work: Callable[[], Any], caller: Caller = ANYBODY, *, abandonable: bool = False) -> Any:
        """Run blocking work on the pool, within the deadline.

        Once it has begun it is awaited to its end, since its answer may hold an id, unless it is ``abandonable``.
        """
        call = Call(self.limits.deadline)
        context = contextvars.copy_context()
        context.run(calls.current.set, call)

        def run() -> Any:
            call.begin()
            return work()

        begun: Future[Any] = self.executor.submit(context.run, run)
        future = asyncio.wrap_future(begun)
        stop = call.supervise(asyncio.get_running_loop())
        future.add_done_callback(lambda _: stop())
        try:
            if caller is ANYBODY or await caller.patience(future):
                return await asyncio.shield(future)
        except asyncio.CancelledError:
            await self._leave(call, begun, future, abandonable=abandonable)
            raise
        if await self._leave(call, begun, future, abandonable=abandonable):
            raise caller.giving_up()
        return future.result()

    @staticmethod
    async def _leave(call: Call, begun: "Future[Any]", future: "asyncio.Future[Any]", *, abandonable: bool) -> bool:
        """Stop waiting for a call: whether that is possible. One that must not be abandoned has ended then."""
        future.add_done_callback(_noticed)
        if future.done():
            return False
        if begun.cancel():
            return True
        if abandonable:
            call.end("nobody waits for the answer any more")
            return True
        await asyncio.wait({future})
        return False

    @asynccontextmanager
    async def _throttled(self, service: str, caller: Caller) -> AsyncIterator[_ServiceThrottle]:
        """A slot for one call to a service. Who waits because the service asked us to holds none.

        A wait that is longer than a call may take is an error: whoever asked decides what to do meanwhile.
        """
        throttle = self._throttles.setdefault(service, _ServiceThrottle(asyncio.Semaphore(self.concurrency)))
        while True:
            while (wait := throttle.paused_until - _now()) > 0:
                if wait > self.limits.deadline:
                    raise CloudError(Fault.RATE_LIMITED, f"asks for no calls for {wait:.0f} s", retry_after=wait)
                await caller.sleep(wait)
            await _turn(throttle.slots, caller)
            if throttle.paused_until <= _now():
                break
            throttle.slots.release()
        try:
            yield throttle
        finally:
            throttle.slots.release()

    def _exchange(self, request: Request) -> Answer:
        if request.method != "GET" and not self.fence():
            # It waited for its turn, and meanwhile another replica has taken over.
            raise CloudError(Fault.TRANSIENT, "this replica leads no longer")
        options: dict[str, Any] = {"microversion": request.microversion} if request.microversion else {}
        if request_id.get():
            options["global_request_id"] = request_id.get()
        response = as_cloud_errors(
            request,
            # The first time, a service's versions are asked for.
            lambda: getattr(self.connection, request.service).request(
                request.path,
                request.method,
                json=request.body,
                params=dict(request.params),
                # Without it Glance answers errors in HTML.
                headers={"Accept": "application/json", **request.headers},
                raise_exc=False,
                redirect=False,
                connect_retries=0,
                timeout=self.limits.deadline,
                **options,
            ),
        )
        answer_id = request_id_of(response.headers.get("x-openstack-request-id", ""))
        if response.status_code < 300 or response.status_code in request.done:
            with refusals(request):
                return Answer(response.status_code, self._body(request, response), answer_id, len(response.content))
        body = response.content
        if len(body) > self.limits.error:
            # Half of it could end within a secret, and be shown.
            body = b""
        error = classify(
            request.method, response.status_code, response.headers, body.decode("utf-8", "replace"), time.time()
        )
        # Services quote what they refuse. What kind of error it is was seen before.
        error.message = without_secrets(error.message, request.body)
        raise error

    def _body(self, request: Request, response: Any) -> Any:
        """The JSON of a success; None where there is none. What is read must not be taken for empty when it is not."""
        if not response.content:
            return None
        try:
            return decode_json(response.content, self.limits)
        except ValueError:
            kind = str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()
            if kind.endswith("json"):
                raise AnswerRefused("is not JSON, though it says so") from None
            return None


def _now() -> float:
    """The loop's time, which all waits follow."""
    return asyncio.get_running_loop().time()


async def _turn(slots: asyncio.Semaphore, caller: Caller) -> None:
    """Take a slot when there is one. Raises what the caller's ``check`` raises when it has had enough."""
    if not slots.locked():
        await slots.acquire()
        return
    turn = asyncio.ensure_future(slots.acquire())
    had = False
    try:
        had = await caller.patience(turn)
    finally:
        # One that was granted, to somebody who left meanwhile, is handed on.
        if not had and not turn.cancel() and not turn.cancelled():
            slots.release()
    if not had:
        raise caller.giving_up()


def _noticed(work: "asyncio.Future[Any]") -> None:
    if not work.cancelled():
        work.exception()
