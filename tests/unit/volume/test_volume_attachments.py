import pytest

from reconcilers.model import Failed, Fault, Gone, Ready, Replace, Wait
from reconcilers.volume.attachment import VolumeAttachment

ATTACHMENT = "OS::Cinder::VolumeAttachment"
FREE = {"id": "id-1", "status": "available", "attachments": []}
HELD = {"id": "id-1", "status": "in-use", "attachments": [{"server_id": "srv"}]}
ELSEWHERE = {"id": "id-1", "status": "in-use", "attachments": [{"server_id": "other"}]}


@pytest.fixture
def tie(desire, record):
    def build(changed=None, **given):
        desired = desire(ATTACHMENT, {"volume_id": "id-1", "instance_uuid": "srv", **given}, changed)
        return desired, record(data={"volume": "id-1", "server": "srv"})

    return build


def test_its_id_is_the_volumes_and_known_before(tie):
    desired, noted = tie()
    assert VolumeAttachment().intent(desired) == {"volume": "id-1", "server": "srv"}
    assert VolumeAttachment().identity(noted) == "id-1"


def test_it_is_made_through_nova(tie):
    for seen in (None, FREE):
        outcome = VolumeAttachment().step(*tie(mountpoint="/dev/vdb"), seen)
        assert (outcome.request.service, outcome.request.path) == ("compute", "/servers/srv/os-volume_attachments")
        assert outcome.request.body == {"volumeAttachment": {"volumeId": "id-1", "device": "/dev/vdb"}}
        assert outcome.creates
    assert VolumeAttachment().step(*tie(mountpoint=""), None).request.body == {"volumeAttachment": {"volumeId": "id-1"}}


def test_after_a_drift_everything_given_is_applied_by_attaching_again(tie):
    outcome = VolumeAttachment().step(*tie({"instance_uuid"}, mountpoint="/dev/vdb"), FREE)
    assert outcome.applies == {"volume_id", "instance_uuid", "mountpoint"}


def test_novas_answer_is_a_volume_on_its_way(tie):
    desired, noted = tie()
    seen = VolumeAttachment().extract({"volumeAttachment": {"id": "id-1"}}, noted)
    assert isinstance(VolumeAttachment().step(desired, noted, seen), Wait)


@pytest.mark.parametrize("status", ["reserved", "attaching", "detaching", "creating"])
def test_a_volume_that_is_busy_is_waited_for(tie, status):
    assert VolumeAttachment().step(*tie(), {**FREE, "status": status}) == Wait(f"the volume is {status}")


def test_it_is_ready_when_the_volume_is_in_use_by_the_server(tie):
    assert isinstance(VolumeAttachment().step(*tie(), HELD), Ready)
    assert isinstance(VolumeAttachment().step(*tie(), {**HELD, "status": "attaching"}), Wait)


def test_a_broken_volume_is_told(tie):
    outcome = VolumeAttachment().step(*tie(), {**FREE, "status": "error"})
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.CONFLICT


def test_a_lost_attachment_is_drift(tie):
    desired, _ = tie()
    assert VolumeAttachment().drift(desired, HELD) == set()
    assert VolumeAttachment().drift(desired, FREE) == {"instance_uuid"}
    assert VolumeAttachment().drift(desired, ELSEWHERE) == {"instance_uuid"}


def test_another_server_volume_or_mountpoint_is_another_attachment(tie):
    for changed, given in (("instance_uuid", "new"), ("volume_id", "new"), ("mountpoint", "/dev/vdz")):
        desired, noted = tie({changed}, **{changed: given})
        assert VolumeAttachment().replacement(desired, noted, HELD) == Replace(f"{changed} changed", delete_first=True)


def test_a_lost_attachment_needs_no_replacement(tie):
    desired, noted = tie({"instance_uuid", "mountpoint"}, mountpoint="/dev/vdz")
    assert VolumeAttachment().replacement(desired, noted, FREE) is None


def test_detaching_is_asked_for_once_and_ends_when_both_services_have_let_go(tie):
    _, noted = tie()
    asked = VolumeAttachment().step(None, noted, HELD)
    assert (asked.request.method, asked.request.path) == ("DELETE", "/servers/srv/os-volume_attachments/id-1")
    assert isinstance(VolumeAttachment().step(None, noted, {**HELD, asked.into: None}), Wait)
    assert isinstance(VolumeAttachment().step(None, noted, {**HELD, "status": "detaching"}), Wait)
    look = VolumeAttachment().step(None, noted, FREE)
    assert (look.request.method, look.request.service) == ("GET", "compute")
    assert isinstance(VolumeAttachment().step(None, noted, {**FREE, look.into: {"volumeAttachment": {}}}), Wait)
    assert VolumeAttachment().step(None, noted, {**FREE, look.into: {"itemNotFound": {}}}) == Gone()


def test_a_volume_that_is_gone_or_another_servers_has_nothing_to_detach(tie):
    _, noted = tie()
    assert VolumeAttachment().step(None, noted, None) == Gone()
    assert VolumeAttachment().step(None, noted, ELSEWHERE).request.method == "GET"


def test_it_is_observed_with_the_list_that_volumes_are_observed_with(tie):
    from reconcilers.volume.volume import Volume

    assert VolumeAttachment().listing == Volume().listing
    assert VolumeAttachment().microversion == Volume().microversion
    assert list(VolumeAttachment().identify(FREE)) == ["id-1"]


@pytest.mark.parametrize("status", ["attaching", "reserved", "detaching"])
def test_a_volume_on_its_way_is_no_drift(desire, status):
    desired = desire("OS::Cinder::VolumeAttachment", {"volume_id": "v", "instance_uuid": "s"})
    assert VolumeAttachment().drift(desired, {"id": "v", "status": status, "attachments": []}) == frozenset()
    assert VolumeAttachment().drift(desired, {"id": "v", "status": "available", "attachments": []})
