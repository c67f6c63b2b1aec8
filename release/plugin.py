"""kubectl-stack as one program, for those who have no Python, and its manifest for krew (kubectl's plugin manager).

    plugin.py archive FOLDER                               make kubectl-stack-OS-ARCH.tar.gz for this machine
    plugin.py manifest FOLDER --version V --url URL        write stack.yaml for the archives of all platforms in FOLDER

A program is made by PyInstaller (requirements/plugin.txt) on the platform that it is for. krew selects a platform by os
and arch, installs its archive if that has the manifest's SHA-256, and links the program.
"""

import argparse
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "kubectl-stack"
NAME = "stack"
HOMEPAGE = "https://github.com/kiln-dev/kiln"
PLATFORMS = (("linux", "amd64"), ("linux", "arm64"), ("darwin", "amd64"), ("darwin", "arm64"))
"""What is released: Go's names for operating systems and processors, as krew has them."""
NAMED = ("kiln.kubectl", "reconcilers", "hot_translator")
"""Packages with modules that are imported by name: commands, resource types, functions of templates."""
DATA = ("hot_translator", "openstack", "os_service_types", "keystoneauth1", "certifi", "tzdata")
"""Packages that read files of their own."""
VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_START = "import sys\nfrom kiln.kubectl.cli import main\nsys.exit(main())\n"
_DESCRIPTION = """\
Stacks are OpenStack Heat templates that the operator Kiln keeps converged
with the cloud. The plugin lists them, shows their resources as a tree, waits
with a progress bar, says what blocks a Stack and what to do about it, prints
outputs, events and revisions, previews a change, and goes back to an earlier
revision.
"""
_CAVEATS = """\
The cluster needs Kiln's custom resource definitions, which its chart installs.
Read more: https://github.com/kiln-dev/kiln/blob/main/docs/kubectl.md
"""


def archive_name(system: str, processor: str) -> str:
    """The file name of a platform's archive."""
    return f"{PROGRAM}-{system}-{processor}.tar.gz"


def this_platform() -> tuple[str, str]:
    """Go's names for this machine. Raises SystemExit on one that is not released."""
    system, machine = platform.system().lower(), platform.machine().lower()
    found = system, _MACHINES.get(machine, machine)
    if found not in PLATFORMS:
        raise SystemExit(f"there is no release for {'/'.join(found)}")
    return found


def build(folder: Path) -> Path:
    """Make the program and its archive for this machine. Returns the archive. Raises CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / archive_name(*this_platform())
    with tempfile.TemporaryDirectory(prefix="kubectl-stack-") as name:
        work = Path(name)
        start = work / f"{PROGRAM}.py"
        start.write_text(_START)
        subprocess.run(
            [
                *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR", "--onedir"),
                *("--name", PROGRAM, "--distpath", work / "dist", "--workpath", work / "work", "--specpath", work),
                *(part for package in NAMED for part in ("--collect-submodules", package)),
                *(part for package in DATA for part in ("--collect-data", package)),
                start,
            ],
            cwd=work,
            check=True,
        )
        shutil.copy(ROOT / "LICENSE", work / "dist" / PROGRAM)
        with tarfile.open(made, "w:gz") as tar:
            tar.add(work / "dist" / PROGRAM, PROGRAM)
    return made


def manifest(folder: Path, version: str, url: str) -> dict[str, Any]:
    """The manifest for archives in a folder, which will be found below a URL.

    Raises SystemExit if the version is none, or if the archive of a platform is missing.
    """
    if not VERSION.fullmatch(version):
        raise SystemExit(f"a version is like v1.2.3, not {version!r}")
    if not url.startswith("https://"):
        raise SystemExit(f"archives are downloaded by https, not from {url!r}")
    missing = [name for one in PLATFORMS if not (folder / (name := archive_name(*one))).exists()]
    if missing:
        raise SystemExit(f"{folder} has no {', '.join(missing)}")
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": NAME},
        "spec": {
            "version": version,
            "homepage": HOMEPAGE,
            "shortDescription": "Look at OpenStack stacks and act on them",
            "description": _DESCRIPTION,
            "caveats": _CAVEATS,
            "platforms": [
                {
                    "selector": {"matchLabels": {"os": system, "arch": processor}},
                    "uri": f"{url.rstrip('/')}/{archive_name(system, processor)}",
                    "sha256": hashlib.sha256((folder / archive_name(system, processor)).read_bytes()).hexdigest(),
                    "files": [{"from": f"{PROGRAM}/*", "to": "."}],
                    "bin": PROGRAM,
                }
                for system, processor in PLATFORMS
            ],
        },
    }


def main(argv: list[str] | None = None) -> None:
    """Do the part that is asked for, and print the file that was made."""
    parser = argparse.ArgumentParser(description="kubectl-stack as a program, and its manifest for krew")
    parts = parser.add_subparsers(dest="part", required=True)
    for name in ("archive", "manifest"):
        parts.add_parser(name).add_argument("folder", type=Path)
    parts.choices["manifest"].add_argument("--version", required=True, help="as v1.2.3")
    parts.choices["manifest"].add_argument("--url", required=True, help="where the archives will be")
    asked = parser.parse_args(argv)
    if asked.part == "archive":
        made = build(asked.folder)
    else:
        made = asked.folder / f"{NAME}.yaml"
        made.write_text(yaml.safe_dump(manifest(asked.folder, asked.version, asked.url), sort_keys=False))
    print(made)


if __name__ == "__main__":
    main()
