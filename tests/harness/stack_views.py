"""Stacks and StackResources as the API server has them, with what a test is about."""

from datetime import UTC, datetime
from typing import Any

from kiln.kubectl.views import Graph, StackView

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
BEFORE = "2026-01-01T11:59:00Z"
UID = "11111111-2222-3333-4444-555555555555"
REQUEST = "req-01234567-89ab-cdef-0123-456789abcdef"


def condition(kind: str, status: str, reason: str = "Reason", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def stack(
    *conditions: dict[str, Any], name: str = "web", generation: int = 1, observed: int | None = None, **status: Any
) -> dict[str, Any]:
    seen = generation if observed is None else observed
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": UID,
            "generation": generation,
            "creationTimestamp": BEFORE,
            "resourceVersion": "1",
        },
        "spec": {"templateBody": "x"},
        "status": {"observedGeneration": seen, "conditions": list(conditions), **status},
    }


def resource(name: str, state: str = "Ready", kind: str = "OS::Neutron::Net", **status: Any) -> dict[str, Any]:
    serial, needs = status.pop("serial", 0), status.pop("needs", [])
    return {
        "metadata": {
            "name": f"web-{name}-{serial}",
            "namespace": "shop",
            "creationTimestamp": BEFORE,
            "ownerReferences": [{"kind": "Stack", "uid": UID}],
        },
        "spec": {"logicalName": name, "type": kind, "serial": serial, "requires": needs, "stackName": "web"},
        "status": {"state": state, "lastTransitionTime": BEFORE, **status},
    }


def graph(**needs: list[str]) -> Graph:
    """Names with the names that each needs."""
    return Graph(dict.fromkeys(needs, "OS::Neutron::Net"), {name: frozenset(them) for name, them in needs.items()})


def view(found: dict[str, Any], *resources: dict[str, Any], known: Graph | None = None) -> StackView:
    return StackView(found, resources, known)


READY = condition("Ready", "True", "Succeeded", "all resources match the Stack")
WORKING = (condition("Ready", "False", "Progressing", "1/3 resources ready"), condition("Reconciling", "True"))
STALLED = (
    condition("Ready", "False", "InvalidProperty", f"resources.net: no [{REQUEST}]"),
    condition("Stalled", "True"),
)
