import pytest

from reconcilers.compute.floating_ip import FloatingIP
from reconcilers.compute.floating_ip_association import FloatingIPAssociation
from reconcilers.model import Failed, Gone, Ready, Replace, Send

POOL = "OS::Nova::FloatingIP"
ASSOCIATION = "OS::Nova::FloatingIPAssociation"
ID = "11111111-2222-3333-4444-555555555555"
SHOWN = {"id": ID, "floating_ip_address": "172.24.0.9", "floating_network_id": "ext", "port_id": None}
HERE = {**SHOWN, "port_id": "p1", "port_details": {"device_id": "srv"}}
THERE = {**SHOWN, "port_id": "p9", "port_details": {"device_id": "other"}}
PORTS = {
    "ports": [
        {"id": "p0", "fixed_ips": [{"ip_address": "fd00::1"}]},
        {"id": "p1", "fixed_ips": [{"ip_address": "fd00::2"}, {"ip_address": "10.0.0.4"}]},
    ]
}


@pytest.fixture
def unborn(record):
    return record(physical_id=None, confirmed=False)


@pytest.fixture
def tie(desire, record):
    def build(floating_ip=ID):
        desired = desire(ASSOCIATION, {"floating_ip": floating_ip, "server_id": "srv"})
        noted = record(data=FloatingIPAssociation().intent(desired), physical_id=floating_ip)
        return desired, noted

    return build


def test_a_floating_ip_comes_from_its_pool_with_the_token(desire, unborn):
    body = FloatingIP().step(desire(POOL, {"pool": "ext"}), unborn, None).request.body
    assert body == {"floatingip": {"floating_network_id": "ext", "description": "kiln:tok"}}


def test_without_a_pool_the_only_external_network_serves(desire, unborn):
    desired = desire(POOL, {})
    look = FloatingIP().step(desired, unborn, None)
    assert look.request.path == "/networks"
    outcome = FloatingIP().step(desired, unborn, {look.into: {"networks": [{"id": "ext"}]}})
    assert outcome.request.body["floatingip"]["floating_network_id"] == "ext"
    for networks in ([], [{"id": "a"}, {"id": "b"}]):
        assert isinstance(FloatingIP().step(desired, unborn, {look.into: {"networks": networks}}), Failed)


def test_its_attributes_are_address_and_pool(desire, record):
    found = FloatingIP().attributes(desire(POOL, {}), record(), SHOWN)
    assert (found["ip"], found["pool"]) == ("172.24.0.9", "ext")


def test_it_is_pointed_at_the_first_port_with_an_ipv4_address(tie):
    desired, noted = tie()
    look = FloatingIPAssociation().step(desired, noted, None)
    assert look.request.params["device_id"] == "srv"
    outcome = FloatingIPAssociation().step(desired, noted, {look.into: PORTS})
    assert outcome.request.path == f"/floatingips/{ID}"
    assert outcome.request.body == {"floatingip": {"port_id": "p1", "fixed_ip_address": "10.0.0.4"}}
    assert outcome.creates


def test_a_floating_ip_given_by_address_is_looked_up(tie):
    desired, noted = tie("172.24.0.9")
    look = FloatingIPAssociation().step(desired, noted, None)
    assert look.request.params == {"floating_ip_address": "172.24.0.9"}
    seen = {look.into: {"floatingips": [SHOWN]}, "ports": PORTS}
    assert FloatingIPAssociation().step(desired, noted, seen).request.path == f"/floatingips/{ID}"
    missing = FloatingIPAssociation().step(desired, noted, {**seen, look.into: {"floatingips": []}})
    assert isinstance(missing, Failed)
    assert missing.property == "floating_ip"


def test_a_server_without_addresses_is_told(tie):
    desired, noted = tie()
    outcome = FloatingIPAssociation().step(desired, noted, {"ports": {"ports": []}})
    assert isinstance(outcome, Failed)
    assert outcome.property == "server_id"


def test_it_is_ready_when_the_floating_ip_points_at_the_server(tie):
    desired, noted = tie()
    assert isinstance(FloatingIPAssociation().step(desired, noted, HERE), Ready)
    assert isinstance(FloatingIPAssociation().step(desired, noted, THERE), Send)


def test_pointing_elsewhere_is_drift(tie):
    desired, _ = tie()
    assert FloatingIPAssociation().drift(desired, HERE) == set()
    assert FloatingIPAssociation().drift(desired, SHOWN) == {"server_id"}
    assert FloatingIPAssociation().drift(desired, THERE) == {"server_id"}


def test_only_its_own_association_is_undone(tie):
    _, noted = tie()
    look = FloatingIPAssociation().step(None, noted, HERE)
    undo = FloatingIPAssociation().step(None, noted, {**HERE, look.into: {"floatingip": HERE}})
    assert undo.request.body == {"floatingip": {"port_id": None}}
    moved = FloatingIPAssociation().step(None, noted, {**HERE, look.into: {"floatingip": THERE}})
    assert moved == Gone(), "the list was older than the move"
    for seen in (None, SHOWN, THERE):
        assert FloatingIPAssociation().step(None, noted, seen) == Gone()


def test_another_server_is_another_association_and_the_old_one_goes_first(tie, desire):
    _, noted = tie()
    moved = desire(ASSOCIATION, {"floating_ip": ID, "server_id": "new"}, {"server_id"})
    assert FloatingIPAssociation().replacement(moved, noted, HERE) == Replace("server_id changed", delete_first=True)


def test_get_resource_gives_the_physical_name(tie):
    assert FloatingIPAssociation().reference(tie()[1], {}) == "stack-web-abc"


def test_the_list_of_floating_ips_is_read_by_id_and_by_address():
    assert list(FloatingIPAssociation().identify(SHOWN)) == [ID, "172.24.0.9"]
