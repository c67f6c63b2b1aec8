"""A thousand answers of every JSON shape: each is taken, or refused with a CloudError, and nothing else happens.

The answers of an honest cloud are changed at random places: a value becomes one of another type, a member is missing,
a list has an item of another kind, a text is long, odd, or no text at all.
"""

import asyncio
import copy
import json
import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from harness import virtual

from hostile import hostile_cloud as evil
from hostile.conftest import SMALL
from reconcilers import finders, registry
from reconcilers.cloud import session
from reconcilers.cloud.faults import expected_form
from reconcilers.cloud.lookup import Lookup
from reconcilers.cloud.observer import Observer
from reconcilers.cloud.session import Answer
from reconcilers.errors import CloudError
from reconcilers.model import Desired, Recorded, Request

ANSWERS = 1000
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**30,
        "",
        "x",
        "None",
        " ",
        "\ud800",
        "\x00",
        "\x1b[2J",
        "x" * 5000,
        "../..",
        "%s",
    ),
    *([], [[]], [None], ["x"], [1], [{}], {}, {"": {}}, {"id": None}, {"id": {}}, {"id": []}, {"x": {"y": [{}]}}),
]
RAW = [
    b"",
    b" ",
    b"null",
    b"{",
    b"[",
    b'"',
    b"NaN",
    b"1e999",
    b"-",
    b"\xff\xfe{\x00",
    b"\xef\xbb\xbf{}",
    b"{}{}",
    b"9" * 5000,
]


def changed(random: random.Random, value: Any) -> Any:
    """The value with one place of it made odd."""
    places: list[tuple[Any, Any]] = []

    def walk(part: Any) -> None:
        for key in part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ():
            places.append((part, key))
            walk(part[key])

    value = copy.deepcopy(value)
    walk(value)
    if not places or random.random() < 0.1:
        return copy.deepcopy(random.choice(ODD))
    part, key = random.choice(places)
    how = random.randrange(4)
    if how == 0:
        del part[key]
    elif how == 1 and isinstance(part, dict):
        part[random.choice(["", "id", "x", "\ud800", "next", "links"])] = part.pop(key)
    else:
        part[key] = copy.deepcopy(random.choice(ODD))
    return value


@pytest.mark.timeout(400)
async def test_a_thousand_answers_over_the_wire(server, connect, capsys, monkeypatch):
    monkeypatch.setattr(session, "LIST_AGAIN", (0.001, 0.001))
    seed = random.Random(7)
    counts: Counter[str] = Counter()
    honest = {
        "token": server.token(),
        "v3": {"version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{server.url}/v3/"}]}},
        "net": {"networks": [{"id": "n", "name": "x"}], "networks_links": [{"rel": "next", "href": "x"}], "links": {}},
        "post": {"network": {"id": "n", "name": "x", "status": "ACTIVE"}},
        "error": {"NeutronError": {"type": "x", "message": "no", "detail": ""}},
    }
    parts = list(honest)
    for number in range(ANSWERS):
        part = parts[number % len(parts)]
        content: Any = changed(seed, honest[part]) if seed.random() < 0.9 else seed.choice(RAW)
        status = {"token": 201, "post": 201, "error": seed.choice([400, 403, 404, 409, 429, 500, 503])}.get(part, 200)
        headers = {"Retry_After": seed.choice(["nan", "-1", "0", "x", ""])} if part == "error" else {}
        odd = evil.fixed(status, content, X_Subject_Token=seed.choice(["t", "", "é"]), **headers)
        # Versions of Keystone are told under the very path that other modes leave alone.
        whole = _always(content)
        server.modes = {part if part in {"token", "v3"} else "net": whole if part == "v3" else odd}
        cloud = await connect()
        sends = [cloud.project_id()]
        if part in {"post", "error"}:
            sends.append(cloud.send(Request("network", "POST", "/networks", body={"network": {"name": "x"}})))
        else:
            sends.append(cloud.list(Request("network", "GET", "/networks"), "networks"))
        for send in sends:
            try:
                await asyncio.wait_for(send, SMALL.list_deadline + 2)
            except CloudError as error:
                counts[f"{part}: {error.fault.name}"] += 1
                error.message.encode(errors="surrogatepass")
            else:
                counts[f"{part}: taken"] += 1
    with capsys.disabled():
        print(f"\n  {ANSWERS} answers over the wire: {dict(sorted(counts.items()))}")
    assert sum(counts.values()) == 2 * ANSWERS


def _always(content: Any) -> evil.Mode:
    return lambda handler: handler.answer(200, content)


class Odd:
    """A cloud in memory whose every answer is the same."""

    def __init__(self, body: Any) -> None:
        self.body = body

    async def send(self, _request: Request, _caller: Any = None) -> Answer:
        return Answer(200, self.body, "")

    async def project_id(self) -> str:
        return "p"

    async def list(self, _request: Request, _plural: str, _caller: Any = None) -> Any:
        return [self.body] if isinstance(self.body, dict) else []


TOKEN = "00000000-0000-0000-0000-0000000000aa"
RECORDED = Recorded("key", "web", "OS::X", TOKEN, "web-x", "id", defaultdict(lambda: "id"), confirmed=True)
SHOWN = {
    "id": "id", "name": "x", "status": "ACTIVE", "description": f"kiln:{TOKEN}",
    "addresses": {"net": [{"addr": "10.0.0.1", "version": 4, "OS-EXT-IPS:type": "fixed"}]},
    "metadata": {"k": "v"}, "fixed_ips": [{"subnet_id": "s", "ip_address": "10.0.0.1"}], "flavor": {"id": "f"},
    "image": {"id": "i"}, "security_groups": [{"name": "default"}], "attachments": [{"server_id": "s"}], "links": [],
    "os-extended-volumes:volumes_attached": [{"id": "v"}], "allocation_pools": [{"start": "10.0.0.2", "end": "x"}],
    "external_gateway_info": {"network_id": "n", "external_fixed_ips": [{"subnet_id": "s"}]}, "extra_specs": {"k": "v"},
    "allowed_address_pairs": [{"ip_address": "1", "mac_address": "2"}], "tags": ["x"], "members": ["m"], "size": 1,
    "security_group_rules": [{"id": "r"}], "OS-EXT-STS:task_state": None, "fault": {"message": "no"},
}  # fmt: skip


def test_types_read_odd_answers_without_another_error(capsys):
    seed = random.Random(11)
    counts: Counter[str] = Counter()

    async def read(rtype: Any, body: Any) -> None:
        observer = Observer(Odd(body))  # type: ignore[arg-type]
        try:
            observed = await observer.read(rtype, RECORDED)
            if rtype.listing:
                snapshot = await observer.snapshot(rtype, since=asyncio.get_running_loop().time())
                snapshot.find(rtype, "id")
            if observed is not None:
                with expected_form(rtype.service):
                    rtype.step(None, RECORDED, observed)
                    rtype.attributes(None, RECORDED, observed)
                    rtype.owned(observed, RECORDED)
                    rtype.drift(Desired("web", "web-x", dict.fromkeys(rtype.schema.properties)), observed)
        except CloudError:
            counts["refused"] += 1
        else:
            counts["taken"] += 1

    types = [rtype for rtype in registry.load().values() if rtype.service]
    for number in range(ANSWERS):
        rtype = types[number % len(types)]
        key = getattr(rtype, "key", "")
        virtual.run(read(rtype, changed(seed, {key: SHOWN} if key else SHOWN)))
    with capsys.disabled():
        print(f"\n  {ANSWERS} answers for {len(types)} types: {dict(counts)}")
    assert counts["taken"] > ANSWERS / 10


def test_names_are_looked_up_in_odd_lists_without_another_error():
    seed = random.Random(13)

    async def look(body: Any, kind: str) -> None:
        try:
            await Lookup(Odd(body)).resolve(kind, "x")  # type: ignore[arg-type]
        except CloudError:
            return

    registry.load()
    kinds = sorted(finders.registered())
    for number in range(ANSWERS):
        kind = kinds[number % len(kinds)]
        virtual.run(look(changed(seed, {"id": "i", "name": "x", "keypair": {"name": "x"}}), kind))


def test_odd_values_are_json():
    assert all(json.dumps(value) for value in ODD)
