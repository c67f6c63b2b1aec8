"""The chart against the real API server: what it renders for a matrix of values is taken as it is."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import lab
from harness.stacks import Namespace

CHART = lab.ROOT / "charts/kiln"
MATRIX = {
    "defaults": {},
    "one replica": {"replicas": 1},
    "no replica": {"replicas": 0},
    "some namespaces": {"watchNamespaces": ["default", "kube-public"], "crds": {"enabled": False}},
    "nothing of its own": {
        "serviceAccount": {"create": False, "name": "other"},
        "rbac": {"create": False, "aggregateClusterRoles": False, "clusterNetworks": False},
        "admissionPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
    },
    "certificates from a ConfigMap, behind a proxy": {
        "caBundle": {"configMapName": "ca"},
        "proxy": {"http": "http://proxy:3128", "https": "http://proxy:3128", "noProxy": "10.0.0.0/8,.example"},
    },
    "certificates from a Secret": {"caBundle": {"secretName": "ca", "key": "bundle.pem"}},
    "everything beside it": {
        "networkPolicy": {
            "enabled": True,
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "egress": [{"ports": [{"port": 443}], "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, {}],
        },
        "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Kiln"}},
        "argocd": {"healthChecks": True},
        "service": {"annotations": {"a": "b"}},
        "commonLabels": {"team": "cloud"},
    },
    "names": {"fullnameOverride": "a" * 60, "nameOverride": "b" * 60},
    "an image by digest": {"image": {"digest": "sha256:" + "0" * 64}, "imagePullSecrets": [{"name": "registry"}]},
    "scheduling": {
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "rack",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"a": "b"}},
            }
        ],
        "podLabels": {"a": "b"},
        "podAnnotations": {"a": "b"},
        "strategy": {"type": "Recreate"},
    },
    "more of the pod": {
        "hostNetwork": True,
        "extraArgs": ["--cloud-threads=192"],
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "allowedCloudNetworks": ["10.0.0.0/8"],
        "deniedCloudNetworks": ["192.0.2.0/24"],
        "logLevel": "debug",
        "logFormat": "text",
        "ports": {"health": 9081, "metrics": 9080},
    },
}
MONITORING = {"serviceMonitor": {"enabled": True, "labels": {"release": "p"}}, "prometheusRule": {"enabled": True}}


def helm(*arguments: str, values: Any = None, folder: Path) -> str:
    """Helm's output, or its words where it fails."""
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(values or {}))
    done = subprocess.run(
        ["helm", *arguments, "--values", str(path)], env=lab.environment(), capture_output=True, text=True, check=False
    )
    return done.stdout if not done.returncode else f"failed: {done.stderr}"


def render(values: Any, folder: Path, namespace: str = "default") -> str:
    return helm(
        *("template", "kiln", str(CHART), "--namespace", namespace, "--kube-version", "1.35"),
        values=values,
        folder=folder,
    )


def objects(text: str) -> list[dict[str, Any]]:
    assert not text.startswith("failed"), text
    return [one for one in yaml.safe_load_all(text) if one]


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX.keys())
def test_the_api_server_takes_what_the_chart_renders(space: Namespace, values: Any, tmp_path: Path) -> None:
    text = render(values, tmp_path, space.name)
    found = objects(text)
    for account in {one["spec"]["serviceAccountName"] for one in found if one["kind"] == "Pod"}:
        space.kubectl("create", "serviceaccount", account)  # a pod is not taken without
    # A warning (an unknown field, a deprecated version, a breach of pod security) counts as an error.
    lab.kubectl("label", "namespace", space.name, "pod-security.kubernetes.io/warn=restricted", "--overwrite")
    strict = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
    done = subprocess.run(
        ["kubectl", *strict], input=text, env=lab.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert [line for line in warnings if "hostNetwork" not in line or not values.get("hostNetwork")] == []
    assert len(done.stdout.splitlines()) == len(found)


@pytest.mark.parametrize("values", [*MATRIX.values(), MONITORING], ids=[*MATRIX, "monitoring"])
def test_helm_lint_has_nothing_to_say(installed: None, values: Any, tmp_path: Path) -> None:
    said = helm("lint", "--strict", str(CHART), "--kube-version", "1.35", values=values, folder=tmp_path)
    assert not said.startswith("failed"), said
    assert "0 chart(s) failed" in said


def test_names_never_get_too_long(installed: None, tmp_path: Path) -> None:
    for one in objects(render(MATRIX["names"], tmp_path, "c" * 63)):
        longest = 253 if "rbac" in one["apiVersion"] else 63
        assert len(one["metadata"]["name"]) <= longest, one["metadata"]["name"]
        assert all(len(str(value)) <= 63 for value in one["metadata"].get("labels", {}).values())


def test_a_release_for_some_namespaces_has_no_secret_to_read_elsewhere(installed: None, tmp_path: Path) -> None:
    found = objects(render(MATRIX["some namespaces"], tmp_path, "kiln-system"))
    cluster = [
        one for one in found if one["kind"] == "ClusterRole" and "aggregate" not in str(one["metadata"]["labels"])
    ]
    reach = {resource for one in cluster for rule in one["rules"] for resource in rule["resources"]}
    assert reach == {"nodes", "servicecidrs"}
    roles = {one["metadata"]["namespace"] for one in found if one["kind"] == "Role" and "secrets" in str(one["rules"])}
    assert roles == {"default", "kube-public"}


def test_the_operator_gets_the_options_that_the_values_ask_for(installed: None, tmp_path: Path) -> None:
    """Every option that the chart writes is one that `kiln run` knows."""
    from kiln import cli

    for values in MATRIX.values():
        for one in objects(render(values, tmp_path)):
            if one["kind"] == "Deployment":
                arguments = one["spec"]["template"]["spec"]["containers"][0]["args"]
                cli._parser("run").parse_args(arguments)


def test_two_sources_of_certificates_are_refused(installed: None, tmp_path: Path) -> None:
    values = {"caBundle": {"configMapName": "a", "secretName": "b"}}
    assert "give configMapName or secretName, not both" in render(values, tmp_path)


def test_crds_are_kept_at_an_uninstall_unless_one_says_otherwise(installed: None, tmp_path: Path) -> None:
    def kept(values: Any) -> set[str | None]:
        crds = [one for one in objects(render(values, tmp_path)) if one["kind"] == "CustomResourceDefinition"]
        return {one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for one in crds}

    assert kept({}) == {"keep"}
    assert kept({"crds": {"keep": False}}) == {None}
    assert kept({"crds": {"enabled": False}}) == set()
