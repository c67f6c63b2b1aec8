"""Fixtures of the integration tests: they run against the real lab, which must be up (`make lab-up`)."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import kills, loop_holds, operator
from harness.kills import Kills
from harness.operator import Operator
from harness.project import Project
from harness.stacks import Namespace

KILLED: dict[str, list[kills.Operation]] = {}
"""By test: the operations in whose middle the operator was killed."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A real cloud on a small machine takes its time; a test that hangs still ends."""
    for item in items:
        if "integration" in item.path.parts and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long the operators' event loops were held at the longest."""
    if path := os.environ.get(operator.LOOP_HOLDS):
        terminalreporter.section("event loop")
        for line in loop_holds.summary(loop_holds.read(Path(path))):
            terminalreporter.write_line(line)
    if KILLED:
        terminalreporter.section("kills in the middle of operations")
        for test, done in KILLED.items():
            killed_in = ", ".join(" ".join(operation) for operation in done) or "none"
            terminalreporter.write_line(f"{len(done)}  {test}: {killed_in}")
        terminalreporter.write_line(f"{sum(map(len, KILLED.values()))} kills in {len(KILLED)} tests")


@pytest.fixture(scope="session", autouse=True)
def loop_is_watched(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All operators note what holds their event loop."""
    os.environ.setdefault(operator.LOOP_HOLDS, str(tmp_path_factory.mktemp("loop") / "holds.jsonl"))


@pytest.fixture(scope="session")
def installed() -> None:
    """CRDs and RBAC are in the cluster."""
    operator.install()


@pytest.fixture(scope="session")
def shared(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator of `kiln`, which may be running or not."""
    made = Operator(tmp_path_factory.mktemp("kiln"), log_level="debug")
    yield made
    made.stop()


@pytest.fixture
def kiln(shared: Operator) -> Operator:
    """An operator that serves all namespaces, for tests that do not disturb it."""
    if not shared.running:
        shared.start()
    return shared


@pytest.fixture
def alone(shared: Operator) -> None:
    """No operator but the test's own ones runs."""
    shared.stop()


@pytest.fixture
def space(installed: None) -> Iterator[Namespace]:
    """A fresh namespace with credentials; its Stacks are deleted at the end, while an operator still runs."""
    namespace = Namespace()
    yield namespace
    namespace.close()


@pytest.fixture
def own_kiln(space: Namespace, alone: None, tmp_path: Path) -> Iterator[Operator]:
    """An operator of the test's own for its namespace alone, not started yet; it needs no Lease to be at work."""
    own = Operator(tmp_path, namespaces=(space.name,), log_level="debug", arguments=("--no-lease",))
    yield own
    if own.running:
        space.close()
        own.stop()


@pytest.fixture
def project(space: Namespace) -> Iterator[Project]:
    """A project of the test's own; the namespace's credentials lead there."""
    made = Project()
    space.credentials(made.clouds_yaml)
    yield made
    space.kubectl("delete", "stacks", "--all", "--timeout=60s", check=False)
    made.close()


@pytest.fixture(autouse=True)
def killed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where kills are wanted: the operator of a test is killed in the middle of its operations."""
    ours = [name for name in ("own_kiln", "kiln") if name in request.fixturenames]
    most = 0 if request.node.get_closest_marker("no_kills") else kills.wanted()
    if not ours or not most or "space" not in request.fixturenames:
        yield
        return
    dice = random.Random(request.node.nodeid)
    running = Kills(request.getfixturevalue(ours[0]), request.getfixturevalue("space"), dice, most)
    running.start()
    yield
    running.end()
    KILLED[request.node.name] = running.done
