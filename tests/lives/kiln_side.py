"""Kiln's side."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from harness import lab
from harness.project import CLOUD
from harness.stacks import SECRET, Namespace

from lives.side import BUSY, Home, Row, Side

LOOK = 0.3
"""Seconds between looks."""
SETTLES = 9.0
"""Seconds after which a failure that is tried again counts as one."""
STATES = {"Ready": "ready", "Failed": "failed", None: "none"}
PASSING = frozenset({None, "Progressing", "Deleting"})


class Kiln(Side):
    """A scenario as a Stack, made by `kiln pack` as a user would."""

    word = "qqk"

    def __init__(self, scenario: Mapping[str, Any], home: Home, letter: str, space: Namespace) -> None:
        self.space = space
        self.applied = False
        super().__init__(scenario, home, letter)

    def apply(self, step: Mapping[str, Any]) -> str:
        with tempfile.TemporaryDirectory() as name:
            packed = subprocess.run(
                [sys.executable, "-m", "kiln.cli", "pack", *self._arguments(step, Path(name)), self.stack],
                cwd=name,
                env=lab.environment(),
                capture_output=True,
                text=True,
                check=False,
            )
        if packed.returncode:
            return packed.stderr[-600:]
        try:
            self.space.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=packed.stdout)
        except RuntimeError as refused:
            return str(refused)[-600:]
        self.applied = True
        return ""

    def _arguments(self, step: Mapping[str, Any], folder: Path) -> list[str]:
        (folder / "_template.yaml").write_text(self.text(step["template"]))
        for name, text in (step.get("files") or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(self.text(text))
        arguments = ["-t", "_template.yaml", "-n", self.space.name, "--secret", SECRET, "--cloud", CLOUD]
        if step.get("environment"):
            given = step["environment"]
            text = self.text(given) if isinstance(given, str) else yaml.safe_dump(self.filled(given))
            (folder / "_environment.yaml").write_text(text)
            arguments += ["-e", "_environment.yaml"]
        for name, value in self.filled(step.get("parameters") or {}).items():
            arguments += ["--parameter", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        return [*arguments, *(["--enable-rollback"] if step.get("rollback") else [])]

    def wait(self, step: Mapping[str, Any]) -> tuple[str, str]:
        end = time.monotonic() + float(step.get("timeout", 120))
        failing_since, why = None, ""
        while (obj := self.space.get("stack", self.stack)) is not None:
            ready = self.space.condition(self.stack)
            reason, told = ready.get("reason"), f"{ready.get('reason')}: {ready.get('message')}"
            if ready.get("status") == "True":
                return "complete", ""
            if reason == "RolledBack":
                return "rolledback", told
            rolling = bool(step.get("rollback")) and reason not in ("InvalidTemplate", "InvalidParameter")
            if reason == "RollbackIncomplete" or (self._stalled(obj) and not rolling and reason not in PASSING):
                return "failed", told
            if reason not in PASSING and not rolling:
                why, failing_since = told, failing_since or time.monotonic()
            if failing_since is not None and time.monotonic() > failing_since + float(step.get("settle", SETTLES)):
                return "failed", why
            if time.monotonic() > end:
                return "timeout", told
            time.sleep(LOOK)
        return "gone", ""

    def _stalled(self, obj: Mapping[str, Any]) -> bool:
        conditions = obj.get("status", {}).get("conditions", [])
        return any(one["type"] == "Stalled" and one["status"] == "True" for one in conditions)

    def delete(self, timeout: float) -> tuple[str, str]:
        if not self.applied:
            return "gone", ""
        self.space.kubectl("delete", "stack", self.stack, "--wait=false", "--ignore-not-found")
        end = time.monotonic() + timeout
        while self.space.get("stack", self.stack) is not None or self.resources():
            if time.monotonic() > end:
                told = self.space.condition(self.stack)
                failed = told.get("reason") not in PASSING
                return "failed" if failed else "timeout", f"{told.get('reason')}: {told.get('message')}"
            time.sleep(LOOK)
        self.applied = False
        return "gone", ""

    def resources(self) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for name, one in self.space.resources(self.stack).items():
            status = one.get("status", {})
            state = status.get("state")
            found[name] = {
                "type": one["spec"]["type"],
                "id": status.get("physicalID") or "",
                "state": STATES.get(state, BUSY),
                "why": status.get("message", "") if state != "Ready" else "",
            }
        return found

    def outputs(self) -> dict[str, Any]:
        status = (self.space.get("stack", self.stack) or {}).get("status") or {}
        errors = {key: {"error": True} for key in status.get("outputErrors") or {}}
        return {**(status.get("outputs") or {}), **errors}

    def abandon(self) -> None:
        if self.applied and self.delete(30.0)[0] != "gone":
            orphan = '{"spec":{"deletionPolicy":"Orphan"}}'
            self.space.kubectl("patch", "stack", self.stack, "--type=merge", "-p", orphan, check=False)
            self.delete(30.0)
