"""kubectl-stack as krew installs it: the archive of this machine, its manifest, and krew itself (`make plugin`).

krew.py FOLDER KREW     FOLDER holds the archive; KREW holds krew and validate-krew-manifest
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "release"))

import plugin  # noqa: E402 - release/ is no package
import yaml  # noqa: E402

URL = "https://example.org/download/v0.0.1"


def run(*command: str | Path, **variables: str) -> str:
    """Run a command; its output. Ends the program with the command's words where it fails."""
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def main(folder: Path, krew: Path) -> None:
    """Write the manifest, have krew check it and install the archive, and run what krew has installed."""
    archive = folder / plugin.archive_name(*plugin.this_platform())
    with tempfile.TemporaryDirectory(prefix="kiln-krew-") as name:
        work = Path(name)
        for one in plugin.PLATFORMS:
            # The manifest is for all platforms; this machine can build one.
            target = work / plugin.archive_name(*one)
            shutil.copy(archive, target) if target.name == archive.name else target.write_bytes(b"")
        manifest = work / f"{plugin.NAME}.yaml"
        manifest.write_text(yaml.safe_dump(plugin.manifest(work, "v0.0.1", URL)))
        run(krew / "validate-krew-manifest", "-manifest", manifest, "-skip-install")
        print("krew: the manifest is valid")
        home = str(work / "krew")
        # krew installs nothing before it knows an index: an empty one of its own.
        run("git", "init", "-q", work / "krew/index/default")
        run(krew / "krew", "install", f"--manifest={manifest}", f"--archive={archive}", KREW_ROOT=home)
        program = work / "krew/bin/kubectl-stack"
        shown = run(program, "--help", PATH="/usr/bin:/bin")
        commands = re.findall(r"^    ([a-z-]+)  ", shown, re.M)
        assert {"list", "tree", "why"} <= set(commands), shown
        for command in commands:
            run(program, command, "--help", PATH="/usr/bin:/bin")
        size = archive.stat().st_size / 1e6
        print(f"krew: installed {archive.name} ({size:.0f} MB), and every command of it starts")
        if os.environ.get("KUBECONFIG"):
            run(program, "list", "--all-namespaces", "-o", "json")
            print("krew: kubectl stack list works on the cluster of KUBECONFIG")
        run(krew / "krew", "uninstall", plugin.NAME, KREW_ROOT=home)
        assert not program.exists()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
