"""What blocks a Stack: causes, the deepest first. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kiln.api.v1alpha1 import Condition, Reason
from kiln.kubectl import output
from kiln.kubectl.advice import next_step, service_of
from kiln.kubectl.views import ResourceView, StackView
from reconcilers.cloud.limits import printable

UNSEEN: Final = 10.0
"""Seconds after which an operator that runs has seen a spec."""
_REQUEST: Final = re.compile(r"\s*\[?(req-[0-9a-fA-F-]{36})\]?")


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that blocks a Stack.

    ``where`` is a path as ``resources.web`` or ``spec.parameters``. ``blocks`` are the resources that wait for it,
    directly or not. ``service`` is where the request id can be looked up.
    """

    where: str
    reason: str
    message: str
    next_step: str
    request_id: str = ""
    service: str = ""
    blocks: tuple[str, ...] = ()
    only_waits: bool = False
    """It is work in progress, not a failure."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A sentence, and the causes in the order in which to look at them."""

    summary: str
    causes: tuple[Cause, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def blocked(self) -> bool:
        """Whether something else than time is needed."""
        return any(not cause.only_waits for cause in self.causes)


def diagnose(view: StackView, now: datetime, resource: str = "") -> Diagnosis:
    """The diagnosis of a Stack, or of one of its resources, given by its logical name."""
    if not view.observed and not view.deleting:
        return Diagnosis(*_unseen(view, now))
    causes = [*_paused(view), *_inputs(view), *_resources(view)]
    if resource:
        relevant = {f"resources.{name}" for name in (resource, *_closure(resource, view.needs_of))}
        causes = [one for one in causes if one.where in relevant or not one.where.startswith("resources.")]
    if not causes or all(one.only_waits for one in causes):
        causes = [*_condition(view), *causes]
    return Diagnosis(_summary(view, now), tuple(causes), tuple(_notes(view)))


def _unseen(view: StackView, now: datetime) -> tuple[str, tuple[Cause, ...]]:
    fields = view.stack["metadata"].get("managedFields") or ()
    times = [output.parsed_time(one.get("time")) for one in fields if one.get("subresource") != "status"]
    changed = max((time for time in times if time is not None), default=now)
    waited = (now - changed).total_seconds()
    seen = view.status.observed_generation
    what = "no operator has looked at it" if seen < 0 else f"the operator has not seen generation {view.generation} yet"
    summary = (
        f"Stack {view.namespace}/{view.name} is not ready: {what}, {output.duration(waited)} after the last change"
    )
    step = (
        f"check that the operator runs and serves the namespace {view.namespace}: "
        "kubectl get pods,leases -A -l app.kubernetes.io/name=kiln"
        if waited > UNSEEN
        else f"wait some seconds: kubectl stack wait {view.name} -n {view.namespace}"
    )
    return summary, (Cause("spec", "NotObserved", what, step, only_waits=waited <= UNSEEN),)


def _summary(view: StackView, now: datetime) -> str:
    status, last = view.status, view.status.last_operation
    name = f"Stack {view.namespace}/{view.name}"
    if view.deleting:
        since = output.age(view.stack["metadata"]["deletionTimestamp"], now)
        return f"{name} is being deleted for {since}; {len(view.objects)} resources are left"
    if status.is_true(Condition.READY):
        return f"{name} is ready: nothing blocks it"
    what = f"{last.type} {last.result}" if last else "nothing was begun"
    if last is not None and last.running and last.started is not None:
        what += f" for {output.duration((now - last.started).total_seconds())}"
    stalled = "; nothing changes until somebody changes something" if status.is_true(Condition.STALLED) else ""
    return f"{name} is not ready: {status.reason(Condition.READY)} ({what}){stalled}"


def _paused(view: StackView) -> Iterable[Cause]:
    if view.status.is_true(Condition.PAUSED):
        yield _cause(view, "spec.paused", str(Reason.PAUSED), "the operator keeps its hands off this Stack")


def _inputs(view: StackView) -> Iterable[Cause]:
    """The template and the credentials come before everything else."""
    for kind, where in ((Condition.TEMPLATE_VALID, "spec"), (Condition.CLOUD_REACHABLE, "spec.cloudCredentialsRef")):
        found = view.status.conditions.get(kind, {})
        if found.get("status") == "False":
            yield _cause(view, where, str(found.get("reason", "")), str(found.get("message", "")))


def _resources(view: StackView) -> list[Cause]:
    """Resources with faults, those that block most first; then those that are at work and need nothing else."""
    there = view.newest
    failed = _failed(view, there)
    unready = {name for name, one in there.items() if view.deleting or not one.ready}
    unready |= view.pending.keys() | failed.keys()
    waits_for = {name: _direct(view, name) & unready for name in unready}
    blocked_by: dict[str, set[str]] = {}
    for name in unready:
        for other in _closure(name, lambda one: waits_for.get(one, frozenset())):
            blocked_by.setdefault(other, set()).add(name)
    causes = [
        _cause(
            view,
            f"resources.{name}",
            one["reason"],
            one["message"],
            request_id=one.get("requestID", ""),
            service=service_of(one["type"]),
            blocks=tuple(sorted(blocked_by.get(name, set()) - {name})),
        )
        for name, one in failed.items()
    ]
    causes.sort(key=lambda cause: (-len(cause.blocks), cause.where))
    causes += [
        _at_work(view, there[name], tuple(sorted(blocked_by.get(name, set()) - {name})))
        for name in sorted(there.keys() & unready - failed.keys())
        if not waits_for[name] - {name}
    ]
    return causes


def _direct(view: StackView, name: str) -> frozenset[str]:
    """What a resource waits for; of a Stack that is being deleted, those that need it."""
    if view.deleting:
        return frozenset(one.name for one in view.resources if name in one.needs)
    return view.needs_of(name)


def _failed(view: StackView, there: Mapping[str, ResourceView]) -> dict[str, Mapping[str, str]]:
    """What is known of each resource with a fault. The status names ten, the records all."""
    found: dict[str, Mapping[str, str]] = {
        one.name: {"type": one.type, "reason": one.fault, "message": one.message, "requestID": one.request_id}
        for one in there.values()
        if one.fault
    }
    for one in view.raw_status.get("failedResources") or ():
        found[one["name"]] = {**found.get(one["name"], {}), **one}
    return found


def _at_work(view: StackView, one: ResourceView, blocks: tuple[str, ...]) -> Cause:
    message = one.message or ("is to be deleted" if view.deleting and one.ready else f"is {one.state}")
    step = next_step(Reason.DELETING if view.deleting else Reason.PROGRESSING, view.name, view.namespace)
    return Cause(f"resources.{one.name}", one.state, printable(message), step, blocks=blocks, only_waits=True)


def _condition(view: StackView) -> Iterable[Cause]:
    """The Ready condition, where nothing else explains it."""
    status = view.status
    reason = status.reason(Condition.READY)
    quiet = {"", str(Reason.SUCCEEDED), str(Reason.PROGRESSING), str(Reason.DELETING)}
    if not status.is_true(Condition.READY) and reason not in quiet:
        yield _cause(view, "status", reason, status.message(Condition.READY))


def _cause(view: StackView, where: str, reason: str, message: str, **more: Any) -> Cause:
    found = _REQUEST.search(message)
    more["request_id"] = more.get("request_id") or (found[1] if found else "")
    step = next_step(reason, view.name, view.namespace)
    return Cause(where, reason, printable(_REQUEST.sub("", message)), step, **more)


def _notes(view: StackView) -> Iterable[str]:
    status = view.status
    if status.is_true(Condition.DRIFT_DETECTED):
        yield f"drift: {printable(status.message(Condition.DRIFT_DETECTED))}"
    for name, why in sorted((view.raw_status.get("outputErrors") or {}).items()):
        yield printable(f"outputs.{name} has no value: {why}")
    if view.graph is None and not status.is_true(Condition.READY) and not view.deleting:
        yield "what waits for what is not known: the StackRevision may not be read, or holds hidden texts"


def _closure(name: str, needs: Any) -> set[str]:
    """All that a resource needs, directly or not."""
    found: set[str] = set()
    left = [name]
    while left:
        for other in needs(left.pop()):
            if other not in found:
                found.add(other)
                left.append(other)
    return found
