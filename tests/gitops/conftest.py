"""What the tests with Argo CD and Flux share: the operator as the chart installs it, a project, the repository."""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from gitops.manifests import network, stack
from harness import lab, node
from harness.gitops import ARGO, Application, Kustomization, Repository
from harness.node import Release, Space
from harness.project import Project


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "gitops" in item.path.parts:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    made = Project()
    yield made
    made.close()


@pytest.fixture(scope="session")
def operator(project: Project) -> Iterator[Release]:
    """The operator, and Argo CD's health checks merged as docs/gitops.md says."""
    clean()
    release = Release("kiln", "kiln-system", **{"argocd.healthChecks": "true", "logFormat": "text"})
    release.install()
    page = (lab.ROOT / "docs/gitops.md").read_text()
    command = page.split("<!-- test: merge the health checks -->\n```sh\n")[1].split("```")[0]
    subprocess.run(["bash", "-euo", "pipefail", "-c", command], env=node.environment(), check=True)
    merged = node.get("configmap", "argocd-cm", ARGO)["data"]
    assert "resource.customizations.health.kiln.dev_Stack" in merged
    yield release
    clean()


def clean() -> None:
    """Nothing of an earlier run is left."""
    for kind, namespace in (("applications.argoproj.io", ARGO), ("kustomizations", "flux-system")):
        node.kubectl("-n", namespace, "delete", kind, "--all", "--timeout=120s", check=False)
    for name in ("argo-shop", "flux-shop"):
        node.kubectl("-n", name, "delete", "stacks", "--all", "--timeout=120s", check=False)
        node.kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=60s", check=False)
    node.helm("uninstall", "kiln", "-n", "kiln-system", "--ignore-not-found", "--wait", check=False)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="session")
def argo_shop(operator: Release, project: Project) -> Space:
    return Space("argo-shop", project)


@pytest.fixture(scope="session")
def flux_shop(operator: Release, project: Project) -> Space:
    return Space("flux-shop", project)


class Steady:
    """Watches an application and a Kustomization that nobody touches, from when both are at rest."""

    def __init__(self, repository: Repository, argo: Space, flux: Space) -> None:
        # resyncInterval: many reconciliations in the time of the watch.
        manifest = stack("steady", network("steady"), resyncInterval="10s")
        revision = repository.commit({"steady-argo/stack.yaml": manifest, "steady-flux/stack.yaml": manifest})
        self.argo, self.flux = Application("steady", "steady-argo", argo), Kustomization("steady", "steady-flux", flux)
        self.argo.becomes("Synced", "Healthy", revision)
        self.flux.becomes("True", revision)
        self.seen: list[tuple[float, str, str]] = []
        self.spaces = argo, flux
        self.begin = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            with contextlib.suppress(RuntimeError, KeyError, json.JSONDecodeError, subprocess.TimeoutExpired):
                states = "/".join(self.argo.state()), self.flux.ready().get("status", "")
                if not self.seen or self.seen[-1][1:] != states:
                    self.seen.append((time.monotonic() - self.begin, *states))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)


@pytest.fixture(scope="session")
def steady(repository: Repository, argo_shop: Space, flux_shop: Space) -> Iterator[Steady]:
    made = Steady(repository, argo_shop, flux_shop)
    yield made
    made.stop()
    made.argo.delete()
    made.flux.delete()


@pytest.fixture(scope="session", autouse=True)
def from_the_beginning(steady: Steady) -> None:
    """The watch runs beside all tests."""
