"""Groups and nested templates as the status shows them.

All resources of a Stack are in one graph, with paths as names. This says what the steps of the paths are.
"""

from collections import Counter
from typing import Any, Final

from reconcilers.engine.progress import ProgressTracker

MOST: Final = 100
"""How many groups and nested templates a status shows; those at the top first."""


def parent_of(name: str) -> str:
    """The path of the group or nested template that a resource is in; empty at the top."""
    return name.rpartition("/")[0]


def depth_of(name: str) -> int:
    """How many groups and nested templates a resource is in."""
    return name.count("/")


def nested_of(progress: ProgressTracker) -> tuple[dict[str, Any], ...]:
    """The groups and nested templates of a Stack, each with how many of the resources in it are ready."""
    if not progress.nested:
        return ()
    totals: Counter[str] = Counter()
    ready: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    counted = Counter((parent_of(name), one.state) for name, one in progress.resources.items())
    for (path, state), number in counted.items():
        inside = path
        while inside:
            totals[inside] += number
            ready[inside] += number if state == "Ready" else 0
            failed[inside] += number if state == "Failed" else 0
            inside = parent_of(inside)
    names = sorted(progress.nested, key=lambda name: (depth_of(name), name))[:MOST]
    return tuple(
        {
            "name": name,
            "type": progress.nested[name],
            "depth": depth_of(name),
            "resources": f"{ready[name]}/{totals[name]}",
            **({"failed": failed[name]} if failed[name] else {}),
        }
        for name in sorted(names)
    )
