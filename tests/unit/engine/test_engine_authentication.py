"""One asks Keystone for all."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from keystoneauth1.exceptions import Unauthorized

from reconcilers.cloud import session as module
from reconcilers.cloud.session import Cloud
from reconcilers.errors import CloudError
from reconcilers.model import Fault


class Session:
    """A session that takes its time, and counts."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0
        self._guard = threading.Lock()

    def get_project_id(self):
        with self._guard:
            self.asked += 1
        time.sleep(0.02)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def made():
    def make(answer):
        session = Session(answer)
        return Cloud(SimpleNamespace(session=session), pool), session

    with ThreadPoolExecutor(8) as pool:
        yield make


async def test_stacks_that_come_together_authenticate_once(made):
    cloud, session = made("p1")
    assert await asyncio.gather(*(cloud.project_id() for _ in range(20))) == ["p1"] * 20
    assert session.asked == 1


async def test_one_refusal_answers_all_for_a_while_and_not_for_ever(made, monkeypatch):
    cloud, session = made(Unauthorized("no"))
    found = await asyncio.gather(*(cloud.project_id() for _ in range(20)), return_exceptions=True)
    assert {type(one) for one in found} == {CloudError}
    assert {one.fault for one in found} == {Fault.AUTH}
    assert session.asked == 1
    monkeypatch.setattr(module, "_now", lambda: asyncio.get_running_loop().time() + module.REFUSED)
    session.answer = "p1"
    assert await cloud.project_id() == "p1"
