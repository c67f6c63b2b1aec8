"""Suspends and resumes resources, once all of a Stack's resources are as its template asks.

Dependants are suspended first, and resumed last, as in Heat. A resource's record says what was begun before the first
request is sent, so a later reconciliation goes on from anywhere.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from typing_extensions import override

from reconcilers.capabilities import Suspendable, suspendable
from reconcilers.engine.action import NOTHING, Action, Verb
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.driver import NOT_OBSERVED, ResourceDriver
from reconcilers.engine.graph import run_in_dependency_order
from reconcilers.engine.progress import ReadyResource, ResourceError, ResourceProgress
from reconcilers.engine.result import Result
from reconcilers.model import (
    DriftPolicy,
    Failed,
    Fault,
    Gone,
    Outcome,
    Pause,
    Power,
    Ready,
    Recorded,
    Replace,
    Send,
    Wait,
)

REQUESTS: Final = 3
"""How often a request that was accepted is repeated if it has no effect."""
RESUMED_BY_OTHERS: Final = "somebody resumed it"


def decide(
    rtype: Suspendable, recorded: Recorded, observed: Any, *, suspended: bool, drift: DriftPolicy
) -> tuple[Action, Outcome]:
    """Decide whether to suspend or resume a resource. ``suspended``: it is to be suspended. Pure.

    A resource that the Stack did not suspend is never resumed. One that others resumed is drift.
    """
    if not suspended:
        if recorded.power is Power.RUNNING:
            return NOTHING, Ready()
        return Action(Verb.RESUME), rtype.resume(recorded, observed)
    outcome = rtype.suspend(recorded, observed)
    if recorded.power is not Power.SUSPENDED:
        return Action(Verb.SUSPEND), outcome
    if isinstance(outcome, Ready) or drift is DriftPolicy.IGNORE:
        return NOTHING, Ready()
    if drift is DriftPolicy.REPORT:
        return Action(Verb.REPORT, RESUMED_BY_OTHERS), Ready()
    return Action(Verb.SUSPEND, RESUMED_BY_OTHERS), outcome


class PowerDriver(ResourceDriver):
    """Suspends or resumes one resource."""

    def __init__(self, context: ReconcileContext, ready: ReadyResource, *, suspended: bool) -> None:
        recorded = context.written.get(ready.recorded.key, ready.recorded)
        super().__init__(context, ready.rtype, recorded)
        self.ready = ready
        self.suspended = suspended
        self.verb = "Suspending" if suspended else "Resuming"
        self.observed = ready.observed
        self.sent = 0

    def decide(self) -> tuple[Action, Outcome]:
        """What to do now."""
        rtype = suspendable(self.rtype)
        if rtype is None or self.recorded.external or self.observed is None:
            return NOTHING, Ready()
        drift = self.context.policy.drift
        return decide(rtype, self.recorded, self.view(), suspended=self.suspended, drift=drift)

    @override
    async def advance(self) -> Recorded | None:
        if self.observed is NOT_OBSERVED:
            self.observed = await self.look()
        if self.observed is None:
            raise self.failure("it is gone from the cloud", Fault.RESOURCE)
        with self.expected_form():
            action, outcome = self.decide()
        self.begin(action)
        match outcome:
            case Ready():
                return await self.settle()
            case Send():
                await self.request(outcome)
            case Wait():
                await self.wait(outcome)
            case Pause():
                await self.pause(outcome)
            case Failed():
                raise self.failure(outcome.reason, outcome.fault, outcome.property)
            case Gone() | Replace():
                raise self.failure("it cannot be kept", Fault.RESOURCE)
        return None

    async def request(self, outcome: Send) -> None:
        """Record what is begun, and send the request."""
        if outcome.request.method != "GET":
            self.sent += 1
            if self.sent > REQUESTS:
                reason = f"OpenStack accepted the request {REQUESTS} times, and nothing changed"
                raise self.failure(reason, Fault.RESOURCE)
            power = Power.SUSPENDING if self.suspended else Power.RESUMING
            self.recorded = replace(self.recorded, power=power, state=self.verb)
            self.report()
            await self.save()
        await self.send(outcome)

    async def settle(self) -> Recorded:
        """Record the end, and show the resource as ready again."""
        power = Power.SUSPENDED if self.suspended else Power.RUNNING
        self.recorded = replace(self.recorded, power=power, state="Ready", message="", fault="")
        await self.save()
        ready = self.ready
        name = self.recorded.name
        self.context.settle(name, ReadyResource(ready.rtype, ready.desired, self.recorded, self.observed, ready.read))
        self.context.progress.move(name, ResourceProgress.ready(self.recorded))
        return self.recorded


class PowerChanges:
    """Suspends and resumes what differs from the policy, of all ready resources."""

    def __init__(self, context: ReconcileContext, result: Result) -> None:
        self.context = context
        self.result = result

    async def run(self, needs: Mapping[str, frozenset[str]]) -> None:
        """Suspend dependants first, resume them last. ``needs`` are the requirements of each name.

        Failures are noted in the result.
        """
        pending: dict[Verb, dict[str, PowerDriver]] = {Verb.RESUME: {}, Verb.SUSPEND: {}}
        for name, ready in self.context.ready.items():
            if suspendable(ready.rtype) is None:
                continue
            driver = PowerDriver(self.context, ready, suspended=self.context.policy.suspends(name))
            action, _ = driver.decide()
            if action.verb is Verb.REPORT:
                self.context.progress.drifted[name] = action.why
            elif action.verb in pending:
                pending[action.verb][name] = driver
        if pending[Verb.RESUME]:
            await self._each(pending[Verb.RESUME], needs)
        if pending[Verb.SUSPEND]:
            dependants: dict[str, set[str]] = defaultdict(set, {name: set() for name in needs})
            for name, others in needs.items():
                for other in others:
                    dependants[other].add(name)
            await self._each(pending[Verb.SUSPEND], dependants)

    async def _each(self, drivers: Mapping[str, PowerDriver], after: Mapping[str, Any]) -> None:
        async def one(name: str) -> bool:
            return name not in drivers or await self._one(name, drivers[name])

        never = await run_in_dependency_order(after, one)
        self.result.blocked += sorted(never & drivers.keys())

    async def _one(self, name: str, driver: PowerDriver) -> bool:
        repairs = driver.recorded.power is Power.SUSPENDED and driver.suspended
        try:
            await driver.run()
        except ResourceError as error:
            self.result.fail(self.context, error)
            driver.recorded = replace(driver.recorded, state="Failed", message=error.reason, fault=str(error.fault))
            await driver.save()
            return False
        finally:
            if driver.action is not None:
                self.result.actions[name] = driver.action
        if repairs:
            self.context.progress.repaired[name] = RESUMED_BY_OTHERS
        return True


async def wake(context: ReconcileContext, names: Iterable[str]) -> None:
    """Resume those of these resources that the Stack has suspended, as part of another driver's work.

    Raises ResourceError and what a driver raises.
    """
    for name in sorted(names):
        ready = context.ready.get(name)
        if ready is None or ready.recorded.power is Power.RUNNING:
            continue
        async with context.waking:
            ready = context.ready[name]
            if ready.recorded.power is not Power.RUNNING:
                await PowerDriver(context, ready, suspended=False).drive()
