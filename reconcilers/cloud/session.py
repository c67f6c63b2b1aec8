"""One project of one OpenStack: the only place from which requests leave.

openstacksdk gives authentication, the catalogue, microversions and adapters; bodies are raw JSON (a GET through a
Resource object costs five times the CPU).
"""

import asyncio
import contextvars
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from keystoneauth1 import exceptions as ksa
from openstack import exceptions as sdk

from reconcilers.errors import CloudError, classify, without_secrets
from reconcilers.model import Fault, Request

REQUEST_TIMEOUT = 60.0
"""Seconds for one answer, so that a service that hangs holds a thread no longer."""

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


@dataclass(slots=True)
class _ServiceThrottle:
    """The way to one service: how many calls may be under way, and until when none may start (it asked us to wait)."""

    slots: asyncio.Semaphore
    paused_until: float = 0.0


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
    redact: Callable[[str], str] = str
    """Cuts secrets out of what a service says."""
    _throttles: dict[str, _ServiceThrottle] = field(default_factory=dict)
    _project: str | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _refusal: tuple[float, CloudError] | None = None
    """Why the last attempt to authenticate failed, and until when that is the answer to all who ask."""

    async def send(self, request: Request) -> Answer:
        """Send one request. Raises :class:`CloudError` for anything but success or a status in ``request.done``.

        Nothing is sent twice here: whoever asked knows whether it may be.
        """
        async with self._throttled(request.service) as throttle:
            started = time.monotonic()
            status = 0
            try:
                answer: Answer = await self._call(lambda: self._exchange(request))
                status = answer.status
            except CloudError as error:
                status = error.status or 0
                if error.fault is Fault.RATE_LIMITED:
                    throttle.paused_until = max(throttle.paused_until, time.monotonic() + (error.retry_after or 1.0))
                raise
            else:
                return answer
            finally:
                self.meter(request.service, request.method, status, time.monotonic() - started)

    async def list(self, request: Request, plural: str) -> "list[dict[str, Any]]":
        """All items of a collection, following the services' page links.

        Raises :class:`CloudError`, which names the service: a list is about no single resource.
        """
        items: list[dict[str, Any]] = []
        following: Request | None = request
        while following is not None:
            body = (await self._read(following)).body or {}
            page = body.get(plural) or []
            items.extend(page)
            following = _next_page(following, body, plural, page)
        return items

    async def _read(self, request: Request) -> Answer:
        """Send a request that changes nothing; what passes by itself is tried again a little later."""
        for seconds in LIST_AGAIN:
            try:
                return await self.send(request)
            except CloudError as error:
                if error.fault not in {Fault.TRANSIENT, Fault.RATE_LIMITED}:
                    raise error.of(request.service) from None
                await asyncio.sleep(seconds * random.uniform(0.7, 1.3))  # noqa: S311
        try:
            return await self.send(request)
        except CloudError as error:
            raise error.of(request.service) from None

    async def project_id(self) -> str:
        """The id of the project that the credential is scoped to.

        One asks Keystone for all: a hundred Stacks with a wrong password do not lock its user out, nor wait a hundred
        times for a Keystone that does not answer.
        """
        async with self._asking:
            if self._project is None:
                if self._refusal is not None and time.monotonic() < self._refusal[0]:
                    raise self._refusal[1].with_traceback(None)
                try:
                    work = self.connection.session.get_project_id
                    self._project = await self._call(lambda: _authenticated(work) or "")
                except CloudError as error:
                    self._refusal = time.monotonic() + REFUSED, error.of("identity")
                    raise
            return self._project

    @property
    def region(self) -> str:
        """The region's name, empty where the cloud has none."""
        return str(self.connection.config.get_region_name() or "")

    async def _call(self, work: Callable[[], Any]) -> Any:
        """Run blocking work on the pool. A call under way is always awaited to its end: its answer may hold an id."""
        context = contextvars.copy_context()
        future = asyncio.get_running_loop().run_in_executor(self.executor, lambda: context.run(work))
        return await _to_the_end(future)

    @asynccontextmanager
    async def _throttled(self, service: str) -> AsyncIterator[_ServiceThrottle]:
        throttle = self._throttles.setdefault(service, _ServiceThrottle(asyncio.Semaphore(self.concurrency)))
        async with throttle.slots:
            while (wait := throttle.paused_until - time.monotonic()) > 0:  # noqa: ASYNC110 - time, not an event
                await asyncio.sleep(wait)
            yield throttle

    def _exchange(self, request: Request) -> Answer:
        if request.method != "GET" and not self.fence():
            # It waited for its turn, and meanwhile another replica has taken over.
            raise CloudError(Fault.TRANSIENT, "this replica leads no longer")
        options: dict[str, Any] = {"microversion": request.microversion} if request.microversion else {}
        if request_id.get():
            options["global_request_id"] = request_id.get()
        response = _guarded(
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
                timeout=REQUEST_TIMEOUT,
                **options,
            ),
        )
        answer_id = response.headers.get("x-openstack-request-id", "")
        if response.status_code < 300 or response.status_code in request.done:
            return Answer(response.status_code, _json(response), answer_id)
        # Services quote what they refuse.
        text = self.redact(without_secrets(response.content.decode("utf-8", "replace"), request.body))
        raise classify(request.method, response.status_code, response.headers, text, time.time())


def _guarded(request: Request, work: Callable[[], Any]) -> Any:
    """Exceptions of keystoneauth and the SDK as :class:`CloudError`."""
    try:
        return work()
    except CloudError:
        raise
    except (ksa.Unauthorized, ksa.MissingAuthPlugin, ksa.AuthPluginException, ksa.NoMatchingPlugin) as error:
        raise CloudError(Fault.AUTH, str(error), status=401) from error
    except (ksa.EndpointNotFound, ksa.CatalogException) as error:
        raise CloudError(Fault.INVALID, f"this cloud has no {request.service} service for the project") from error
    except (
        ksa.ConnectTimeout,
        ksa.ConnectFailure,
        ksa.ConnectionError,
        ksa.RetriableConnectionFailure,
        OSError,
    ) as error:
        raise CloudError(
            Fault.TRANSIENT, f"{request.service}: {_short(error)}", ambiguous=request.method != "GET"
        ) from error
    except ksa.HttpError as error:
        raise classify(
            request.method, error.http_status, {}, getattr(error, "message", str(error)), time.time()
        ) from error
    except sdk.ServiceDisabledException as error:
        raise CloudError(Fault.INVALID, f"this cloud has no {request.service} service for the project") from error
    except sdk.SDKException as error:
        # It did not tell its versions. Nothing was sent.
        raise CloudError(Fault.TRANSIENT, f"{request.service}: {_short(error)}") from error
    except ksa.ClientException as error:
        raise CloudError(
            Fault.TRANSIENT, f"{request.service}: {_short(error)}", ambiguous=request.method != "GET"
        ) from error


def _authenticated(work: Callable[[], Any]) -> Any:
    return _guarded(Request("identity", "GET", "/"), work)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _json(response: Any) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return None


async def _to_the_end(future: Awaitable[Any]) -> Any:
    """Await work that must not be abandoned; a cancellation takes effect after it."""
    inner = asyncio.ensure_future(future)
    try:
        return await asyncio.shield(inner)
    except asyncio.CancelledError:
        if not inner.done():
            await asyncio.wait({inner})
        raise


def _next_page(request: Request, body: Mapping[str, Any], plural: str, page: "list[Any]") -> Request | None:
    """The request for the following page, or None.

    Nova, Cinder, Neutron, Glance and Keystone each link it in their way.
    """
    links = body.get(f"{plural}_links") or []
    more = any(link.get("rel") == "next" for link in links if isinstance(link, Mapping))
    more = more or bool(body.get("next")) or bool((body.get("links") or {}).get("next"))
    if not more or not page:
        return None
    marker = page[-1].get("keypair", page[-1]).get("id") or page[-1].get("keypair", page[-1]).get("name")
    return Request(
        request.service,
        "GET",
        request.path,
        params={**request.params, "marker": marker},
        microversion=request.microversion,
        headers=request.headers,
    )
