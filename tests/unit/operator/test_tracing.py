"""Traces: a span for each reconciliation, and in it one for each call."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from kiln import metrics, tracing
from reconcilers.cloud import session


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider.get_tracer("test"), provider.force_flush)
    yield exporter
    tracing.use(None)


def test_a_call_is_a_span_in_that_of_its_reconciliation_with_the_request_id(spans: InMemorySpanExporter) -> None:
    token = session.request_id.set("req-1")
    with tracing.reconciliation("shop/web", "req-1") as ended:
        tracing.cloud_call("network", "POST", 201, 0.25)
        ended("AtRest")
    session.request_id.reset(token)
    call, whole = spans.get_finished_spans()
    assert (call.name, whole.name) == ("POST network", "reconcile")
    assert call.parent is not None
    assert call.parent.span_id == whole.context.span_id
    assert dict(whole.attributes or {}) == {
        "kiln.stack": "shop/web",
        "openstack.global_request_id": "req-1",
        "kiln.end": "AtRest",
    }
    assert (call.attributes or {})["openstack.global_request_id"] == "req-1"
    assert (call.attributes or {})["http.response.status_code"] == 201
    assert (call.end_time or 0) - (call.start_time or 0) == 250_000_000


def test_an_exception_is_in_no_span(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="secret"), tracing.reconciliation("shop/web", "req-1"):
        raise ValueError("the secret value")
    (whole,) = spans.get_finished_spans()
    assert not whole.events
    assert "secret" not in whole.to_json()


def test_without_tracing_calls_are_counted_and_nothing_else_happens() -> None:
    before = metrics.REGISTRY.get_sample_value(
        "kiln_openstack_calls_total", {"service": "network", "method": "GET", "outcome": "2xx"}
    )
    with tracing.reconciliation("shop/web", "req-1") as ended:
        tracing.cloud_call("network", "GET", 200, 0.1)
        ended("AtRest")
    tracing.flush()
    after = metrics.REGISTRY.get_sample_value(
        "kiln_openstack_calls_total", {"service": "network", "method": "GET", "outcome": "2xx"}
    )
    assert after == (before or 0) + 1


def test_spans_are_sent_to_where_the_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    try:
        tracing.start("1.2.3")
        with tracing.reconciliation("shop/web", "req-1"):
            pass
        tracing.flush()
    finally:
        tracing.use(None)
        server.shutdown()
    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"reconcile" in body
    assert b"shop/web" in body
