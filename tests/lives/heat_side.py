"""The side of real Heat."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from lives.side import BUSY, Row, Side

GROUPS = frozenset({"OS::Heat::ResourceGroup", "OS::Heat::ResourceChain", "OS::Heat::AutoScalingGroup"})
FILES = (".yaml", ".template")
PATIENCE = 2.0
"""Heat gets as many times what a step's ``timeout`` says: its engine needs more of a small machine."""
LOOK = 0.8
"""Seconds between looks."""


class Heat(Side):
    """A scenario as a stack of Heat."""

    word = "qqh"
    identity = ""

    @property
    def _path(self) -> str:
        return f"/stacks/{self.stack}/{self.identity}"

    def apply(self, step: Mapping[str, Any]) -> str:
        body = {
            "template": self.text(step["template"]),
            "files": {name: self.text(text) for name, text in (step.get("files") or {}).items()},
            "parameters": self.filled(step.get("parameters") or {}),
            "timeout_mins": 10,
            "disable_rollback": not step.get("rollback", False),
        }
        if step.get("environment"):
            given = step["environment"]
            body["environment"] = self.text(given) if isinstance(given, str) else yaml.safe_dump(self.filled(given))
        if self.identity:
            answer = self.send("orchestration", "PUT", self._path, body, admin=False)
        else:
            answer = self.send("orchestration", "POST", "/stacks", {**body, "stack_name": self.stack}, admin=False)
        if answer.status_code >= 400:
            return str((answer.json().get("error") or {}).get("message") or answer.text[:400])
        if not self.identity:
            self.identity = answer.json()["stack"]["id"]
        return ""

    def _stack(self) -> dict[str, Any] | None:
        found = (
            self.read("orchestration", f"{self._path}?resolve_outputs=False", admin=False) if self.identity else None
        )
        return found["stack"] if found else None

    def wait(self, step: Mapping[str, Any]) -> tuple[str, str]:
        end = time.monotonic() + PATIENCE * float(step.get("timeout", 120))
        while (stack := self._stack()) is not None:
            status, reason = stack["stack_status"], stack["stack_status_reason"] or ""
            if status == "ROLLBACK_COMPLETE":
                return "rolledback", reason
            if not status.endswith("IN_PROGRESS"):
                return ("complete", "") if status.endswith("COMPLETE") else ("failed", f"{status}: {reason}")
            if time.monotonic() > end:
                return "timeout", status
            time.sleep(LOOK)
        return "gone", ""

    def delete(self, timeout: float) -> tuple[str, str]:
        if not self.identity:
            return "gone", ""
        self.send("orchestration", "DELETE", self._path, admin=False)
        end = time.monotonic() + timeout
        while (stack := self._stack()) is not None and stack["stack_status"] != "DELETE_COMPLETE":
            if stack["stack_status"] == "DELETE_FAILED":
                return "failed", stack["stack_status_reason"]
            if time.monotonic() > end:
                return "timeout", stack["stack_status"]
            time.sleep(LOOK)
        self.identity = ""
        return "gone", ""

    def resources(self) -> dict[str, Row]:
        if not self.identity:
            return {}
        answer = self.read("orchestration", f"{self._path}/resources?nested_depth=5", admin=False)
        found: dict[str, Row] = {}
        for path, one in self._paths(answer["resources"] if answer else []):
            status = one["resource_status"]
            if status == "DELETE_COMPLETE" or (path in found and found[path]["state"] == "ready"):
                continue  # of two versions of a resource the one that is ready counts
            state = "ready" if status.endswith("_COMPLETE") else "failed" if status.endswith("_FAILED") else BUSY
            found[path] = {
                "type": one["resource_type"],
                "id": one["physical_resource_id"] or "",
                "state": "none" if status == "INIT_COMPLETE" else state,
                "why": one["resource_status_reason"] if state == "failed" else "",
            }
        return found

    def _paths(self, rows: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Resources in the cloud with their paths: a group or nested template is a stack of its own."""
        above = {self.identity: ""}
        links = [{link["rel"]: link["href"].rstrip("/").split("/")[-1] for link in row["links"]} for row in rows]
        for _ in range(6):
            for row, link in zip(rows, links, strict=True):
                if "nested" in link and link["stack"] in above:
                    above.setdefault(link["nested"], f"{above[link['stack']]}{row['resource_name']}/")
        for row, link in zip(rows, links, strict=True):
            virtual = "nested" in link or row["resource_type"] in GROUPS or row["resource_type"].endswith(FILES)
            if link["stack"] in above and not virtual:
                yield f"{above[link['stack']]}{row['resource_name']}", row

    def outputs(self) -> dict[str, Any]:
        found = self.read("orchestration", self._path, admin=False) if self.identity else None
        shown = (found or {"stack": {}})["stack"].get("outputs") or []
        return {
            one["output_key"]: {"error": True} if one.get("output_error") else one.get("output_value") for one in shown
        }

    def abandon(self) -> None:
        for _ in range(3):
            if self.delete(60.0)[0] == "gone":
                return
        self.send("orchestration", "DELETE", f"{self._path}/abandon", admin=False)
        self.identity = ""
