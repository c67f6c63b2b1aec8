"""The informer: kopf lists and watches objects and passes each event on. It does nothing else.

It does not watch StackResources; :mod:`kiln.controller.deletion_watcher` says why.

While the API server is unreachable, kopf retries every few seconds. Some errors make kopf give up (an error within a
watch, an expired continue token). Then the informer starts it again.

Only ``on.event`` handlers are registered, so kopf writes no annotations, finalizers, statuses or Events. It runs in a
thread with its own event loop, for two reasons: at its end kopf cancels every task of its loop, and these must not be
reconciliations; and neither does a burst of events delay reconciliations, nor a long computation the watches.
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
from requests.utils import should_bypass_proxies

from kiln.api.kinds import KINDS

log = logging.getLogger(__name__)

Observe = Callable[[str, str | None, Mapping[str, Any]], None]
"""Collection, kind of event, object; see ``kiln.controller.event_filter.EventFilter.observe``."""

_WATCHED: Final = {one: one.watch for one in KINDS if one.watch is not None and not one.watch.deletions_only}
_PAGE: Final = 500
_JOIN: Final = 5.0
_STOP: Final = 10.0
"""Seconds that kopf gets to stop."""
_AGAIN: Final = 1.0
"""Seconds until kopf is started again after it gave up."""
_BACKOFFS: Final = (1, 1, 2, 3)
"""Seconds between attempts of a failed list or watch; then five, without end."""


class Informer:
    """Watches in its own thread, and calls ``observe`` in the event loop that created the informer."""

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
        """Whether the watches are open."""
        return self._ready.is_set() and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def wait(self) -> None:
        """Wait until it ends: after :meth:`stop`, or because of an error, which is raised."""
        await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._end_watch.set()
        await asyncio.to_thread(self._thread.join, _JOIN)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            while not self._stop.is_set():
                self._watch()
        except BaseException as caught:  # noqa: BLE001 - wait() raises it, whatever it is
            error = caught
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end, error)

    def _watch(self) -> None:
        """Watch until :meth:`stop`, or until kopf gives up."""
        end = self._end_watch = threading.Event()
        if self._stop.is_set():
            return
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._run_kopf(end))
        except Exception:
            log.exception("The watches failed; they start again")
        finally:
            _leave(loop)
        self._ready.clear()
        self._stop.wait(_AGAIN)

    async def _run_kopf(self, end: threading.Event) -> None:
        """Run kopf until ``end``, or until one of its tasks ends. Raises what that task raised.

        A watch that fails makes kopf stop its other tasks; one that waits for new credentials then never ends. So kopf
        gets some time to stop, and is left behind after it.
        """
        ours = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=_settings(),
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=end,
            ready_flag=self._ready,
        )
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # A thread of kopf waits for this flag, and the event loop waits for that thread.
        end.set()
        stopping = asyncio.create_task(kopf.run_tasks(tasks, ignored=ours))  # it cancels all others
        stopped, _ = await asyncio.wait({stopping}, timeout=_STOP)
        if not stopped:
            log.warning("The watches failed, and kopf does not stop: it is left behind")
        for error in [task.exception() for task in (*ended, *stopped) if not task.cancelled()]:
            if error is not None:
                raise error

    def _end(self, error: BaseException | None) -> None:
        if self._ended.done():
            return
        if error is None or self._stop.is_set():
            self._ended.set_result(None)
        else:
            self._ended.set_exception(RuntimeError(f"the informer ended: {error!r}"))

    def _hand_over(self, plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
        """Pass an event on. One wake-up of the other loop serves all events that arrive before it runs."""
        self._events.append((plural, kind, obj))
        if not self._waking:
            self._waking = True
            self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        # Reset the flag first. An event that arrives now may wake the loop once too often, but it is not lost.
        self._waking = False
        while self._events:
            plural, kind, obj = self._events.popleft()
            try:
                self._observe(plural, kind, obj)
            except Exception:
                # An object that cannot be handled must not delay the events after it.
                log.exception("An event of %s could not be handled", plural)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        def login(**_: Any) -> kopf.ConnectionInfo:
            return _connection(self._config())

        def handler(plural: str) -> Callable[..., Any]:
            # A coroutine, although it awaits nothing: kopf would run a plain function in a thread pool.
            async def observe(event: Mapping[str, Any], **_: Any) -> None:
                self._hand_over(plural, event["type"], event["object"])

            return observe

        kopf.on.login(registry=registry)(login)
        for kind in _WATCHED:
            on = kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=kind.plural)
            on(handler(kind.plural))
        return registry


def _leave(loop: asyncio.AbstractEventLoop) -> None:
    """Close an event loop, whatever its tasks do. asyncio.run would wait for them without end."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=1.0))
    loop.close()


class _NoMemory(kopf.DiffBaseStorage):
    """Stores nothing. kopf's default copies each object twice, to compute differences for change handlers."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Do nothing."""


class _Patience:
    """Endless delays. kopf's default gives up after a minute, and its last delay is 21 seconds."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain(_BACKOFFS, itertools.repeat(5))


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.posting.loggers = False
    settings.peering.standalone = True
    settings.networking.error_backoffs = _Patience()
    # CRDs do not change while the operator runs, and watching them would need more rights.
    settings.scanning.disabled = True
    settings.watching.chunk_size = _PAGE
    for kind, watch in _WATCHED.items():
        if watch.fields:
            settings.watching.field_selectors[kind.api_version, kind.plural] = watch.fields
        if watch.labels:
            settings.watching.label_selectors[kind.api_version, kind.plural] = watch.labels
    settings.persistence.diffbase_storage = _NoMemory()
    # An object's worker is done as soon as it has passed the event on.
    settings.queueing.idle_timeout = 0.1
    settings.process.ultimate_exiting_timeout = None
    return settings


def _connection(config: kubernetes_client.Configuration) -> kopf.ConnectionInfo:
    """Our connection to the API server in kopf's form."""
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
        proxy_url=None if should_bypass_proxies(config.host, no_proxy=config.no_proxy) else config.proxy,
    )
