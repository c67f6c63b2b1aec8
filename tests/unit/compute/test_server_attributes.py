import pytest

from reconcilers.compute.server import Server
from reconcilers.model import Request

SERVER = "OS::Nova::Server"
BASE = {"flavor": "f1", "image": "i1"}
SHOWN = {
    "id": "id-1",
    "status": "ACTIVE",
    "name": "web",
    "addresses": {
        "private": [
            {"addr": "10.0.0.4", "version": 4, "OS-EXT-IPS:type": "fixed"},
            {"addr": "172.24.0.9", "version": 4, "OS-EXT-IPS:type": "floating"},
        ]
    },
    "tags": ["t"],
    "accessIPv4": "",
}
PORTS = {
    "ports": [{"id": "p1", "network_id": "net-1", "fixed_ips": [{"ip_address": "10.0.0.4", "subnet_id": "s1"}]}],
}


@pytest.fixture
def single(desire):
    return desire(SERVER, {**BASE, "networks": [{"network": "net-1"}]})


@pytest.fixture
def by_port(desire):
    return desire(SERVER, {**BASE, "networks": [{"port": "p1"}]})


def test_addresses_are_found_by_the_networks_name_and_id(single, record):
    found = Server().attributes(single, record(), SHOWN)
    assert found["networks"] == {"private": ["10.0.0.4", "172.24.0.9"], "net-1": ["10.0.0.4", "172.24.0.9"]}
    assert found["first_address"] == "10.0.0.4"
    assert (found["name"], found["tags"], found["os_collect_config"]) == ("web", ["t"], {})
    assert found["show"] == SHOWN


def test_one_named_network_needs_no_further_read(single, record):
    assert Server().attribute_request("networks", single, record(), SHOWN) is None


def test_ports_tell_the_ids_of_networks(by_port, record):
    request = Server().attribute_request("networks", by_port, record(), SHOWN)
    assert isinstance(request, Request)
    assert request.params == {"device_id": "id-1"}
    found = Server().read_attribute("networks", PORTS, record(), SHOWN)
    assert found == {"private": ["10.0.0.4", "172.24.0.9"], "net-1": ["10.0.0.4", "172.24.0.9"]}


def test_the_first_address_is_of_the_network_whose_name_comes_last(single, record):
    shown = {**SHOWN, "addresses": {**SHOWN["addresses"], "zebra": [{"addr": "10.9.0.1"}], "zz": []}}
    assert Server().attributes(single, record(), shown)["first_address"] == "10.9.0.1"
    assert Server().attributes(single, record(), {"id": "x"})["first_address"] == ""


def test_addresses_name_the_port_its_subnets_and_its_network(by_port, record):
    found = Server().read_attribute("addresses", PORTS, record(), SHOWN)
    fixed, floating = found["private"]
    assert (fixed["port"], fixed["subnets"], fixed["network"]) == ("p1", [{"id": "s1"}], {"id": "net-1"})
    assert floating["port"] is None
    assert found["net-1"] == found["private"]


def test_consoles_are_asked_for_one_by_one(single, record):
    requests = Server().attribute_request("console_urls", single, record(), SHOWN)
    assert requests["novnc"].body == {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    answers = {
        "novnc": {"remote_console": {"url": "http://vnc"}},
        "serial": {"badRequest": {"message": "Unavailable console type serial."}},
        "webmks": None,
    }
    assert Server().read_attribute("console_urls", answers, record(), SHOWN) == {
        "novnc": "http://vnc",
        "serial": "Cannot get console url: Unavailable console type serial.",
        "webmks": "Cannot get console url: the cloud has none",
    }


def test_the_id_is_what_get_resource_gives(record):
    assert Server().reference(record(), {}) == "id-1"
