"""Traces by OpenTelemetry: one span for each reconciliation, and in it one for each call to OpenStack.

They are off by default, and cost nothing then. ``kiln run --tracing`` turns them on, and needs the package's extra
``tracing``. OpenTelemetry's own variables say where spans go (OTEL_EXPORTER_OTLP_ENDPOINT and the like). A span holds
no value of a template: it has Stack, pass id, service, method and status. The pass id is the global request id of the
calls, under which OpenStack's own logs have them.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from kiln import metrics
from reconcilers.cloud import session

NANOSECONDS: Final = 1_000_000_000
FLUSH_MILLISECONDS: Final = 2000


class MissingExtra(Exception):  # noqa: N818 - it says what is missing
    """Tracing is asked for, and its packages are not installed."""


class _Tracer(Protocol):
    """What is used of ``opentelemetry.trace.Tracer``."""

    def start_span(self, name: str, *, start_time: int | None = None, attributes: Any = None) -> Any:
        """Begin a span below the current one."""

    def start_as_current_span(
        self, name: str, *, attributes: Any = None, record_exception: bool = True, set_status_on_exception: bool = True
    ) -> Any:
        """The same as a context manager, which makes it the current one."""


def _nothing() -> None:
    """Nothing is to be sent."""


_tracer: _Tracer | None = None
_flush: Callable[[], object] = _nothing


def use(tracer: _Tracer | None, flush: Callable[[], object] = _nothing) -> None:
    """Make spans with this tracer from now on (None: make none); ``flush`` sends the last ones."""
    global _tracer, _flush
    _tracer, _flush = tracer, flush


def flush() -> None:
    """Send the last spans, for at most some seconds. Call it before the process exits."""
    if _tracer is not None:
        _flush()


def start(version: str) -> None:
    """Send spans to where OpenTelemetry's variables say.

    Raises MissingExtra if the packages are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("--tracing needs more packages: pip install 'kiln[tracing]'") from error
    resource = Resource.create({"service.name": "kiln", "service.version": version})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider.get_tracer("kiln"), lambda: provider.force_flush(FLUSH_MILLISECONDS))


@contextlib.contextmanager
def reconciliation(stack: str, pass_id: str) -> Iterator[Callable[[str], None]]:
    """The span of a reconciliation. Gives a function that notes how it ended."""
    if _tracer is None:
        yield lambda _end: None
        return
    attributes = {"kiln.stack": stack, "openstack.global_request_id": pass_id}
    # A reconciliation that a newer spec ends raises too, and its exceptions may name values.
    with _tracer.start_as_current_span(
        "reconcile", attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        yield lambda end: span.set_attribute("kiln.end", end)


def cloud_call(service: str, method: str, status: int, seconds: float) -> None:
    """Count one call to OpenStack, and make its span. ``status`` 0: no answer."""
    metrics.cloud_call(service, method, status, seconds)
    if _tracer is None:
        return
    ended = time.time_ns()
    attributes = {
        "openstack.service": service,
        "http.request.method": method,
        "http.response.status_code": status,
        "openstack.global_request_id": session.request_id.get(),
    }
    begun = ended - int(seconds * NANOSECONDS)
    _tracer.start_span(f"{method} {service}", start_time=begun, attributes=attributes).end(end_time=ended)
