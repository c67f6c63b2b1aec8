"""Suspending and resuming a server.

As Heat's OS::Nova::Server does (``handle_suspend``, ``handle_resume``): the suspend and resume actions of Nova, until
the status is SUSPENDED or ACTIVE. Unlike there, a server that was stopped or shelved counts as suspended.
"""

from collections.abc import Mapping
from typing import Any, Final

from reconcilers.compute.server_changes import ACTED, act, status
from reconcilers.model import Failed, Fault, Outcome, Ready, Recorded, Wait

ASLEEP: Final = frozenset({"SUSPENDED", "SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"})
"""Statuses of a server that does not run."""


def suspend(recorded: Recorded, seen: Mapping[str, Any], settled: frozenset[str]) -> Outcome:
    """The next step until the server does not run. ``settled`` are the statuses in which nothing is under way."""
    shown = status(seen)
    waiting = _under_way(seen, settled)
    if waiting is not None:
        return waiting
    if shown in ASLEEP:
        return Ready()
    if shown == "ACTIVE":
        return act(recorded, {"suspend": None})
    return Failed(f"it is {shown}, and Nova suspends only servers that are ACTIVE", Fault.CONFLICT)


def resume(recorded: Recorded, seen: Mapping[str, Any], settled: frozenset[str]) -> Outcome:
    """The next step until the server is not suspended."""
    waiting = _under_way(seen, settled)
    if waiting is not None:
        return waiting
    return act(recorded, {"resume": None}) if status(seen) == "SUSPENDED" else Ready()


def _under_way(seen: Mapping[str, Any], settled: frozenset[str]) -> Wait | None:
    """Nova is doing something with the server, and would refuse a further action."""
    shown, task = status(seen), seen.get("OS-EXT-STS:task_state")
    if task:
        return Wait(f"is {shown} ({task})")
    return Wait(f"is {shown}") if ACTED in seen or shown not in settled else None
