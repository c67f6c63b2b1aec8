"""StackChangeSets as values, and how they are read and written.

A StackChangeSet holds a plan and the digests of what it was made of. It never changes once it is made: a plan that is
out of date ends as Stale, so an approval always is of what its author has read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kiln.api import v1alpha1
from kiln.api.kinds import STACK_CHANGE_SETS
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import API_VERSION, LABEL_STACK, Key, RequestPhase, owner_reference
from kiln.kube.client import Json, Kube
from kiln.kube.errors import AlreadyExists, NotFound
from kiln.stack import clock, plan_report
from kiln.stack.plan_report import Limits
from kiln.stack.planning import StackPlan
from kiln.stack.requests import is_finished
from reconcilers.engine.action import Verb
from reconcilers.engine.plan import Plan

LIMITS: Final = Limits(changes=200, properties=50, calls=10, size=256 << 10)
"""The size of the plan in a status."""
LONGEST_MESSAGE: Final = 8192
MOST_DIFFERENCES: Final = 5
"""How many differences between two plans a message names."""
DESTRUCTIVE: Final = frozenset(map(str, (Verb.REPLACE, Verb.RECREATE, Verb.DELETE, Verb.UNDECIDED)))
"""Actions that may replace or delete a resource."""
_OWN_SPEC: Final = {"delete": False, "approved": False, "ttlAfterFinished": "24h"}
"""What the operator gives in the spec of a StackChangeSet of its own."""


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A parsed StackChangeSet.

    ``digest`` and ``inputs`` are the digests of its plan and of the inputs that it leads to. ``changes`` are the
    actions of its plan by resource, in words. ``destructive`` are the resources that it replaces or deletes, or may;
    None: the plan is too large to be listed. ``target`` is the revision whose update executes it.
    """

    name: str
    uid: str
    proposed: Mapping[str, Any] | None = field(default=None, repr=False)
    delete: bool = False
    approved: bool = False
    phase: str = ""
    digest: str = ""
    inputs: str = ""
    target: str = ""
    changes: Mapping[str, str] = field(default_factory=dict)
    destructive: frozenset[str] | None = frozenset()

    @property
    def ready(self) -> bool:
        """Whether its plan can be approved and executed."""
        return self.phase == RequestPhase.READY

    @property
    def running(self) -> bool:
        """Whether its execution has begun."""
        return self.phase == RequestPhase.RUNNING


def parse(obj: Mapping[str, Any]) -> ChangeSet:
    """Parse a StackChangeSet."""
    spec, status = obj["spec"], obj.get("status") or {}
    basis, changes = status.get("basis") or {}, status.get("changes") or ()
    destructive = frozenset(one["resource"] for one in changes if one["action"] in DESTRUCTIVE)
    return ChangeSet(
        name=obj["metadata"]["name"],
        uid=obj["metadata"]["uid"],
        proposed=spec.get("proposed"),
        delete=bool(spec.get("delete", False)),
        approved=bool(spec.get("approved", False)),
        phase=status.get("phase") or "",
        digest=status.get("digest") or "",
        inputs=basis.get("inputs") or "",
        target=basis.get("targetRevision") or "",
        changes={one["resource"]: _in_words(one["action"], one.get("properties") or ()) for one in changes},
        destructive=None if status.get("omitted") else destructive,
    )


def _in_words(action: str, properties: Any) -> str:
    names = [one["name"] for one in properties]
    return f"{action} {', '.join(names)}" if names and action != Verb.CREATE else action


def matches(one: ChangeSet, planned: StackPlan) -> bool:
    """Whether a change set holds this very plan, of these very inputs."""
    return one.digest == planned.digest and one.inputs == planned.inputs_digest


def difference(one: ChangeSet, plan: Plan) -> str:
    """What a plan does otherwise than a change set says, for people."""
    now = {name: _of_plan(plan, name) for name in plan.changes}
    told: list[str] = []
    for name in sorted(one.changes.keys() | now.keys()):
        before, after = one.changes.get(name), now.get(name)
        if before == after or (before is None and one.destructive is None):
            continue
        if after is None and before is not None and before.partition(" ")[0] in _NOT_CHANGES:
            continue
        told.append(f"{name}: {before or 'nothing'} was planned, now {after or 'nothing'}")
    more = f"; and {len(told) - MOST_DIFFERENCES} more" if len(told) > MOST_DIFFERENCES else ""
    return "; ".join(told[:MOST_DIFFERENCES]) + more or "the values or the requests of the plan differ"


_NOT_CHANGES: Final = frozenset(map(str, (Verb.REFUSE, Verb.REPORT, Verb.LEAVE)))


def _of_plan(plan: Plan, name: str) -> str:
    properties = [{"name": one.name} for one in plan.values.get(name, ())[: LIMITS.properties]]
    return _in_words(str(plan.actions[name].verb), properties)


def planned_status(
    planned: StackPlan, report: Mapping[str, Any], stack: Mapping[str, Any], target: str = ""
) -> dict[str, Any]:
    """The status of a change set whose plan has been made. ``report`` is the plan's, within ``LIMITS``."""
    basis = {
        "generation": stack["metadata"]["generation"],
        "currentRevision": StackStatus.parse(stack).current_revision,
        "targetRevision": target,
        "inputs": planned.inputs_digest,
        "records": planned.records_digest,
    }
    return {
        "phase": str(RequestPhase.READY),
        "planTime": clock.stamp(),
        "digest": planned.digest,
        "basis": {key: value for key, value in basis.items() if value != ""},
        "summary": plan_report.summary(planned.plan.counts()),
        **report,
    }


def finished(phase: RequestPhase, message: str) -> dict[str, Any]:
    """The status of a change set that has ended."""
    return {"phase": str(phase), "message": message[:LONGEST_MESSAGE], "completionTime": clock.stamp()}


@dataclass(frozen=True, slots=True)
class ChangeSets:
    """The StackChangeSets of one Stack."""

    kube: Kube
    key: Key

    async def unfinished(self) -> list[ChangeSet]:
        """All that have not ended, oldest first, whether the informer has seen them or not."""
        found = await self.kube.list(STACK_CHANGE_SETS, self.key.namespace, fields=f"spec.stackName={self.key.name}")
        ours = [one for one in found if one["spec"].get("stackName") == self.key.name and not is_finished(one)]
        ours.sort(key=lambda one: (one["metadata"].get("creationTimestamp", ""), one["metadata"]["name"]))
        return [parse(one) for one in ours if "deletionTimestamp" not in one["metadata"]]

    async def get(self, name: str) -> ChangeSet | None:
        """One that has not ended."""
        found = await self.kube.get(STACK_CHANGE_SETS, self.key.namespace, name)
        if found is None or is_finished(found) or "deletionTimestamp" in found["metadata"]:
            return None
        return parse(found)

    async def write(self, one: ChangeSet, status: Mapping[str, Any]) -> None:
        """Change the status. One that was deleted meanwhile is left alone."""
        body = {"metadata": {"uid": one.uid}, "status": status}
        try:
            await self.kube.patch(STACK_CHANGE_SETS, self.key.namespace, one.name, body, subresource="status")
        except NotFound:
            return

    async def finish(self, one: ChangeSet, phase: RequestPhase, message: str) -> None:
        """End it. The message has to be free of secrets."""
        await self.write(one, finished(phase, message))

    async def create(self, stack: Mapping[str, Any], name: str, status: Mapping[str, Any]) -> None:
        """Create one of the Stack's own plan. An ended one of this name makes way."""
        metadata = {"name": name, "labels": {LABEL_STACK: self.key.name}, "ownerReferences": [owner_reference(stack)]}
        spec = {"stackName": self.key.name, **_OWN_SPEC}
        body = {"apiVersion": API_VERSION, "kind": STACK_CHANGE_SETS.kind, "metadata": metadata, "spec": spec}
        try:
            created = await self.kube.create(STACK_CHANGE_SETS, self.key.namespace, body)
        except AlreadyExists:
            before = await self.kube.get(STACK_CHANGE_SETS, self.key.namespace, name)
            if before is None or not self._superseded(before, stack):
                raise
            await self.kube.delete(STACK_CHANGE_SETS, self.key.namespace, name, uid=before["metadata"]["uid"])
            created = await self.kube.create(STACK_CHANGE_SETS, self.key.namespace, body)
        await self.write(parse(created), status)

    @staticmethod
    def _superseded(obj: Json, stack: Mapping[str, Any]) -> bool:
        """Whether it is a change set of this Stack's own that has ended, or whose plan was never written."""
        own = stack["metadata"]["uid"] in v1alpha1.owner_uids(obj)
        return own and (is_finished(obj) or not (obj.get("status") or {}).get("phase"))
