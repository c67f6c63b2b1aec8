"""Stacks in one namespace, as a user handles them: apply, wait, look, delete."""

import base64
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import lab, reading
from harness.operator import eventually

SECRET = "openstack"


class Namespace:
    """A namespace of its own, with the lab's credentials in the Secret ``openstack``.

    One that is named may be there already, from an earlier run; without a name it is a new one.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name or f"test-{uuid.uuid4().hex[:8]}"
        self.every = 0.3
        """Seconds between looks while something is waited for."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})
        self.credentials(Path(lab.environment()["OS_CLIENT_CONFIG_FILE"]).read_text())

    def credentials(self, clouds: str) -> None:
        """Put the text of a clouds.yaml into the Secret."""
        data = {"clouds.yaml": base64.b64encode(clouds.encode()).decode()}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": data})

    @property
    def kubeconfig(self) -> str:
        """The path of the cluster's kubeconfig."""
        return lab.environment()["KUBECONFIG"]

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """kubectl in this namespace."""
        return lab.kubectl("-n", self.name, *arguments, **options)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Server-side apply."""
        text = "\n---\n".join(json.dumps(obj) for obj in objects)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def stack(self, stack: str, template: Any, *, cloud: str = "", **spec: Any) -> None:
        """Apply a Stack; a template as text goes into templateBody."""
        body = {"templateBody": template} if isinstance(template, str) else {"template": template}
        credentials = {"secretName": SECRET, "cloudName": cloud or lab.environment()["OS_CLOUD"]}
        self.apply(
            {
                "apiVersion": "kiln.dev/v1alpha1",
                "kind": "Stack",
                "metadata": {"name": stack, "namespace": self.name},
                "spec": {"cloudCredentialsRef": credentials, **body, **spec},
            }
        )

    def get(self, kind: str, name: str = "") -> Any:
        """An object as JSON, or all of a kind as a list; None where there is none."""
        resource = reading.find(kind)
        if resource is not None:
            return reading.get(self.kubeconfig, resource, self.name, name)
        printed = self.kubectl("get", kind, *([name] if name else []), "-o", "json", "--ignore-not-found")
        if not printed.strip():
            return None if name else []
        found = json.loads(printed)
        return found if name else found["items"]

    def condition(self, stack: str, kind: str = "Ready") -> dict[str, Any]:
        """One condition of a Stack at its present generation; empty while there is none."""
        obj = self.get("stack", stack)
        if not obj or obj.get("status", {}).get("observedGeneration") != obj["metadata"]["generation"]:
            return {}
        return next((one for one in obj["status"].get("conditions", []) if one["type"] == kind), {})

    def ready(self, stack: str, timeout: float = 240) -> dict[str, Any]:
        """Wait until the Stack is Ready; gives the object. Raises TimeoutError with how it stands."""
        try:
            eventually(lambda: self.condition(stack).get("status") == "True", timeout, self.every)
        except TimeoutError:
            raise TimeoutError(f"{stack}: {json.dumps(self.get('stack', stack).get('status', {}), indent=1)}") from None
        found: dict[str, Any] = self.get("stack", stack)
        return found

    def reason(self, stack: str, reason: str, timeout: float = 180) -> dict[str, Any]:
        """Wait until the Ready condition has this reason; gives the condition."""
        try:
            eventually(lambda: self.condition(stack).get("reason") == reason, timeout, self.every)
            return self.condition(stack)
        except TimeoutError:
            raise TimeoutError(f"{stack} is not {reason}: {self.condition(stack)}") from None

    def delete(self, stack: str, timeout: float = 240) -> None:
        """Delete a Stack and wait until it is gone."""
        self.kubectl("delete", "stack", stack, "--ignore-not-found", f"--timeout={timeout:.0f}s", timeout=timeout + 10)

    def resync(self, stack: str) -> None:
        """Ask for a pass now."""
        self.kubectl("annotate", "stack", stack, f"kiln.dev/reconcile-at={uuid.uuid4()}", "--overwrite")

    def operate(self, stack: str, kind: str, **spec: Any) -> str:
        """Create a StackOperation. Returns its name."""
        name = f"{stack}-{uuid.uuid4().hex[:6]}"
        self.apply(
            {
                "apiVersion": "kiln.dev/v1alpha1",
                "kind": "StackOperation",
                "metadata": {"name": name},
                "spec": {"stackName": stack, "type": kind, **spec},
            }
        )
        return name

    def operated(self, name: str, timeout: float = 180) -> tuple[str, str]:
        """Wait until a StackOperation has ended. Returns its phase and message. Raises TimeoutError."""

        def status() -> dict[str, Any]:
            return dict((self.get("stackoperation", name) or {}).get("status") or {})

        eventually(lambda: status().get("completionTime"), timeout, self.every)
        return status()["phase"], status().get("message", "")

    def change_sets(self, stack: str, phase: str) -> list[str]:
        """The names of a Stack's StackChangeSets in a phase."""
        found = [one for one in self.get("stackchangesets") if one["spec"]["stackName"] == stack]
        return [one["metadata"]["name"] for one in found if (one.get("status") or {}).get("phase") == phase]

    def awaits(self, stack: str, timeout: float = 180) -> str:
        """Wait until the Stack waits for an approval. Returns the name of its StackChangeSet."""
        message = self.reason(stack, "AwaitingApproval", timeout)["message"]
        return str(message.partition("StackChangeSet ")[2].partition(" ")[0])

    def approve(self, name: str) -> None:
        """Approve a StackChangeSet."""
        self.kubectl("patch", "stackchangeset", name, "--type=merge", "-p", json.dumps({"spec": {"approved": True}}))

    def resources(self, stack: str) -> dict[str, dict[str, Any]]:
        """The Stack's StackResources by logical name (the newest of each)."""
        found = [one for one in self.get("stackresources") if one["spec"]["stackName"] == stack]
        found.sort(key=lambda one: one["spec"]["serial"])
        return {one["spec"]["logicalName"]: one for one in found}

    def close(self) -> None:
        """Delete all Stacks, then the namespace."""
        self.kubectl("delete", "stacks", "--all", "--timeout=120s", check=False, timeout=140)
        lab.kubectl("delete", "namespace", self.name, "--wait=false", check=False)
