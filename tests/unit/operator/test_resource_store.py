"""StackResources as the engine's memory: versions, hand-over, and a fence."""

from dataclasses import replace
from typing import Any

import pytest
from harness.fake_kube import FakeKube

from kiln.api import v1alpha1
from kiln.kube.errors import Forbidden
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
    seal="of the intent",
)


@pytest.fixture
def server() -> FakeKube:
    return FakeKube()


def held(server: FakeKube, key: str = "") -> dict[str, Any]:
    """The StackResource of this name; without a name the only one."""
    return server.objects["stackresources", "ns", key or names(server)[0]]


def names(server: FakeKube) -> list[str]:
    return sorted(server.named("stackresources"))


def store(server: FakeKube, *, fence: bool = True) -> StackResourceStore:
    return StackResourceStore(server, STACK, lambda: "t", lambda: fence)  # type: ignore[arg-type]


async def test_an_intent_comes_back_as_it_was_stored(server: FakeKube) -> None:
    made = await store(server).create(INTENT)
    [loaded] = await store(server).load()
    assert loaded == made
    assert (made.name, made.serial, made.token, made.state) == ("net", 2, INTENT.token, "Creating")
    assert (made.requires, made.data, made.digests) == (frozenset({"a", "b"}), {"k": "v"}, {"name": "d"})
    assert (made.physical_id, made.confirmed, made.seal) == (None, False, "of the intent")


async def test_the_same_intent_twice_is_one_object(server: FakeKube) -> None:
    first = await store(server).create(INTENT)
    assert (await store(server).create(INTENT)).key == first.key
    assert len(names(server)) == 1


async def test_objects_of_an_older_stack_of_the_name_are_left_out(server: FakeKube) -> None:
    older = {"metadata": {**STACK["metadata"], "uid": "00000000-0000-0000-0000-000000000002"}}
    token = identifiers.token(older["metadata"]["uid"], "net", 2)
    await StackResourceStore(server, older, lambda: "t").create(replace(INTENT, token=token))
    assert await store(server).load() == []


async def test_an_object_without_an_owner_is_known_by_its_token(server: FakeKube) -> None:
    token = identifiers.token(STACK["metadata"]["uid"], INTENT.name, INTENT.serial)
    for intent in (replace(INTENT, token=token), replace(INTENT, name="other")):
        made = await store(server).create(intent)
        held(server, made.key)["metadata"]["ownerReferences"] = []
    assert [one.token for one in await store(server).load()] == [token]


async def test_what_is_saved_is_loaded_and_what_is_emptied_stays_empty(server: FakeKube) -> None:

    made = await store(server).create(INTENT)
    saved = replace(made, physical_id="id-1", confirmed=True, state="Ready", digests={}, requires=frozenset(), seal="")
    saved = await store(server).save(saved)
    [loaded] = await store(server).load()
    assert (loaded.physical_id, loaded.confirmed, loaded.state) == ("id-1", True, "Ready")
    assert (loaded.digests, loaded.requires) == ({}, frozenset())
    assert loaded.version == saved.version != made.version


async def test_of_two_who_believe_that_they_lead_one_is_refused(server: FakeKube) -> None:
    made = await store(server).create(INTENT)
    await store(server).save(made)
    with pytest.raises(ReconciliationEnded):
        await store(server).save(made)


async def test_who_leads_no_longer_writes_nothing(server: FakeKube) -> None:
    made = await store(server).create(INTENT)
    calls = len(server.calls)
    old = store(server, fence=False)
    for write in (old.create(INTENT), old.save(made), old.delete(made), old.replace(made, INTENT)):
        with pytest.raises(ReconciliationEnded):
            await write
    assert len(server.calls) == calls


async def test_a_record_is_handed_over_to_a_new_object_of_the_same_name(server: FakeKube) -> None:
    made = await store(server).create(INTENT)
    held(server, made.key)["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    [old] = await store(server).load()
    assert old.deleting
    new = await store(server).replace(old, INTENT)
    assert (new.key, new.deleting) == (old.key, False)
    assert len(names(server)) == 1


async def test_a_record_stays_where_no_new_one_can_be(server: FakeKube) -> None:
    made: Recorded = await store(server).create(INTENT)

    def refuse(verb: str, _plural: str, _body: Any) -> None:
        if verb == "create":
            raise Forbidden(403, "Forbidden", "the namespace is being terminated")

    server.refuse = refuse
    with pytest.raises(Forbidden):
        await store(server).replace(made, INTENT)
    assert names(server) == [made.key]


async def test_a_forgotten_record_is_gone(server: FakeKube) -> None:
    made = await store(server).create(INTENT)
    await store(server).delete(made)
    assert server.objects == {}
    assert await store(server).load() == []


async def test_records_of_a_stack_that_goes_are_let_go_together_and_deleted_in_one_call(server: FakeKube) -> None:
    intents = [replace(INTENT, name=f"net{i}", token=identifiers.token(UID, f"net{i}", 2)) for i in range(5)]
    made = [await store(server).create(intent) for intent in intents]
    going = store(server)
    going.deleting_stack = True
    server.calls.clear()
    for recorded in made:
        await going.delete(recorded)
    assert server.calls == []
    await going.release()
    assert [verb for verb, _, _ in server.calls] == [*["patch"] * 5, "deletecollection"]
    assert server.objects == {}


async def test_records_that_were_let_go_are_no_records_any_more_and_deleted_by_the_next_pass(server: FakeKube) -> None:
    intents = [replace(INTENT, name=f"net{i}", token=identifiers.token(UID, f"net{i}", 2)) for i in range(2)]
    made = [await store(server).create(intent) for intent in intents]
    held(server, made[0].key)["metadata"]["labels"][v1alpha1.LABEL_GONE] = "true"
    held(server, made[0].key)["metadata"]["finalizers"] = None
    later = store(server)
    later.deleting_stack = True
    assert [one.name for one in await later.load()] == ["net1"]
    await later.release()
    assert names(server) == [made[1].key]


async def test_when_a_stack_goes_the_garbage_collection_of_its_records_is_no_news(server: FakeKube) -> None:
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
    server: FakeKube, forgery: dict[str, Any]
) -> None:
    await store(server).create(INTENT)
    obj = held(server)
    for part, changes in forgery.items():
        obj[part] = {**obj[part], **changes}
    assert await store(server).load() == []


async def test_a_record_whose_owner_was_cut_off_is_still_the_stack_s(server: FakeKube) -> None:
    await store(server).create(INTENT)
    obj = held(server)
    obj["metadata"]["ownerReferences"] = []
    assert len(await store(server).load()) == 1
