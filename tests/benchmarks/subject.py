"""Kiln under measurement: an operator of its own for each benchmark, and what its metrics say."""

import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.client import Stacks
from benchmarks.work import Taken, Work, networks, template
from harness.operator import Operator, eventually, free_port
from harness.stacks import Namespace

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_WRITES = "POST|PUT|PATCH|DELETE"


class Kiln:
    """The operator, and a namespace for its Stacks; ``cloud`` is the name in the namespace's clouds.yaml."""

    name = "kiln"

    def __init__(self, directory: Path, space: Namespace, cloud: str) -> None:
        self.space = space
        self.stacks = Stacks(space.name)
        self._cloud = cloud
        self._health = free_port()
        self.operator = Operator(
            directory, namespaces=(space.name,), arguments=("--no-lease", "--health-port", str(self._health))
        )

    def __enter__(self) -> "Kiln":
        self.operator.start()
        eventually(self.ready, every=0.1)
        return self

    def __exit__(self, *_: object) -> None:
        # What a benchmark that failed has left needs an operator to go.
        if self.space.kubectl("get", "stacks", "-o", "name").strip():
            if not self.operator.running:
                self.operator.stop()
                self.operator.start()
            self.space.kubectl("delete", "stacks", "--all", "--timeout=900s", check=False, timeout=910)
        self.operator.stop()

    # What is measured.

    def ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/readyz") as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over its labels, of which some may have to match an expression."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.operator.metrics_port}/metrics") as answer:
            page = answer.read().decode()
        total = 0.0
        for found, value in re.findall(rf"^{name}(?:{{([^}}]*)}})? (\S+)$", page, re.MULTILINE):
            has = dict(re.findall(r'(\w+)="([^"]*)"', found))
            if all(re.fullmatch(wanted, has.get(label, "")) for label, wanted in labels.items()):
                total += float(value)
        return total

    def calls(self, **labels: str) -> int:
        """Calls to OpenStack so far."""
        return int(self.metric("kiln_openstack_calls_total", **labels))

    def changes(self) -> int:
        """Calls to OpenStack so far that change something there."""
        return self.calls(method=_WRITES, service="(?!identity).*")

    def writes(self) -> int:
        """Writes to the Kubernetes API so far."""
        return int(self.metric("kiln_kube_calls_total", method=_WRITES))

    def cpu(self) -> float:
        """CPU seconds of the operator's processes so far."""
        return sum((int(stat[11]) + int(stat[12])) / _TICKS for stat in self._processes())

    def memory(self) -> float:
        """Resident MB of the operator's processes."""
        return sum(int(stat[21]) * _PAGE / 1e6 for stat in self._processes())

    def _processes(self) -> list[list[str]]:
        """/proc/PID/stat of each process of the operator's session, from the state on."""
        assert self.operator.process is not None
        session, found = str(self.operator.process.pid), []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                stat = path.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue  # it has just ended
            if stat[3] == session:
                found.append(stat)
        return found

    def quiet(self, timeout: float = 120) -> None:
        """Wait until no pass is wanted or under way."""
        eventually(lambda: self.metric("kiln_passes_active") + self.metric("kiln_queue_depth") == 0, timeout, 0.05)

    def taken(self, work: Callable[[], Any], *, quiet: bool = True) -> Taken:
        """What some work took; calls and writes until all is quiet after it, where it will be."""
        calls, writes, begun = self.calls(), self.writes(), time.monotonic()
        work()
        seconds = time.monotonic() - begun
        if quiet:
            self.quiet()
        return Taken(seconds, self.calls() - calls, self.writes() - writes)

    # What it does.

    def can(self, work: Work) -> bool:
        """Everything."""
        return True

    def warm(self) -> None:
        """Have a connection to the cloud, as the script has one before its clock starts."""
        self.create("bench-warm", template(networks(1)))
        self.delete("bench-warm")

    def life(self, work: Work) -> Mapping[str, Taken]:
        """Do it and undo it."""
        name = f"bench-{work.kind}"
        created = self.create(name, work.template(), files=work.files())
        return {"create": created, "delete": self.delete(name)}

    def create(self, name: str, wanted: Mapping[str, Any], **spec: Any) -> Taken:
        """A Stack from apply to Ready; also one that is there, with another template."""
        stack = self._stack(name, wanted, spec)

        def work() -> None:
            self.stacks.apply(stack)
            self.wait(name)

        return self.taken(work)

    def wait(self, name: str, seconds: int = 1800) -> None:
        """Wait until a Stack is Ready at its present generation."""
        self.stacks.wait(name, seconds)

    def delete(self, name: str) -> Taken:
        """A Stack from delete to gone."""
        return self.taken(lambda: self.stacks.delete(name, 1800))

    def resync(self, name: str) -> tuple[float, Taken]:
        """A pass over a Stack at rest: CPU seconds, and what it took."""

        def work() -> None:
            self.space.resync(name)
            eventually(lambda: self.metric("kiln_passes_total") > passes, 60, 0.05)
            self.quiet()

        self.quiet()
        cpu, passes = self.cpu(), self.metric("kiln_passes_total")
        taken = self.taken(work)
        return self.cpu() - cpu, taken

    def many(self, names: list[str], wanted: Mapping[str, Any], batch: int = 200, **spec: Any) -> None:
        """Apply Stacks of the same template, some at one time."""
        for begin in range(0, len(names), batch):
            stacks = [self._stack(name, wanted, spec) for name in names[begin : begin + batch]]
            self.space.apply({"apiVersion": "v1", "kind": "List", "items": stacks})

    def _stack(self, name: str, wanted: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
        credentials = {"secretName": "openstack", "cloudName": self._cloud}
        return {
            "apiVersion": "kiln.dev/v1alpha1",
            "kind": "Stack",
            "metadata": {"name": name},
            "spec": {"cloudCredentialsRef": credentials, "templateBody": json.dumps(wanted), **spec},
        }
