"""Runs real Heat templates, unmodified, as Stacks on the lab: `kiln pack`, kubectl apply, READY, delete; then a table.

    make templates TEMPLATES=folder            # the folder hot/ of a copy of openstack/heat-templates, or one above it
    tests/templates/run.py a.yaml b.yaml ...   # these

The folder may also stand in TEMPLATES_DIR. Without one there is nothing to do, and that is no failure. parameters.yaml
has the templates and the values that they need. Each runs alone in a project of its own, and fails also if anything is
left in that project afterwards. The runner needs a cloud of an administrator (TEMPLATES_ADMIN_CLOUD: admin), since it
makes these projects. Exit code 1: a template failed.
"""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from string import Template as Pattern
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/templates")]

from harness import lab  # noqa: E402
from harness.cloud import difference  # noqa: E402
from harness.operator import Operator, eventually  # noqa: E402
from harness.stacks import SECRET, Namespace  # noqa: E402
from sites import PREFIX, AdminSite, CloudAccess, sites  # noqa: E402

AT_A_TIME = 4
CREATE, DELETE = 180, 120
"""Seconds that one may take."""
SETTINGS = yaml.safe_load(Path(__file__).with_name("parameters.yaml").read_text())


@dataclass(slots=True)
class Run:
    """One template, what it needs, and what became of it."""

    path: Path
    name: str
    parameters: dict[str, str] = field(default_factory=dict)
    stand_ins: list[str] = field(default_factory=list)
    cloud: str = ""
    then: Path | None = None
    result: str = ""
    message: str = ""
    resources: str = ""
    create: float = 0.0
    delete: float = 0.0

    @property
    def stack(self) -> str:
        """The Stack's name."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.name.removesuffix(".yaml").lower()).strip("-")
        return plain[-50:].strip("-")


def chosen(arguments: Sequence[str]) -> list[Run]:
    """The templates of the command line, or those of parameters.yaml in the folder that it names."""
    paths = [Path(argument) for argument in arguments or [os.environ.get("TEMPLATES_DIR", "")] if argument]
    runs = []
    for path in paths:
        if path.is_dir():
            folder = next((one for one in (path, path / "hot", path / "heat-templates/hot") if known_in(one)), path)
            runs += [described(folder / name, name) for name in known_in(folder)]
        elif path.is_file():
            full = path.resolve().as_posix()
            names = [name for name in SETTINGS["templates"] if full.endswith("/" + name.removeprefix("../"))]
            runs.append(described(path, max(names, key=len, default=path.name)))
    return runs


def known_in(folder: Path) -> list[str]:
    """Those of parameters.yaml that are in a folder."""
    return [name for name in SETTINGS["templates"] if (folder / name).is_file()]


def described(path: Path, name: str) -> Run:
    """The template with the values of its parameters, fixtures not filled in yet."""
    entry = SETTINGS["templates"].get(name) or {}
    template = yaml.safe_load(path.read_text()) or {}
    declared = template.get("parameters") or template.get("Parameters") or {}
    common = {key: value for key, value in SETTINGS["any"].items() if key in declared}
    missing = [other for other in entry.get("stand_ins", ()) if not (path.parent / other).is_file()]
    then = path.with_name(entry["then"]) if "then" in entry else None
    return Run(path, name, common | entry.get("parameters", {}), missing, entry.get("cloud", ""), then)


class Runner:
    """Runs templates in the projects that are free."""

    def __init__(self, space: Namespace, directory: Path, free: Sequence[CloudAccess], admin: AdminSite) -> None:
        self.space = space
        self.directory = directory
        self.admin = admin
        self._free: queue.SimpleQueue[CloudAccess] = queue.SimpleQueue()
        for site in free:
            self._free.put(site)
        self._admin_free: queue.SimpleQueue[AdminSite] = queue.SimpleQueue()
        self._admin_free.put(admin)

    def run(self, run: Run) -> Run:
        """One template from beginning to end."""
        line: queue.SimpleQueue[Any] = self._admin_free if run.cloud else self._free
        site = line.get()
        try:
            self._run(run, site)
        except (RuntimeError, TimeoutError, subprocess.SubprocessError) as error:
            run.result, run.message = "FAILED", " ".join(str(error).split())
            self.space.kubectl("delete", "stack", run.stack, "--ignore-not-found", "--timeout=60s", check=False)
        finally:
            line.put(site)
        print(f"    {run.result:<7} {run.name}", flush=True)
        return run

    def _run(self, run: Run, site: CloudAccess | AdminSite) -> None:
        manifests = [self._pack(run, template, site) for template in (run.path, run.then) if template]
        before = site.listing()
        begin = time.monotonic()
        for manifest in manifests:
            self.space.kubectl("apply", "--server-side", "-f", "-", stdin=manifest)
            with contextlib.suppress(TimeoutError):
                eventually(lambda: self._settled(run), CREATE)
        run.create = time.monotonic() - begin
        status = self.space.get("stack", run.stack).get("status", {})
        run.resources = status.get("resources", {}).get("summary", "")
        ready = self.space.condition(run.stack)
        errors = status.get("outputErrors", {})
        begin = time.monotonic()
        self.space.kubectl("delete", "stack", run.stack, f"--timeout={DELETE}s", timeout=DELETE + 10)
        run.delete = time.monotonic() - begin
        if ready.get("status") != "True":
            raise RuntimeError(f"{ready.get('reason')}: {ready.get('message')}")
        left = difference(before, site.listing())
        if left:
            raise RuntimeError(f"left behind or gone: {left}")
        notes = [f"{len(run.stand_ins)} files of other repositories are missing: stand-ins"] if run.stand_ins else []
        notes += [f"then updated to {run.then.name}"] if run.then else []
        notes += [f"output {name}: {reason}" for name, reason in errors.items()]
        run.result, run.message = "ok", "; ".join(notes)

    def _settled(self, run: Run) -> bool:
        return self.space.condition(run.stack).get("status") == "True" or (
            self.space.condition(run.stack, "Stalled").get("status") == "True"
        )

    def _pack(self, run: Run, template: Path, site: CloudAccess | AdminSite) -> str:
        """`kiln pack`, as a user would."""
        stand_in = self.directory / "stand-in"
        stand_in.write_text("#!/bin/sh\n# stands in for a file of another repository\n")
        command = [sys.executable, "-m", "kiln.cli", "pack", "-t", str(template), run.stack]
        command += ["--secret", SECRET, "--cloud", site.name]
        for name, value in run.parameters.items():
            filled = Pattern(str(value)).substitute(_Fixtures(site))
            command += ["--parameter", f"{name}={filled}"]
        for name in run.stand_ins:
            command += ["--file", f"{name}={stand_in}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"kiln pack: {done.stdout} {done.stderr}")
        return done.stdout


class _Fixtures(dict[str, str]):
    def __init__(self, site: CloudAccess | AdminSite) -> None:
        super().__init__()
        self._site = site

    def __missing__(self, name: str) -> str:
        return self._site.value(name)


def clean_up(space: Namespace) -> None:
    """Delete the Stacks of an interrupted run; where their projects are gone already, let go of them."""
    space.kubectl("delete", "stacks", "--all", "--wait=false")
    with contextlib.suppress(TimeoutError):
        eventually(lambda: not space.get("stacks"), 30)
    for one in space.get("stacks"):
        orphan = '{"spec": {"deletionPolicy": "Orphan"}}'
        space.kubectl("patch", "stack", one["metadata"]["name"], "--type=merge", "-p", orphan)
    eventually(lambda: not space.get("stacks"), 30)


def table(runs: Sequence[Run]) -> str:
    """What became of all."""
    width = max(len(run.name) for run in runs)
    rows = [f"{'TEMPLATE':<{width}}  {'RESULT':<6}  {'READY s':>7}  {'GONE s':>6}  RESOURCES  MESSAGE"]
    for run in sorted(runs, key=lambda run: run.result == "ok"):
        times = f"{run.create:7.1f}  {run.delete:6.1f}"
        rows.append(f"{run.name:<{width}}  {run.result:<6}  {times}  {run.resources:>9}  {run.message}".rstrip())
    return "\n".join(rows)


def main(arguments: Sequence[str]) -> int:
    """See the module."""
    runs = chosen(arguments)
    if not runs:
        print("no templates: give a folder with a copy of openstack/heat-templates (make templates TEMPLATES=folder)")
        return 0
    admin_cloud = os.environ.get("TEMPLATES_ADMIN_CLOUD", "admin")
    clouds = yaml.safe_load(Path(lab.environment()["OS_CLIENT_CONFIG_FILE"]).read_text())["clouds"]
    # A stop by whoever started this is to clean up too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-"))
    space = Namespace(PREFIX)
    operator = Operator(directory, namespaces=(space.name,))
    print(f"{len(runs)} templates, {AT_A_TIME} at a time; the operator's log: {operator.log}", flush=True)
    with operator:
        eventually(lambda: "Holding the lease" in operator.log.read_text(), 40)
        clean_up(space)
        with sites(min(AT_A_TIME, len(runs)), SETTINGS["images"], admin_cloud) as (free, admin):
            entries = {site.name: site.entry(clouds[admin_cloud]) for site in free}
            space.credentials(yaml.safe_dump({"clouds": {**entries, admin.name: clouds[admin_cloud]}}))
            runner = Runner(space, directory, free, admin)
            with ThreadPoolExecutor(len(free) + 1) as pool:
                list(pool.map(runner.run, runs))
        space.close()
    print("\n" + table(runs))
    failed = [run for run in runs if run.result != "ok"]
    print(f"\n{len(runs) - len(failed)} ok, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
