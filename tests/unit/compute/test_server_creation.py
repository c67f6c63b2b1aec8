import base64
import json

import pytest

from reconcilers.compute.server import Server
from reconcilers.model import Failed, Fault, Ready, Send, Wait

SERVER = "OS::Nova::Server"
BASE = {"flavor": "f1", "image": "i1", "networks": [{"network": "net-1"}]}


@pytest.fixture
def created(desire, record):
    """The request that makes a server with these properties."""

    def create(**given):
        outcome = Server().step(desire(SERVER, {**BASE, **given}), record(physical_id=None, confirmed=False), None)
        assert isinstance(outcome, Send), outcome
        assert outcome.creates
        assert (outcome.request.method, outcome.request.path) == ("POST", "/servers")
        return outcome

    return create


@pytest.fixture
def refused(desire, record):
    def refuse(**given):
        outcome = Server().step(desire(SERVER, {**BASE, **given}), record(physical_id=None, confirmed=False), None)
        assert isinstance(outcome, Failed), outcome
        assert outcome.fault is Fault.INVALID
        return outcome.property

    return refuse


def test_the_plain_server_is_one_call_that_carries_the_token(created):
    outcome = created()
    assert outcome.request.body == {
        "server": {
            "name": "stack-web-abc",
            "flavorRef": "f1",
            "imageRef": "i1",
            "networks": [{"uuid": "net-1"}],
            "metadata": {"kiln-token": "tok"},
        }
    }
    assert {"flavor", "image", "networks", "tags"} - {"tags"} <= outcome.applies


def test_metadata_that_is_no_text_is_sent_as_json(created):
    metadata = created(metadata={"a": "b", "n": 1, "m": {"x": [True]}}).request.body["server"]["metadata"]
    assert metadata == {"a": "b", "n": "1", "m": '{"x": [true]}', "kiln-token": "tok"}


def test_user_data_is_sent_in_base64_whatever_its_format(created):
    for how in ("RAW", "HEAT_CFNTOOLS", "SOFTWARE_CONFIG"):
        body = created(user_data="#!/bin/sh\necho é", user_data_format=how).request.body["server"]
        assert base64.b64decode(body["user_data"]).decode() == "#!/bin/sh\necho é"


def test_everything_else_stands_where_nova_looks_for_it(created):
    request = created(
        name="n1",
        key_name="k",
        availability_zone="az",
        config_drive=True,
        admin_pass="pw",
        diskConfig="MANUAL",
        security_groups=["sg1"],
        tags=["t"],
        personality={"/etc/x": "hi"},
        scheduler_hints={"group": "g"},
    ).request
    server = request.body["server"]
    assert request.body["os:scheduler_hints"] == {"group": "g"}
    assert server["name"] == "n1"
    assert (server["key_name"], server["availability_zone"], server["config_drive"]) == ("k", "az", True)
    assert (server["adminPass"], server["OS-DCF:diskConfig"]) == ("pw", "MANUAL")
    assert server["security_groups"] == [{"name": "sg1"}]
    assert server["tags"] == ["t"]
    assert server["personality"] == [{"path": "/etc/x", "contents": base64.b64encode(b"hi").decode()}]


def test_without_networks_nova_chooses_and_tags_follow(created):
    outcome = created(networks=None, tags=["t"])
    assert outcome.request.microversion == "2.36"
    assert not outcome.request.body["server"].keys() & {"networks", "tags"}
    assert "tags" not in outcome.applies


def test_networks_may_be_left_to_nova_or_be_none(created):
    for how in ("auto", "none"):
        assert created(networks=[{"allocate_network": how}]).request.body["server"]["networks"] == how


def test_ports_addresses_and_nic_tags(created):
    networks = [{"port": "p1", "tag": "x"}, {"network": "n", "fixed_ip": "10.0.0.5"}]
    assert created(networks=networks).request.body["server"]["networks"] == [
        {"port": "p1", "tag": "x"},
        {"uuid": "n", "fixed_ip": "10.0.0.5"},
    ]


def test_booting_from_a_volume_needs_no_image(created):
    server = created(image=None, block_device_mapping_v2=[{"volume_id": "v"}]).request.body["server"]
    assert server["imageRef"] == ""
    assert server["block_device_mapping_v2"] == [
        {
            "uuid": "v",
            "source_type": "volume",
            "destination_type": "volume",
            "boot_index": 0,
            "delete_on_termination": False,
        }
    ]


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ({"snapshot_id": "s"}, {"uuid": "s", "source_type": "snapshot", "boot_index": 0}),
        ({"image": "i", "volume_size": 3}, {"uuid": "i", "source_type": "image", "volume_size": 3}),
        ({"swap_size": 64}, {"source_type": "blank", "guest_format": "swap", "volume_size": 64, "boot_index": -1}),
        ({"ephemeral_size": 2, "ephemeral_format": "ext4"}, {"guest_format": "ext4", "volume_size": 2}),
        (
            {"volume_id": "v", "boot_index": 1, "delete_on_termination": True},
            {"boot_index": 1, "delete_on_termination": True},
        ),
        ({"volume_id": "v", "device_name": "vdb", "disk_bus": "virtio"}, {"device_name": "vdb", "disk_bus": "virtio"}),
    ],
)
def test_each_kind_of_block_device(created, device, expected):
    root = (
        {"volume_id": "root"} if device.get("boot_index") or device.keys() & {"swap_size", "ephemeral_size"} else None
    )
    devices = [root, device] if root else [device]
    shown = created(image=None, block_device_mapping_v2=devices).request.body["server"]["block_device_mapping_v2"][-1]
    assert expected.items() <= shown.items()


def test_an_image_beside_block_devices_becomes_the_first_local_one(created):
    devices = created(block_device_mapping_v2=[{"volume_id": "v", "boot_index": 1}]).request.body["server"]
    first, second = devices["block_device_mapping_v2"]
    assert (first["uuid"], first["destination_type"], first["boot_index"]) == ("i1", "local", 0)
    assert second["uuid"] == "v"


def test_a_volume_type_needs_a_newer_api(created):
    assert created().request.microversion == "2.52"
    typed = created(image=None, block_device_mapping_v2=[{"image": "i", "volume_type": "fast", "volume_size": 1}])
    assert typed.request.microversion == "2.67"


def test_what_heat_refuses_is_refused_with_the_property(refused):
    assert refused(image=None) == "image"
    assert refused(block_device_mapping=[{"device_name": "vda"}]) == "block_device_mapping[0]"
    assert refused(block_device_mapping_v2=[{"volume_id": "v", "image": "i"}]) == "block_device_mapping_v2[0]"
    assert refused(block_device_mapping_v2=[{"volume_id": "v"}]) == "block_device_mapping_v2"
    assert refused(networks=[{"fixed_ip": "10.0.0.1"}]) == "networks[0]"
    assert refused(networks=[{"port": "p", "fixed_ip": "10.0.0.1"}]) == "networks[0]"
    assert refused(networks=[{"network": "n", "floating_ip": "f"}]) == "networks[0]"
    assert refused(networks=[{"network": "n"}, {"allocate_network": "auto"}]) == "networks[1]"
    assert refused(networks=[{"port": "p"}], security_groups=["sg"]) == "security_groups"


def test_a_new_server_is_waited_for_until_it_is_active(desire, record):
    rest = desire(SERVER, BASE, set())
    assert isinstance(Server().step(rest, record(), {"id": "id-1"}), Wait)
    assert isinstance(Server().step(rest, record(), {"id": "id-1", "status": "BUILD"}), Wait)
    assert isinstance(Server().step(rest, record(), {"id": "id-1", "status": "ACTIVE"}), Ready)
    assert isinstance(Server().step(rest, record(), {"id": "id-1", "status": "ACTIVE(x)"}), Ready)


def test_an_error_is_told_in_heats_words(desire, record):
    fault = {"message": "No valid host was found. ", "code": 500}
    outcome = Server().step(desire(SERVER, BASE, set()), record(), {"id": "x", "status": "ERROR", "fault": fault})
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.RESOURCE
    assert outcome.reason == 'Went to status ERROR due to "Message: No valid host was found. , Code: 500"'


def test_the_token_finds_the_server_and_no_other(record):
    assert Server().owned({"metadata": {"kiln-token": "tok"}}, record())
    assert not Server().owned({"metadata": {"kiln-token": "other"}}, record())
    assert not Server().owned({"metadata": {}}, record())


def test_bodies_are_json(created):
    json.dumps(created(metadata={"a": {"b": 1}}, tags=["x"]).request.body)
