import pytest

from reconcilers.compute.server import Server
from reconcilers.model import Failed, Gone, Ready, Send, Wait

SERVER = "OS::Nova::Server"
BASE = {"flavor": "f1", "image": "i1"}
SHOWN = {"id": "id-1", "status": "ACTIVE", "flavor": {"id": "f1"}, "image": {"id": "i1"}, "addresses": {}}


def port(identity, network="n1", subnet="s1", address="10.0.0.9", **more):
    fixed = [{"subnet_id": subnet, "ip_address": address}]
    return {
        "id": identity,
        "network_id": network,
        "fixed_ips": fixed,
        "mac_address": f"mac-{identity}",
        "description": "",
        **more,
    }


def own(identity, **more):
    return port(identity, description="kiln:tok", **more)


def addresses(*ports):
    return {
        "label": [
            {"addr": fixed["ip_address"], "OS-EXT-IPS-MAC:mac_addr": port["mac_address"]}
            for port in ports
            for fixed in port["fixed_ips"]
        ]
    }


@pytest.fixture
def create(desire, record):
    def create(networks, data=None, given=None, **seen):
        blank = record(physical_id=None, confirmed=False, data=data or {})
        return Server().step(desire(SERVER, {**BASE, **(given or {}), "networks": networks}), blank, seen or None)

    return create


@pytest.fixture
def change(desire, record):
    def change(networks, plugged, data=None, given=None, **seen):
        shown = {**SHOWN, "addresses": addresses(*plugged), "ports": {"ports": plugged}, **seen}
        desired = desire(SERVER, {**BASE, **(given or {}), "networks": networks}, {"networks"})
        return Server().step(desired, record(data=data or {}), shown)

    return change


# Before the server.


def test_a_subnet_entry_looks_for_its_port_first_so_that_none_is_made_twice(create):
    outcome = create([{"subnet": "s1", "network": "n1"}])
    assert (outcome.request.method, outcome.request.path) == ("GET", "/ports")
    assert outcome.request.params == {"description": "kiln:tok"}


def test_all_missing_ports_are_made_in_one_call_and_carry_the_token(create):
    networks = [
        {"subnet": "s1", "fixed_ip": "10.0.0.5"},
        {"network": "n2", "port_extra_properties": {"mac_address": "m"}},
    ]
    seen = {"own_ports": {"ports": []}}
    ask = create(networks, **seen)
    assert ask.request.path == "/subnets"
    assert ask.request.params["id"] == ["s1"]
    subnets = {"subnets": [{"id": "s1", "network_id": "n1"}]}
    outcome = create(networks, given={"security_groups": ["sg"]}, **seen, subnets=subnets)
    first, second = outcome.request.body["ports"]
    assert first["network_id"] == "n1"
    assert first["fixed_ips"] == [{"subnet_id": "s1", "ip_address": "10.0.0.5"}]
    assert (second["network_id"], second["mac_address"]) == ("n2", "m")
    assert {first["description"], second["description"]} == {"kiln:tok"}
    assert first["security_groups"] == ["sg"]
    assert outcome.remember["ports"] == "own"
    assert not outcome.creates


SUBNETS = {"subnets": [{"id": "s1", "network_id": "n1"}]}


def test_ports_of_an_earlier_try_are_used_if_they_are_as_they_would_be_made_now(create):
    networks = [{"subnet": "s1"}, {"network": "n2"}]
    made = create(networks, own_ports={"ports": []}, subnets=SUBNETS)
    left = {"ports": [own("p1", name="web-port-0")]}
    again = create(networks, data=dict(made.remember), own_ports=left, subnets=SUBNETS)
    assert again.request.path == "/servers"
    assert again.request.body["server"]["networks"] == [{"port": "p1"}, {"uuid": "n2"}]


OPEN = {"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]}


@pytest.mark.parametrize(
    ("first", "then", "groups"),
    [
        ({"port_extra_properties": OPEN}, {"port_extra_properties": {"admin_state_up": True}}, ()),
        ({"port_extra_properties": {"no_fixed_ips": True}}, {"port_extra_properties": {"no_fixed_ips": False}}, ()),
        ({"port_extra_properties": {"port_security_enabled": False}}, {"subnet": "s1"}, ()),
        ({"subnet": "s1"}, {"subnet": "s1"}, ("sg",)),
        ({"subnet": "s1"}, {"subnet": "s1", "fixed_ip": "10.0.0.7"}, ()),
        ({"subnet": "s1"}, {}, ()),
    ],
)
def test_ports_that_an_earlier_try_made_otherwise_are_removed_and_made_anew(create, first, then, groups):
    made = create([{"network": "n1", **first}], own_ports={"ports": []}, subnets=SUBNETS)
    left = {"ports": [own("p1", name="web-port-0")]}
    data, given = dict(made.remember), {"security_groups": list(groups)}
    wanted = [{"network": "n1", **then}]
    freed = create(wanted, data=data, given=given, own_ports=left, subnets=SUBNETS)
    assert (freed.request.method, freed.request.path) == ("DELETE", "/ports/p1")
    after = create(wanted, data=data, given=given, own_ports=left, subnets=SUBNETS, **{freed.into: None})
    assert after.request.path == ("/ports" if then else "/servers")
    if then:
        seen = {freed.into: None, after.into: {"ports": [own("p2", name="web-port-0")]}}
        last = create(wanted, data=dict(after.remember), given=given, own_ports=left, subnets=SUBNETS, **seen)
        assert last.request.body["server"]["networks"] == [{"port": "p2"}]


def test_port_properties_stand_as_neutron_names_them(create):
    extra = {
        "admin_state_up": False,
        "qos_policy": "q",
        "port_security_enabled": None,
        "allowed_address_pairs": [{"ip_address": "1.2.3.4", "mac_address": None}],
        "no_fixed_ips": True,
        "value_specs": {"x": 1},
    }
    outcome = create([{"network": "n1", "port_extra_properties": extra}], own_ports={"ports": []})
    body = outcome.request.body["ports"][0]
    assert (body["admin_state_up"], body["qos_policy_id"], body["x"], body["fixed_ips"]) == (False, "q", 1, [])
    assert body["allowed_address_pairs"] == [{"ip_address": "1.2.3.4"}]
    assert "port_security_enabled" not in body


def test_an_unknown_subnet_is_named(create):
    outcome = create([{"subnet": "s1"}], own_ports={"ports": []}, subnets={"subnets": []})
    assert isinstance(outcome, Failed)
    assert outcome.property == "networks[0].subnet"


def test_a_floating_ip_is_pointed_at_the_port_before_the_server_is_made(create):
    networks = [{"port": "p1", "floating_ip": "fip"}]
    assert create(networks).request.path == "/floatingips"
    found = {"floating_ips": {"floatingips": [{"id": "fip", "port_id": None}]}}
    pointed = create(networks, **found)
    assert pointed.request.path == "/floatingips/fip"
    assert pointed.request.body == {"floatingip": {"port_id": "p1"}}
    assert create(networks, **found, **{pointed.into: {}}).creates


def test_what_deletion_must_know_is_noted_before(desire):
    server = Server()
    assert server.intent(desire(SERVER, {**BASE, "networks": [{"network": "n"}]})) == {}
    noted = server.intent(desire(SERVER, {**BASE, "metadata": {"secret": 1}}))
    assert list(noted) == ["own metadata"]
    assert "secret" not in noted["own metadata"]
    assert server.intent(desire(SERVER, {**BASE, "networks": [{"subnet": "s", "floating_ip": "f"}]})) == {
        "ports": "own",
        "floating_ips": "f",
    }


# A server that runs.


def test_the_servers_ports_are_read_first(desire, record):
    desired = desire(SERVER, {**BASE, "networks": []}, {"networks"})
    outcome = Server().step(desired, record(), SHOWN)
    assert outcome.request.params == {"device_id": "id-1"}


def test_interfaces_that_fit_are_left_alone(change):
    plugged = [port("p1"), port("p2", network="n2")]
    assert isinstance(change([{"network": "n2"}, {"port": "p1"}], plugged), Ready)


def test_what_is_not_wanted_is_unplugged_and_awaited(change):
    plugged = [port("p1"), port("p2", network="n2")]
    outcome = change([{"network": "n2"}], plugged)
    assert (outcome.request.method, outcome.request.path) == ("DELETE", "/servers/id-1/os-interface/p1")
    assert isinstance(change([{"network": "n2"}], plugged, **{outcome.into: None}), Wait)


def test_what_is_missing_is_plugged_in_and_awaited(change):
    networks = [{"port": "p1"}, {"network": "n2", "fixed_ip": "10.2.0.4"}, {"port": "p3", "tag": "t"}]
    first = change(networks, [port("p1")])
    assert first.request.path == "/servers/id-1/os-interface"
    assert first.request.body == {"interfaceAttachment": {"net_id": "n2", "fixed_ips": [{"ip_address": "10.2.0.4"}]}}
    second = change(networks, [port("p1")], **{first.into: {}})
    assert second.request.body == {"interfaceAttachment": {"port_id": "p3", "tag": "t"}}
    assert isinstance(change(networks, [port("p1")], **{first.into: {}, second.into: {}}), Wait)


def test_an_own_port_is_made_plugged_and_freed(change):
    networks = [{"subnet": "s2", "network": "n2"}]
    made = change(networks, [], own_ports={"ports": []})
    assert (made.request.path, made.remember["ports"]) == ("/ports", "own")
    there = own("p9", network="n2", subnet="s2", name="web-port-0")
    plugged = change(networks, [], data=dict(made.remember), own_ports={"ports": []}, made_ports={"ports": [there]})
    assert plugged.request.body == {"interfaceAttachment": {"port_id": "p9"}}
    freed = change([{"port": "p1"}], [port("p1")], data={"ports": "own"}, own_ports={"ports": [own("p9")]})
    assert (freed.request.method, freed.request.path) == ("DELETE", "/ports/p9")


def test_an_own_port_changes_its_properties_in_place(change):
    networks = [{"network": "n1", "port_extra_properties": {"admin_state_up": False, "allowed_address_pairs": []}}]
    there = own("p1", admin_state_up=True, allowed_address_pairs=[])
    outcome = change(networks, [there], own_ports={"ports": [there]})
    assert (outcome.request.method, outcome.request.body) == ("PUT", {"port": {"admin_state_up": False}})


def test_address_pairs_that_neutron_completed_are_no_change(change):
    pairs = [{"ip_address": "1.1.1.1"}]
    networks = [{"network": "n1", "port_extra_properties": {"allowed_address_pairs": pairs}}]
    completed = [{"ip_address": "1.1.1.1", "mac_address": "mac-p1"}]
    there = own("p1", allowed_address_pairs=completed, admin_state_up=True)
    assert isinstance(change(networks, [there], own_ports={"ports": [there]}), Ready)


def test_naming_the_subnet_that_a_server_is_on_anyway_costs_no_call(change):
    for entry in ({"network": "n1", "subnet": "s1"}, {"subnet": "s1"}, {"network": "n1", "fixed_ip": "10.0.0.9"}):
        assert isinstance(change([entry], [port("p1")], own_ports={"ports": []}), Ready)


def test_port_properties_come_to_the_port_that_nova_made_and_go_again(change):
    extra = {"allowed_address_pairs": [{"ip_address": "1.1.1.1"}]}
    there = port("p1", allowed_address_pairs=[], admin_state_up=True)
    put = change([{"network": "n1", "port_extra_properties": extra}], [there], own_ports={"ports": []})
    assert (put.request.method, put.request.path) == ("PUT", "/ports/p1")
    assert put.request.body == {"port": extra}
    there = {**there, "allowed_address_pairs": [{"ip_address": "1.1.1.1", "mac_address": "mac-p1"}]}
    reset = change([{"network": "n1"}], [there], data=dict(put.remember))
    assert reset.request.body == {"port": {"allowed_address_pairs": []}}
    assert isinstance(change([{"network": "n1"}], [there]), Ready), "somebody else's pairs stay"


def test_port_properties_that_an_entry_gives_no_longer_are_taken_back(change):
    there = own("p1", allowed_address_pairs=[{"ip_address": "1.1.1.1"}], admin_state_up=False, qos_policy_id="q")
    there["port_security_enabled"] = False
    wanted = [{"network": "n1", "subnet": "s1"}]
    look = change(wanted, [there], own_ports={"ports": [there]})
    assert look.request.path == "/networks/n1"
    network = {look.into: {"network": {"port_security_enabled": True}}}
    put = change(wanted, [there], own_ports={"ports": [there]}, **network)
    assert put.request.body["port"] == {
        "allowed_address_pairs": [],
        "admin_state_up": True,
        "qos_policy_id": None,
        "port_security_enabled": True,
    }


def test_a_new_interface_gets_the_servers_security_groups(change):
    there = port("p1", security_groups=["default"])
    outcome = change([{"network": "n1"}], [there], given={"security_groups": ["sg"]})
    assert outcome.request.body == {"port": {"security_groups": ["sg"]}}


def test_it_ends_when_the_server_shows_its_addresses(change):
    there = port("p1")
    assert isinstance(change([{"network": "n1"}], [there], addresses={}), Wait)
    assert isinstance(change([{"allocate_network": "none"}], [], addresses=addresses(there)), Wait)


def test_without_entries_the_server_keeps_one_interface(change):
    assert isinstance(change(None, [port("p1")]), Ready)
    assert change(None, []).request.body == {"interfaceAttachment": {}}


def test_a_floating_ip_that_an_entry_named_before_is_freed_first(change):
    there = port("p1")
    held = {"floatingips": [{"id": "new", "port_id": None}, {"id": "old", "port_id": "p1"}]}
    networks = [{"port": "p1", "floating_ip": "new"}]
    freed = change(networks, [there], data={"floating_ips": "old"}, floating_ips=held)
    assert (freed.request.path, freed.request.body) == ("/floatingips/old", {"floatingip": {"port_id": None}})
    assert freed.remember == {"floating_ips": "new old"}
    then = change(networks, [there], data={"floating_ips": "new old"}, floating_ips=held, **{freed.into: {}})
    assert then.request.path == "/floatingips/new"


def test_a_floating_ip_that_serves_another_by_now_is_not_freed(change):
    held = {"floatingips": [{"id": "old", "port_id": "of somebody"}]}
    assert isinstance(change([{"port": "p1"}], [port("p1")], data={"floating_ips": "old"}, floating_ips=held), Ready)


# After the server.


def test_own_ports_go_when_the_server_is_gone(record):
    noted = record(data={"ports": "own"})
    look = Server().step(None, noted, None)
    assert isinstance(look, Send)
    assert look.request.params == {"description": "kiln:tok"}
    seen = {look.into: {"ports": [own("p1")]}}
    freed = Server().step(None, noted, seen)
    assert (freed.request.method, freed.request.path) == ("DELETE", "/ports/p1")
    assert Server().step(None, noted, {**seen, freed.into: None}) == Gone()


def test_a_server_without_own_ports_costs_no_look(record):
    assert Server().step(None, record(), None) == Gone()
