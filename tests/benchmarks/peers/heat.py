"""OpenStack Heat, with the same template. The lab has it with `LAB_HEAT=1`."""

import json
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.peers import Calls, stopwatch
from benchmarks.work import Taken, Work

_POLL = 0.5
_STACK = "bench"


class Heat:
    """One Heat stack at a time."""

    name = "heat"

    def __init__(self, connection: Any) -> None:
        if not connection.has_service("orchestration"):
            raise RuntimeError("this cloud has no Heat: start the lab with `LAB_HEAT=1 make lab-up`")
        self._api = connection.orchestration

    def can(self, work: Work) -> bool:
        """Its templates are the ones that Kiln takes."""
        return True

    def life(self, work: Work) -> Mapping[str, Taken]:
        """Do it and undo it."""
        body = {"stack_name": _STACK, "template": work.template(), "files": work.files(), "timeout_mins": 60}
        # Calls to Neutron. Nova asks it with the same client as Heat does: with servers the two cannot be told apart.
        counted = work.kind in {"networks", "chain"}
        phases = {}
        for phase, done in (("create", "CREATE_COMPLETE"), ("delete", "DELETE_COMPLETE")):
            calls = Calls("python-neutronclient$")
            with stopwatch() as seconds:
                if phase == "create":
                    identity = self._call("POST", "/stacks", body)["stack"]["id"]
                else:
                    self._call("DELETE", f"/stacks/{_STACK}/{identity}")
                self._wait(f"/stacks/{_STACK}/{identity}", done)
            phases[phase] = Taken(seconds[0], calls.count() if counted else None)
        return phases

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._api.request(path, method, json=body, raise_exc=False)
        if answer.status_code == 404 and method == "GET":
            return {"stack": {"stack_status": "DELETE_COMPLETE"}}
        if answer.status_code >= 400:
            raise RuntimeError(f"Heat: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def _wait(self, path: str, wanted: str) -> None:
        while True:
            stack = self._call("GET", f"{path}?resolve_outputs=False")["stack"]
            if stack["stack_status"] == wanted:
                return
            if stack["stack_status"].endswith("FAILED"):
                raise RuntimeError(f"Heat: {json.dumps(stack)[:500]}")
            time.sleep(_POLL)
