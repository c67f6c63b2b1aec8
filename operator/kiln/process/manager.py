"""`kiln run`: builds the parts of the operator, runs and supervises them.

    informer (kopf), deletion watcher -> event filter -> work queue -> controller -> OpenStack
                                              ^              ^             |
                                            shard          Lease     status, Events

SIGTERM and SIGINT let reconciliations reach a safe point, then release the Lease and exit with 0. When the Lease is
lost or a part fails, the process exits with 1 at once. Every step is written ahead, so the next process continues from
the records.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from importlib import metadata
from typing import Any, Final

import urllib3
from kubernetes.config import ConfigException

from kiln import logs, metrics, tracing
from kiln.api.kinds import STACK_RESOURCES
from kiln.clouds import address_guard
from kiln.clouds.address_guard import AddressGuard, default_denied
from kiln.clouds.connections import CloudConnections
from kiln.clouds.fair_executor import FairThreadPoolExecutor
from kiln.controller.controller import StackController
from kiln.controller.deletion_watcher import DeletionWatcher
from kiln.controller.event_filter import EventFilter
from kiln.controller.workqueue import WorkQueue
from kiln.kube.client import Kube, configuration
from kiln.kube.event_recorder import EventRecorder
from kiln.kube.informer import Informer
from kiln.kube.leader_election import LeaseLost
from kiln.kube.shards import MOST as MOST_SHARDS
from kiln.kube.shards import Shard
from kiln.process import debug, http
from kiln.process.cloud_events import CloudEvents, read_url
from kiln.redaction import Redactor
from kiln.settings import Settings, add_options, from_arguments
from kiln.stack.requests import delete_expired
from kiln.stack.shared import SharedState
from reconcilers import registry

log = logging.getLogger(__name__)

_TICK: Final = 5.0
_EXPIRY_CHECK: Final = 30.0
"""Seconds between looks for finished requests whose time to live has passed."""
_THREADS: Final = 16
"""Threads for everything but calls and translations: reading credentials, opening connections."""


def add_command(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add `run` to the command line."""
    parser = subparsers.add_parser(
        "run",
        help=help_text,
        description="Runs the operator against the cluster of KUBECONFIG, or of the pod that it runs in.",
    )
    add_options(parser)
    parser.set_defaults(handler=partial(_run, parser))


SWITCH: Final = 0.0002
"""Seconds after which a thread that computes leaves Python's lock to another. The event loop takes it anew after each
wait, some hundred times in a reconciliation, and with Python's default would wait 5 ms each time that a template is
translated meanwhile."""


def tune_gc() -> None:
    """Exclude long-lived objects (modules, catalogue) from garbage collection, and keep each collection short.

    A collection holds all threads for as long as it looks at objects: about 0.5 s for a million. With these thresholds
    one of the second generation looks at 50,000 at most. A full one, which looks at all, comes after 100 million new
    objects: translations are freed without it. With Python's defaults, collections took half of the CPU of a
    reconciliation of 1,000 resources at rest.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 5, 2_000)


def _run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    settings = from_arguments(arguments)
    if not 1 <= settings.shards <= MOST_SHARDS:
        parser.error(f"--shards: a number from 1 to {MOST_SHARDS} is wanted, not {settings.shards}")
    if settings.shards > 1 and not settings.lease:
        parser.error("--shards needs Leases: leave --no-lease out")
    try:
        settings = replace(settings, events_sink=read_url(settings.events_sink, settings.events_sink_file))
    except (ValueError, OSError) as error:
        parser.error(f"--events-sink: {error}")
    logs.configure(settings.log_level, settings.log_format)
    if settings.tracing:
        try:
            tracing.start(metadata.version("kiln"))
        except tracing.MissingExtra as error:
            parser.error(str(error))
    # All types, now: the first reconciliation would hold the event loop while their modules are imported.
    registry.load()
    tune_gc()
    sys.setswitchinterval(SWITCH)
    try:
        asyncio.run(_run_until_exit(settings))
    except (ConfigException, OSError) as error:
        log.error("The operator cannot start: %s", error)  # noqa: TRY400 - a traceback would not help
    return 1


async def _run_until_exit(settings: Settings) -> None:
    """Run the operator, then exit the process.

    ``asyncio.run`` would wait for tasks and threads at its end, and those may wait for answers that nobody needs.
    """
    code = await _Operator(settings).run()
    tracing.flush()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


class _Operator:
    """Builds and supervises the parts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        self._kube = Kube(configuration())
        if not self._kube.config.verify_ssl:
            log.warning("The kubeconfig disables verification of the API server's certificate")
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._events = EventRecorder(self._kube, redact=Redactor(), identity=settings.identity)
        # The Lease has its own client, so that renewals never queue behind other calls. hold() retries.
        self._lease_kube = Kube(configuration(), threads=1, attempts=1, connect_timeout=2.0, read_timeout=4.0)
        self._lease = Shard(
            self._lease_kube, settings.lease_namespace, settings.lease_name, settings.identity, settings.shards
        )
        metrics.SHARDS.set(settings.shards)
        self._sink = CloudEvents(settings.events_sink) if settings.events_sink else None
        share = settings.cloud_threads_per_namespace
        self._guard = AddressGuard((*default_denied(), *settings.denied_networks), settings.allowed_networks)
        self._clouds = CloudConnections(self._guard, settings.limits, threads=share, idle=settings.cloud_idle)
        self._shared = SharedState(
            self._kube, self._clouds, self._events, self._fence, threads=settings.cloud_threads, share=share
        )
        if self._sink is not None:
            self._shared.history.tell = self._sink.tell
        self._controller = StackController(self._shared)
        self._queue = WorkQueue(
            self._controller.run,
            max_active=settings.max_active,
            max_active_per_namespace=settings.max_active_per_namespace,
        )
        self._filter = EventFilter(
            self._queue,
            self._kube.deleted,
            requests=self._shared.requests,
            stacks=self._shared.references,
            children=self._shared.children,
            ours=self._controller.made,
        )

    def _fence(self) -> bool:
        return self._lease.valid() if self._settings.lease else True

    async def run(self) -> int:
        """Run until a signal or a failure. Returns the exit code."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(FairThreadPoolExecutor(_THREADS, _THREADS // 4, "worker"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        informer = Informer(self._filter.observe, configuration, self._settings.namespaces)
        records = partial(self._kube.watch, STACK_RESOURCES)
        deletions = DeletionWatcher(self._filter.observe, records, self._settings.namespaces)
        settings = self._settings
        heartbeat = http.Heartbeat()
        health = http.health(heartbeat, lambda: informer.ready and deletions.ready)
        pages = await http.serve(
            [
                http.Site(settings.host, settings.health_port, health),
                http.Site(settings.host, settings.metrics_port, http.prometheus()),
                http.Site("127.0.0.1", settings.debug_port, debug.routes()),
            ]
        )
        loop.add_signal_handler(signal.SIGUSR2, debug.log_what_is_waited_for)
        unwatch = metrics.watch_stacks(self._filter.conditions)
        informer.start()
        deletions.start()
        where = ", ".join(self._settings.namespaces) or "all namespaces"
        log.info("Kiln serves %s as %s", where, self._settings.identity)
        parts: tuple[Coroutine[Any, Any, None], ...] = (
            informer.wait(),
            deletions.wait(),
            heartbeat.run(),
            self._events.run(),
            self._shared.history.run(),
            self._lead(),
            self._export_metrics(),
            self._delete_expired_requests(),
        )
        if self._sink is not None:
            parts += (self._sink.run(),)
        if address_guard.in_cluster():
            parts += (address_guard.keep_informed(self._guard, self._kube),)
        tasks = [asyncio.ensure_future(part) for part in parts]
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            broken = [task for task in tasks if task.done()]
            if broken and not self._stop.is_set():
                return self._broken(broken[0])
            log.info("Stopping: waiting for reconciliations to reach a safe point")
            deletions.stop()
            await informer.stop()
            clean = await self._queue.stop(self._settings.grace)
            await self._events.flush()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._shared.history.flush(at_once=True), 3.0)
            if self._settings.lease and clean:
                await self._release(tasks)
            log.info("Stopped")
            return 0
        finally:
            unwatch()
            for task in tasks:
                task.cancel()
            await pages.stop()
            self._clouds.close()
            self._shared.close()
            for kube in (self._kube, self._lease_kube):
                kube.close()

    @staticmethod
    def _broken(task: asyncio.Task[None]) -> int:
        error = task.exception()
        if isinstance(error, LeaseLost):
            log.error("Exiting, because another replica may lead now: %s", error)
        else:
            log.error("Exiting, because a part of the operator failed", exc_info=error)
        return 1

    async def _lead(self) -> None:
        """Wait for the Lease, then work as long as it is held."""
        if not self._settings.lease:
            metrics.LEADER.set(1)
            await self._work()
            await self._stop.wait()
            return
        await self._lease.acquire()
        holding, working = asyncio.ensure_future(self._lease.hold()), asyncio.ensure_future(self._settle_and_work())
        try:
            await asyncio.wait({holding, working}, return_when=asyncio.FIRST_COMPLETED)
            if not holding.done():
                await working
            await holding
        finally:
            holding.cancel()
            working.cancel()

    async def _settle_and_work(self) -> None:
        """Work once the Stacks of this shard can be nobody else's."""
        await self._lease.settle()
        await self._work()

    async def _work(self) -> None:
        """Begin to work."""
        if address_guard.in_cluster():
            await address_guard.inform(self._guard, self._kube)
        self._shared.unconfirmed.since = asyncio.get_running_loop().time()
        self._queue.start()
        self._filter.lead(self._lease.owns)

    async def _release(self, tasks: list[asyncio.Task[None]]) -> None:
        """Stop renewing, then release the Lease."""
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._lease.release(), 3.0)

    async def _export_metrics(self) -> None:
        while True:
            metrics.OLDEST_PASS.set(self._queue.oldest())
            await asyncio.sleep(_TICK)

    async def _delete_expired_requests(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_CHECK)
            if self._fence():
                await delete_expired(self._kube, self._shared.requests, time.time())
