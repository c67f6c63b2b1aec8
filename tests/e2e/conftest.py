"""What the tests on the node share: the release, a project in the cloud, and the table of times at the end."""

from collections.abc import Iterator

import pytest
from harness import node
from harness.node import Space
from harness.project import Project

from kiln.api.kinds import OWN_KINDS

TIMES: list[tuple[str, float]] = []
UNFINISHED = '{"metadata": {"finalizers": null}}'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.timeout(1200))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("times")
    for what, seconds in TIMES:
        terminalreporter.write_line(f"{seconds:7.1f} s  {what}")


@pytest.fixture
def took() -> Iterator[list[tuple[str, float]]]:
    """The table that is printed at the end: (what, seconds)."""
    return TIMES


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    """A project of the run's own, so that what is left over shows."""
    made = Project()
    yield made
    made.close()


@pytest.fixture(scope="session")
def release() -> node.Release:
    """The cluster-wide release, which the first test installs."""
    return node.Release("kiln", "kiln-system", logFormat="text")


@pytest.fixture(scope="session")
def shop(project: Project) -> Space:
    """A user's namespace, with credentials."""
    return Space("shop", project)


@pytest.fixture(scope="session", autouse=True)
def tidy() -> Iterator[None]:
    """A cluster without Kiln at the beginning, and at the end, whatever happened."""
    clean()
    yield
    clean()


def clean() -> None:
    for name in ("demo", "shop", "team-a", "team-b"):
        node.kubectl("-n", name, "delete", "stacks", "--all", "--timeout=120s", check=False)
        # What an earlier run left without an operator would keep its finalizer for ever.
        for kind in ("stacks", "stackresources"):
            for one in node.kubectl("-n", name, "get", kind, "-o", "name", check=False).split():
                if "/" in one:
                    node.kubectl("-n", name, "patch", one, "--type=merge", "-p", UNFINISHED, check=False)
        node.kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=60s", check=False)
    for name, namespace in (("kiln", "kiln-system"), ("team", "kiln-team")):
        node.helm("uninstall", name, "-n", namespace, "--ignore-not-found", "--wait", check=False)
        node.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=60s", check=False)
    crds = [f"{one.plural}.kiln.dev" for one in OWN_KINDS]
    node.kubectl("delete", "crds", *crds, "--ignore-not-found", "--timeout=60s", check=False)
