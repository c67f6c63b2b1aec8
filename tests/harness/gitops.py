"""Argo CD and Flux on the node's cluster: their repository, and what they say of it."""

import gzip
import json
import subprocess
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from harness import lab, node
from harness.node import Space, apply
from harness.operator import eventually

ARGO, FLUX = "argocd", "flux-system"


@cache
def settings() -> dict[str, str]:
    """GITOPS_REPOSITORY and GITOPS_REDIS_PORT; needs `lab gitops up`."""
    script = 'set -e; exports=$(tests/lab/lab gitops env); eval "$exports"; env -0'
    shown = subprocess.run(["bash", "-c", script], cwd=lab.ROOT, check=True, capture_output=True, text=True).stdout
    return dict(variable.split("=", 1) for variable in shown.split("\0") if "=" in variable)


class Repository:
    """The Git repository that both follow. A folder of it is an application's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, str] = {}
        self._history: list[dict[str, str]] = []

    def commit(self, files: Mapping[str, str | None]) -> str:
        """Write files (None: remove) and publish the whole; the commit."""
        for name, text in files.items():
            path = self._folder / name
            if text is None:
                path.unlink()
                del self._files[name]
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                self._files[name] = text
        self._history.append(dict(self._files))
        done = subprocess.run(
            ["tests/lab/lab", "gitops", "publish", str(self._folder)],
            cwd=lab.ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def revert(self) -> str:
        """Undo the last commit by another one."""
        last, wanted = self._history[-1], self._history[-2]
        changed = {name: wanted.get(name) for name in last.keys() | wanted.keys() if last.get(name) != wanted.get(name)}
        return self.commit(changed)


class Application:
    """An Argo CD application of one folder: automated, pruning, self-healing."""

    def __init__(self, name: str, path: str, space: Space) -> None:
        self.name = name
        policy = {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["ServerSideApply=true"]}
        source = {"repoURL": settings()["GITOPS_REPOSITORY"], "targetRevision": "main", "path": path}
        destination = {"server": "https://kubernetes.default.svc", "namespace": space.name}
        apply(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {
                    "name": name,
                    "namespace": ARGO,
                    "finalizers": ["resources-finalizer.argocd.argoproj.io"],
                },
                "spec": {"project": "default", "source": source, "destination": destination, "syncPolicy": policy},
            }
        )

    def status(self) -> dict[str, Any]:
        """The application's status."""
        found: dict[str, Any] = node.get("applications.argoproj.io", self.name, ARGO)
        return found.get("status", {})

    def state(self) -> tuple[str, str]:
        """Sync and health, as the list of applications shows them."""
        status = self.status()
        return status.get("sync", {}).get("status", ""), status.get("health", {}).get("status", "")

    def becomes(self, sync: str, health: str, revision: str = "", timeout: float = 120) -> list[tuple[str, str]]:
        """Wait for a state, of a commit where one is given; the states on the way, each once in a row."""
        seen: list[tuple[str, str]] = []

        def there() -> bool:
            status = self.status()
            state = status.get("sync", {}).get("status", ""), status.get("health", {}).get("status", "")
            if not seen or seen[-1] != state:
                seen.append(state)
            return state == (sync, health) and (not revision or status["sync"].get("revision") == revision)

        try:
            eventually(there, timeout, 0.2)
        except TimeoutError:
            raise TimeoutError(f"{self.name}: {seen}; {json.dumps(self.status(), indent=1)[:3000]}") from None
        return seen

    def resource(self, kind: str, name: str) -> dict[str, Any]:
        """What Argo CD shows of one resource: status (sync) and health with its message."""
        for one in self.status().get("resources", []):
            if (one["kind"], one["name"]) == (kind, name):
                return dict(one)
        return {}

    def tree(self) -> list[dict[str, Any]]:
        """The resource tree of the user interface, from Argo CD's cache."""
        redis = ("redis-cli", "-p", settings()["GITOPS_REDIS_PORT"], "--raw")
        pattern = f"app|resources-tree|{self.name}|*"
        keys = subprocess.run([*redis, "keys", pattern], check=True, capture_output=True, text=True).stdout.split()
        if not keys:
            return []
        raw = subprocess.run([*redis, "get", keys[0]], check=True, capture_output=True).stdout[:-1]
        text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        nodes: list[dict[str, Any]] = json.loads(text).get("nodes") or []
        return nodes

    def delete(self) -> None:
        """Delete the application with what it made, and wait."""
        node.kubectl(
            "-n", ARGO, "delete", "application", self.name, "--ignore-not-found", "--timeout=180s", timeout=200
        )


class Kustomization:
    """A Flux Kustomization of one folder, which waits for the health of what it applies."""

    def __init__(self, name: str, path: str, space: Space, *, after: str = "", timeout: str = "3m") -> None:
        self.name = name
        apply(
            {
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization",
                "metadata": {"name": name, "namespace": FLUX},
                "spec": {
                    "interval": "1h",
                    "retryInterval": "20s",
                    "path": f"./{path}",
                    "prune": True,
                    "deletionPolicy": "WaitForTermination",
                    "wait": True,
                    "timeout": timeout,
                    "targetNamespace": space.name,
                    "sourceRef": {"kind": "ExternalArtifact", "name": "repo"},
                    **({"dependsOn": [{"name": after}]} if after else {}),
                },
            }
        )

    def ready(self) -> dict[str, Any]:
        """The condition Ready of the newest generation; empty while there is none."""
        found = node.get("kustomizations.kustomize.toolkit.fluxcd.io", self.name, FLUX)
        status = found.get("status", {})
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return {}
        return next((one for one in status.get("conditions", []) if one["type"] == "Ready"), {})

    def becomes(self, status: str, revision: str, timeout: float = 120) -> dict[str, Any]:
        """Wait until Ready has this status for a commit; gives the condition."""

        def there() -> bool:
            found = self.ready()
            # Success names the commit; a failure is of the commit that was tried last.
            of = found.get("message", "") if status == "True" else self._attempted()
            return found.get("status") == status and revision in of

        try:
            eventually(there, timeout, 0.2)
        except TimeoutError:
            raise TimeoutError(f"{self.name}: {self.ready()}") from None
        return self.ready()

    def _attempted(self) -> str:
        found = node.get("kustomizations.kustomize.toolkit.fluxcd.io", self.name, FLUX)
        return str(found.get("status", {}).get("lastAttemptedRevision", ""))

    def reconcile(self) -> str:
        """Ask for a reconciliation as `flux reconcile` does, and wait for its answer; the seconds are the answer."""
        asked = str(time.time_ns())
        where = ("-n", FLUX, "annotate", "kustomization", self.name)
        node.kubectl(*where, f"reconcile.fluxcd.io/requestedAt={asked}", "--overwrite")
        eventually(lambda: self._handled() == asked, 90, 0.2)
        return asked

    def _handled(self) -> str:
        found = node.get("kustomizations.kustomize.toolkit.fluxcd.io", self.name, FLUX)
        return str(found.get("status", {}).get("lastHandledReconcileAt", ""))

    def delete(self) -> None:
        """Delete it with what it made, and wait."""
        where = ("-n", FLUX, "delete", "kustomization", self.name, "--ignore-not-found", "--timeout=180s")
        node.kubectl(*where, timeout=200)
