"""Sends the requests of a reconciliation: a bounded number at a time, and several in one call if the API allows it.

Services take turns, so that slow requests to Nova do not start late because Neutron has many.

Neutron creates four networks, subnets or ports in one call with a sixth less work than in four. Requests are only
combined while others wait for a slot, and only so many that all slots are used. So no request waits for others, and the
cloud is kept as busy as before.

What changes something that takes one change at a time waits in its lane first (:mod:`reconcilers.cloud.lanes`).
"""

import asyncio
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from reconcilers.cloud.lanes import Lanes
from reconcilers.cloud.session import Answer
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Request

MOST_TOGETHER: Final = 4
"""Most requests in one call. More would save little, and a refused one would cost the others more."""


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    """A queued request with the future of its answer."""

    request: Request
    answer: asyncio.Future[Answer]


class Dispatch:
    """One a pass. ``send`` carries a request out, ``check`` raises where nothing more shall leave, ``slots`` are how
    many calls may be under way.

    With one slot, one resource is made after the other.
    """

    def __init__(self, send: Callable[[Request], Awaitable[Answer]], check: Callable[[], None], slots: int) -> None:
        self._send = send
        self._check = check
        self._slots = slots
        self._free = slots
        self._most = MOST_TOGETHER if slots > 1 else 1
        self._lines: defaultdict[str, deque[_Turn]] = defaultdict(deque)
        """Queued requests by service."""
        self._busy: Counter[str] = Counter()
        """Calls in flight by service."""
        self._under_way: set[asyncio.Task[list[Answer]]] = set()
        self._lanes = Lanes(self._send_in_turn, send, check)

    async def send(self, request: Request) -> Answer:
        """Send a request when it is its turn. Raises what ``check`` raises, then, and CloudError.

        One that has left is awaited to its end, also when nobody wants to know any more.
        """
        if request.lane is not None:
            return await self._lanes.send(request, request.lane)
        return await self._send_in_turn(request)

    async def _send_in_turn(self, request: Request) -> Answer:
        turn = _Turn(request, asyncio.get_running_loop().create_future())
        line = self._lines[request.service]
        line.append(turn)
        self._advance()
        try:
            return await asyncio.shield(turn.answer)
        except asyncio.CancelledError:
            if turn in line:
                line.remove(turn)
                turn.answer.cancel()
            else:
                await asyncio.wait({turn.answer})
                _ = turn.answer.cancelled() or turn.answer.exception()  # nobody else will ask for it
            raise

    def _advance(self) -> None:
        while self._free and (waiting := [service for service, line in self._lines.items() if line]):
            service = min(waiting, key=self._busy.__getitem__)
            self._free -= 1
            self._busy[service] += 1
            turns = self._next(self._lines[service])
            task = asyncio.ensure_future(self._carry_out([turn.request for turn in turns]))
            self._under_way.add(task)
            task.add_done_callback(partial(self._ended, turns))

    def _next(self, line: deque[_Turn]) -> list[_Turn]:
        """The first request of a queue, with those that can share its call."""
        first = line.popleft()
        if first.request.bulk_envelope is None or self._most == 1:
            return [first]
        near = itertools.islice(line, self._slots * self._most)
        like = [turn for turn in near if _alike(turn.request, first.request)]
        along = like[: min(self._most, -(-(1 + len(like)) // self._slots)) - 1]
        for turn in along:
            line.remove(turn)
        return [first, *along]

    async def _carry_out(self, requests: list[Request]) -> list[Answer]:
        self._check()
        first = requests[0]
        if first.bulk_envelope is None or len(requests) == 1:
            return [await self._send(first)]
        one, several = first.bulk_envelope
        bodies = [request.body[one] for request in requests]
        answer = await self._send(replace(first, body={several: bodies}))
        made = (answer.body or {}).get(several) or []
        if len(made) != len(bodies) or not all(map(_answers, made, bodies)):
            raise CloudError(Fault.TRANSIENT, f"{first.service}: an answer to other requests", ambiguous=True)
        return [Answer(answer.status, {one: item}, answer.request_id) for item in made]

    def _ended(self, turns: list[_Turn], task: asyncio.Task[list[Answer]]) -> None:
        service = turns[0].request.service
        self._under_way.discard(task)
        self._free += 1
        self._busy[service] -= 1
        if task.cancelled():
            for turn in turns:
                turn.answer.cancel()
            return
        error = task.exception()
        if len(turns) > 1 and isinstance(error, CloudError):
            # It is unknown which of them failed. From now on, send each alone.
            self._most = 1
            if _refused(error):
                self._lines[service].extendleft(reversed(turns))
                turns = []
        for index, turn in enumerate(turns):
            if turn.answer.done():
                continue
            if error is not None:
                turn.answer.set_exception(error)
            else:
                turn.answer.set_result(task.result()[index])
        self._advance()


def _alike(request: Request, other: Request) -> bool:
    """Whether two requests are for the same collection, in the same way."""
    return (request.service, request.path, request.bulk_envelope, request.microversion) == (
        other.service,
        other.path,
        other.bulk_envelope,
        other.microversion,
    )


def _answers(made: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether an item of the answer matches its request. The services keep the order."""
    return all(made.get(name) == body[name] for name in ("name", "description") if name in body)


def _refused(error: CloudError) -> bool:
    """Whether the service has refused all of them, and would refuse them again."""
    return not error.ambiguous and error.fault not in {Fault.TRANSIENT, Fault.RATE_LIMITED, Fault.AUTH}
