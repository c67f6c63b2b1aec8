"""What is declared is what is used: imports, locked versions, the files of the image, the targets of CI."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OWN = {"kiln", "hot_translator", "reconcilers"}
UNIMPORTED = {"tzdata"}  # data that zoneinfo reads


def declared(requirements: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(one.name): one for one in map(Requirement, requirements)}


def imported(*folders: str) -> Iterator[tuple[str, str]]:
    """The top-level modules that are imported, with the file."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from ((alias.name.partition(".")[0], str(path)) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0], str(path)


def test_every_import_is_declared_and_every_declaration_is_imported() -> None:
    packages = metadata.packages_distributions()
    known = declared([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["tracing"]]).keys()
    used = set()
    for module, path in imported("operator/kiln", "hot_translator", "reconcilers"):
        if module in OWN or module in sys.stdlib_module_names:
            continue
        names = {canonicalize_name(name) for name in packages[module]}
        assert names & known, f"{path} imports {module}: declare one of {names} in pyproject.toml"
        used |= names & known
    assert used == known - UNIMPORTED


def pins(path: Path) -> dict[str, list[str]]:
    """Locked versions of each package; a package has several where they depend on the Python."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", path.read_text(), re.M):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


@pytest.mark.parametrize(
    ("name", "requirements"),
    [
        ("runtime", PROJECT["dependencies"]),
        ("dev", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]),
        ("build", ["hatchling"]),
    ],
)
def test_the_lock_files_hold_what_is_declared_with_hashes(name: str, requirements: list[str]) -> None:
    path = ROOT / f"requirements/{name}.txt"
    locked = pins(path)
    for package, requirement in declared(requirements).items():
        assert package in locked, f"make lock: {path.name} has no {package}"
        for version in locked[package]:
            assert requirement.specifier.contains(version), f"make lock: {package} {version} is not {requirement}"
    entries = re.split(r"^(?=[\w.-]+==)", path.read_text(), flags=re.M)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_files_agree_and_name_no_index() -> None:
    runtime, dev = pins(ROOT / "requirements/runtime.txt"), pins(ROOT / "requirements/dev.txt")
    assert {name: dev.get(name) for name in runtime} == runtime
    for path in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in path.read_text()


def test_what_the_dockerfile_copies_is_there_and_reaches_the_build() -> None:
    text = (ROOT / "Dockerfile").read_text()
    ignored = (ROOT / ".dockerignore").read_text()
    copied = [name for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M) for name in line.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        allowed = "!requirements/*.txt" if name.startswith("requirements/") else f"!{name.partition('/')[0]}"
        assert allowed in ignored.splitlines(), name


def test_the_image_runs_as_the_user_of_the_chart() -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert user
    helpers = (ROOT / "charts/kiln/templates/_helpers.tpl").read_text()
    assert f"runAsUser: {user[1]}\n" in helpers
    assert f"runAsGroup: {user[2]}\n" in helpers


def test_workflows_and_hooks_run_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.M))
    used = set()
    for path in sorted((ROOT / ".github/workflows").glob("*.yaml")):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            values = [str(one) for many in job.get("strategy", {}).get("matrix", {}).values() for one in many]
            for step in job["steps"]:
                shown = re.sub(r"\$\{\{.*?\}\}", " ".join(values), step.get("run", ""))
                words = [word for line in re.findall(r"^make (.+)$", shown, re.M) for word in line.split()]
                used |= {word for word in words if "=" not in word}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    used |= {hook["entry"].split()[1] for hook in hooks}
    assert used >= {"lint", "unit", "wheels", "e2e", "gitops", "metrics", "plugin"}
    assert used <= targets, used - targets


def test_news_fragments_have_a_kind_that_towncrier_knows() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    kinds = {one["directory"] for one in settings["type"]}
    for path in (ROOT / settings["directory"]).glob("*.md"):
        assert path.suffixes[0].lstrip(".") in kinds, path.name
    assert settings["start_string"] in (ROOT / settings["filename"]).read_text()
