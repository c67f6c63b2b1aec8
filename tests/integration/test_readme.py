"""The commands of the README's first Stack, as they stand there, with a shell and kubectl."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harness import lab
from harness.operator import Operator, eventually
from harness.stacks import Namespace

MARKED = re.compile(r"<!-- test: (.*?) -->\n```sh\n(.*?)```", re.DOTALL)


def test_the_first_stack_of_the_readme_works_as_written(kiln: Operator, space: Namespace, tmp_path: Path) -> None:
    blocks = MARKED.findall((lab.ROOT / "README.md").read_text())
    assert [what for what, _ in blocks] == [
        "the first Stack; clouds.yaml is in the working directory, as are the examples",
        "changed by an edit of a parameter, then deleted",
    ]
    settings = yaml.safe_load(Path(lab.environment()["KUBECONFIG"]).read_text())
    for context in settings["contexts"]:
        context["context"]["namespace"] = space.name
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(settings))
    cloud = lab.environment()["OS_CLOUD"]
    shutil.copy(lab.environment()["OS_CLIENT_CONFIG_FILE"], tmp_path / "clouds.yaml")
    shutil.copytree(lab.ROOT / "examples", tmp_path / "examples")
    first = tmp_path / "examples/first-stack.yaml"
    first.write_text(first.read_text().replace("cloudName: demo", f"cloudName: {cloud}"))
    # The README begins in a namespace without credentials.
    space.kubectl("delete", "secret", "openstack")

    shown = ""
    for _, commands in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=tmp_path,
            env={**lab.environment(), "KUBECONFIG": str(tmp_path / "kubeconfig")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not done.returncode, done.stderr
        shown += done.stdout
    assert "2/2" in shown
    assert '"gateway":"10.20.0.1"' in shown
    assert 'stack.kiln.dev "first" deleted' in shown
    eventually(lambda: not space.get("stackresources"), 30)


@pytest.mark.parametrize("name", ["secrets", "policies", "cloudformation"])
def test_an_example_becomes_ready_and_goes(name: str, kiln: Operator, space: Namespace) -> None:
    manifests = list(yaml.safe_load_all((lab.ROOT / f"examples/{name}.yaml").read_text()))
    stack = manifests[-1]
    stack["spec"]["cloudCredentialsRef"]["cloudName"] = lab.environment()["OS_CLOUD"]
    space.apply(*manifests)
    space.ready(stack["metadata"]["name"], 150)
    kept = [one for one in space.get("stackresources") if one["status"].get("deletionPolicy") == "Retain"]
    space.delete(stack["metadata"]["name"], 150)
    assert [one["spec"]["logicalName"] for one in kept] == (["archive"] if name == "policies" else [])
    for one in kept:
        volume = lab.connection().block_storage.get_volume(one["status"]["physicalID"])
        assert volume.status == "available"
        lab.connection().block_storage.delete_volume(volume)


def test_the_heat_templates_among_the_examples_become_a_stack(kiln: Operator, space: Namespace) -> None:
    packed = subprocess.run(
        [
            *(sys.executable, "-m", "kiln.cli", "pack", "-t", "web.yaml", "-e", "production.yaml"),
            *("--parameter", "password=Abc12345", "--cloud", lab.environment()["OS_CLOUD"], "web"),
        ],
        cwd=lab.ROOT / "examples/heat",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    space.kubectl("apply", "--server-side", "-f", "-", stdin=packed)
    addresses = space.ready("web", 150)["status"]["outputs"]["addresses"]
    assert len(addresses) == 2
    space.delete("web", 150)
