"""Prometheus metrics. Every label has few values: none names a Stack, a user or a URL.

They have their own registry, which keeps out collectors of libraries (the SDK's has unbounded labels).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

REGISTRY: Final = CollectorRegistry()
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

SERVICES: Final = frozenset(
    {"compute", "network", "block_storage", "image", "identity", "load_balancer", "key_manager"}
)

QUEUE_DEPTH = Gauge("kiln_queue_depth", "Stacks that wait for a slot", registry=REGISTRY)
PASSES_ACTIVE = Gauge("kiln_passes_active", "Reconciliations that hold a slot", registry=REGISTRY)
OLDEST_PASS = Gauge("kiln_oldest_pass_age_seconds", "Age of the oldest unfinished reconciliation", registry=REGISTRY)
PASSES_WAITING = Gauge(
    "kiln_passes_waiting", "Reconciliations that only wait for OpenStack and hold no slot", registry=REGISTRY
)
PASSES = Counter("kiln_passes_total", "Finished reconciliations by how they ended", ["result"], registry=REGISTRY)
PASS_SECONDS = Histogram(
    "kiln_pass_seconds",
    "Duration of reconciliations",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800),
    registry=REGISTRY,
)
CONVERGE_SECONDS = Histogram(
    "kiln_converge_seconds",
    "From the start of an operation (Create, Update, Delete, Rollback, Repair) to its success",
    ["operation"],
    buckets=(1, 2, 5, 10, 30, 60, 120, 300, 900, 3600),
    registry=REGISTRY,
)
CLOUD_CALLS = Counter(
    "kiln_openstack_calls_total",
    "Calls to OpenStack by service and outcome: 2xx, 4xx, 5xx, error",
    ["service", "method", "outcome"],
    registry=REGISTRY,
)
CLOUD_SECONDS = Histogram(
    "kiln_openstack_call_seconds",
    "Duration of calls to OpenStack",
    ["service"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
    registry=REGISTRY,
)
KUBE_CALLS = Counter(
    "kiln_kube_calls_total",
    "Calls to the Kubernetes API by method, collection and outcome: 2xx, 4xx, 5xx, error",
    ["method", "resource", "outcome"],
    registry=REGISTRY,
)
ACTIONS = Counter(
    "kiln_resource_actions_total",
    "What was done to OpenStack resources (create, update, replace, delete) by how it went: succeeded, failed",
    ["action", "result"],
    registry=REGISTRY,
)
EVENTS_DROPPED = Counter("kiln_events_dropped_total", "Kubernetes Events that could not be written", registry=REGISTRY)
CLOUD_EVENTS = Counter(
    "kiln_cloud_events_total", "CloudEvents about operations by result: sent, dropped", ["result"], registry=REGISTRY
)
HISTORY_DROPPED = Counter(
    "kiln_history_dropped_total", "Entries of StackHistories that could not be written", registry=REGISTRY
)
LEADER = Gauge("kiln_leader", "1 while this replica holds the Lease of a shard", registry=REGISTRY)
SHARDS = Gauge("kiln_shards", "Shards that this replica knows of, each with a Lease", registry=REGISTRY)

ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def start_at_zero(counter: Counter, values: Iterable[str]) -> None:
    """Expose a counter of one label with 0 for each value. Prometheus sees no increase where a series begins with 1."""
    for value in values:
        counter.labels(value)


def outcome(status: int) -> str:
    """The class of an HTTP status. 0 stands for no answer."""
    return f"{status // 100}xx" if status else "error"


def kube_call(method: str, resource: str, status: int) -> None:
    """Count one call to the Kubernetes API."""
    KUBE_CALLS.labels(method, resource, outcome(status)).inc()


def cloud_call(service: str, method: str, status: int, seconds: float) -> None:
    """Count one call to OpenStack. Services that Kiln does not name share the label ``other``."""
    service = service if service in SERVICES else "other"
    CLOUD_CALLS.labels(service, method, outcome(status)).inc()
    CLOUD_SECONDS.labels(service).observe(seconds)


class _StacksByCondition(Collector):
    """``kiln_stacks{condition,status}``, counted when Prometheus asks."""

    def __init__(self, count: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        self._count = count

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("kiln_stacks", "Stacks by condition", labels=["condition", "status"])
        for (condition, status), number in self._count().items():
            family.add_metric([condition, status], number)
        yield family


def watch_stacks(count: Callable[[], Mapping[tuple[str, str], int]]) -> Callable[[], None]:
    """Export how many Stacks have each condition. Returns a function that stops it."""
    collector = _StacksByCondition(count)
    REGISTRY.register(collector)
    return lambda: REGISTRY.unregister(collector)


def page() -> bytes:
    """The page for Prometheus."""
    return generate_latest(REGISTRY)
