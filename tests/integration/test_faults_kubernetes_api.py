"""The API server goes away, refuses, forgets and lets go of watches; two operators both believe that they lead."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import lab
from harness.cloud import difference, inventory
from harness.kube_proxy import CONFLICT, GONE, MIXED, THROTTLED, KubeProxy
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.relay import LOST, Rule
from harness.samples import MACHINE, counts, machine, site, site_counts
from harness.stacks import Namespace

faults = pytest.mark.faults


@pytest.fixture
def proxy(own_kiln: Operator) -> Iterator[KubeProxy]:
    """In front of the API server, for the operator alone."""
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    with KubeProxy(seed) as running:
        own_kiln.through(running.address)
        yield running
        running.rules.clear()
        print(f"injected: {dict(running.injected)} of {running.calls.total()} calls")
        own_kiln.stop()


@faults
@pytest.mark.parametrize("kind", [CONFLICT, THROTTLED, GONE, LOST, "all of them"])
@pytest.mark.timeout(600)
def test_the_api_server_answers_with(
    kind: str, space: Namespace, own_kiln: Operator, project: Project, proxy: KubeProxy
) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    proxy.rules = [Rule(0.1, MIXED if kind == "all of them" else (kind,))]
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    assert counts(before, inventory(cloud)) == MACHINE
    space.stack("web", machine("8.8.8.8", drive=True), cloud=CLOUD)
    space.ready("web")
    assert counts(before, inventory(cloud)) == MACHINE
    space.delete("web")
    assert difference(before, inventory(cloud)) == {}
    eventually(lambda: not space.get("stackresources"), 30)
    assert proxy.injected.total() >= 2
    assert own_kiln.running


@faults
@pytest.mark.parametrize("how", ["cut", "410 Gone", "another error"])
@pytest.mark.timeout(600)
def test_watches_are_dropped(
    how: str, space: Namespace, own_kiln: Operator, project: Project, proxy: KubeProxy
) -> None:
    own_kiln.start()
    space.stack("web", machine(), cloud=CLOUD)
    space.ready("web")
    for number in range(5):
        eventually(lambda: proxy.watching >= 4, 20)
        dropped = proxy.drop_watches() if how == "cut" else None
        if how == "410 Gone":
            dropped = proxy.expire_watches()
        elif how == "another error":
            dropped = proxy.expire_watches(500, "InternalError")
        assert dropped
        # An edit while nobody watches.
        space.stack("web", machine(f"9.9.9.{number + 1}"), cloud=CLOUD)
        space.ready("web")
    net = space.resources("web")["subnet"]["status"]["physicalID"]
    assert project.connection().network.get_subnet(net).dns_nameservers == ["9.9.9.5"]
    space.delete("web")
    assert own_kiln.running


def component(verb: str, name: str) -> None:
    """Stop or start a part of the lab; where the cluster is somebody's own that cannot be."""
    settings = {key: value for key, value in os.environ.items() if key != "LAB"}
    done = subprocess.run(
        [str(lab.ROOT / "tests/lab/lab"), verb, name], env=settings, check=False, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr


@faults
@pytest.mark.timeout(600)
def test_the_api_server_is_restarted(space: Namespace, own_kiln: Operator, project: Project) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    own_kiln.start()
    space.stack("web", site(2), cloud=CLOUD)
    eventually(lambda: inventory(cloud)["networks"], 30)
    component("restart", "kube-apiserver")
    space.ready("web")
    assert counts(before, inventory(cloud)) == site_counts(2)
    space.stack("web", site(2, "8.8.8.8", drive=True), cloud=CLOUD)
    time.sleep(1.0)
    component("restart", "kube-apiserver")
    space.ready("web")
    assert counts(before, inventory(cloud)) == site_counts(2)
    space.delete("web")
    assert difference(before, inventory(cloud)) == {}
    assert own_kiln.running


@faults
@pytest.mark.timeout(400)
def test_etcd_is_stopped_for_30_seconds(space: Namespace, own_kiln: Operator, project: Project) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    own_kiln.start()
    space.stack("web", site(2), cloud=CLOUD)
    eventually(lambda: inventory(cloud)["networks"], 120)
    component("stop", "etcd")
    time.sleep(30)
    component("start", "etcd")
    eventually(lambda: _answers(space), 60)
    space.ready("web")
    assert counts(before, inventory(cloud)) == site_counts(2)
    space.delete("web")
    assert difference(before, inventory(cloud)) == {}
    assert own_kiln.running


def _answers(space: Namespace) -> Any:
    return "web" in space.kubectl("get", "stack", "web", "-o", "name", check=False)


@pytest.fixture
def rivals(space: Namespace, alone: None, tmp_path: Path) -> Iterator[tuple[Operator, Operator]]:
    """Two operators for one namespace that know of no Lease: each believes that it alone works."""
    both = tuple(
        Operator(tmp_path / name, namespaces=(space.name,), log_level="debug", arguments=("--no-lease",))
        for name in ("first", "second")
    )
    for one in both:
        one.start()
    yield both[0], both[1]
    space.close()
    for one in both:
        one.stop()


@faults
@pytest.mark.timeout(600)
def test_two_that_both_believe_they_lead_do_no_harm(
    space: Namespace, rivals: tuple[Operator, Operator], project: Project
) -> None:
    cloud = project.connection()
    before = inventory(cloud)
    names = ("web", "more")
    for width, dns, drive in ((2, "9.9.9.9", False), (2, "8.8.8.8", True), (1, "8.8.8.8", True)):
        for name in names:
            space.stack(name, site(width, dns, drive=drive), cloud=CLOUD)
        for name in names:
            space.ready(name, 120)
        # What one of them made a second time is looked for, and removed, a little later.
        wanted = {kind: 2 * number for kind, number in site_counts(width).items()}
        eventually(lambda wanted=wanted: counts(before, inventory(cloud)) == wanted, 60, 2)
    space.kubectl("delete", "stacks", "--all", "--timeout=240s", timeout=250)
    eventually(lambda: difference(before, inventory(cloud)) == {}, 30, 2)
    eventually(lambda: not space.get("stackresources"), 30)
