"""openstack-resource-controller: its manager as a process, its objects in a namespace of their own."""

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers import PROGRAMS, Calls, build, stopwatch
from benchmarks.work import CIDR, FLAVOR, IMAGE, Taken, Work
from harness import lab
from harness.operator import eventually, free_port

_API = "openstack.k-orc.cloud/v1alpha1"
_KINDS = ("servers", "ports", "subnets", "networks")
_SECRET = "cloud"


class Orc:
    """``clouds`` is a clouds.yaml, ``cloud`` the name in it. Made with its CRDs and namespace; ``close`` takes all."""

    name = "orc"

    def __init__(self, clouds: Path, cloud: str, namespace: str) -> None:
        build(self.name)
        self._cloud = cloud
        self._namespace = namespace
        lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(PROGRAMS / "orc-crds"))
        lab.kubectl("create", "namespace", namespace)
        data = {"clouds.yaml": base64.b64encode(clouds.read_bytes()).decode()}
        self._apply([{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": _SECRET}, "data": data}])
        port = free_port()
        with (PROGRAMS / "orc.log").open("ab") as log:
            self._manager = subprocess.Popen(
                [str(PROGRAMS / "orc"), "-health-probe-bind-address", f"127.0.0.1:{port}", "-namespace", namespace],
                env=lab.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def can(self, work: Work) -> bool:
        """It has no way to say that one network comes after another."""
        return work.kind in {"networks", "servers"}

    def life(self, work: Work) -> Mapping[str, Taken]:
        """Do it and undo it."""
        objects = manifests(work)
        for one in objects:
            one["spec"]["cloudCredentialsRef"] = {"secretName": _SECRET, "cloudName": self._cloud}
        phases = {}
        calls = Calls("gophercloud")
        with stopwatch() as seconds:
            self._apply(objects)
            eventually(lambda: all(_available(one) for kind in _KINDS for one in self._get(kind)), 1800, 0.5)
        phases["create"] = Taken(seconds[0], calls.count())
        calls = Calls("gophercloud")
        with stopwatch() as seconds:
            self._delete()
            eventually(lambda: not any(self._get(kind) for kind in _KINDS), 1800, 0.5)
        phases["delete"] = Taken(seconds[0], calls.count())
        return phases

    def close(self) -> None:
        """Everything goes; the manager last, since its finalizers are on the Secret too."""
        self._delete()
        lab.kubectl("delete", "namespace", self._namespace, "--timeout=300s", timeout=310)
        self._manager.terminate()
        self._manager.wait(30)
        lab.kubectl("delete", "--ignore-not-found", "-f", str(PROGRAMS / "orc-crds"))

    def _apply(self, objects: list[dict[str, Any]]) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        lab.kubectl("-n", self._namespace, "apply", "--server-side", "-f", "-", stdin=text, timeout=600)

    def _get(self, kind: str) -> list[dict[str, Any]]:
        path = f"/apis/{_API}/namespaces/{self._namespace}/{kind}"
        found: list[dict[str, Any]] = json.loads(lab.kubectl("get", "--raw", path))["items"]
        return found

    def _delete(self) -> None:
        kinds = ",".join(f"{kind}.openstack.k-orc.cloud" for kind in (*_KINDS, "images", "flavors"))
        lab.kubectl("-n", self._namespace, "delete", kinds, "--all", "--wait=false", timeout=600)


def _available(obj: Mapping[str, Any]) -> bool:
    conditions = obj.get("status", {}).get("conditions", ())
    return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)


def manifests(work: Work) -> list[dict[str, Any]]:
    """The objects of some work, without their credentials."""
    found: list[dict[str, Any]] = []

    def add(kind: str, name: str, **spec: Any) -> None:
        found.append({"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": spec})

    def known(kind: str, name: str, /, **wanted: str) -> None:
        add(kind, name, managementPolicy="unmanaged", **{"import": {"filter": wanted}})

    if work.kind == "servers":
        known("Network", "net", name=work.network)
        known("Subnet", "subnet", networkRef="net")
        known("Image", "image", name=IMAGE)
        known("Flavor", "flavor", name=FLAVOR)
    for i in range(work.count):
        name = f"bench-{i}"
        if work.kind == "networks":
            add("Network", name, resource={})
            add("Subnet", name, resource={"networkRef": name, "ipVersion": 4, "cidr": CIDR})
            add("Port", name, resource={"networkRef": name, "addresses": [{"subnetRef": name}]})
        else:
            add("Port", name, resource={"networkRef": "net", "addresses": [{"subnetRef": "subnet"}]})
            add("Server", name, resource={"imageRef": "image", "flavorRef": "flavor", "ports": [{"portRef": name}]})
    return found
