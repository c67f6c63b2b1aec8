"""Stacks by the kubernetes package, in this process: what is measured holds no start of a kubectl.

The script among the peers too has its connections before the clock starts.
"""

from collections.abc import Callable, Mapping
from typing import Any

from harness import lab
from kubernetes import client, config, watch

_STACKS = ("kiln.dev", "v1alpha1")


class Stacks:
    """The Stacks of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._api = client.CustomObjectsApi(config.new_client_from_config(lab.environment()["KUBECONFIG"]))

    def apply(self, stack: Mapping[str, Any]) -> None:
        """Server-side apply."""
        self._api.patch_namespaced_custom_object(
            *_STACKS,
            self._namespace,
            "stacks",
            stack["metadata"]["name"],
            stack,
            field_manager="bench",
            force=True,
            _content_type="application/apply-patch+yaml",
        )

    def wait(self, name: str, seconds: int) -> None:
        """Wait until the Stack is Ready at its present generation. Raises TimeoutError."""
        self._until(self._get(name), _ready, seconds)

    def delete(self, name: str, seconds: int) -> None:
        """Delete a Stack and wait until it is gone. Raises TimeoutError."""
        stack = self._get(name)
        self._api.delete_namespaced_custom_object(*_STACKS, self._namespace, "stacks", name)
        self._until(stack, lambda kind, _: kind == "DELETED", seconds)

    def _get(self, name: str) -> dict[str, Any]:
        return dict(self._api.get_namespaced_custom_object(*_STACKS, self._namespace, "stacks", name))

    def _until(self, stack: dict[str, Any], reached: Callable[[str, Any], bool], seconds: int) -> None:
        """Watch a Stack, from this state on."""
        if reached("ADDED", stack):
            return
        events = watch.Watch().stream(
            self._api.list_namespaced_custom_object,
            *_STACKS,
            self._namespace,
            "stacks",
            field_selector=f"metadata.name={stack['metadata']['name']}",
            resource_version=stack["metadata"]["resourceVersion"],
            timeout_seconds=seconds,
        )
        if not any(reached(event["type"], event["object"]) for event in events):
            raise TimeoutError(f"{stack['metadata']['name']} is not there after {seconds} s")


def _ready(_kind: str, stack: Mapping[str, Any]) -> bool:
    status = stack.get("status") or {}
    if status.get("observedGeneration") != stack["metadata"]["generation"]:
        return False
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ())
