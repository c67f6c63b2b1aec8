"""How requests leave: so many at one time, together where they wait anyway, and never after the end of the pass."""

import asyncio
from typing import Any

import pytest

from reconcilers.cloud.dispatch import Dispatch
from reconcilers.cloud.session import Answer
from reconcilers.engine.control import EndReason, ReconciliationEnded
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Request


def request(name: str, path: str = "/networks") -> Request:
    one, several = path[1:-1], path[1:]
    return Request("network", "POST", path, {one: {"name": name}}, bulk_envelope=(one, several))


class Service:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.gates: list[asyncio.Future[None]] = []
        self.over = False

    async def send(self, sent: Request) -> Answer:
        (key,) = sent.body
        several = isinstance(sent.body[key], list)
        bodies = sent.body[key] if several else [sent.body[key]]
        self.calls.append([body["name"] for body in bodies])
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate
        made = [{"id": f"id-{body['name']}", **body} for body in bodies]
        return Answer(201, {key: made if several else made[0]}, "req-1")

    def check(self) -> None:
        if self.over:
            raise ReconciliationEnded(EndReason.SUPERSEDED)

    async def answer(self, index: int, error: Exception | None = None) -> None:
        if error is not None:
            self.gates[index].set_exception(error)
        else:
            self.gates[index].set_result(None)
        for _ in range(5):
            await asyncio.sleep(0)


def ask(dispatch: Dispatch, *requests: Request) -> "list[asyncio.Task[Answer]]":
    return [asyncio.ensure_future(dispatch.send(one)) for one in requests]


async def begun(service: Service, slots: int, *requests: Request) -> "list[asyncio.Task[Answer]]":
    tasks = ask(Dispatch(service.send, service.check, slots), *requests)
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_with_free_slots_each_request_leaves_at_once_and_alone() -> None:
    service = Service()
    await begun(service, 3, *(request(name) for name in "abc"))
    assert service.calls == [["a"], ["b"], ["c"]]


async def test_what_waits_goes_together_but_leaves_no_slot_idle() -> None:
    service = Service()
    tasks = await begun(service, 2, *(request(name) for name in "abcdef"))
    await service.answer(0)
    assert service.calls == [["a"], ["b"], ["c", "d"]]
    await service.answer(1)
    assert service.calls[3] == ["e"]  # one each is enough for the two that are left
    await service.answer(2)
    await service.answer(3)
    await service.answer(4)
    answers = await asyncio.gather(*tasks)
    assert [answer.body["network"]["id"] for answer in answers] == [f"id-{name}" for name in "abcdef"]


async def test_no_more_than_four_of_one_collection_go_together() -> None:
    service = Service()
    nets = [request(f"n{i}") for i in range(12)]
    await begun(service, 2, *nets[:6], request("s", "/subnets"), *nets[6:])
    await service.answer(0)
    assert service.calls[2] == ["n2", "n3", "n4", "n5"]
    await service.answer(1)
    assert service.calls[3] == ["s"]


async def test_the_services_take_turns() -> None:
    service = Service()
    server = Request("compute", "POST", "/servers", {"server": {"name": "server"}})
    await begun(service, 2, *(request(name) for name in "abcdef"), server)
    await service.answer(0)
    assert service.calls == [["a"], ["b"], ["server"]]


async def test_with_one_slot_one_is_made_after_the_other() -> None:
    service = Service()
    await begun(service, 1, *(request(name) for name in "abcdef"))
    await service.answer(0)
    assert service.calls == [["a"], ["b"]]


async def test_when_several_are_refused_each_is_asked_for_alone_and_answers_for_itself() -> None:
    service = Service()
    a, b, c, d, e = await begun(service, 2, *(request(name) for name in "abcde"))
    await service.answer(0)
    await service.answer(2, CloudError(Fault.QUOTA, "over quota", status=409))
    assert service.calls[3:] == [["c"]]
    await service.answer(3)
    await service.answer(4, CloudError(Fault.QUOTA, "over quota", status=409))
    await service.answer(1)
    await service.answer(5)
    assert service.calls[2:] == [["c", "d"], ["c"], ["d"], ["e"]]
    assert (await c).body["network"]["id"] == "id-c"
    with pytest.raises(CloudError, match="over quota"):
        await d
    assert (await e).body["network"]["id"] == "id-e"
    await asyncio.gather(a, b)


@pytest.mark.parametrize("fault", [Fault.TRANSIENT, Fault.RATE_LIMITED])
async def test_when_it_is_not_known_what_became_of_several_nothing_is_sent_again(fault: Fault) -> None:
    service = Service()
    _, _, c, d, _ = await begun(service, 2, *(request(name) for name in "abcde"))
    await service.answer(0)
    await service.answer(2, CloudError(fault, "no answer", ambiguous=fault is Fault.TRANSIENT))
    for task in (c, d):
        with pytest.raises(CloudError, match="no answer"):
            await task
    assert service.calls == [["a"], ["b"], ["c", "d"], ["e"]]


async def test_an_answer_that_does_not_fit_leaves_the_outcome_open() -> None:
    service = Service()

    async def send(sent: Request) -> Answer:
        answer = await service.send(sent)
        body: Any = answer.body.get("networks")
        return Answer(201, {"networks": body[::-1]}, "req-1") if body else answer

    tasks = ask(Dispatch(send, service.check, 2), *(request(name) for name in "abcde"))
    await asyncio.sleep(0.01)
    await service.answer(0)
    await service.answer(2)
    for task in tasks[2:4]:
        with pytest.raises(CloudError) as caught:
            await task
        assert caught.value.ambiguous


async def test_nothing_leaves_once_the_pass_is_over() -> None:
    service = Service()
    a, b, c = await begun(service, 1, *(request(name) for name in "abc"))
    service.over = True
    await service.answer(0)
    assert (await a).status == 201
    for task in (b, c):
        with pytest.raises(ReconciliationEnded):
            await task
    assert service.calls == [["a"]]


async def test_who_is_cancelled_waits_for_what_has_left_and_takes_back_what_has_not() -> None:
    service = Service()
    a, b = await begun(service, 1, request("a"), request("b"))
    a.cancel()
    b.cancel()
    await asyncio.sleep(0.01)
    assert not a.done()
    assert b.cancelled()
    await service.answer(0)
    with pytest.raises(asyncio.CancelledError):
        await a
    assert service.calls == [["a"]]
