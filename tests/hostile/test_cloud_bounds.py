"""What a hostile cloud answers has bounds in size, number, depth and time, and each says that it was exceeded."""

import asyncio
import contextlib
import json
import resource
import time

import pytest

from hostile import hostile_cloud as evil
from hostile.conftest import PASSWORD, SMALL
from kiln.clouds.address_guard import AddressGuard
from reconcilers.cloud.calls import Caller
from reconcilers.cloud.limits import Limits
from reconcilers.cloud.session import Cloud
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Request

LIST = Request("network", "GET", "/networks")
POST = Request("network", "POST", "/networks", body={"network": {"name": "x"}})


async def refusal(cloud, request=LIST, **options):
    with pytest.raises(CloudError) as caught:
        await (cloud.list(request, "networks", **options) if request is LIST else cloud.send(request, **options))
    return caught.value


async def test_an_honest_answer_passes(server, connect):
    cloud = await connect()
    assert await cloud.list(LIST, "networks") == []
    assert (await cloud.send(POST)).body["network"]["name"] == "x"
    assert await cloud.project_id() == "p"


DEEP = b'{"networks": [' + b"[" * 100 + b"]" * 100 + b"]}"
SIZES = {
    "bomb": (evil.bomb(200), "limit: body"),
    "bomb of objects": (evil.fixed(200, b'{"networks": [' + b"{}," * 100_000 + b"{}]}"), "limit: values"),
    "flood": (evil.only_lists(evil.flood), "limit: wire"),
    "a large body": (evil.fixed(200, b" " * (2 << 20)), "limit: wire"),
    "deep": (evil.fixed(200, DEEP), "limit: depth"),
    "deeper": (evil.fixed(200, b"[" * 5_000), "limit: depth"),
    "endless pages": (evil.only_lists(evil.endless_pages), "limit: items"),
    "a page that leads to itself": (evil.only_lists(evil.same_page), "leads to itself"),
    "a long header": (evil.fixed(200, {"networks": []}, X_Long="h" * 30_000), "limit: header"),
    "a compression that was not asked for": (evil.fixed(200, b"x", Content_Encoding="br"), "not asked for"),
    "no gzip": (evil.fixed(200, b"xxxxx", Content_Encoding="gzip"), "is not"),
}


@pytest.mark.parametrize("kind", SIZES)
async def test_what_exceeds_a_bound_is_an_error_that_names_it(server, connect, kind):
    cloud = await connect()
    server.modes["net"], words = SIZES[kind]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    error = await refusal(cloud)
    assert words in error.message
    assert error.fault is Fault.TRANSIENT
    assert time.monotonic() - began < SMALL.list_deadline + 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


UNASKED = {
    "flood": evil.flood,
    "deep": lambda handler: handler.answer(200, b"[" * 5000),
    "a large body": lambda handler: handler.answer(200, b" " * (2 << 20)),
    "a long header": lambda handler: handler.answer(200, {}, X_Long="h" * 30_000),
    "a drip": evil.drip("body"),
}


@pytest.mark.parametrize("part", ["token", "v3"])
@pytest.mark.parametrize("kind", UNASKED)
async def test_the_bounds_hold_for_what_keystoneauth_asks_by_itself(server, connect, part, kind):
    cloud = await connect()
    server.modes[part] = UNASKED[kind]
    began = time.monotonic()
    with contextlib.suppress(CloudError):
        # Without versions it takes the URL as it is.
        await cloud.project_id()
    assert time.monotonic() - began < SMALL.deadline + 1


DRIPS = ["status", "header", "headers", "body", "error", "chunks", "size", "trailers", "continue", "silence"]


@pytest.mark.parametrize("part", DRIPS)
async def test_one_deadline_is_for_the_whole_call(server, connect, part):
    cloud = await connect()
    await cloud.list(LIST, "networks")
    server.modes["net"] = evil.drip(part)
    began = time.monotonic()
    error = await refusal(cloud)
    assert "limit: deadline" in error.message or "header" in error.message
    assert error.fault is Fault.TRANSIENT
    assert not error.ambiguous
    assert time.monotonic() - began < SMALL.deadline + 0.5


async def test_the_deadline_is_for_authentication_too(server, connect):
    cloud = await connect()
    server.modes["token"] = evil.drip("body")
    began = time.monotonic()
    with pytest.raises(CloudError, match="limit: deadline"):
        await cloud.project_id()
    assert time.monotonic() - began < SMALL.deadline + 0.5


async def test_what_may_have_been_done_when_the_time_is_over_is_ambiguous(server, connect):
    cloud = await connect()
    await cloud.list(LIST, "networks")
    server.modes["net"] = evil.drip("body")
    error = await refusal(cloud, POST)
    assert error.ambiguous
    assert "limit: deadline" in error.message


async def test_a_service_that_asks_for_a_long_wait_holds_nobody(server, connect):
    cloud = await connect()
    await cloud.list(LIST, "networks")
    server.modes["net"] = evil.fixed(503, {}, Retry_After="99999999")
    began = time.monotonic()
    for _ in range(2):
        error = await refusal(cloud, POST)
        assert error.fault is Fault.RATE_LIMITED
        assert 500 < error.retry_after <= 600
    error = await refusal(cloud)
    assert error.message.startswith("network: asks for no calls for ")
    assert time.monotonic() - began < 10


async def test_a_service_that_asks_for_a_short_wait_is_left_alone_so_long(server, connect):
    cloud = await connect()
    await cloud.list(LIST, "networks")
    server.modes["net"] = evil.fixed(503, {}, Retry_After="0.4")
    await refusal(cloud, POST)
    server.modes.clear()
    began = time.monotonic()
    await cloud.send(POST)
    assert 0.3 < time.monotonic() - began < 5


class GivenUp(Exception):  # noqa: N818
    """What the caller's check raises."""


def caller_of(superseded):
    def check():
        if superseded.is_set():
            raise GivenUp

    return Caller(check, superseded)


async def test_a_caller_that_is_superseded_does_not_wait_for_what_only_reads(server, connect):
    cloud = await connect(Limits(deadline=30.0))
    await cloud.list(LIST, "networks")
    server.modes["net"] = evil.drip("body")
    superseded = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, superseded.set)
    began = time.monotonic()
    with pytest.raises(GivenUp):
        await cloud.list(LIST, "networks", caller_of(superseded))
    assert time.monotonic() - began < 0.5


async def test_a_caller_s_deadline_cuts_a_read_short(server, connect):
    cloud = await connect(Limits(deadline=30.0))
    await cloud.list(LIST, "networks")
    server.modes["net"] = evil.drip("body")
    began = time.monotonic()
    with pytest.raises(CloudError):
        await cloud.send(LIST, Caller(deadline=asyncio.get_running_loop().time() + 0.2))
    assert time.monotonic() - began < 0.5


async def test_what_changes_something_is_awaited_to_its_end_also_by_a_superseded_caller(server, connect):
    cloud = await connect()
    await cloud.list(LIST, "networks")

    def slow(handler):
        time.sleep(0.4)
        evil.well_behaved(handler)

    server.modes["net"] = slow
    superseded = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, superseded.set)
    answer = await cloud.send(POST, caller_of(superseded))
    assert answer.body["network"]["id"] == "n"


async def test_who_is_superseded_while_the_service_asks_for_patience_leaves_at_once_and_sends_nothing(server, connect):
    cloud = await connect(Limits(deadline=30.0))
    await cloud.list(LIST, "networks")
    server.modes["net"] = evil.fixed(429, {}, Retry_After="20")
    assert (await refusal(cloud, POST)).fault is Fault.RATE_LIMITED
    asked = len(server.asked)
    superseded = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, superseded.set)
    began = time.monotonic()
    with pytest.raises(GivenUp):
        await cloud.send(POST, caller_of(superseded))
    assert time.monotonic() - began < 0.5
    assert len(server.asked) == asked


async def test_check_is_asked_after_the_wait_and_before_the_request_leaves(server, connect):
    cloud = await connect()
    await cloud.list(LIST, "networks")
    server.modes["net"] = evil.fixed(429, {}, Retry_After="0.3")
    await refusal(cloud, POST)
    asked, outdated = len(server.asked), []

    def check():
        if outdated:
            raise GivenUp

    asyncio.get_running_loop().call_later(0.1, outdated.append, True)
    with pytest.raises(GivenUp):
        await cloud.send(POST, Caller(check))
    assert len(server.asked) == asked


async def test_who_waits_for_patience_holds_no_slot(server, connect):
    made = await connect()
    cloud = Cloud(made.connection, made.executor, limits=Limits(deadline=30.0), concurrency=1)
    server.modes["net"] = evil.fixed(429, {}, Retry_After="20")
    await refusal(cloud, POST)
    waiting = asyncio.ensure_future(cloud.send(POST))
    await asyncio.sleep(0.05)
    assert not cloud._throttles["network"].slots.locked()
    waiting.cancel()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("part", ["token", "net", "v3"])
async def test_no_redirect_carries_credentials_to_another_host(server, connect, part, status):
    with evil.running() as other:
        cloud = await connect()
        server.modes[part] = evil.redirect(f"{other.url}/v3/auth/tokens", status)
        for request in (LIST, POST):
            with pytest.raises(CloudError):
                await cloud.send(request)
        assert not other.asked


async def test_a_redirect_within_one_server_is_followed(server, connect):
    cloud = await connect()

    def moved(handler):
        if handler.path == "/v3":
            handler.answer(302, b"", Location="/v3/")
        else:
            evil.well_behaved(handler)

    server.modes["v3"] = moved
    assert await cloud.project_id() == "p"


async def test_a_catalogue_cannot_lead_to_a_denied_place(server, connect):
    cloud = await connect(guard=AddressGuard(["127.0.0.2/32"]))
    server.token = lambda: json.loads(json.dumps(type(server).token(server)).replace("127.0.0.1", "127.0.0.2"))
    error = await refusal(cloud)
    assert "settings forbid" in error.message


async def test_a_request_id_is_bounded_and_clean(server, connect):
    cloud = await connect()
    server.modes["net"] = evil.fixed(400, {"message": "no"}, X_Openstack_Request_Id="req-\x1b[31m" + "r" * 6000)
    error = await refusal(cloud, POST)
    assert len(error.request_id) <= 64
    assert error.request_id.isascii()
    assert "\x1b" not in error.request_id


async def test_what_is_classed_is_the_answer_as_it_came(server, connect):
    # The body of the request holds secrets that are words of the service's answers.
    cloud = await connect()
    server.modes["net"] = evil.fixed(409, {"NeutronError": {"message": "Quota exceeded for resources", "type": "x"}})
    request = Request("network", "POST", "/networks", body={"network": {"password": "Quota exceeded"}})
    error = await refusal(cloud, request)
    assert error.fault is Fault.QUOTA
    assert "Quota" not in error.message


async def test_an_error_s_message_is_not_cut_before_it_is_redacted(server, connect):
    cloud = await connect()
    secret = "s" * 3000
    server.modes["net"] = evil.fixed(400, {"message": "bad value " + "x" * 490 + secret})
    assert secret in (await refusal(cloud, POST)).message
    server.modes["net"] = evil.fixed(400, {"message": "x" * SMALL.error})
    assert (await refusal(cloud, POST)).message == "HTTP 400"


async def test_cookies_are_not_kept(server, connect):
    cloud = await connect()
    server.modes["net"] = evil.fixed(200, {"networks": []}, Set_Cookie="a=" + "b" * 1000)
    await cloud.list(LIST, "networks")
    assert len(cloud.connection.session.session.cookies) == 0


async def test_what_keystone_echoes_is_an_error_with_its_class(server, connect):
    cloud = await connect()
    server.modes["token"] = evil.echo(401)
    with pytest.raises(CloudError) as caught:
        await cloud.project_id()
    assert caught.value.fault is Fault.AUTH
    assert PASSWORD in caught.value.message  # whoever shows it hides it: see the tests of the status
