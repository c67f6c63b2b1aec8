"""The chart's admission policies on the lab's API server, for one namespace."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from harness import lab
from harness.stacks import Namespace

RBAC = "rbac.authorization.k8s.io"


@contextmanager
def enforced(space: Namespace, suffix: str) -> Iterator[None]:
    """Apply the policy whose name ends like this, and its binding, to the namespace."""
    settings = f"watchNamespaces={{{space.name}}},fullnameOverride={space.name}"
    command = ["helm", "template", "kiln", str(lab.ROOT / "charts/kiln"), "--kube-version", "1.35", "--set", settings]
    command += ["--show-only", "templates/admissionpolicy.yaml"]
    shown = subprocess.run(command, env=lab.environment(), check=True, capture_output=True, text=True).stdout
    policies = [one for one in yaml.safe_load_all(shown) if one and one["metadata"]["name"].endswith(suffix)]
    assert [one["kind"] for one in policies] == ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
    lab.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(policies))
    try:
        yield
    finally:
        for one in policies:
            lab.kubectl("delete", one["kind"], one["metadata"]["name"], "--ignore-not-found")


def allow(space: Namespace, user: str, *rules: dict[str, Any]) -> None:
    """Give a user rights in the namespace."""
    role = {"apiGroup": RBAC, "kind": "Role", "name": user}
    subject = {"kind": "User", "name": user, "apiGroup": RBAC}
    version, metadata = f"{RBAC}/v1", {"name": user}
    space.apply(
        {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": list(rules)},
        {"apiVersion": version, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": [subject]},
    )
