"""Changes below a resource that takes one at a time leave one after another.

Octavia locks a load balancer while anything of it changes, and answers 409 to all other changes. So they wait here, at
no cost: one looks for all of them whether the load balancer is at rest, and the next one leaves when it is. Members of
a pool that wait go as one. A 409 is met only where somebody else changes the same load balancer.

The answer to a change is the changed resource as it is once the load balancer is at rest, so whoever asked needs no
further look. Who stops waiting gets the service's own answer at once: it holds an id.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from reconcilers.cloud.session import Answer
from reconcilers.errors import CloudError
from reconcilers.model import Failed, Fault, Lane, Request, Wait

FIRST_LOOK: Final = 0.25
"""Seconds until the first look after the first change; from then on it follows how long the changes take."""
FASTEST_LOOK: Final = 0.1
SLOWEST_LOOK: Final = 2.0
SOONER: Final = 0.85
LATER: Final = 1.2
"""What the first look showed says when to look the next time: sooner, or later."""
FOLLOWING: Final = 0.5
"""The pause before a second look, as a part of that before the first."""
GROWTH: Final = 1.5
PATIENCE: Final = 600.0
"""Seconds after which a load balancer that is still at work counts as stuck."""
LOCKED: Final = 409
_PASSING = frozenset({Fault.TRANSIENT, Fault.RATE_LIMITED})

Send = Callable[[Request], Awaitable[Answer]]


@dataclass(slots=True, eq=False)
class _Turn:
    """A request in a lane. ``alone``: it does not go together with others."""

    request: Request
    answer: "asyncio.Future[Answer]"
    alone: bool = False

    @property
    def told_by(self) -> tuple[Any, ...]:
        """What an item of its list is known by."""
        batch = self.request.batch
        return () if batch is None else _told_by(self.request.body[batch.envelopes[0]], batch.told_by)


@dataclass(slots=True, eq=False)
class _Line:
    """What waits for one locked resource."""

    lane: Lane
    path: str
    turns: deque[_Turn] = field(default_factory=deque)
    worker: "asyncio.Task[None] | None" = None
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Nobody waits any more for the change under way."""
    pace: float = FIRST_LOOK
    """Seconds until the first look."""


class Lanes:
    """The lanes of one pass.

    ``send`` sends a request in its turn with all others, ``read`` one that only reads, ``check`` raises where nothing
    more shall leave.
    """

    def __init__(self, send: Send, read: Send, check: Callable[[], None]) -> None:
        self._send = send
        self._read = read
        self._check = check
        self._lines: dict[str, _Line] = {}
        self._above: dict[str, str] = {}
        """Path of the locked resource by the path of one below it."""
        self._climbing: dict[str, asyncio.Task[str]] = {}

    async def send(self, request: Request, lane: Lane) -> Answer:
        """Send a request when it is its turn in the lane. Raises CloudError, and what ``check`` raises."""
        path = await self._locked(lane)
        line = self._lines.setdefault(path, _Line(lane, path))
        turn = _Turn(request, asyncio.get_running_loop().create_future())
        line.turns.append(turn)
        if line.worker is None:
            line.worker = asyncio.ensure_future(self._work(line))
        try:
            return await asyncio.shield(turn.answer)
        except asyncio.CancelledError:
            if turn in line.turns:
                line.turns.remove(turn)
                turn.answer.cancel()
            else:
                line.left.set()
                await asyncio.wait({turn.answer})
                _ = turn.answer.cancelled() or turn.answer.exception()  # nobody else will ask for it
            raise

    # Which lane.

    async def _locked(self, lane: Lane) -> str:
        """The path of the locked resource; many that ask for the same one read it once."""
        if lane.locks(lane.path):
            return lane.path
        if lane.path not in self._above:
            climbing = self._climbing.get(lane.path)
            if climbing is None or climbing.done():
                climbing = self._climbing[lane.path] = asyncio.ensure_future(self._climb(lane))
            self._above[lane.path] = await asyncio.shield(climbing)
        return self._above[lane.path]

    async def _climb(self, lane: Lane) -> str:
        path = lane.path
        while not lane.locks(path):
            path = self._above.get(path) or lane.above((await self._read(Request(lane.service, "GET", path))).body)
        return path

    # The work of one lane.

    async def _work(self, line: _Line) -> None:
        """Send one after another until nothing waits."""
        try:
            while line.turns:
                turns = _next(line.turns)
                line.left.clear()
                try:
                    await self._carry_out(line, turns)
                except Exception as error:  # noqa: BLE001 - whoever waits for the answer gets it
                    _fail([turn for turn in turns if turn not in line.turns], error)
        finally:
            line.worker = None
            for turn in line.turns:
                turn.answer.cancel()

    async def _carry_out(self, line: _Line, turns: list[_Turn]) -> None:
        if len(turns) > 1:
            await self._together(line, turns)
            return
        (turn,) = turns
        answer = await self._admitted(line, turn.request)
        shown = None
        with contextlib.suppress(Exception):  # it was carried out: the answer holds an id
            shown = await self._at_rest(line)
        if not turn.answer.done():
            turn.answer.set_result(await self._changed(line, turn.request, answer, shown))

    async def _admitted(self, line: _Line, request: Request) -> Answer:
        """Send a request; while somebody else has locked the resource, wait and send it again."""
        again = True
        while True:
            try:
                return await self._send(request)
            except CloudError as error:
                waited = await self._was_locked(line, error)
                if not waited and not again:
                    raise  # it was at rest before: the conflict is another one
                again = waited

    async def _was_locked(self, line: _Line, error: CloudError) -> bool:
        """Whether a refusal came from the lock; then it is open again now. Other errors are raised, and if it stays
        locked for good.
        """
        if error.status != LOCKED:
            raise error
        shown = await self._look(line)
        condition = None if shown is None else line.lane.condition(shown.body)
        if isinstance(condition, Failed):
            raise CloudError(condition.fault, condition.reason, status=LOCKED) from error
        if isinstance(condition, Wait):
            await self._at_rest(line, stuck=True)
            return True
        return False

    async def _at_rest(self, line: _Line, *, stuck: bool = False) -> Answer | None:
        """Wait until the resource takes changes again, or never will; the answer that shows it.

        None where nobody can tell, or nobody waits any more. ``stuck``: raise CloudError when the patience is over.
        """
        loop = asyncio.get_running_loop()
        began, pause, looks = loop.time(), line.pace, 0
        while True:
            try:
                await asyncio.wait_for(line.left.wait(), pause)
            except TimeoutError:
                pause, looks = min(line.pace * FOLLOWING * GROWTH**looks, SLOWEST_LOOK), looks + 1
            else:
                return None
            self._check()
            shown = await self._look(line)
            condition = None if shown is None else line.lane.condition(shown.body)
            if not isinstance(condition, Wait):
                line.pace = min(max(line.pace * (SOONER if looks == 1 else LATER), FASTEST_LOOK), SLOWEST_LOOK)
                return shown
            if loop.time() - began > PATIENCE:
                if stuck:
                    reason = f"{line.path.rpartition('/')[2]} {condition.reason} for {PATIENCE / 60:.0f} minutes"
                    raise CloudError(Fault.RESOURCE, reason)
                return None

    async def _look(self, line: _Line) -> Answer | None:
        """The locked resource, None if it is gone. What passes by itself is waited out."""
        while True:
            try:
                return await self._read(Request(line.lane.service, "GET", line.path))
            except CloudError as error:
                if error.status == 404:
                    return None
                if error.fault not in _PASSING:
                    raise
            await asyncio.sleep(SLOWEST_LOOK)
            self._check()

    async def _changed(self, line: _Line, request: Request, answer: Answer, shown: Answer | None) -> Answer:
        """The changed resource as it is now; the service's own answer where that cannot be had, or shows none."""
        key = request.lane.shown if request.lane else ""
        item = (answer.body or {}).get(key) if key else None
        if not isinstance(item, Mapping) or "id" not in item:
            return answer
        path = f"{request.path}/{item['id']}" if request.method == "POST" else request.path
        self._above[path] = line.path
        if shown is None:
            return answer
        try:
            now = shown if path == line.path else await self._read(Request(request.service, "GET", path))
        except CloudError:
            return answer
        return replace(answer, body=now.body)

    # Several as one.

    async def _together(self, line: _Line, turns: list[_Turn]) -> None:
        first = turns[0].request
        batch = first.batch
        if batch is None:
            raise TypeError("only requests with a batch go together")
        one, several = batch.envelopes
        known = {_told_by(item, batch.told_by) for item in await self._items(first, several)}
        going: dict[tuple[Any, ...], _Turn] = {}
        for turn in reversed(turns):
            turn.alone = turn.alone or turn.told_by in known
            if turn.alone or turn.told_by in going:
                line.turns.appendleft(turn)
            else:
                going[turn.told_by] = turn
        if not going:
            return
        body = {several: [turn.request.body[one] for turn in reversed(going.values())]}
        request = replace(first, method=batch.method, params=dict(batch.params), body=body)
        try:
            answer = await self._send(request)
        except CloudError as error:
            if error.ambiguous or error.fault in {*_PASSING, Fault.AUTH}:
                raise
            locked = error.status == LOCKED and await self._was_locked(line, error)
            for turn in going.values():
                turn.alone = not locked  # whichever of them it was for: now each goes alone
                line.turns.appendleft(turn)
            return
        with contextlib.suppress(Exception):  # it was carried out: what it made is looked for all the same
            await self._at_rest(line)
        made = {_told_by(item, batch.told_by): item for item in await self._items(first, several)}
        for key, turn in going.items():
            if turn.answer.done():
                continue
            if key in made:
                turn.answer.set_result(Answer(answer.status, {one: made[key]}, answer.request_id))
            else:
                reason = f"{first.service}: not among what the batch has made"
                turn.answer.set_exception(CloudError(Fault.TRANSIENT, reason, ambiguous=True))

    async def _items(self, request: Request, several: str) -> list[Mapping[str, Any]]:
        listed = await self._read(Request(request.service, "GET", request.path))
        return list((listed.body or {}).get(several) or [])


def _next(turns: deque[_Turn]) -> list[_Turn]:
    """The first that waits, with those that can go along with it."""
    first = turns.popleft()
    batch = first.request.batch
    if batch is None or first.alone:
        return [first]
    along = [turn for turn in turns if not turn.alone and _alike(turn.request, first.request)][: batch.most - 1]
    for turn in along:
        turns.remove(turn)
    return [first, *along]


def _alike(request: Request, other: Request) -> bool:
    return (request.service, request.path, request.batch) == (other.service, other.path, other.batch)


def _told_by(item: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(str(item.get(name)) for name in names)


def _fail(turns: list[_Turn], error: Exception) -> None:
    for turn in turns:
        if not turn.answer.done():
            turn.answer.set_exception(error)
