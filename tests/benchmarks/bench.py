"""`make bench`: Kiln beside its peers, on the real lab, in one run. docs/benchmarks.md tells what the rows mean.

Settings, from the environment: RUNS (3), PEERS (heat,tofu,orc), ONLY (words of benchmarks), SCALE (1), JSON and
MARKDOWN (paths). Ratios of one run count; seconds depend on the machine.
"""

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import compared, pure
from benchmarks.idle import idle
from benchmarks.large import large
from benchmarks.peers.heat import Heat
from benchmarks.peers.orc import Orc
from benchmarks.peers.script import Script
from benchmarks.peers.tofu import Tofu
from benchmarks.sharded import sharded
from benchmarks.subject import Kiln
from benchmarks.table import Row, Wanted, line, middle, write_json, write_markdown
from benchmarks.work import Competitor
from harness import operator
from harness.cloud import inventory
from harness.project import CLOUD, Project
from harness.stacks import Namespace

KNOWN = ("heat", "tofu", "orc")
NETWORK = "bench"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment asks for."""

    runs: int
    peers: tuple[str, ...]
    only: tuple[str, ...]
    scale: float

    def count(self, full: int, least: int = 2) -> int:
        """A count of the issue, scaled."""
        return max(round(full * self.scale), least)


def settings() -> Settings:
    """Read the environment. Raises SystemExit for a peer or benchmark that is not known."""

    def words(name: str) -> tuple[str, ...]:
        return tuple(os.environ.get(name, "").replace(",", " ").split())

    found = Settings(
        runs=int(os.environ.get("RUNS") or 3),
        peers=words("PEERS"),
        only=words("ONLY"),
        scale=float(os.environ.get("SCALE") or 1),
    )
    if unknown := [peer for peer in found.peers if peer not in KNOWN]:
        raise SystemExit(f"PEERS: {', '.join(unknown)} is none of {', '.join(KNOWN)}")
    if unknown := [word for word in found.only if not any(word in name for name in BENCHES)]:
        raise SystemExit(f"ONLY: {', '.join(unknown)} is in none of {', '.join(BENCHES)}")
    return found


class CloudAccess:
    """Where it happens: a project in the cloud, a namespace, the peers. Everything goes at the end."""

    def __init__(self, told: Settings) -> None:
        self.told = told
        self.backwards = False
        self._stack = ExitStack()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        project = Project()
        self._stack.callback(project.close)
        self.connection = project.connection()
        self._stack.callback(sweep, self.connection)
        clouds = self.directory / "clouds.yaml"
        clouds.write_text(project.clouds_yaml)
        self.peers: list[Competitor] = [Script(project.connection())]
        if "heat" in self.told.peers:
            self.peers.append(Heat(project.connection()))
        if "tofu" in self.told.peers:
            self.peers.append(Tofu(clouds, CLOUD))
        if "orc" in self.told.peers:
            orc = Orc(clouds, CLOUD, f"bench-orc-{int(time.time())}")
            self._stack.callback(orc.close)
            self.peers.append(orc)
        net = self.connection.network.create_network(name=NETWORK)
        self.connection.network.create_subnet(network_id=net.id, cidr="10.8.0.0/20", ip_version=4)
        self.space = Namespace(f"bench-{int(time.time())}")
        self._stack.callback(self.space.close)
        self.space.credentials(project.clouds_yaml)

    def kiln(self) -> Kiln:
        """An operator that has done nothing yet."""
        return Kiln(self.directory, self.space, CLOUD)

    def close(self) -> None:
        """Take everything away, the last first."""
        self._stack.close()


def sweep(connection: Any) -> None:
    """Delete what is in the project: what a failure left, and the network of the servers."""
    for server in inventory(connection)["servers"]:
        connection.compute.delete_server(server)
    while inventory(connection)["servers"]:
        time.sleep(1)
    for port, item in inventory(connection)["ports"].items():
        if not item["device_owner"].startswith("network:"):
            connection.network.delete_port(port)
    for net in inventory(connection)["networks"]:
        connection.network.delete_network(net)


def _translator(_: CloudAccess) -> Iterator[Row]:
    """CPU without a cloud."""
    for work, note, seconds, wanted, met in pure.rows():
        yield Row(work, seconds, 0, Wanted(wanted), held=met, note=note)


def _compared(of: Callable[[Settings], compared.Comparison]) -> Callable[[CloudAccess], Iterator[Row]]:
    def run(site: CloudAccess) -> Iterator[Row]:
        with site.kiln() as kiln:
            yield from compared.compare(kiln, site.peers, of(site.told), backwards=site.backwards)

    return run


def _large(site: CloudAccess) -> Iterator[Row]:
    sizes = [site.told.count(size, 8) for size in (100, 300, 1000)]
    with site.kiln() as kiln:
        yield from large(kiln, site.connection, sizes)


def _idle(site: CloudAccess) -> Iterator[Row]:
    with site.kiln() as kiln:
        yield from idle(kiln, site.told.count(2000))


BENCHES: dict[str, Callable[[CloudAccess], Iterator[Row]]] = {
    "translator": _translator,
    "networks": _compared(lambda told: compared.networks(told.count(100))),
    "servers": _compared(lambda told: compared.servers(told.count(30), NETWORK)),
    "strings": _compared(lambda told: compared.strings(told.count(500), 8 * told.scale)),
    "chain": _compared(lambda told: compared.chain(told.count(50))),
    "balancer": _compared(lambda told: compared.balancer(told.count(10))),
    "large": _large,
    "idle": _idle,
    "shards": lambda site: sharded(site.directory, site.told.count(300)),
}


def write(rows: list[Row], runs: int, scale: float) -> None:
    """The files that JSON and MARKDOWN name."""
    if os.environ.get("JSON"):
        write_json(rows, Path(os.environ["JSON"]))
    if os.environ.get("MARKDOWN"):
        write_markdown(rows, Path(os.environ["MARKDOWN"]), runs, scale)


def main() -> int:
    """Run what ONLY asks for, print the table. 1 if a benchmark could not be brought to its end."""
    told = settings()
    # Whoever ends the run early finds things as they were: the usual end of a process skips what is to be cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    operator.install()
    rows: dict[tuple[str, str], list[Row]] = {}
    failed = []
    site = CloudAccess(told)
    try:
        for number in range(told.runs):
            site.backwards = bool(number % 2)
            for name, bench in BENCHES.items():
                if told.only and not any(word in name for word in told.only):
                    continue
                if name == "balancer" and not site.connection.has_service("load-balancer"):
                    print("balancer: this cloud has no Octavia (LAB_SERVICES=octavia make lab-up)")
                    continue
                try:
                    for row in bench(site):
                        rows.setdefault(row.key, []).append(row)
                        print(line(row), flush=True)
                except Exception:  # noqa: BLE001 - the other rows are still worth having
                    traceback.print_exc()
                    failed.append(name)
                # After each: a run that is ended early leaves what it has measured.
                write([middle(found) for found in rows.values()], number + 1, told.scale)
    finally:
        site.close()
    if told.runs > 1:
        print(f"\nmedians of {told.runs}")
        for found in rows.values():
            print(line(middle(found)))
    if failed:
        print(f"not brought to their end: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
