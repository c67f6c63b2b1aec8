"""What all parts of one reconciliation of one Stack use: its objects, policies and limits."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Protocol

from hot_translator import TranslationError
from kiln.api import v1alpha1
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import StackSpec
from kiln.stack import adoption, clock, conditions, validation
from kiln.stack.child_stacks import ChildStacks
from kiln.stack.inputs import Inputs
from kiln.stack.objective import Objective
from kiln.stack.reporter import StackReporter
from kiln.stack.requeue import PassEnd, Requeue
from kiln.stack.resource_store import StackResourceStore
from kiln.stack.shared import CloudAccess, SharedState
from kiln.stack.snapshot_work import SnapshotWork
from kiln.stack.status import StatusUpdate
from kiln.stack.status_writer import StatusWriter
from reconcilers.backoff import Backoff
from reconcilers.engine.context import ReconcileContext, in_executor
from reconcilers.engine.control import Control, Slot
from reconcilers.engine.guard import Guard
from reconcilers.engine.hooks import Hooks
from reconcilers.engine.policy import OnObstacle, Policy
from reconcilers.engine.progress import ProgressTracker
from reconcilers.heat.stack import CHILD_STACKS

RETRY: Final = Backoff(first=5.0, longest=300.0)
"""Between tries of a failed Stack."""
CREDENTIALS_RETRY: Final = 60.0
"""Seconds until refused credentials are tried again. A change of their Secret starts a reconciliation at once."""
ROOM_AGAIN: Final = 5.0
"""Seconds until a large Stack looks again whether the others of its namespace have left it room."""
LOOK_AGAIN: Final = 60.0
"""Seconds until the next look at other Stacks that are waited for. An event of theirs starts one at once."""


class Refused(Exception):  # noqa: N818
    """The reconciliation cannot continue. Carries the status to write, and when to retry."""

    def __init__(self, update: StatusUpdate, requeue: Requeue) -> None:
        super().__init__(update.state.message)
        self.update = update
        self.requeue = requeue


class Run(Slot, Protocol):
    """The work queue's handle on a reconciliation: its slot, and ``superseded``, set when it has to end."""

    superseded: asyncio.Event


class Surroundings:
    """The surroundings of one reconciliation."""

    def __init__(self, shared: SharedState, stack: Mapping[str, Any], run: Run, pass_id: str) -> None:
        self.shared = shared
        self.kube = shared.kube
        self.stack = stack
        self.key = v1alpha1.namespaced_name(stack)
        self.generation: int = stack["metadata"]["generation"]
        self.old = StackStatus.parse(stack)
        self.run_slot = run
        writer = StatusWriter(self.kube, stack, clock.stamp, shared.fence)
        self.reporter = StackReporter(stack, writer, shared.events, pass_id, shared.history)
        self.store = StackResourceStore(self.kube, stack, clock.stamp, shared.fence, self.reporter.redact)
        self.snapshots = SnapshotWork(self.kube, shared.requests, shared.events, self.key, self.reporter.redact)

    def spec(self) -> StackSpec:
        """The Stack's policies. Raises Refused."""
        try:
            return v1alpha1.stack_spec(self.stack)
        except (ValueError, TypeError, LookupError) as error:
            raise self.refusal(v1alpha1.Reason.INVALID_SPEC, f"spec: {error}") from error

    def refusal(self, reason: str, message: str, *, cloud: bool = False, retry: float | None = None) -> Refused:
        """The end of a reconciliation whose spec, or an object that it refers to, is unusable."""
        update = conditions.refused(self.generation, reason, message, cloud=cloud)
        return Refused(update, Requeue(PassEnd.STALLED, retry))

    def untranslatable(self, error: TranslationError) -> Refused:
        """The end of a reconciliation whose template cannot be used: for good, or for now."""
        message = validation.format_problems(error)
        if not error.transient:
            return self.refusal(error.kind, message)
        update = conditions.not_evaluated(self.generation, error.kind, message)
        return Refused(update, Requeue(PassEnd.RETRY, None, RETRY))

    def check_room(self) -> None:
        """Raise Refused while other large Stacks of the namespace take the room."""
        if not self.shared.large.has_room(self.key):
            update = conditions.waiting_for_room(self.generation)
            raise Refused(update, Requeue(PassEnd.WAITING_FOR_ROOM, ROOM_AGAIN))

    def control(self, time_left: float) -> Control:
        """What ends the reconciliation: something newer, a lost Lease, or the end of ``time_left`` (seconds)."""
        run, deadline = self.run_slot, asyncio.get_running_loop().time() + time_left
        return Control(run.superseded, self.shared.fence, run, deadline)

    def context(
        self, spec: StackSpec, decided: Objective, access: CloudAccess, key: bytes, inputs: Inputs | None = None
    ) -> ReconcileContext:
        """The context of the engine. ``inputs`` are those of the target; None for a deletion."""
        policy = Policy(
            stack=v1alpha1.heat_name(self.stack),
            stack_uid=self.stack["metadata"]["uid"],
            key=key,
            drift=spec.drift,
            concurrency=spec.max_concurrency,
            hooks=Hooks(spec.hooks, frozenset(map(_hook, self.reporter.cleared_hooks))),
            guard=Guard(spec.protected_resources),
            on_obstacle=OnObstacle.GO_ON if decided.rolling_back else OnObstacle.HOLD,
            adoption=adoption.rules(self.stack, {}, returns=decided.rolling_back),
            all_suspended=decided.power.whole,
            suspended=decided.power.resources,
        )
        return ReconcileContext(
            policy,
            self.control(decided.time_left),
            {**access.transports, CHILD_STACKS: self.children(inputs, key).transport},
            access.lookup,
            self.store,
            self.reporter.progress,
            started=asyncio.get_running_loop().time(),
            unconfirmed=self.shared.unconfirmed,
            evaluate=in_executor(self.shared.evaluators),
            add_secrets=self.reporter.add_made_secrets,
            note=partial(self.reporter.event, "Normal"),
        )

    def children(self, inputs: Inputs | None, key: bytes) -> ChildStacks:
        """The transport of the Stack's child Stacks."""
        return ChildStacks(
            self.kube,
            self.stack,
            inputs,
            key,
            evaluate=in_executor(self.shared.evaluators),
            fence=self.shared.fence,
            hide=self.reporter.add_secrets,
            counts=self.shared.children,
        )

    def copying_context(self, access: CloudAccess, time_left: float) -> ReconcileContext:
        """The context of calls for StackSnapshots."""
        return ReconcileContext(
            Policy(
                stack=self.key.name,
                stack_uid=self.stack["metadata"]["uid"],
                key=bytes(32),
                adoption=adoption.rules(self.stack, {}),
            ),
            self.control(time_left),
            access.transports,
            access.lookup,
            self.store,
            ProgressTracker(),
            started=asyncio.get_running_loop().time(),
            unconfirmed=self.shared.unconfirmed,
        )


def _hook(text: str) -> tuple[str, str]:
    name, _, hook = text.rpartition(":")
    return name, hook
