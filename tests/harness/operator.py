"""The operator as a process of its own, with the rights of its ServiceAccount and no more."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path

import yaml

from harness import lab

ACCOUNT = "kiln"
NAMESPACE = "kiln-system"
KILN = "kiln.cli"
LOOP_HOLDS = "KILN_TESTS_LOOP_HOLDS"
"""Environment variable of the tests: the file for what held the operator's event loop (see harness.loop_holds)."""


@cache
def install(home: str = NAMESPACE, namespaces: tuple[str, ...] = ()) -> None:
    """CRDs, and the chart's ServiceAccount and RBAC in the namespace ``home``: what `helm install` would apply.

    ``namespaces`` are those that the operator may serve; none: all.
    """
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(lab.ROOT / "crds"))
    lab.kubectl("create", "namespace", home, check=False)
    rendered = subprocess.run(
        [
            *(
                "helm",
                "template",
                ACCOUNT,
                str(lab.ROOT / "charts/kiln"),
                "--namespace",
                home,
                "--kube-version",
                "1.35",
            ),
            *("--show-only", "templates/rbac.yaml", "--show-only", "templates/serviceaccount.yaml"),
            *("--set", f"watchNamespaces={{{','.join(namespaces)}}}"),
        ],
        env=lab.environment(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=rendered)
    lab.kubectl("wait", "--for=condition=Established", "crd/stacks.kiln.dev", "crd/stackresources.kiln.dev")


def kubeconfig(directory: Path, home: str) -> Path:
    """A kubeconfig with a token of the operator's ServiceAccount, and so with its rights alone."""
    settings = yaml.safe_load(Path(lab.environment()["KUBECONFIG"]).read_text())
    token = lab.kubectl("-n", home, "create", "token", ACCOUNT, "--duration=24h").strip()
    settings["users"] = [{"name": user["name"], "user": {"token": token}} for user in settings["users"]]
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(settings))
    path.chmod(0o600)
    return path


def _program(module: str) -> tuple[str, ...]:
    """The module to run: kiln's own, another one, or kiln's with a stopwatch at its event loop where tests want one."""
    holds = os.environ.get(LOOP_HOLDS)
    return ("harness.loop_holds", holds) if holds and module == KILN else (module,)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Operator:
    """One `kiln run`. Starting it again after a kill appends to the same log.

    Its ServiceAccount and its Lease are in the first of its namespaces. Several in one namespace are replicas.
    ``module`` is what runs: Kiln, or one of the harness that changes something in it first.
    """

    def __init__(
        self,
        directory: Path,
        *,
        namespaces: tuple[str, ...] = (),
        log_level: str = "info",
        arguments: tuple[str, ...] = (),
        module: str = KILN,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "operator.log"
        self.metrics_port = free_port()
        home = namespaces[0] if namespaces else NAMESPACE
        install(home, namespaces)
        self._kubeconfig = kubeconfig(directory, home)
        self._module = module
        self._arguments = [
            *("--metrics-port", str(self.metrics_port), "--health-port", "0", "--host", "127.0.0.1"),
            *("--log-level", log_level, "--lease-namespace", home),
            *(part for namespace in namespaces for part in ("--namespace", namespace)),
            *arguments,
        ]
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()

    def through(self, address: str) -> None:
        """From its next start on it reaches the API server there."""
        settings = yaml.safe_load(self._kubeconfig.read_text())
        settings["clusters"] = [{"name": one["name"], "cluster": {"server": address}} for one in settings["clusters"]]
        self._kubeconfig.write_text(yaml.safe_dump(settings))

    def start(self) -> None:
        """Start it; it is at work a second or two later."""
        with self._lock:
            self._start()

    def _start(self) -> None:
        assert self.process is None, "it runs already"
        environment = {**lab.environment(), "KUBECONFIG": str(self._kubeconfig)}
        for name in [name for name in environment if name.startswith("OS_")]:
            del environment[name]
        path = [str(lab.ROOT / "tests"), environment.get("PYTHONPATH")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *_program(self._module), "run", *self._arguments],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.process is not None:
            os.kill(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL: the end without a word."""
        self._end(signal.SIGKILL)

    def kill_and_start(self) -> bool:
        """SIGKILL, and another start at once. Returns whether it ran; if not, nothing is done."""
        with self._lock:
            if not self.running:
                return False
            self.kill()
            self.start()
            return True

    def stop(self, timeout: float = 40) -> int:
        """SIGTERM, and wait for the clean end; its exit code."""
        return self._end(signal.SIGTERM, timeout)

    def _end(self, number: signal.Signals, timeout: float = 40) -> int:
        with self._lock:
            if self.process is None:
                return 0
            self.send(number)
            try:
                return self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                return self.process.wait()
            finally:
                self.process = None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def __enter__(self) -> "Operator":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def eventually(check, timeout: float = 120, every: float = 0.3):  # type: ignore[no-untyped-def]
    """Ask until the answer is truthy; give it back. Raises TimeoutError with the last answer."""
    end = time.monotonic() + timeout
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"not so after {timeout} s: {answer!r}")
        time.sleep(every)
