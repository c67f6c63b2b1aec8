"""StackResources as the engine's memory: versions, hand-over, and a fence."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from kiln.api import v1alpha1
from kiln.kube.client import Conflict, Forbidden, Kube, KubeError
from kiln.stack.resource_store import StackResourceStore
from reconcilers import identifiers
from reconcilers.engine.control import ReconciliationEnded
from reconcilers.model import Intent, Recorded

STACK = {"metadata": {"namespace": "ns", "name": "web", "uid": "00000000-0000-0000-0000-000000000001"}}
UID = "00000000-0000-0000-0000-000000000001"
INTENT = Intent(
    *("net", "OS::Neutron::Net", 2, identifiers.token(UID, "net", 2), "web-net-abc"),
    requires=frozenset({"b", "a"}),
    data={"k": "v"},
    digests={"name": "d"},
    attempts=1,
)


class Server(Kube):
    """A Kubernetes API that holds StackResources, as far as the store needs one; ``ending``: nothing can be created."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.ending = False
        self.version = 0

    def stored(self, name: str, obj: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.version)}
        held = self.objects[name] = {**obj, "metadata": metadata}
        return held

    async def _call(self, method: str, res: Any, path: str, **given: Any) -> Any:
        name = path.removesuffix("/status").split("/")[-1]
        self.calls.append((method, name))
        body = given.get("body")
        if method == "POST":
            if self.ending:
                raise Forbidden(403, "Forbidden", "the namespace is being terminated")
            name = body["metadata"]["name"]
            if name in self.objects:
                raise _conflict("AlreadyExists")
            if given["query"].get("dryRun"):
                return body
            return self.stored(name, body)
        if method == "GET" and name == "stackresources":
            return {"apiVersion": "kiln.dev/v1alpha1", "items": list(self.objects.values()), "metadata": {}}
        if method == "DELETE" and name == "stackresources":
            self.objects = {key: obj for key, obj in self.objects.items() if "kiln.dev/gone" not in _labels(obj)}
            return {}
        if method == "DELETE":
            metadata = {**self.objects[name]["metadata"], "deletionTimestamp": "now"}
            return self.stored(name, {**self.objects[name], "metadata": metadata})
        if method == "PATCH" and isinstance(body, list):
            if body[0]["value"] != self.objects[name]["metadata"]["resourceVersion"]:
                raise _conflict("Conflict")
            return self.stored(name, {**self.objects[name], "status": body[1]["value"]})
        if method == "PATCH" and body["metadata"].get("labels"):
            labels = {**_labels(self.objects[name]), **body["metadata"]["labels"]}
            return self.stored(
                name, {**self.objects[name], "metadata": {**self.objects[name]["metadata"], "labels": labels}}
            )
        if method == "PATCH":
            return self.objects.pop(name)
        return self.objects[name]


def _labels(obj: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = obj["metadata"].get("labels") or {}
    return found


def _conflict(reason: str) -> KubeError:

    return Conflict(409, reason, "")


@pytest.fixture
def server() -> Server:
    made = Server()
    made._deleted = OrderedDict()
    return made


def store(server: Server, *, fence: bool = True) -> StackResourceStore:
    return StackResourceStore(server, STACK, lambda: "t", lambda: fence)


async def test_an_intent_comes_back_as_it_was_stored(server: Server) -> None:
    made = await store(server).create(INTENT)
    [loaded] = await store(server).load()
    assert loaded == made
    assert (made.name, made.serial, made.token, made.state) == ("net", 2, INTENT.token, "Creating")
    assert (made.requires, made.data, made.digests) == (frozenset({"a", "b"}), {"k": "v"}, {"name": "d"})
    assert (made.physical_id, made.confirmed) == (None, False)


async def test_the_same_intent_twice_is_one_object(server: Server) -> None:
    first = await store(server).create(INTENT)
    assert (await store(server).create(INTENT)).key == first.key
    assert len(server.objects) == 1


async def test_objects_of_an_older_stack_of_the_name_are_left_out(server: Server) -> None:
    older = {"metadata": {**STACK["metadata"], "uid": "00000000-0000-0000-0000-000000000002"}}
    token = identifiers.token(older["metadata"]["uid"], "net", 2)
    await StackResourceStore(server, older, lambda: "t").create(replace(INTENT, token=token))
    assert await store(server).load() == []


async def test_an_object_without_an_owner_is_known_by_its_token(server: Server) -> None:
    token = identifiers.token(STACK["metadata"]["uid"], INTENT.name, INTENT.serial)
    for intent in (replace(INTENT, token=token), replace(INTENT, name="other")):
        made = await store(server).create(intent)
        server.objects[made.key]["metadata"]["ownerReferences"] = []
    assert [one.token for one in await store(server).load()] == [token]


async def test_what_is_saved_is_loaded_and_what_is_emptied_stays_empty(server: Server) -> None:

    made = await store(server).create(INTENT)
    saved = replace(made, physical_id="id-1", confirmed=True, state="Ready", digests={}, requires=frozenset())
    saved = await store(server).save(saved)
    [loaded] = await store(server).load()
    assert (loaded.physical_id, loaded.confirmed, loaded.state) == ("id-1", True, "Ready")
    assert (loaded.digests, loaded.requires) == ({}, frozenset())
    assert loaded.version == saved.version != made.version


async def test_of_two_who_believe_that_they_lead_one_is_refused(server: Server) -> None:
    made = await store(server).create(INTENT)
    await store(server).save(made)
    with pytest.raises(ReconciliationEnded):
        await store(server).save(made)


async def test_who_leads_no_longer_writes_nothing(server: Server) -> None:
    made = await store(server).create(INTENT)
    calls = len(server.calls)
    old = store(server, fence=False)
    for write in (old.create(INTENT), old.save(made), old.delete(made), old.replace(made, INTENT)):
        with pytest.raises(ReconciliationEnded):
            await write
    assert len(server.calls) == calls


async def test_a_record_is_handed_over_to_a_new_object_of_the_same_name(server: Server) -> None:
    made = await store(server).create(INTENT)
    server.objects[made.key]["metadata"]["deletionTimestamp"] = "now"
    [old] = await store(server).load()
    assert old.deleting
    new = await store(server).replace(old, INTENT)
    assert (new.key, new.deleting) == (old.key, False)
    assert len(server.objects) == 1


async def test_a_record_stays_where_no_new_one_can_be(server: Server) -> None:
    made: Recorded = await store(server).create(INTENT)
    server.ending = True
    with pytest.raises(Forbidden):
        await store(server).replace(made, INTENT)
    assert list(server.objects) == [made.key]


async def test_a_forgotten_record_is_gone(server: Server) -> None:
    made = await store(server).create(INTENT)
    await store(server).delete(made)
    assert server.objects == {}
    assert await store(server).load() == []


async def test_records_of_a_stack_that_goes_are_let_go_together_and_deleted_in_one_call(server: Server) -> None:
    intents = [replace(INTENT, name=f"net{i}", token=identifiers.token(UID, f"net{i}", 2)) for i in range(5)]
    made = [await store(server).create(intent) for intent in intents]
    going = store(server)
    going.deleting_stack = True
    server.calls.clear()
    for recorded in made:
        await going.delete(recorded)
    assert server.calls == []
    await going.release()
    assert [method for method, _ in server.calls] == [*["PATCH"] * 5, "DELETE"]
    assert server.objects == {}


async def test_records_that_were_let_go_are_no_records_any_more_and_deleted_by_the_next_pass(server: Server) -> None:
    intents = [replace(INTENT, name=f"net{i}", token=identifiers.token(UID, f"net{i}", 2)) for i in range(2)]
    made = [await store(server).create(intent) for intent in intents]
    server.objects[made[0].key]["metadata"]["labels"][v1alpha1.LABEL_GONE] = "true"
    server.objects[made[0].key]["metadata"]["finalizers"] = None
    later = store(server)
    later.deleting_stack = True
    assert [one.name for one in await later.load()] == ["net1"]
    await later.release()
    assert list(server.objects) == [made[1].key]


async def test_when_a_stack_goes_the_garbage_collection_of_its_records_is_no_news(server: Server) -> None:
    made = await store(server).create(INTENT)
    going = store(server)
    going.deleting_stack = True
    await going.delete(made)
    assert not server.deleted("stackresources", "ns", made.key)
    going.expect_garbage_collection()
    assert server.deleted("stackresources", "ns", made.key)


@pytest.mark.parametrize(
    "forgery",
    [
        {"spec": {"token": "00000000-0000-0000-0000-0000000000aa"}},
        {"spec": {"token": identifiers.token("00000000-0000-0000-0000-000000000002", "net", 2)}},
        {"spec": {"serial": 3}},
        {"spec": {"serial": -1}},
        {"spec": {"serial": "2"}},
        {"spec": {"logicalName": "other"}},
        {"spec": {"logicalName": 7}},
        {"spec": {"token": None}},
        {"metadata": {"name": "web-net-0000000000"}},
    ],
)
async def test_records_whose_token_or_name_do_not_follow_from_the_stack_are_not_believed(
    server: Server, forgery: dict[str, Any]
) -> None:
    await store(server).create(INTENT)
    [obj] = server.objects.values()
    for part, changes in forgery.items():
        obj[part] = {**obj[part], **changes}
    assert await store(server).load() == []


async def test_a_record_whose_owner_was_cut_off_is_still_the_stack_s(server: Server) -> None:
    await store(server).create(INTENT)
    [obj] = server.objects.values()
    obj["metadata"]["ownerReferences"] = []
    assert len(await store(server).load()) == 1
