"""The lab's node: kubectl and helm on its cluster, and the lab's cloud as its pods reach it."""

import json
import subprocess
import time
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import yaml

from harness import lab
from harness.project import CLOUD, Project
from harness.stacks import Namespace

IMAGE = "localhost/kiln"
CHART = str(lab.ROOT / "charts/kiln")


@cache
def environment() -> dict[str, str]:
    """The process environment with the node's KUBECONFIG and NODE_CLOUD_ADDRESS; needs `lab node up`."""
    script = 'set -e; exports=$(tests/lab/lab node env); eval "$exports"; env -0'
    shown = subprocess.run(["bash", "-c", script], cwd=lab.ROOT, check=True, capture_output=True, text=True).stdout
    return dict(variable.split("=", 1) for variable in shown.split("\0") if "=" in variable)


def run(*command: str, stdin: str | None = None, check: bool = True, timeout: float = 300) -> str:
    """Run a program on the node's cluster; what it printed. Raises RuntimeError with its words."""
    done = subprocess.run(
        command, input=stdin, env=environment(), capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()} {done.stderr.strip()}")
    return done.stdout if not done.returncode else done.stderr


def kubectl(*arguments: str, **options: Any) -> str:
    return run("kubectl", *arguments, **options)


def helm(*arguments: str, **options: Any) -> str:
    return run("helm", *arguments, **options)


def get(kind: str, name: str, namespace: str = "") -> Any:
    """An object; None where there is none."""
    where = ["-n", namespace] if namespace else []
    printed = kubectl(*where, "get", kind, name, "-o", "json", "--ignore-not-found")
    return json.loads(printed) if printed.strip() else None


def items(kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
    selected = ["-l", selector] if selector else []
    found: list[dict[str, Any]] = json.loads(kubectl("-n", namespace, "get", kind, *selected, "-o", "json"))["items"]
    return found


def clouds(project: Project) -> str:
    """The project's clouds.yaml with every URL at the address where relays lead to the services.

    The catalogue names 127.0.0.1, so each service has its URL here.
    """
    address = environment()["NODE_CLOUD_ADDRESS"]
    (settings,) = yaml.safe_load(project.clouds_yaml)["clouds"].values()

    def moved(url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(netloc=f"{address}:{parts.port}").geturl()

    session = project.connection().session
    overrides = {
        f"{service['type'].replace('-', '_')}_endpoint_override": moved(endpoint["url"])
        for service in session.auth.get_access(session).service_catalog.catalog
        for endpoint in service["endpoints"]
        if endpoint["interface"] == "public"
    }
    auth = {**settings["auth"], "auth_url": moved(settings["auth"]["auth_url"])}
    return yaml.safe_dump({"clouds": {CLOUD: {**settings, "auth": auth, **overrides}}})


class Release:
    """The chart, installed under a name in a namespace that enforces restricted pod security."""

    def __init__(self, name: str, namespace: str, **values: str) -> None:
        self.name, self.namespace = name, namespace
        self._values = {"image.repository": IMAGE, "image.tag": "dev", "image.pullPolicy": "Never", **values}
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})

    def _helm(self, verb: str, **values: str) -> float:
        begin = time.monotonic()
        settings = [part for item in {**self._values, **values}.items() for part in ("--set", "=".join(item))]
        helm(verb, self.name, CHART, "-n", self.namespace, *settings, "--wait", "--timeout", "180s")
        return time.monotonic() - begin

    def install(self) -> float:
        """``helm install --wait``; the seconds that it took."""
        return self._helm("install")

    def upgrade(self, **values: str) -> float:
        """``helm upgrade --wait`` with other values; the seconds that it took."""
        return self._helm("upgrade", **values)

    def uninstall(self) -> None:
        helm("uninstall", self.name, "-n", self.namespace, "--wait", "--ignore-not-found", "--timeout", "120s")

    def pods(self) -> list[dict[str, Any]]:
        """The operator's pods that are not going."""
        found = items("pods", self.namespace, f"app.kubernetes.io/instance={self.name},app.kubernetes.io/name=kiln")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def leader(self) -> str:
        """The name of the pod that holds the Lease."""
        holder = (get("lease", self.name, self.namespace) or {}).get("spec", {}).get("holderIdentity", "")
        return str(holder).partition("_")[0]

    def logs(self) -> str:
        """What the pods have logged."""
        return "".join(kubectl("-n", self.namespace, "logs", pod["metadata"]["name"]) for pod in self.pods())


def apply(*objects: Mapping[str, Any]) -> None:
    """Server-side apply."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))


class Space(Namespace):
    """A user's namespace on the node's cluster, with the project's credentials."""

    def __init__(self, name: str, project: Project) -> None:
        self.name, self.every = name, 0.3
        apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.credentials(clouds(project))

    @property
    def kubeconfig(self) -> str:
        """The path of the node's kubeconfig."""
        return environment()["KUBECONFIG"]

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """kubectl in this namespace of the node's cluster."""
        return kubectl("-n", self.name, *arguments, **options)

    def may(self, right: str, user: str) -> bool:
        """Whether the user may do it in this namespace: ``patch stacks/status``."""
        return self.kubectl("auth", "can-i", *right.split(), f"--as={user}", check=False).strip() == "yes"

    def stack(self, stack: str, template: Any, *, cloud: str = CLOUD, **spec: Any) -> None:
        """Apply a Stack in the project."""
        super().stack(stack, template, cloud=cloud, **spec)
