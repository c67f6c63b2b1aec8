"""The krew manifest of kubectl-stack keeps krew's rules. `make plugin KREW=1` asks krew itself."""

import hashlib
import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
URL = "https://example.org/releases/download/v0.1.0"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("release_plugin", ROOT / "release/plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plugin = load()


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    for one in plugin.PLATFORMS:
        (tmp_path / plugin.archive_name(*one)).write_bytes("/".join(one).encode())
    return tmp_path


@pytest.fixture
def manifest(archives: Path) -> dict[str, Any]:
    plugin.main(["manifest", str(archives), "--version", "v0.1.0", "--url", URL])
    found: dict[str, Any] = yaml.safe_load((archives / "stack.yaml").read_text())
    return found


def test_it_is_a_plugin_named_as_its_file_and_its_program(manifest: dict[str, Any]) -> None:
    assert manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert manifest["kind"] == "Plugin"
    assert re.fullmatch(r"[\w-]+", manifest["metadata"]["name"])
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert f"kubectl-{manifest['metadata']['name']}" in scripts


def test_its_texts_fit_the_index(manifest: dict[str, Any]) -> None:
    """krew refuses line breaks in the short description; its index wants it short, and without a full stop."""
    spec = manifest["spec"]
    assert re.fullmatch(r"v\d+\.\d+\.\d+", spec["version"])
    assert spec["homepage"].startswith("https://")
    short = spec["shortDescription"]
    assert short
    assert "\n" not in short
    assert len(short) <= 50
    assert not short.endswith(".")
    assert "kubectl" not in short.lower()
    assert all(len(line) <= 80 for line in spec["description"].splitlines())


def test_each_platform_has_an_archive_with_its_own_checksum(manifest: dict[str, Any]) -> None:
    selectors = set()
    for platform in manifest["spec"]["platforms"]:
        labels = platform["selector"]["matchLabels"]
        assert labels.keys() == {"os", "arch"}
        selectors.add((labels["os"], labels["arch"]))
        assert platform["uri"] == f"{URL}/kubectl-stack-{labels['os']}-{labels['arch']}.tar.gz"
        assert platform["sha256"] == hashlib.sha256(f"{labels['os']}/{labels['arch']}".encode()).hexdigest()
        assert platform["bin"] == "kubectl-stack"
        assert platform["files"] == [{"from": "kubectl-stack/*", "to": "."}]
    assert selectors == set(plugin.PLATFORMS)


def test_a_platform_that_was_not_built_is_an_error(archives: Path) -> None:
    (archives / "kubectl-stack-darwin-arm64.tar.gz").unlink()
    with pytest.raises(SystemExit, match=r"has no kubectl-stack-darwin-arm64\.tar\.gz"):
        plugin.manifest(archives, "v0.1.0", URL)


@pytest.mark.parametrize(
    ("version", "url", "reason"),
    [("0.1.0", URL, "like v1.2.3"), ("v1", URL, "like v1.2.3"), ("v0.1.0", "http://example.org", "https")],
)
def test_a_version_or_an_address_that_krew_or_its_index_refuses_is_an_error(
    archives: Path, version: str, url: str, reason: str
) -> None:
    with pytest.raises(SystemExit, match=reason):
        plugin.manifest(archives, version, url)


def test_the_release_builds_each_platform_on_a_machine_of_its_own() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())
    built = {(one["os"], one["arch"]) for one in workflow["jobs"]["plugin"]["strategy"]["matrix"]["include"]}
    assert built == set(plugin.PLATFORMS)
