"""A real Prometheus (Debian's) with the chart's alerts, for operators that run beside it."""

import json
import math
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness import lab
from harness.operator import eventually, free_port

INTERVAL = 5
"""Seconds between two scrapes, and two looks at the rules. The chart's is longer."""
RATE_INTERVAL = f"{4 * INTERVAL}s"
"""What Grafana puts in place of $__rate_interval: four scrapes."""
CHART = lab.ROOT / "charts/kiln"
Series = tuple[dict[str, str], list[tuple[float, float]]]
"""Labels, and values that are numbers, with their times."""


def rendered(template: str, *values: str) -> dict[str, Any]:
    """An object of the chart, as Helm makes it."""
    command = ("helm", "template", "kiln", str(CHART), "--show-only", f"templates/{template}.yaml")
    settings = [part for value in values for part in ("--set", value)]
    apis = ("--api-versions", "monitoring.coreos.com/v1", "--kube-version", "1.35")
    done = subprocess.run(
        [*command, *apis, *settings], env=lab.environment(), check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


class Prometheus:
    """Scrapes ports of 127.0.0.1: those of a job each. Start and stop it as a context."""

    def __init__(self, directory: Path, jobs: Mapping[str, list[int]]) -> None:
        self.rules = directory / "rules.yaml"
        self.rules.write_text(yaml.safe_dump(rendered("prometheusrule", "prometheusRule.enabled=true")["spec"]))
        endpoint = rendered("servicemonitor", "serviceMonitor.enabled=true")["spec"]["endpoints"][0]
        self._directory = directory
        self._port = free_port()
        self._config = {
            "global": {
                "scrape_interval": f"{INTERVAL}s",
                "scrape_timeout": "4s",
                "evaluation_interval": f"{INTERVAL}s",
            },
            "rule_files": [str(self.rules)],
            "scrape_configs": [
                {
                    "job_name": job,
                    "metrics_path": endpoint["path"],
                    "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
                }
                for job, ports in jobs.items()
            ],
        }

    def __enter__(self) -> "Prometheus":
        config = self._directory / "prometheus.yaml"
        config.write_text(yaml.safe_dump(self._config))
        with (self._directory / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={self._directory / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        eventually(self._ready, 30, 0.2)
        self.began = time.time()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _ask(self, path: str, **parameters: Any) -> Any:
        """The data of an answer. Raises RuntimeError with Prometheus' words for a query that it refuses."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{parameters}: {error.read().decode()}") from None

    def now(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values of a query at this time."""
        found = self._ask("query", query=query)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def since(self, query: str, begin: float, step: int = INTERVAL) -> list[Series]:
        """The series of a query from a time to now, without what is no number."""
        found = self._ask("query_range", query=query, start=begin, end=time.time(), step=step)["result"]
        numbers = [
            (one["metric"], [(float(at), float(value)) for at, value in one["values"] if math.isfinite(float(value))])
            for one in found
        ]
        return [(labels, values) for labels, values in numbers if values]

    def targets(self) -> list[dict[str, Any]]:
        """What is scraped, and how it went."""
        found: list[dict[str, Any]] = self._ask("targets")["activeTargets"]
        return found

    def firing(self) -> dict[str, list[dict[str, Any]]]:
        """The alerts that fire, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in self._ask("alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found


def panels() -> list[dict[str, Any]]:
    """All panels of the chart's dashboards, with the name of their dashboard."""
    return [
        {**panel, "dashboard": path.stem}
        for path in sorted((CHART / "dashboards").glob("*.json"))
        for panel in json.loads(path.read_text())["panels"]
    ]


def query(expression: str, job: str = ".*") -> str:
    """A panel's query as Grafana sends it."""
    return expression.replace("$__rate_interval", RATE_INTERVAL).replace("$job", job)
