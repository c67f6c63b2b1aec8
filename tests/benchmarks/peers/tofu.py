"""OpenTofu with the OpenStack provider, at its default of 10 operations at one time."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers import PROGRAMS, Calls, build, stopwatch
from benchmarks.work import CIDR, FLAVOR, IMAGE, Taken, Work

PROVIDER = "terraform-provider-openstack/openstack"
NETWORK = "openstack_networking_network_v2"
SUBNET = "openstack_networking_subnet_v2"
PORT = "openstack_networking_port_v2"
SERVER = "openstack_compute_instance_v2"
_NAME = "bench-tofu"


class Tofu:
    """``clouds`` is a clouds.yaml, ``cloud`` the name in it."""

    name = "tofu"

    def __init__(self, clouds: Path, cloud: str) -> None:
        build(self.name)
        self._clouds = clouds
        self._cloud = cloud

    def can(self, work: Work) -> bool:
        """All that OpenStack has a part in."""
        return work.kind != "strings"

    def life(self, work: Work) -> Mapping[str, Taken]:
        """Do it and undo it."""
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            (folder / "main.tf.json").write_text(json.dumps(configuration(work, self._cloud)))
            (folder / "tofurc").write_text(
                f'provider_installation {{\n  dev_overrides {{ "{PROVIDER}" = "{PROGRAMS}" }}\n  direct {{}}\n}}\n'
            )
            try:
                return {"create": self._run(folder, "apply"), "delete": self._run(folder, "destroy")}
            except BaseException:
                self._run(folder, "destroy")
                raise

    def _run(self, folder: Path, command: str) -> Taken:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        environment |= {
            "OS_CLIENT_CONFIG_FILE": str(self._clouds),
            "TF_CLI_CONFIG_FILE": str(folder / "tofurc"),
            "CHECKPOINT_DISABLE": "1",
        }
        calls = Calls("Terraform")
        with stopwatch() as seconds:
            done = subprocess.run(
                [str(PROGRAMS / "tofu"), command, "-auto-approve", "-input=false", "-no-color"],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"tofu {command}: {done.stderr[-1000:]}")
        return Taken(seconds[0], calls.count())


def configuration(work: Work, cloud: str) -> dict[str, Any]:
    """The main.tf.json of some work."""
    resources: dict[str, dict[str, Any]] = {NETWORK: {}, SUBNET: {}, PORT: {}, SERVER: {}}
    for i in range(work.count):
        name = f"{_NAME}-{i}"
        if work.kind in {"networks", "chain"}:
            resources[NETWORK][f"n{i}"] = {"name": name}
        if work.kind == "networks":
            net = f"${{{NETWORK}.n{i}.id}}"
            resources[SUBNET][f"s{i}"] = {"name": name, "network_id": net, "cidr": CIDR, "ip_version": 4}
            fixed = [{"subnet_id": f"${{{SUBNET}.s{i}.id}}"}]
            resources[PORT][f"p{i}"] = {"name": name, "network_id": net, "fixed_ip": fixed}
        if work.kind == "chain" and i:
            resources[NETWORK][f"n{i}"]["depends_on"] = [f"{NETWORK}.n{i - 1}"]
        if work.kind == "servers":
            resources[PORT][f"p{i}"] = {"name": name, "network_id": f"${{data.{NETWORK}.net.id}}"}
            resources[SERVER][f"s{i}"] = {
                "name": name,
                "image_id": "${data.openstack_images_image_v2.image.id}",
                "flavor_id": "${data.openstack_compute_flavor_v2.flavor.id}",
                "network": [{"port": f"${{{PORT}.p{i}.id}}"}],
            }
    found: dict[str, Any] = {
        "terraform": {"required_providers": {"openstack": {"source": PROVIDER}}},
        "provider": {"openstack": {"cloud": cloud}},
        "resource": {kind: some for kind, some in resources.items() if some},
    }
    if work.kind == "servers":
        found["data"] = {
            NETWORK: {"net": {"name": work.network}},
            "openstack_images_image_v2": {"image": {"name": IMAGE, "most_recent": True}},
            "openstack_compute_flavor_v2": {"flavor": {"name": FLAVOR}},
        }
    return found
