import base64
from dataclasses import replace

import pytest

from reconcilers.compute.server import Server
from reconcilers.model import Gone, Pause, Ready, Replace, Send, Wait

SERVER = "OS::Nova::Server"
BASE = {"flavor": "f1", "image": "i1", "networks": [{"network": "net-1"}]}
SHOWN = {
    "id": "id-1",
    "status": "ACTIVE",
    "name": "stack-web-abc",
    "flavor": {"id": "f1"},
    "image": {"id": "i1"},
    "metadata": {"kiln-token": "tok"},
    "tags": [],
    "addresses": {},
}


@pytest.fixture
def step(desire, record):
    def step(given, changed, **shown):
        return Server().step(desire(SERVER, {**BASE, **given}, set(changed)), record(), {**SHOWN, **shown})

    return step


@pytest.fixture
def verdict(desire, record):
    def verdict(given, changed, **shown):
        return Server().replacement(desire(SERVER, {**BASE, **given}, set(changed)), record(), {**SHOWN, **shown})

    return verdict


def action(outcome):
    assert isinstance(outcome, Send)
    assert outcome.request.path == "/servers/id-1/action"
    return outcome.request.body


def test_another_name_is_put_and_an_equal_one_costs_nothing(step):
    outcome = step({"name": "new"}, {"name"})
    assert (outcome.request.method, outcome.request.body) == ("PUT", {"server": {"name": "new"}})
    assert step({"name": "new"}, {"name"}, name="new") == Ready(applies=frozenset({"name"}))


def test_own_metadata_and_tags_change_and_those_of_others_stay(desire, record):
    """Through a whole change, with Nova's answers."""
    before = desire(SERVER, {**BASE, "metadata": {"a": 1, "old": 1}, "tags": ["t", "gone"]})
    after = desire(SERVER, {**BASE, "metadata": {"a": 2, "b": 1}, "tags": ["t", "new"]}, {"metadata", "tags"})
    recorded = record(data=Server().intent(before))
    metadata = {"a": "1", "old": "1", "backup": "daily", "kiln-token": "tok"}
    tags = {"t", "gone", "theirs"}
    marks, calls = {}, []
    for _ in range(12):
        seen = {**SHOWN, "metadata": dict(metadata), "tags": sorted(tags), **marks}
        outcome = Server().step(after, recorded, seen)
        if isinstance(outcome, Ready):
            break
        recorded = replace(recorded, data={**recorded.data, **outcome.remember})
        if isinstance(outcome, Pause):
            continue
        request = outcome.request
        calls.append((request.method, request.path))
        leaf = request.path.rpartition("/")[2]
        if "/metadata" in request.path:
            _ = metadata.update(request.body["metadata"]) if request.method == "POST" else metadata.pop(leaf)
        else:
            _ = tags.add(leaf) if request.method == "PUT" else tags.remove(leaf)
        marks = {**marks, outcome.into: None} if outcome.into else {}
    assert isinstance(outcome, Ready)
    assert metadata == {"a": "2", "b": "1", "backup": "daily", "kiln-token": "tok"}
    assert tags == {"t", "new", "theirs"}
    assert calls == [
        ("POST", "/servers/id-1/metadata"),
        ("DELETE", "/servers/id-1/metadata/old"),
        ("PUT", "/servers/id-1/tags/new"),
        ("DELETE", "/servers/id-1/tags/gone"),
    ]
    assert Server().drift(after, {**SHOWN, "metadata": metadata, "tags": sorted(tags)}) == frozenset()


def test_a_resize_is_asked_for_then_awaited_then_confirmed(step):
    resize = step({"flavor": "f2"}, {"flavor"})
    assert action(resize) == {"resize": {"flavorRef": "f2"}}
    assert not resize.applies
    assert isinstance(step({"flavor": "f2"}, {"flavor"}, acted=None), Wait)
    assert isinstance(step({"flavor": "f2"}, {"flavor"}, status="RESIZE"), Wait)
    confirm = step({"flavor": "f2"}, {"flavor"}, status="VERIFY_RESIZE", flavor={"id": "f2"})
    assert action(confirm) == {"confirmResize": None}
    assert step({"flavor": "f2"}, {"flavor"}, flavor={"id": "f2"}) == Ready(applies=frozenset({"flavor"}))


def test_a_resize_that_nova_does_not_carry_out_is_asked_for_again_less_and_less_often(desire, record):
    wanted, data, pauses = desire(SERVER, {**BASE, "flavor": "f2"}, {"flavor"}), {}, []
    for _ in range(8):
        asked = Server().step(wanted, record(data=data), SHOWN)
        assert action(asked) == {"resize": {"flavorRef": "f2"}}
        data = {**data, **asked.remember}
        refused = Server().step(wanted, record(data=data), SHOWN)
        assert refused == asked, "a request that Nova refuses counts for nothing"
        agreed = Server().step(wanted, record(data=data), {**SHOWN, asked.into: None})
        data = {**data, **agreed.remember}
        assert isinstance(Server().step(wanted, record(data=data), {**SHOWN, asked.into: None}), Wait)
        pause = Server().step(wanted, record(data=data), SHOWN)
        assert isinstance(pause, Pause)
        pauses.append(pause.seconds)
        data = {**data, **pause.remember}
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] <= 300
    other = desire(SERVER, {**BASE, "flavor": "f3"}, {"flavor"})
    assert action(Server().step(other, record(data=data), SHOWN)) == {"resize": {"flavorRef": "f3"}}


def test_a_resize_overtaken_by_another_flavor_is_confirmed_first(step):
    shown = {"status": "VERIFY_RESIZE", "flavor": {"id": "f2"}}
    assert action(step({"flavor": "f3"}, {"flavor"}, **shown)) == {"confirmResize": None}
    assert action(step({"flavor": "f3"}, {"flavor"}, flavor={"id": "f2"})) == {"resize": {"flavorRef": "f3"}}


def test_somebody_elses_resize_is_left_to_them(step):
    assert step({}, set(), status="VERIFY_RESIZE") == Ready()


@pytest.mark.parametrize("name", ["name", "metadata", "tags", "image", "admin_pass", "networks"])
def test_a_change_waits_until_a_resize_is_confirmed(step, name):
    given = {"name": "n", "metadata": {"a": 1}, "tags": ["t"], "image": "i2", "admin_pass": "p", "networks": []}
    unconfirmed = {"status": "VERIFY_RESIZE", "flavor": {"id": "f2"}}
    assert action(step({name: given[name]}, {name}, **unconfirmed)) == {"confirmResize": None}


def test_a_resize_of_a_repair_is_confirmed_though_nothing_differs_any_more(desire, record):
    wanted = desire(SERVER, {**BASE, "flavor": "f2"}, {"flavor"})
    resize = Server().step(wanted, record(), SHOWN)
    noted = record(data=dict(resize.remember))
    at_rest = desire(SERVER, {**BASE, "flavor": "f2"}, set())
    shown = {**SHOWN, "status": "VERIFY_RESIZE", "flavor": {"id": "f2"}}
    confirm = Server().step(at_rest, noted, shown)
    assert action(confirm) == {"confirmResize": None}
    assert isinstance(Server().step(at_rest, noted, {**shown, confirm.into: None}), Wait)
    assert Server().step(at_rest, noted, {**shown, "status": "ACTIVE"}) == Ready()


def test_another_image_rebuilds(step):
    outcome = step({"image": "i2", "admin_pass": "pw"}, {"image"})
    assert action(outcome) == {"rebuild": {"imageRef": "i2", "adminPass": "pw"}}
    assert outcome.applies == {"image"}
    preserving = step({"image": "i2", "image_update_policy": "REBUILD_PRESERVE_EPHEMERAL"}, {"image"})
    assert action(preserving)["rebuild"]["preserve_ephemeral"] is True


def test_user_data_may_come_by_a_rebuild(step):
    outcome = step({"user_data": "x", "user_data_update_policy": "REBUILD"}, {"user_data"})
    assert action(outcome) == {"rebuild": {"imageRef": "i1", "user_data": base64.b64encode(b"x").decode()}}
    assert outcome.request.microversion == "2.57"
    assert outcome.applies == {"user_data"}


def test_user_data_may_be_ignored(step, verdict):
    given = {"user_data": "x", "user_data_update_policy": "IGNORE"}
    assert verdict(given, {"user_data"}) is None
    assert step(given, {"user_data"}) == Ready(applies=frozenset({"user_data"}))


def test_a_password_alone_is_changed_in_place(step):
    outcome = step({"admin_pass": "pw"}, {"admin_pass"})
    assert action(outcome) == {"changePassword": {"adminPass": "pw"}}
    assert outcome.applies == {"admin_pass"}


def test_policies_apply_without_a_call(step, verdict):
    changed = {"flavor_update_policy", "image_update_policy", "user_data_update_policy", "software_config_transport"}
    given = {"flavor_update_policy": "REPLACE", "image_update_policy": "REPLACE"}
    assert verdict(given, changed) is None
    assert step(given, changed) == Ready(applies=frozenset(changed))


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"flavor": "f2", "flavor_update_policy": "REPLACE"}, "flavor"),
        ({"image": "i2", "image_update_policy": "REPLACE"}, "image"),
        ({"user_data": "x"}, "user_data"),
        ({"key_name": "k"}, "key_name"),
        ({"security_groups": ["sg"]}, "security_groups"),
        ({"image": None, "block_device_mapping_v2": [{"image": "i"}]}, "image"),
    ],
)
def test_what_needs_a_new_server(verdict, given, changed):
    outcome = verdict(given, {changed})
    assert isinstance(outcome, Replace)
    assert changed in outcome.why
    assert not outcome.delete_first


def test_a_server_on_a_volume_cannot_be_rebuilt(verdict):
    assert isinstance(verdict({"image": "i2"}, {"image"}, image=""), Replace)


@pytest.mark.parametrize(
    "given",
    [
        {"networks": [{"port": "p"}]},
        {"networks": [{"network": "n", "fixed_ip": "10.0.0.4"}]},
        {"block_device_mapping_v2": [{"volume_id": "v", "boot_index": 1}]},
    ],
)
def test_a_server_that_holds_what_its_successor_needs_goes_first(verdict, given):
    assert verdict({**given, "key_name": "k"}, {"key_name"}).delete_first


def test_drift_is_what_differs_from_the_template(desire):
    desired = desire(SERVER, {**BASE, "name": "n", "metadata": {"a": "b"}, "tags": ["t"]})
    same = {**SHOWN, "name": "n", "metadata": {"a": "b", "kiln-token": "tok", "more": "x"}, "tags": ["t", "u"]}
    assert Server().drift(desired, same) == set()
    astray = {**SHOWN, "name": "m", "flavor": {"id": "f9"}, "image": {"id": "i9"}, "metadata": {}}
    assert Server().drift(desired, astray) == {"name", "flavor", "image", "metadata", "tags"}
    assert Server().drift(desired, {**astray, "status": "RESIZE"}) == set()


def test_deletion_is_asked_for_once_and_awaited(record):
    asked = Server().step(None, record(), SHOWN)
    assert (asked.request.method, asked.request.path) == ("DELETE", "/servers/id-1")
    assert isinstance(Server().step(None, record(), {**SHOWN, asked.into: None}), Wait)
    assert isinstance(Server().step(None, record(), {**SHOWN, "OS-EXT-STS:task_state": "deleting"}), Wait)
    assert Server().step(None, record(), None) == Gone()


def test_a_server_in_error_can_be_deleted(record):
    assert isinstance(Server().step(None, record(), {**SHOWN, "status": "ERROR"}), Send)


def test_a_server_kept_for_a_while_is_purged(record):
    outcome = Server().step(None, record(), {**SHOWN, "status": "SOFT_DELETED"})
    assert action(outcome) == {"forceDelete": None}
