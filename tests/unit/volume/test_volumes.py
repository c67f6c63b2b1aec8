import json

import pytest

from reconcilers.model import Failed, Fault, Gone, Ready, Replace, Send, Wait
from reconcilers.volume.volume import Volume

VOLUME = "OS::Cinder::Volume"
SHOWN = {
    "id": "id-1",
    "status": "available",
    "name": "stack-web-abc",
    "description": None,
    "size": 1,
    "volume_type": "fast",
    "metadata": {"kiln-token": "tok"},
    "attachments": [],
}
ATTACHED = {**SHOWN, "status": "in-use", "attachments": [{"server_id": "srv", "device": "/dev/vdb"}]}


@pytest.fixture
def create(desire, record):
    def create(**given):
        return Volume().step(desire(VOLUME, given), record(physical_id=None, confirmed=False), None)

    return create


@pytest.fixture
def step(desire, record):
    def step(given, changed, shown=None, data=None, **more):
        desired = desire(VOLUME, {"size": 1, **given}, set(changed))
        return Volume().step(desired, record(data=data or {}), {**(shown or SHOWN), **more})

    return step


def test_a_volume_carries_the_token_in_its_metadata(create):
    outcome = create(size=2, metadata={"a": {"b": 1}}, volume_type="fast", image="i", read_only=True)
    assert outcome.request.body == {
        "volume": {
            "size": 2,
            "name": "stack-web-abc",
            "imageRef": "i",
            "volume_type": "fast",
            "metadata": {"a": '{"b": 1}', "kiln-token": "tok"},
        }
    }
    assert "read_only" not in outcome.applies


def test_hints_stand_beside_the_volume(create):
    assert create(size=1, scheduler_hints={"same_host": "x"}).request.body["OS-SCH-HNT:scheduler_hints"] == {
        "same_host": "x"
    }


def test_a_source_with_a_size_needs_none(create):
    for source in ("snapshot_id", "source_volid", "backup_id"):
        assert create(**{source: "x"}).request.body["volume"][source] == "x"


def test_what_heat_refuses_is_refused(create):
    assert create().property == "size"
    assert create(image="i").property == "size"
    assert create(size=1, image="i", snapshot_id="s").fault is Fault.INVALID


@pytest.mark.parametrize(
    "status", ["creating", "downloading", "extending", "retyping", "restoring-backup", "detaching"]
)
def test_what_passes_is_waited_for(step, status):
    assert step({}, set(), status=status) == Wait(f"is {status}")


def test_available_and_in_use_are_ready(step):
    assert isinstance(step({}, set()), Ready)
    assert isinstance(step({}, set(), ATTACHED), Ready)


def test_a_volume_that_could_not_be_made_is_made_anew_but_one_with_data_is_not(desire, record):
    desired, broken = desire(VOLUME, {"size": 1}, set()), {**SHOWN, "status": "error"}
    assert Volume().step(desired, record(state="Creating"), broken).fault is Fault.RESOURCE
    assert Volume().step(desired, record(), broken).fault is Fault.CONFLICT
    assert (
        Volume().step(desired, record(state="Creating"), {**SHOWN, "status": "error_extending"}).fault is Fault.CONFLICT
    )


def test_texts_change_in_one_call(step):
    outcome = step({"name": "n", "description": "d"}, {"name", "description"})
    assert outcome.request.body == {"volume": {"name": "n", "description": "d"}}
    assert outcome.applies == {"name", "description"}


def test_own_metadata_changes_and_that_of_others_stays(desire, step):
    own = Volume().intent(desire(VOLUME, {"size": 1, "metadata": {"a": "a", "old": "x"}}))
    shown = {"a": "a", "old": "x", "backup": "daily", "kiln-token": "tok", "readonly": "False"}
    outcome = step({"metadata": {"a": "b"}}, {"metadata"}, metadata=shown, data=own)
    assert (outcome.request.method, outcome.request.body) == ("POST", {"metadata": {"a": "b"}})
    shown["a"] = "b"
    ended = step({"metadata": {"a": "b"}}, {"metadata"}, metadata=shown, data=own)
    assert (ended.request.method, ended.request.path) == ("DELETE", "/volumes/id-1/metadata/old")
    del shown["old"]
    noted = step({"metadata": {"a": "b"}}, {"metadata"}, metadata=shown, data=own)
    assert isinstance(step({"metadata": {"a": "b"}}, {"metadata"}, metadata=shown, data=dict(noted.remember)), Ready)


def test_a_volume_grows_in_place_also_when_attached(step):
    for shown in (SHOWN, ATTACHED):
        outcome = step({"size": 3}, {"size"}, shown)
        assert outcome.request.body == {"os-extend": {"new_size": 3}}
        assert isinstance(step({"size": 3}, {"size"}, shown, **{outcome.into: None}), Wait)
    assert isinstance(step({"size": 3}, {"size"}, size=3), Ready)


def test_a_volume_does_not_shrink(desire, record):
    outcome = Volume().replacement(desire(VOLUME, {"size": 1}, {"size"}), record(), {**SHOWN, "size": 5})
    assert isinstance(outcome, Failed)
    assert outcome.property == "size"


def test_a_volume_that_is_made_anew_for_another_reason_may_be_smaller(desire, record):
    desired = desire(VOLUME, {"size": 1}, {"size", "source_volid"})
    outcome = Volume().replacement(desired, record(), {**SHOWN, "size": 2})
    assert isinstance(outcome, Replace)
    assert outcome.why == "source_volid changed"


def test_another_type_is_a_retype(step):
    outcome = step({"volume_type": "slow"}, {"volume_type"})
    assert outcome.request.body == {"os-retype": {"new_type": "slow", "migration_policy": "never"}}
    assert isinstance(step({"volume_type": "fast"}, {"volume_type"}), Ready)


def test_read_only_is_set_when_the_volume_is_available(step):
    outcome = step({"read_only": True}, {"read_only"})
    assert outcome.request.body == {"os-update_readonly_flag": {"readonly": True}}
    shown = {"kiln-token": "tok", "readonly": "True"}
    assert isinstance(step({"read_only": True}, {"read_only"}, metadata=shown), Ready)


def test_an_attached_volume_is_taken_out_for_that_and_put_back(step):
    out = step({"read_only": True}, {"read_only"}, ATTACHED)
    assert (out.request.service, out.request.method) == ("compute", "DELETE")
    assert out.request.path == "/servers/srv/os-volume_attachments/id-1"
    assert out.remember == {"reattach": "srv /dev/vdb"}
    assert isinstance(step({"read_only": True}, {"read_only"}, ATTACHED, **{out.into: None}), Wait)
    noted = dict(out.remember)
    assert "os-update_readonly_flag" in step({"read_only": True}, {"read_only"}, data=noted).request.body
    back = step({"read_only": True}, set(), data=noted)
    assert back.request.body == {"volumeAttachment": {"volumeId": "id-1", "device": "/dev/vdb"}}
    assert back.forget == {"reattach"}
    assert isinstance(step({"read_only": True}, set(), data=dict(back.remember)), Ready)


def test_another_backup_is_restored_into_the_volume(step):
    outcome = step({"backup_id": "b"}, {"backup_id"})
    assert outcome.request.path == "/backups/b/restore"
    assert outcome.request.body == {"restore": {"volume_id": "id-1"}}


def test_another_source_needs_a_new_volume(desire, record):
    assert isinstance(
        Volume().replacement(desire(VOLUME, {"size": 1, "image": "i"}, {"image"}), record(), SHOWN), Replace
    )


@pytest.mark.parametrize("status", ["available", "error", "error_deleting"])
def test_it_is_deleted_when_nothing_holds_it(record, status):
    outcome = Volume().step(None, record(), {**SHOWN, "status": status})
    assert isinstance(outcome, Send)
    assert outcome.request.method == "DELETE"
    assert isinstance(Volume().step(None, record(), {**SHOWN, outcome.into: None}), Wait)


def test_deletion_waits_for_servers_to_let_go(record):
    assert Volume().step(None, record(), ATTACHED) == Wait("is attached")
    assert isinstance(Volume().step(None, record(), {**SHOWN, "status": "deleting"}), Wait)
    assert Volume().step(None, record(), None) == Gone()


def test_drift(desire):
    desired = desire(VOLUME, {"size": 1, "name": "n", "metadata": {"a": "b"}, "read_only": True, "volume_type": "fast"})
    same = {**SHOWN, "name": "n", "metadata": {"a": "b", "kiln-token": "tok", "readonly": "True", "x": "y"}, "size": 9}
    assert Volume().drift(desired, same) == set()
    assert Volume().drift(desired, {**SHOWN, "volume_type": "slow"}) == {"name", "metadata", "read_only", "volume_type"}


def test_a_type_given_by_id_cannot_be_compared_with_the_name_shown(desire):
    desired = desire(VOLUME, {"size": 1, "volume_type": "0650ffc1-1ad1-4fd2-8444-ea8090eba46c"})
    assert Volume().drift(desired, SHOWN) == set()


def test_attributes_are_text_as_heat_gives_them(desire, record):
    found = Volume().attributes(desire(VOLUME, {"size": 1}), record(), ATTACHED)
    assert (found["size"], found["status"], found["display_name"]) == ("1", "in-use", "stack-web-abc")
    assert json.loads(found["metadata"]) == found["metadata_values"] == {"kiln-token": "tok"}
    assert found["attachments_list"] == ATTACHED["attachments"]
    assert found["attachments"] == str(ATTACHED["attachments"])
