"""An operator under watch: how soon it answers, what it takes, and how long Stacks beside an attack take."""

import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from harness import lab
from harness.operator import Operator, free_port

STEPS = ("create", "update", "delete")
_MB = 1 << 20
_UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}


def memory_limit() -> int:
    """Bytes that the chart gives the operator."""
    text: str = yaml.safe_load((lab.ROOT / "charts/kiln/values.yaml").read_text())["resources"]["limits"]["memory"]
    return int(text[:-2]) * _UNITS[text[-2:]]


class Every:
    """Does something again and again in a thread, within a ``with`` statement. The end raises what it raised."""

    def __init__(self, seconds: float, what: Callable[[], None]) -> None:
        self._seconds = seconds
        self._what = what
        self._end = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            try:
                self._what()
            except Exception as error:  # noqa: BLE001 - raised at the end: nobody looks into this thread
                self._error = error
                return

    def __enter__(self) -> "Every":
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error


class Watched:
    """An operator that is asked for /healthz all the time, and whose memory is measured."""

    def __init__(self, directory: Path, namespaces: tuple[str, ...], denied: str) -> None:
        self.port = free_port()
        arguments = ("--no-lease", "--health-port", str(self.port), "--log-format", "json", "--deny-cloud-network")
        self.operator = Operator(directory, namespaces=namespaces, log_level="info", arguments=(*arguments, denied))
        self.probes: list[float] = []
        self.ages: list[float] = []
        self.memory: list[int] = []

    def probe(self) -> None:
        """Ask for /healthz."""
        began = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=60) as answer:
            said = answer.read().decode()
        self.probes.append(time.monotonic() - began)
        self.ages.append(float(said.split()[5]))

    def peaks(self) -> tuple[float, float, int]:
        """The longest probe, the longest age of a heartbeat and the most memory since this was last asked."""
        peaks = max(self.probes), max(self.ages), max(self.memory)
        for measured in (self.probes, self.ages, self.memory):
            measured.clear()
        return peaks

    def weigh(self) -> None:
        """Add up the memory of the operator's processes; what they share counts once."""
        assert self.operator.process is not None
        session, total = str(self.operator.process.pid), 0
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "stat").read_text().rsplit(")", 1)[1].split()[3] == session:
                    lines = (path / "smaps_rollup").read_text().splitlines()
                    total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            except (OSError, IndexError):
                continue  # it has just ended
        self.memory.append(total << 10)

    def ready(self) -> bool:
        """Whether its watches are open."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz") as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class Phase:
    """The honest tenant's median seconds of each step, and the peaks of what was watched.

    ``probe`` are the seconds of the longest probe, ``age`` those for which the event loop had not run at the most,
    ``memory`` are bytes.
    """

    times: Mapping[str, float]
    probe: float
    age: float
    memory: int

    @property
    def total(self) -> float:
        """Seconds of one Stack's life."""
        return sum(self.times.values())


def compared(quiet: Phase, attacked: Phase) -> str:
    """The figures of both phases."""
    rows = [(step, quiet.times[step], attacked.times[step]) for step in STEPS] + [("all", quiet.total, attacked.total)]
    lines = [f"{step:8}{one:8.2f} s quiet{other:8.2f} s under attack  x {other / one:.2f}" for step, one, other in rows]
    lines.append(f"/healthz{quiet.probe:8.2f} s quiet{attacked.probe:8.2f} s under attack, at the longest")
    lines.append(f"loop    {quiet.age:8.2f} s quiet{attacked.age:8.2f} s under attack without a turn, at the longest")
    lines.append(f"memory  {quiet.memory / _MB:8.0f} MB quiet{attacked.memory / _MB:7.0f} MB under attack, at the most")
    return "\n".join(lines)
