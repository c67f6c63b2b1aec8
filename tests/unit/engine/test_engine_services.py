"""The way to a service: one that does not tell its versions is away, and a list is asked for again."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from openstack import exceptions as sdk

from reconcilers.cloud import session as module
from reconcilers.cloud.session import Cloud
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Request


class Response:
    """What requests gives."""

    def __init__(self, status, content=None, **headers):
        self.status_code = status
        self.content = content if content is not None else b'{"networks": [{"id": "n"}]}' if status < 300 else b"{}"
        self.headers = headers


class Connection:
    """A connection whose network service answers as told, one answer after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    @property
    def network(self):
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(request=lambda *_args, **_options: answer)


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(module, "LIST_AGAIN", (0.001, 0.001))

    def make(*answers):
        connection = Connection(*answers)
        return Cloud(connection, pool), connection

    with ThreadPoolExecutor(2) as pool:
        yield make


LIST = Request("network", "GET", "/networks")
NO_VERSIONS = sdk.NotSupported("The network service exists but does not have any supported versions.")


async def test_a_service_that_does_not_tell_its_versions_is_away(made):
    cloud, _ = made(NO_VERSIONS)
    with pytest.raises(CloudError) as caught:
        await cloud.send(Request("network", "POST", "/networks", body={}))
    assert caught.value.fault is Fault.TRANSIENT
    assert not caught.value.ambiguous
    assert caught.value.message.startswith("network: ")


async def test_a_service_that_the_cloud_has_not_got_is_no_trouble_that_passes(made):
    cloud, connection = made(sdk.ServiceDisabledException("not in the catalogue"))
    with pytest.raises(CloudError) as caught:
        await cloud.list(LIST, "networks")
    assert caught.value.fault is Fault.INVALID
    assert connection.asked == 1


async def test_a_list_is_asked_for_again(made):
    cloud, connection = made(NO_VERSIONS, Response(503), Response(200))
    assert await cloud.list(LIST, "networks") == [{"id": "n"}]
    assert connection.asked == 3


async def test_a_list_that_is_not_to_be_had_names_its_service(made):
    cloud, connection = made(Response(503))
    with pytest.raises(CloudError) as caught:
        await cloud.list(LIST, "networks")
    assert caught.value.message == "network: HTTP 503"
    assert connection.asked == 3


async def test_what_changes_something_is_sent_once(made):
    cloud, connection = made(Response(503))
    with pytest.raises(CloudError):
        await cloud.send(Request("network", "POST", "/networks", body={}))
    assert connection.asked == 1
