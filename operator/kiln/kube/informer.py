"""The informer: kopf lists and watches, and hands each event over. It does nothing else.

StackResources are not among what it watches; :mod:`kiln.controller.deletion_watcher` says why.

While the API server is away kopf tries again, every few seconds at the last. Some answers make it give up all the same
(an error within a watch, a list that was too old for its next page): then it begins anew.

Only ``on.event`` handlers are registered, so kopf writes no annotation, no finalizer, no status and no Event of its
own. It lives in a thread with an event loop of its own: when it ends it cancels every task of its loop, and the
operator's passes must not be among them; and a long burst of events does not hold up passes, nor a long computation the
watches.
"""

import asyncio
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import kopf
from kubernetes import client as kubernetes_client

from kiln.api.kinds import KINDS

log = logging.getLogger(__name__)

Observe = Callable[[str, str | None, Mapping[str, Any]], None]
"""Collection, kind of event, object; see ``kiln.controller.event_filter.EventFilter.observe``."""

_WATCHED: Final = {one: one.watch for one in KINDS if one.watch is not None and not one.watch.deletions_only}
_PAGE: Final = 500
_JOIN: Final = 5.0
_AGAIN: Final = 1.0
"""Seconds until a watch that ended by itself begins anew."""
_BACKOFFS: Final = (1, 1, 2, 3)
"""Seconds between attempts at a list or a watch that failed; then five, for as long as it takes."""


class Informer:
    """Watches in a thread of its own, and calls ``observe`` in the event loop that made the informer."""

    def __init__(
        self, observe: Observe, config: Callable[[], kubernetes_client.Configuration], namespaces: Sequence[str] = ()
    ) -> None:
        self._observe = observe
        self._config = config
        self._namespaces = tuple(namespaces)
        self._loop = asyncio.get_running_loop()
        self._events: deque[tuple[str, str | None, Mapping[str, Any]]] = deque()
        self._waking = False
        self._stop = threading.Event()
        self._end_watch = threading.Event()
        self._ready = threading.Event()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="informer", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether it has begun to watch."""
        return self._ready.is_set() and self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    async def wait(self) -> None:
        """Wait until it ends, which it does not do by itself as long as all is well. Raises what ended it."""
        await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """End."""
        self._stop.set()
        self._end_watch.set()
        await asyncio.to_thread(self._thread.join, _JOIN)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            while not self._stop.is_set():
                self._watch()
        except BaseException as caught:  # noqa: BLE001 - a thread's end, whatever it is, is told to the one who waits
            error = caught
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end, error)

    def _watch(self) -> None:
        """Watch until told to stop, or until kopf gives up."""
        end = self._end_watch = threading.Event()
        if self._stop.is_set():
            return

        async def watch() -> None:
            try:
                await kopf.operator(
                    registry=self._registry(),
                    settings=_settings(),
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                    stop_flag=end,
                    ready_flag=self._ready,
                )
            finally:
                # kopf waits for it in a thread, and the event loop for that thread: nothing else would end either.
                end.set()

        try:
            asyncio.run(watch())
        except Exception:
            log.exception("The watches ended; they begin anew")
        self._ready.clear()
        self._stop.wait(_AGAIN)

    def _end(self, error: BaseException | None) -> None:
        if self._ended.done():
            return
        if error is None or self._stop.is_set():
            self._ended.set_result(None)
        else:
            self._ended.set_exception(RuntimeError(f"the informer ended: {error!r}"))

    def _hand_over(self, plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
        """Pass an event on. One call wakes the other loop for all events that came until it runs."""
        self._events.append((plural, kind, obj))
        if not self._waking:
            self._waking = True
            self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        # Before the events are taken: one that comes now may wake the loop once more in vain, but is not left behind.
        self._waking = False
        while self._events:
            self._observe(*self._events.popleft())

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        def login(**_: Any) -> kopf.ConnectionInfo:
            return _connection(self._config())

        def handler(plural: str) -> Callable[..., Any]:
            # A coroutine, though it waits for nothing: kopf would run a plain function in a thread of a pool.
            async def observe(event: Mapping[str, Any], **_: Any) -> None:
                self._hand_over(plural, event["type"], event["object"])

            return observe

        kopf.on.login(registry=registry)(login)
        for kind in _WATCHED:
            on = kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=kind.plural)
            on(handler(kind.plural))
        return registry


class _NoMemory(kopf.DiffBaseStorage):
    """Where kopf keeps what an object was like before, for handlers of changes: nowhere.

    There are no such handlers; kopf would copy each object twice to find out what changed.
    """

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is written to objects."""


class _Patience:
    """kopf's default gives up after a minute, and then waits for 21 seconds at the last."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain(_BACKOFFS, itertools.repeat(5))


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.posting.loggers = False
    settings.peering.standalone = True
    settings.networking.error_backoffs = _Patience()
    # The CRDs do not come and go while the operator runs, and their watch would need rights of its own.
    settings.scanning.disabled = True
    settings.watching.chunk_size = _PAGE
    for kind, watch in _WATCHED.items():
        if watch.fields:
            settings.watching.field_selectors[kind.api_version, kind.plural] = watch.fields
        if watch.labels:
            settings.watching.label_selectors[kind.api_version, kind.plural] = watch.labels
    settings.persistence.diffbase_storage = _NoMemory()
    # An object's worker is done as soon as its event is handed over.
    settings.queueing.idle_timeout = 0.1
    settings.process.ultimate_exiting_timeout = None
    return settings


def _connection(config: kubernetes_client.Configuration) -> kopf.ConnectionInfo:
    """Our own way to the API server, in kopf's words."""
    header = ""
    settings: Mapping[str, Any] = config.auth_settings()
    for setting in settings.values():
        header = str(setting["value"])
    scheme, _, token = header.partition(" ")
    return kopf.ConnectionInfo(
        server=config.host,
        ca_path=config.ssl_ca_cert,
        insecure=not config.verify_ssl,
        username=config.username or None,
        password=config.password or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=config.cert_file,
        private_key_path=config.key_file,
        proxy_url=config.proxy,
    )
