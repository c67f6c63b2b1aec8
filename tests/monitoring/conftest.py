"""One run of Kiln under a real Prometheus, which the tests share: first all is well, then everything goes wrong."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from harness import mistake
from harness.kube_proxy import KubeProxy
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.prometheus import Prometheus, panels, query
from harness.proxy import FaultProxy
from harness.stacks import Namespace

JOB, BUSY = "kiln", "busy"
TIMES: list[tuple[str, float]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "monitoring" in item.path.parts:
            item.add_marker(pytest.mark.timeout(2400))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("times")
    for what, seconds in TIMES:
        terminalreporter.write_line(f"{seconds:7.1f} s  {what}")


@pytest.fixture(scope="session")
def took() -> list[tuple[str, float]]:
    """The table that is printed at the end: (what, seconds)."""
    return TIMES


class Sink:
    """An endpoint of CloudEvents. It takes what comes, or refuses it."""

    def __init__(self) -> None:
        self.refuses = False
        self.taken = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                sink.taken += not sink.refuses
                self.send_response(400 if sink.refuses else 202)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()


@dataclass
class Run:
    """Two replicas of two shards in a namespace, and one replica with one slot in another, each with its own way to
    the same cloud.
    """

    space: Namespace
    busy_space: Namespace
    replicas: list[Operator]
    busy: Operator
    cloud: FaultProxy
    slow_cloud: FaultProxy
    kubernetes: KubeProxy
    sink: Sink
    project: Project
    prometheus: Prometheus
    fired: dict[str, float] = field(default_factory=dict)
    """Alerts, and seconds from what they tell of to the alert."""

    def stack(self, name: str, template: Any, **spec: Any) -> None:
        """Apply a Stack of the two replicas."""
        self.space.stack(name, template, cloud=CLOUD, **spec)

    def connected(self) -> Any:
        return self.project.connection()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    home = tmp_path_factory.mktemp("monitoring")
    project = Project()
    space, busy_space = Namespace(), Namespace()
    sink = Sink()
    with (
        FaultProxy(project.clouds_yaml, CLOUD) as cloud,
        FaultProxy(project.clouds_yaml, CLOUD) as slow,
        KubeProxy() as kubernetes,
    ):
        space.credentials(cloud.clouds_yaml)
        busy_space.credentials(slow.clouds_yaml)
        arguments = ("--shards", "2", "--events-sink", sink.url)
        replicas = [
            Operator(home / name, namespaces=(space.name,), arguments=arguments, module=mistake.__name__)
            for name in ("a", "b")
        ]
        busy = Operator(home / "busy", namespaces=(busy_space.name,), arguments=("--no-lease", "--max-active", "1"))
        for one in replicas:
            one.through(kubernetes.address)
        jobs = {JOB: [one.metrics_port for one in replicas], BUSY: [busy.metrics_port]}
        for one in (*replicas, busy):
            one.start()
        with Prometheus(home, jobs) as prometheus:
            eventually(lambda: all(one["health"] == "up" for one in prometheus.targets()), 60)
            try:
                yield Run(space, busy_space, replicas, busy, cloud, slow, kubernetes, sink, project, prometheus)
            finally:
                if os.environ.get("RESULTS"):
                    keep(prometheus, Path(os.environ["RESULTS"]))
                end(space, busy_space, cloud, slow, kubernetes, replicas, busy)
    sink.close()
    project.close()


def keep(prometheus: Prometheus, folder: Path) -> None:
    """Write what the panels show."""
    shown = [
        {
            **{name: panel[name] for name in ("dashboard", "title", "type", "gridPos", "fieldConfig")},
            "series": [
                {"legend": target.get("legendFormat", ""), "labels": labels, "values": values}
                for target in panel["targets"]
                for labels, values in prometheus.since(query(target["expr"]), prometheus.began)
            ],
        }
        for panel in panels()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "panels.json").write_text(json.dumps(shown))


def end(
    space: Namespace,
    busy_space: Namespace,
    cloud: FaultProxy,
    slow: FaultProxy,
    kubernetes: KubeProxy,
    replicas: list[Operator],
    busy: Operator,
) -> None:
    """All is well again, and everything goes."""
    for relay in (cloud, slow, kubernetes):
        relay.rules = []
    for one in (*replicas, busy):
        if not one.running:
            one.stop()
            one.start()
    for one in (space, busy_space):
        one.kubectl("delete", "stacks", "--all", "--wait=false", check=False)
    for one in (space, busy_space):
        one.kubectl("delete", "stacks", "--all", "--timeout=240s", check=False, timeout=260)
        one.close()
    for operator in (*replicas, busy):
        operator.stop()
