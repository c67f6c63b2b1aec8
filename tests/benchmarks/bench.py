"""`make bench`: Kiln beside a plain openstacksdk script of the same graph, on the real lab, in one run.

Prints a table of work, peer, Kiln, ratio and Kiln's calls to OpenStack; `RUNS=n` takes medians of n, `ONLY=word` some
rows, `JSON=path` writes the rows too. Ratios of one run count; seconds depend on the machine.
"""

import json
import os
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import pure
from benchmarks.peers import Script
from harness import operator
from harness.operator import Operator, eventually
from harness.stacks import Namespace


@dataclass(slots=True)
class Row:
    """One line of the table. Seconds; ``ratio`` is Kiln's time by the peer's."""

    work: str
    peer: str
    peer_seconds: float | None
    kiln_seconds: float
    calls: int
    wanted: str
    met: bool

    @property
    def ratio(self) -> float | None:
        """Kiln's time by the peer's."""
        return self.kiln_seconds / self.peer_seconds if self.peer_seconds else None


class Bench:
    """The operator under measurement, and a namespace for its Stacks."""

    def __init__(self, kiln: Operator, space: Namespace) -> None:
        self.kiln = kiln
        self.space = space

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        page = urllib.request.urlopen(f"http://127.0.0.1:{self.kiln.metrics_port}/metrics").read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))

    def calls(self) -> int:
        """Calls to OpenStack so far."""
        return int(self.metric("kiln_openstack_calls_total"))

    def cpu(self) -> float:
        """CPU seconds of the operator so far."""
        return self.metric("process_cpu_seconds_total")

    def timed(self, work: Callable[[], Any]) -> tuple[float, int]:
        """Seconds and calls of some work."""
        calls, begun = self.calls(), time.monotonic()
        work()
        return time.monotonic() - begun, self.calls() - calls

    def create(self, name: str, resources: dict[str, Any], **spec: Any) -> tuple[float, int]:
        """A Stack from apply to Ready."""
        template = json.dumps({"heat_template_version": "2021-04-16", "resources": resources})

        def work() -> None:
            self.space.stack(name, template, **spec)
            self.space.kubectl("wait", "--for=condition=Ready", f"stack/{name}", "--timeout=900s", timeout=910)

        return self.timed(work)

    def delete(self, name: str) -> tuple[float, int]:
        """A Stack from delete to gone."""
        return self.timed(lambda: self.space.delete(name, timeout=900))


def networks(count: int) -> dict[str, Any]:
    """count x (network, subnet, port)."""
    found: dict[str, Any] = {}
    for i in range(count):
        net = {"get_resource": f"net{i}"}
        found[f"net{i}"] = {"type": "OS::Neutron::Net"}
        found[f"subnet{i}"] = {"type": "OS::Neutron::Subnet", "properties": {"network": net, "cidr": "10.0.0.0/24"}}
        found[f"port{i}"] = {"type": "OS::Neutron::Port", "properties": {"network": net}}
    return found


def bench_networks(bench: Bench, count: int = 100) -> Iterator[Row]:
    """Networks, subnets and ports, created and deleted."""
    script = Script()
    peer, ids = script.timed(script.network, list(range(count)))
    gone, _ = script.timed(script.no_network, ids)
    seconds, calls = bench.create("networks", networks(count), maxConcurrency=16)
    work = f"{count} x (network, subnet, port)"
    yield Row(
        f"{work}, create",
        f"script, {3 * count} calls",
        peer,
        seconds,
        calls,
        "<= 1.1 x, <= 310 calls",
        seconds <= 1.1 * peer and calls <= 3.1 * count,
    )
    cpu = bench.cpu()
    bench.space.resync("networks")
    time.sleep(4)
    yield Row("no-op resync of these", "-", None, bench.cpu() - cpu, 3, "< 1 s CPU", bench.cpu() - cpu < 1)
    seconds, calls = bench.delete("networks")
    yield Row(f"{work}, delete", f"script, {3 * count} calls", gone, seconds, calls, "<= 1 x", seconds <= gone)


def bench_servers(bench: Bench, count: int = 30) -> Iterator[Row]:
    """Servers with ports in a ResourceGroup, created and deleted."""
    script = Script()
    net, subnet, port = script.network(0)
    script.call("network", "DELETE", f"/ports/{port}")
    image = script.cloud.image.find_image("cirros").id
    flavor = script.cloud.compute.find_flavor("m1.tiny").id
    begun = time.monotonic()
    _, made = script.timed(script.server, [(net, image, flavor)] * count)
    servers = {server for _, server in made}
    script.wait_servers(lambda found: all(found.get(one) == "ACTIVE" for one in servers))
    peer = time.monotonic() - begun
    begun = time.monotonic()
    script.timed(lambda one: script.call("compute", "DELETE", f"/servers/{one}"), sorted(servers))
    script.wait_servers(lambda found: not servers & found.keys())
    script.timed(lambda one: script.call("network", "DELETE", f"/ports/{one}"), [port for port, _ in made])
    gone = time.monotonic() - begun
    member = {
        "type": "pair.yaml",
        "properties": {"net": net},
    }
    pair = {
        "heat_template_version": "2021-04-16",
        "parameters": {"net": {"type": "string"}},
        "resources": {
            "port": {"type": "OS::Neutron::Port", "properties": {"network": {"get_param": "net"}}},
            "server": {
                "type": "OS::Nova::Server",
                "properties": {"image": image, "flavor": "m1.tiny", "networks": [{"port": {"get_resource": "port"}}]},
            },
        },
    }
    group = {"group": {"type": "OS::Heat::ResourceGroup", "properties": {"count": count, "resource_def": member}}}
    seconds, calls = bench.create("servers", group, files={"pair.yaml": json.dumps(pair)})
    yield Row(
        f"{count} x (port, server) in a group, create",
        "script",
        peer,
        seconds,
        calls,
        "<= 1.1 x, <= 75 calls",
        seconds <= 1.1 * peer and calls <= 75,
    )
    seconds, calls = bench.delete("servers")
    yield Row(
        "the same, delete",
        "script",
        gone,
        seconds,
        calls,
        "<= 1.1 x, <= 75 calls",
        seconds <= 1.1 * gone and calls <= 75,
    )
    script.call("network", "DELETE", f"/subnets/{subnet}")
    script.call("network", "DELETE", f"/networks/{net}")


def bench_strings(bench: Bench, count: int = 500) -> Iterator[Row]:
    """Resources that live in Kubernetes alone."""
    resources = {f"r{i}": {"type": "OS::Heat::RandomString"} for i in range(count)}
    seconds, calls = bench.create("strings", resources)
    yield Row(f"{count} RandomStrings, create", "-", None, seconds, calls, "< 8 s", seconds < 8)
    bench.delete("strings")


def bench_chain(bench: Bench, count: int = 50) -> Iterator[Row]:
    """Networks one after the other."""
    script = Script()
    begun = time.monotonic()
    ids = [
        script.call("network", "POST", "/networks", {"network": {"name": "bench-chain"}})["network"]["id"]
        for _ in range(count)
    ]
    peer = time.monotonic() - begun
    script.timed(lambda one: script.call("network", "DELETE", f"/networks/{one}"), ids)
    resources = {
        f"n{i}": {"type": "OS::Neutron::Net", **({"depends_on": f"n{i - 1}"} if i else {})} for i in range(count)
    }
    seconds, calls = bench.create("chain", resources)
    yield Row(
        f"chain of {count} networks, create",
        "the calls one by one",
        peer,
        seconds,
        calls,
        "<= 1.15 x",
        seconds <= 1.15 * peer,
    )
    bench.delete("chain")


def bench_translator(_: Bench) -> Iterator[Row]:
    """CPU without a cloud."""
    for work, seconds, wanted, met in pure.rows():
        yield Row(work, "CPU", None, seconds, 0, wanted, met)


BENCHES = (bench_translator, bench_networks, bench_servers, bench_strings, bench_chain)


def main() -> int:
    """Run what ONLY asks for, print the table."""
    runs, only = int(os.environ.get("RUNS", "1")), os.environ.get("ONLY", "")
    operator.install()
    space = Namespace(f"bench-{int(time.time())}")
    rows: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as directory:
        kiln = Operator(Path(directory), namespaces=(space.name,), arguments=("--no-lease",))
        with kiln:
            bench = Bench(kiln, space)
            eventually(lambda: _answers(bench))
            try:
                for _ in range(runs):
                    for run in BENCHES:
                        if only in run.__name__:
                            for row in run(bench):
                                rows.setdefault(row.work, []).append(row)
                                print(_line(row), flush=True)
            finally:
                space.close()
    if runs > 1:
        print(f"\nmedians of {runs}")
        for found in rows.values():
            print(_line(_median(found)))
    if os.environ.get("JSON"):
        told = [{**asdict(row), "ratio": row.ratio} for row in map(_median, rows.values())]
        Path(os.environ["JSON"]).write_text(json.dumps(told, indent=1))
    return 0


def _answers(bench: Bench) -> bool:
    try:
        bench.calls()
    except OSError:
        return False
    return True


def _median(rows: list[Row]) -> Row:
    return sorted(rows, key=lambda row: row.ratio or row.kiln_seconds)[len(rows) // 2] if len(rows) > 1 else rows[0]


def _line(row: Row) -> str:
    peer = f"{row.peer} {row.peer_seconds:.1f} s" if row.peer_seconds else row.peer
    ratio = f"{row.ratio:.2f} x" if row.ratio else ""
    met = "met" if row.met else "not met"
    kiln = f"{row.kiln_seconds:6.2f} s | {ratio:7} | {row.calls:4} calls"
    return f"{row.work:66} | {peer:34} | {kiln} | {row.wanted:24} | {met}"


if __name__ == "__main__":
    sys.exit(main())
