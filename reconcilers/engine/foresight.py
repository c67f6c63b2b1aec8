"""Foresees the requests that an action sends, by asking the type for one step after the other.

The type is asked with what its requests would bring about (:meth:`reconcilers.contract.ResourceType.foresee`). What
depends on an answer of the cloud that nobody can know ends the list, which then says that more may follow. Reads are
sent; nothing is changed. A value that does not exist yet, such as the id of a resource to be created, is a placeholder
with the name of its resource: ``{net}``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hot_translator import UNKNOWN
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.driver import identified
from reconcilers.errors import CloudError
from reconcilers.model import Desired, Failed, Gone, Outcome, Pause, Ready, Recorded, Replace, Request, Send, Wait
from reconcilers.resource_type import ResourceType

MOST_STEPS: Final = 32
"""Steps of one resource that are foreseen."""
ODD_FORM: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a type raises if a placeholder has another form than the value that will be there."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that changes something. Placeholders in the path are names of resources in braces."""

    method: str
    service: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.service} {self.path}"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The requests that change something, in order. Not ``complete``: more may follow."""

    calls: tuple[Call, ...] = ()
    complete: bool = True

    def __add__(self, other: "Foreseen") -> "Foreseen":
        return Foreseen(self.calls + other.calls, self.complete and other.complete)


NO_CALLS: Final = Foreseen()
UNFORESEEN: Final = Foreseen(complete=False)


def call_of(request: Request) -> Call:
    """The request as a call of a plan."""
    return Call(request.method, request.service, request.path)


def placeholder(name: str) -> str:
    """What stands for the id of a resource that does not exist yet."""
    return f"{{{name}}}"


def filled(value: Any, guess: Any) -> Any:
    """The value with placeholders where it is unknown. ``guess`` is the same value, evaluated with placeholders."""
    if value is UNKNOWN:
        return placeholder("known later") if guess is UNKNOWN else guess
    if isinstance(value, Mapping):
        other = guess if isinstance(guess, Mapping) else {}
        return {key: filled(item, other.get(key, UNKNOWN)) for key, item in value.items()}
    if isinstance(value, list):
        others = guess if isinstance(guess, list) and len(guess) == len(value) else [UNKNOWN] * len(value)
        return [filled(item, other) for item, other in zip(value, others, strict=True)]
    return value


class Foresight:
    """Foresees the requests of one plan."""

    def __init__(self, context: ReconcileContext) -> None:
        self.context = context

    async def change(
        self, rtype: ResourceType, desired: Desired, recorded: Recorded, observed: Any, outcome: Outcome | None = None
    ) -> Foreseen:
        """The requests that bring a resource to what is desired. ``outcome`` is the first step, if it is known."""
        return await _Life(self.context, rtype, desired, recorded, observed).foresee(outcome)

    async def removal(self, rtype: ResourceType, recorded: Recorded) -> Foreseen:
        """The requests that delete a recorded resource. Raises CloudError."""
        recorded = identified(rtype, recorded)
        if not recorded.confirmed:
            return UNFORESEEN if rtype.service else NO_CALLS
        if recorded.physical_id is not None and rtype.deletes_without_read:
            observed: Any = {"id": recorded.physical_id}
        else:
            observed = await self._observed(rtype, recorded)
        return await _Life(self.context, rtype, None, recorded, observed).foresee(None)

    async def _observed(self, rtype: ResourceType, recorded: Recorded) -> Any:
        if not rtype.service:
            return None
        found = self.context.seen(rtype, recorded.physical_id or "") if rtype.listing else None
        if found is not None:
            return found
        return await self.context.observer_of(rtype).read(rtype, recorded, self.context.caller)


class _Life:
    """What becomes of one resource. ``desired`` is None for a deletion."""

    def __init__(
        self, context: ReconcileContext, rtype: ResourceType, desired: Desired | None, recorded: Recorded, observed: Any
    ) -> None:
        self.context = context
        self.rtype = rtype
        self.desired = desired
        self.recorded = recorded
        self.observed = observed
        self.reads: dict[str, Any] = {}
        self.calls: list[Call] = []

    async def foresee(self, outcome: Outcome | None) -> Foreseen:
        try:
            complete = await self._steps(outcome)
        except ODD_FORM:
            complete = False
        return Foreseen(tuple(self.calls), complete)

    async def _steps(self, outcome: Outcome | None) -> bool:
        """Foresee one step after the other. Returns whether the last one is known."""
        for _ in range(MOST_STEPS):
            done = await self._step(outcome if outcome is not None else self._next())
            if done is not None:
                return done
            outcome = None
        return False

    def _next(self) -> Outcome:
        view = {**(self.observed or {}), **self.reads} if self.reads else self.observed
        return self.rtype.step(self.desired, self.recorded, view)

    async def _step(self, outcome: Outcome) -> bool | None:
        """Whether all is known, once nothing more can be foreseen; None: there is a next step."""
        match outcome:
            case Ready() | Gone():
                return True
            case Wait() if self.desired is None:
                self.observed, self.reads = None, {}
            case Pause():
                self.recorded = replace(self.recorded, data={**self.recorded.data, **outcome.remember})
            case Send() if outcome.request.method == "GET":
                return await self._read(outcome)
            case Send():
                return self._write(outcome)
            case Wait() | Failed() | Replace():
                return False
        return None

    async def _read(self, step: Send) -> bool | None:
        if not step.into or any("{" in text for text in _texts(step.request)):
            return False
        try:
            self.reads[step.into] = (await self.context.send(step.request)).body
        except CloudError:
            return False
        return None

    def _write(self, step: Send) -> bool | None:
        request = step.request
        self.calls.append(call_of(request))
        data = {key: value for key, value in self.recorded.data.items() if key not in step.forget}
        self.recorded = replace(self.recorded, data={**data, **step.remember})
        if self.desired is None:
            return self._removed(step)
        if not step.into:
            self.desired = replace(self.desired, changed=self.desired.changed - step.applies)
            if not self.desired.changed:
                return True
        if step.creates:
            identity = self.rtype.identity(self.recorded) or placeholder(self.recorded.name)
            self.recorded = replace(self.recorded, physical_id=identity, confirmed=True)
        foreseen = self.rtype.foresee(step, self.recorded, self.observed)
        if foreseen is UNKNOWN:
            return False
        self.observed, self.reads = foreseen, {}
        return None

    def _removed(self, step: Send) -> bool | None:
        if step.deletes:
            return True
        if step.into:
            self.reads[step.into] = {}
        elif step.request.method == "DELETE":
            self.observed, self.reads = None, {}
        else:
            return False
        return None


def _texts(request: Request) -> Iterator[str]:
    yield request.path
    yield from map(str, request.params.values())
