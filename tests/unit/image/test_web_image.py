from dataclasses import replace

import pytest

from reconcilers import own_items
from reconcilers.image.web_image import WebImage
from reconcilers.model import Desired, Failed, Fault, Outcome, Pause, Ready, Recorded, Send, Wait

RECORDED = Recorded(
    key="k", name="n", type="t", token="token", physical_name="stack-n-x", physical_id="id", confirmed=True
)
GIVEN: dict[str, object] = {
    "container_format": "bare",
    "disk_format": "raw",
    "location": "http://user:secret@host/image",
    "min_ram": 0,
    "active": True,
    "protected": False,
    "visibility": "private",
    "extra_properties": {},
}
KIND = WebImage()


def desired(changed: set[str] | None = None, **properties: object) -> Desired:
    every = {**GIVEN, **properties}
    return Desired("n", "stack-n-x", every, frozenset(every if changed is None else changed))


def image(status: str = "active", **shown: object) -> dict[str, object]:
    return {
        "id": "id",
        "name": "stack-n-x",
        "status": status,
        "tags": [],
        "protected": False,
        "visibility": "private",
        "kiln_token": "token",
        **shown,
    }


def call(outcome: Outcome) -> tuple[str, str, object]:
    assert isinstance(outcome, Send)
    return outcome.request.method, outcome.request.path, outcome.request.body


def test_an_image_is_made_with_its_properties_and_its_token():
    wanted = desired(tags=["t"], os_distro="debian", extra_properties={"hw_disk_bus": "scsi"}, members=None)
    outcome = KIND.step(wanted, RECORDED, None)
    method, path, body = call(outcome)
    assert (method, path) == ("POST", "/images")
    assert body == {
        "name": "stack-n-x",
        "container_format": "bare",
        "disk_format": "raw",
        "min_ram": 0,
        "protected": False,
        "visibility": "private",
        "tags": ["t"],
        "os_distro": "debian",
        "hw_disk_bus": "scsi",
        "kiln_token": "token",
    }
    assert isinstance(outcome, Send)
    assert outcome.applies == wanted.changed - {"location", "active", "members"}


def test_a_new_image_is_fetched_once():
    wanted = desired({"location", "active"})
    method, path, body = call(KIND.step(wanted, RECORDED, image("queued")))
    assert (method, path) == ("POST", "/images/id/import")
    assert body == {"method": {"name": "web-download", "uri": GIVEN["location"]}}
    assert isinstance(KIND.step(wanted, RECORDED, image("queued", os_glance_import_task="task")), Wait)
    assert isinstance(KIND.step(wanted, RECORDED, image("importing", os_glance_import_task="task")), Wait)
    assert KIND.step(wanted, RECORDED, image()) == Ready(applies=wanted.changed)


def test_a_fetch_that_failed_says_why_and_not_from_where():
    observed = image("queued", os_glance_failed_import="store")
    wanted = desired({"active"})
    look = KIND.step(wanted, RECORDED, observed)
    assert call(look) == ("GET", "/images/id/tasks", None)
    assert isinstance(look, Send)
    outcome = KIND.step(wanted, RECORDED, {**observed, look.into: {"tasks": [{"message": "No such file"}]}})
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.property) == (Fault.RESOURCE, "location")
    assert "No such file" in outcome.reason
    assert "secret" not in outcome.reason
    assert isinstance(KIND.step(wanted, RECORDED, {**observed, look.into: None}), Failed)
    assert isinstance(KIND.step(wanted, RECORDED, image("killed")), Failed)


def test_changes_are_one_json_patch_that_drops_only_what_the_template_had_given():
    recorded = replace(RECORDED, data=KIND.intent(desired(extra_properties={"old": "1", "kept": "2"})))
    wanted = desired({"os_distro", "extra_properties"}, extra_properties={"kept": "3", "new": 4})
    observed = image(os_distro="debian", old="1", kept="2", others="5")
    outcome = KIND.step(wanted, recorded, observed)
    assert call(outcome) == (
        "PATCH",
        "/images/id",
        [
            {"op": "add", "path": "/kept", "value": "3"},
            {"op": "add", "path": "/new", "value": "4"},
            {"op": "remove", "path": "/old"},
            {"op": "remove", "path": "/os_distro"},
        ],
    )
    assert isinstance(outcome, Send)
    assert outcome.request.headers["Content-Type"].endswith("json-patch")
    assert outcome.remember == {"extra_properties": '["kept", "new", "old"]'}


def test_a_change_that_holds_already_costs_no_call():
    wanted = desired({"tags"}, tags=["a"])
    recorded = replace(RECORDED, data=KIND.intent(wanted))
    assert KIND.step(wanted, recorded, image(tags=["a", "theirs"])) == Ready(applies=frozenset({"tags"}))


def test_own_tags_come_and_go_one_by_one():
    recorded = replace(RECORDED, data=KIND.intent(desired(tags=["old"])))
    wanted = desired({"tags"}, tags=["new"])
    added = KIND.step(wanted, recorded, image(tags=["old", "theirs"]))
    assert call(added) == ("PUT", "/images/id/tags/new", None)
    ended = KIND.step(wanted, recorded, image(tags=["old", "theirs", "new"]))
    assert call(ended) == ("DELETE", "/images/id/tags/old", None)


@pytest.mark.parametrize(
    ("active", "status", "action"),
    [
        (False, "active", "deactivate"),
        (True, "deactivated", "reactivate"),
        (True, "active", None),
        (False, "deactivated", None),
    ],
)
def test_an_image_is_made_usable_or_not_as_wanted(active, status, action):
    outcome = KIND.step(desired({"active"}, active=active), RECORDED, image(status))
    if action is None:
        assert outcome == Ready(applies=frozenset({"active"}))
    else:
        assert call(outcome) == ("POST", f"/images/id/actions/{action}", None)
    assert KIND.drift(desired(active=active), image(status)) == ({"active"} if action else frozenset())


def test_members_become_those_of_the_template():
    wanted = desired({"members"}, members=["new", "stays"], visibility="shared")
    observed = image(visibility="shared")
    recorded = replace(RECORDED, data=own_items.noted("members", ["old", "stays"], wanted))
    calls, held = [], ["stays", "old", "theirs"]
    for _ in range(12):
        outcome = KIND.step(wanted, recorded, observed)
        if isinstance(outcome, Ready):
            break
        recorded = replace(recorded, data={**recorded.data, **outcome.remember})
        if isinstance(outcome, Pause):
            continue
        calls.append(call(outcome))
        if outcome.request.method == "POST":
            held.append("new")
        elif outcome.request.method == "DELETE":
            held.remove("old")
        said = {"members": [{"member_id": name} for name in held]}
        observed = {**observed, outcome.into: said} if outcome.into else image(visibility="shared")
    assert calls == [
        ("GET", "/images/id/members", None),
        ("POST", "/images/id/members", {"member": "new"}),
        ("DELETE", "/images/id/members/old", None),
        ("GET", "/images/id/members", None),
    ]
    assert outcome == Ready(applies=frozenset({"members"}))


@pytest.mark.parametrize(
    "properties",
    [{"container_format": "ami"}, {"container_format": "aki", "disk_format": "ari"}, {"members": ["p"]}],
)
def test_what_heat_refuses_is_refused(properties):
    outcome = KIND.step(desired(**properties), RECORDED, None)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.INVALID


def test_what_others_change_is_drift_and_the_token_and_foreign_properties_are_not():
    wanted = desired(tags=["a", "b"], extra_properties={"x": "1"})
    observed = image(tags=["b", "a"], x="1", foreign="2")
    assert KIND.drift(wanted, observed) == frozenset()
    assert KIND.drift(wanted, {**observed, "x": "2", "visibility": "public", "name": "other"}) == {
        "extra_properties",
        "visibility",
    }


def test_an_image_whose_creation_was_cut_off_is_found_by_its_token():
    assert KIND.find(RECORDED).params == {"kiln_token": "token"}
    assert KIND.owned(image(), RECORDED)
    assert not KIND.owned(image(kiln_token="another"), RECORDED)


def test_an_image_is_deleted_from_its_record_in_any_status():
    assert call(KIND.step(None, RECORDED, image("queued"))) == ("DELETE", "/images/id", None)
