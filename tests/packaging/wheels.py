"""The wheel, where it has to work: on each Python that it supports, and with the oldest dependencies that it allows.

    wheels.py wheels    install it on each Python of VERSIONS that is here, and use it
    wheels.py lowest    run the unit tests with the lowest versions that pyproject.toml allows

With CI=true a Python that is missing is an error; elsewhere it is said and passed over.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.11", "3.12", "3.13")
UV = Path(sys.executable).parent / "uv"
TEMPLATE = ("-t", "web.yaml", "-e", "production.yaml", "--parameter", "password=Abc12345")


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """Run a command; its output. Ends the program with the command's words where it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        command, cwd=cwd, env={**environment, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def interpreter(version: str) -> str | None:
    """A Python of this version: on the PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    for found in filter(None, candidates):
        asked = "import sys; print('%d.%d' % sys.version_info[:2])"
        answer = subprocess.run([found, "-c", asked], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:
            return found
    return None


def build(folder: Path) -> Path:
    """The wheel, from a source distribution, so that both hold what they need."""
    run(UV, "build", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder)
    return next(folder.glob("*.whl"))


def wheels(folder: Path) -> None:
    """Install the wheel on each Python and run its commands."""
    wheel = build(folder)
    tried = 0
    for version in VERSIONS:
        found = interpreter(version)
        if found is None:
            if os.environ.get("CI") == "true":
                sys.exit(f"there is no Python {version}")
            print(f"Python {version}: not here, passed over")
            continue
        begin = time.monotonic()
        home = folder / version
        run(UV, "venv", "--python", found, home)
        run(UV, "pip", "install", "--python", home, "--require-hashes", "-r", ROOT / "requirements/runtime.txt")
        run(UV, "pip", "install", "--python", home, "--no-deps", wheel)
        said = run(home / "bin/kiln", "version", cwd=folder).strip()
        assert f"Python {version}." in said, said
        examples = ROOT / "examples/heat"
        run(home / "bin/kiln", "validate", *TEMPLATE, cwd=examples)
        assert "kind: Stack" in run(home / "bin/kiln", "pack", *TEMPLATE, "--cloud", "demo", "web", cwd=examples)
        run(home / "bin/kiln", "run", "--help", cwd=folder)
        crds = "import importlib.resources as r; print(*sorted(p.name for p in (r.files('kiln') / 'crds').iterdir()))"
        shipped = run(home / "bin/python", "-c", crds, cwd=folder).split()
        assert shipped == sorted(path.name for path in (ROOT / "crds").iterdir()), shipped
        tried += 1
        print(f"{said}: {time.monotonic() - begin:.0f} s")
    if not tried:
        sys.exit("no Python to try the wheel on")


def lowest(folder: Path) -> None:
    """Run the unit tests with the oldest direct dependencies, on the oldest Python."""
    found = interpreter(VERSIONS[0])
    if found is None:
        sys.exit(f"there is no Python {VERSIONS[0]}")
    resolve = ("--resolution", "lowest-direct", "--python-version", VERSIONS[0], "--no-header", "--no-annotate")
    # The project's bounds are tested; its tools are as they are locked.
    pinned = folder / "lowest.txt"
    run(UV, "pip", "compile", "-q", *resolve, "pyproject.toml", "-o", pinned)
    home = folder / "venv"
    run(UV, "venv", "--python", found, home)
    run(UV, "pip", "install", "--python", home, "-c", pinned, f"{ROOT}[dev]")
    direct = {line.split("==")[0] for line in pinned.read_text().splitlines() if "==" in line}
    shown = [line for line in run(UV, "pip", "freeze", "--python", home).splitlines() if line.split("==")[0] in direct]
    print("with " + ", ".join(shown))
    tests = subprocess.run(
        [home / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit", "tests/conformance"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=False,
    )
    if tests.returncode:
        sys.exit("the unit tests fail with the oldest dependencies: raise the lower bounds in pyproject.toml")


def main() -> None:
    """Run the part that is asked for, in a folder that goes afterwards."""
    parts = {"wheels": wheels, "lowest": lowest}
    if len(sys.argv) != 2 or sys.argv[1] not in parts:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="kiln-wheels-") as folder:
        parts[sys.argv[1]](Path(folder))


if __name__ == "__main__":
    main()
