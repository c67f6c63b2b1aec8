"""Many Stacks with 1, 2 and 3 shards against a cloud that is not the limit: what one process more brings."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks import fake_cloud
from benchmarks.table import Row, Wanted
from harness import lab
from harness.operator import Operator, eventually, free_port
from harness.stacks import Namespace

LATENCY = 0.05
"""Seconds that each call to the cloud takes."""
TEMPLATE = {
    "heat_template_version": "2021-04-16",
    "resources": {
        "net": {"type": "OS::Neutron::Net"},
        "subnet": {
            "type": "OS::Neutron::Subnet",
            "properties": {"network": {"get_resource": "net"}, "cidr": "10.0.0.0/24"},
        },
    },
}
_TICKS = os.sysconf("SC_CLK_TCK")


def sharded(directory: Path, count: int) -> Iterator[Row]:
    """``count`` Stacks of a network and a subnet, made and deleted by 1, 2 and 3 replicas that work at once."""
    for shards in (1, 2, 3):
        yield from _run(directory / f"shards-{shards}", count, shards)


def _run(directory: Path, count: int, shards: int) -> Iterator[Row]:
    with ExitStack() as stack:
        port = free_port()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _path()))}
        command = [sys.executable, "-m", "benchmarks.fake_cloud", str(port), str(LATENCY)]
        cloud = subprocess.Popen(command, env=environment)
        stack.callback(cloud.wait)
        stack.callback(cloud.terminate)
        space = Namespace()
        space.credentials(fake_cloud.clouds_yaml(port))
        replicas = [
            Operator(directory / str(number), namespaces=(space.name,), arguments=("--shards", str(shards)))
            for number in range(shards)
        ]
        for one in replicas:
            one.start()
            stack.callback(one.stop)
        stack.callback(space.close)
        eventually(lambda: _held(space) == shards, 60, 0.5)
        pids = [one.process.pid for one in replicas if one.process is not None]
        for what, work in (("create", _create), ("delete", _delete)):
            begun, cpu, cloud_cpu = time.monotonic(), _cpu(*pids), _cpu(cloud.pid)
            work(space, count)
            seconds = time.monotonic() - begun
            note = (
                f"{count / seconds:.1f} Stacks a second; CPU: Kiln {_cpu(*pids) - cpu:.1f} s, "
                f"cloud {_cpu(cloud.pid) - cloud_cpu:.1f} s"
            )
            title = f"{count} Stacks of a network and a subnet, {shards} shard{'s'[: shards - 1]}, {what}"
            yield Row(title, seconds, 0, Wanted("works"), note=note)


def _create(space: Namespace, count: int) -> None:
    credentials = {"secretName": "openstack", "cloudName": fake_cloud.CLOUD}
    space.apply(
        {
            "apiVersion": "v1",
            "kind": "List",
            "items": [
                {
                    "apiVersion": "kiln.dev/v1alpha1",
                    "kind": "Stack",
                    "metadata": {"name": f"s{number}"},
                    "spec": {"cloudCredentialsRef": credentials, "template": TEMPLATE},
                }
                for number in range(count)
            ],
        }
    )
    eventually(lambda: _ready(space) == count, 1200, 0.5)


def _delete(space: Namespace, _count: int) -> None:
    space.kubectl("delete", "stacks", "--all", "--wait=false", timeout=600)
    eventually(lambda: not space.get("stacks"), 1200, 0.5)


def _held(space: Namespace) -> int:
    """Leases of shards that a replica holds."""
    return sum(bool(lease["spec"].get("holderIdentity")) for lease in space.get("leases"))


def _ready(space: Namespace) -> int:
    return sum(
        condition["type"] == "Ready" and condition["status"] == "True"
        for stack in space.get("stacks")
        for condition in stack.get("status", {}).get("conditions", ())
    )


def _cpu(*pids: int) -> float:
    """CPU seconds of processes so far."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return sum((int(stat[11]) + int(stat[12])) / _TICKS for stat in stats)


def _path() -> Iterator[Path]:
    yield lab.ROOT / "tests"
    yield lab.ROOT
    yield lab.ROOT / "operator"
