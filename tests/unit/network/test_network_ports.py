import pytest

from reconcilers.model import Failed, Fault, Gone, Pause, Ready, Replace, Wait

NET_ID = "11111111-2222-4333-8444-555555555555"
OTHER_ID = "22222222-2222-4333-8444-555555555555"
BASE = {"network": NET_ID}
MAC = "fa:16:3e:aa:bb:cc"
PORT = {
    "id": "id-1",
    "name": "stack-thing-abc",
    "status": "DOWN",
    "network_id": NET_ID,
    "project_id": "mine",
    "admin_state_up": True,
    "mac_address": MAC,
    "fixed_ips": [{"subnet_id": "s1", "ip_address": "10.0.0.5"}],
    "security_groups": ["default-id"],
    "allowed_address_pairs": [],
    "binding:vnic_type": "normal",
    "device_id": "",
    "device_owner": "",
    "port_security_enabled": True,
    "dns_name": "",
    "qos_policy_id": None,
    "description": "kiln:x",
    "tags": [],
}


NO_FLOATING = {"floatingips": []}


@pytest.fixture
def port(case):
    return lambda properties=None: case("Port", {**BASE, **(properties or {})})


def body_of(case):
    return case.sent(None)[2]["port"]


def test_security_groups_may_be_given_empty_or_left_to_neutron(port):
    assert "security_groups" not in body_of(port())
    assert body_of(port({"security_groups": []}))["security_groups"] == []


def test_fixed_ips_use_the_words_of_the_api_and_leave_out_what_is_not_given(port):
    given = [{"subnet": OTHER_ID}, {"ip_address": "10.0.0.9"}]
    assert body_of(port({"fixed_ips": given}))["fixed_ips"] == [{"subnet_id": OTHER_ID}, {"ip_address": "10.0.0.9"}]


def test_only_no_fixed_ips_makes_a_port_without_addresses(port):
    assert "fixed_ips" not in body_of(port({"fixed_ips": []}))
    assert body_of(port({"no_fixed_ips": True}))["fixed_ips"] == []
    both = port({"no_fixed_ips": True, "fixed_ips": [{"ip_address": "10.0.0.9"}]})
    assert isinstance(both.outcome(None), Failed)


def test_a_fresh_port_has_not_drifted_whatever_neutron_and_nova_add(port):
    given = port({"fixed_ips": [{"subnet": "s1"}], "mac_address": MAC.upper()})
    slaac = {"subnet_id": "s6", "ip_address": "2001:db8::5"}
    used = {
        **PORT,
        "fixed_ips": [*PORT["fixed_ips"], slaac],
        "device_id": "server",
        "device_owner": "compute:nova",
        "status": "ACTIVE",
    }
    assert given.drift(used) == frozenset()
    assert given.changing().outcome(used) == Ready()


@pytest.mark.parametrize(
    "shown",
    [
        [],
        [{"subnet_id": "s2", "ip_address": "10.1.0.5"}],
        [{"subnet_id": "s1", "ip_address": "10.0.0.5"}, {"subnet_id": "s1", "ip_address": "10.0.0.6"}],
    ],
)
def test_an_address_missing_or_added_in_the_subnet_is_drift(port, shown):
    assert port({"fixed_ips": [{"subnet": "s1"}]}).drift({**PORT, "fixed_ips": shown}) == {"fixed_ips"}


def test_an_address_that_the_template_gives_no_longer_is_released(port):
    shown = {**PORT, "fixed_ips": [*PORT["fixed_ips"], {"subnet_id": "s2", "ip_address": "10.1.0.5"}]}
    changed = port({"fixed_ips": [{"ip_address": "10.0.0.5"}]}).changing("fixed_ips")
    look = changed.outcome(shown)
    assert (look.request.path, look.request.params) == ("/floatingips", {"port_id": "id-1"})
    kept = [{"ip_address": "10.0.0.5", "subnet_id": "s1"}]
    assert changed.sent({**shown, look.into: NO_FLOATING})[2] == {"port": {"fixed_ips": kept}}


def test_fixed_ips_taken_out_of_the_template_stay_as_they_are(port):
    assert port().changing("fixed_ips").outcome(PORT) == Ready(applies=frozenset({"fixed_ips"}))
    assert port({"fixed_ips": []}).changing("fixed_ips").outcome(PORT) == Ready(applies=frozenset({"fixed_ips"}))


def test_no_fixed_ips_releases_them_once(port):
    bare = port({"no_fixed_ips": True})
    observed = {**PORT, "floating_ips": NO_FLOATING}
    assert bare.changing("no_fixed_ips").sent(observed)[2] == {"port": {"fixed_ips": []}}
    assert bare.drift(PORT) == {"no_fixed_ips"}
    assert bare.drift({**PORT, "fixed_ips": []}) == frozenset()


def test_an_address_pair_without_a_mac_address_has_the_ports(port):
    given = port({"allowed_address_pairs": [{"ip_address": "10.9.0.0/24"}]})
    assert body_of(given)["allowed_address_pairs"] == [{"ip_address": "10.9.0.0/24"}]
    pairs = [{"mac_address": MAC, "ip_address": "10.9.0.0/24"}]
    assert given.drift({**PORT, "allowed_address_pairs": pairs}) == frozenset()
    assert given.drift(PORT) == {"allowed_address_pairs"}


def test_security_groups_given_no_longer_become_the_projects_default(port):
    changed = port().changing("security_groups")
    reading = changed.outcome({**PORT, "security_groups": []})
    assert (reading.request.path, reading.request.params["project_id"]) == ("/security-groups", "mine")
    found = {**PORT, "security_groups": [], reading.into: {"security_groups": [{"id": "default-id"}]}}
    assert changed.sent(found)[2] == {"port": {"security_groups": ["default-id"]}}
    already = {**found, "security_groups": ["default-id"]}
    assert changed.outcome(already) == Ready(applies=frozenset({"security_groups"}))


def test_an_empty_device_does_not_pull_the_port_out_of_a_server(port):
    used = {**PORT, "device_id": "server", "device_owner": "compute:nova"}
    assert isinstance(port().changing("device_id", "device_owner").outcome(used), Ready)
    own = {**PORT, "device_id": "x", "device_owner": "me"}
    assert port().changing("device_id").sent(own)[2] == {"port": {"device_id": ""}}


def test_words_of_drivers_in_the_binding_profile_are_kept(port):
    changed = port({"value_specs": {"binding:profile": {"a": "2", "b": None}}}).changing("value_specs")
    shown = {**PORT, "binding:profile": {"a": "1", "b": "x", "pci_slot": "y"}}
    assert changed.sent(shown)[2] == {"port": {"binding:profile": {"a": "2", "pci_slot": "y"}}}
    assert changed.drift({**PORT, "binding:profile": {"a": "2", "pci_slot": "y"}}) == frozenset()


def test_value_specs_win_over_a_property_without_end(port):
    given = port({"value_specs": {"admin_state_up": False}})
    assert body_of(given)["admin_state_up"] is False
    down = {**PORT, "admin_state_up": False}
    assert given.drift(down) == frozenset()
    assert isinstance(given.changing("admin_state_up", "value_specs").outcome(down), Ready)


# Replacing.

ADDRESS = {"subnet_id": "s1", "ip_address": "10.0.0.5"}
HELD = {**PORT, "device_owner": "compute:nova", "device_id": "server-1", "fixed_ips": [ADDRESS]}


def addressed(port, **more):
    return port({"fixed_ips": [{"ip_address": "10.0.0.5"}], "mac_address": MAC, **more}).changing("mac_address")


def test_a_replaced_port_goes_first_only_if_both_would_have_the_same_address(port):
    elsewhere = {**PORT, "network_id": OTHER_ID, "fixed_ips": [ADDRESS], "mac_address": MAC}
    assert port().changing("network").replacement(elsewhere) == Replace("network changed")
    assert addressed(port).changing("network").replacement(elsewhere) == Replace("network changed")
    free = {**PORT, "fixed_ips": [ADDRESS], "mac_address": "fa:16:3e:00:00:01"}
    assert addressed(port).replacement(free) == Replace("mac_address changed", delete_first=True)
    other = {**free, "fixed_ips": [{"subnet_id": "s1", "ip_address": "10.0.0.6"}]}
    assert addressed(port).replacement(other) == Replace("mac_address changed")


def test_a_replaced_port_in_a_server_gives_its_address_up_and_stays_until_its_successor_is_there(port):
    held = {**HELD, "mac_address": "fa:16:3e:00:00:01"}
    found = addressed(port).replacement({**held, "floating_ips": {"floatingips": []}})
    assert not found.delete_first
    assert found.release.request.path == "/ports/id-1"
    assert found.release.request.body == {"port": {"fixed_ips": []}}
    assert addressed(port).replacement({**held, "fixed_ips": []}) == Replace("mac_address changed")


def test_floating_ips_let_go_of_the_address_that_a_replaced_port_gives_up(port):
    held = {**HELD, "mac_address": "fa:16:3e:00:00:01"}
    asked = addressed(port).replacement(held).release
    assert (asked.request.method, asked.request.path) == ("GET", "/floatingips")
    on_it = {"floatingips": [{"id": "f1", "fixed_ip_address": "10.0.0.5"}]}
    let_go = addressed(port).replacement({**held, "floating_ips": on_it}).release
    assert (let_go.request.path, let_go.request.body) == ("/floatingips/f1", {"floatingip": {"port_id": None}})


def test_a_mac_address_that_stays_goes_only_with_the_port(port):
    always = port({"name": "n", "mac_address": MAC, "replacement_policy": "REPLACE_ALWAYS"}).changing("name")
    found = always.replacement({**HELD, "mac_address": MAC.upper()})
    assert (found.delete_first, found.release) == (True, None)


# Deleting.

REFUSED = {"NeutronError": {"type": "HTTPForbidden", "message": "rule:delete_port is disallowed by policy"}}


def test_a_port_is_deleted_by_one_call(port):
    first = port().removal({"id": "id-1"})
    assert (first.request.method, first.request.path, first.deletes) == ("DELETE", "/ports/id-1", False)
    assert port().removal({"id": "id-1", "deleted": None}) == Gone()


def test_a_port_in_a_server_is_unplugged_when_its_deletion_is_refused(port):
    refused = {"id": "id-1", "deleted": REFUSED}
    assert port().removal(refused).request.method == "GET"
    unplugging = port().removal({**refused, "now": {"port": HELD}})
    assert unplugging.request.service == "compute"
    assert unplugging.request.path == "/servers/server-1/os-interface/id-1"
    assert isinstance(port().removal({**refused, "now": {"port": HELD}, "unplugged": None}), Wait)


def test_a_port_that_was_gone_already_is_gone(port):
    missing = {"NeutronError": {"type": "PortNotFound", "message": "Port id-1 could not be found."}}
    assert port().removal({"id": "id-1", "deleted": missing, "now": {"NeutronError": {}}}) == Gone()


def test_a_port_whose_deletion_is_refused_for_another_reason_says_so(port):
    free = {"id": "id-1", "deleted": REFUSED, "now": {"port": {**HELD, "device_owner": "", "device_id": ""}}}
    assert port().removal(free) == Failed("rule:delete_port is disallowed by policy", Fault.INVALID)


def test_a_router_lets_a_port_go_that_is_replaced_under_its_address(port):
    held = {**HELD, "mac_address": "fa:16:3e:00:00:01", "device_owner": "network:router_interface", "device_id": "r"}
    release = addressed(port).replacement(held).release
    assert (release.request.method, release.request.path) == ("PUT", "/routers/r/remove_router_interface")
    assert release.request.body == {"port_id": "id-1"}


def test_replace_always_makes_any_change_a_replacement(port):
    always = port({"name": "n", "replacement_policy": "REPLACE_ALWAYS"})
    assert isinstance(always.changing("name").replacement(PORT), Replace)
    assert always.changing().replacement(PORT) is None


def test_network_and_subnets_are_read_when_asked_for(port):
    given = port()
    rtype, recorded = given.rtype, given.recorded
    shown = {
        **PORT,
        "fixed_ips": [{"subnet_id": "s2"}, {"subnet_id": "s1"}, {"subnet_id": "s2"}],
    }
    assert rtype.attribute_request("network", None, recorded, shown).path == f"/networks/{NET_ID}"
    request = rtype.attribute_request("subnets", None, recorded, shown)
    assert (request.path, request.params) == ("/subnets", {"id": ["s1", "s2"]})
    body = {"subnets": [{"id": "s1"}, {"id": "s2"}]}
    assert rtype.read_attribute("subnets", body, recorded, shown) == [{"id": "s2"}, {"id": "s1"}, {"id": "s2"}]
    bare = {**PORT, "fixed_ips": []}
    assert rtype.attribute_request("subnets", None, recorded, bare) is None
    assert rtype.attributes(None, recorded, bare)["subnets"] == []


# Addresses under floating IPs.


def test_an_address_that_stays_is_named_when_another_one_is_added(port):
    added = port({"fixed_ips": [{"subnet": "s1"}, {"subnet": "s2"}]}).changing("fixed_ips")
    method, path, body = added.sent(PORT)
    assert (method, path) == ("PUT", "/ports/id-1")
    assert body["port"]["fixed_ips"] == [{"subnet_id": "s1", "ip_address": "10.0.0.5"}, {"subnet_id": "s2"}]


def test_floating_ips_let_go_before_their_address_goes_and_come_back_after(port):
    moved = port({"fixed_ips": [{"subnet": "s2"}]}).changing("fixed_ips")
    look = moved.outcome(PORT)
    assert (look.request.path, look.request.params) == ("/floatingips", {"port_id": "id-1"})
    held = {"floatingips": [{"id": "f1", "fixed_ip_address": "10.0.0.5"}, {"id": "f2", "fixed_ip_address": "10.9.9.9"}]}
    release = moved.outcome({**PORT, look.into: held})
    assert (release.request.path, release.request.body) == ("/floatingips/f1", {"floatingip": {"port_id": None}})
    moved = moved.knowing(release.remember)
    put = moved.outcome({**PORT, look.into: held, release.into: {}})
    assert put.request.body == {"port": {"fixed_ips": [{"subnet_id": "s2"}]}}

    # The port has its new address; the record still says what let go.
    there = {**PORT, "fixed_ips": [{"subnet_id": "s2", "ip_address": "10.1.0.9"}]}
    look = moved.changing().outcome(there)
    assert look.request.params == {"id": ["f1"]}
    free = {"floatingips": [{"id": "f1", "port_id": None}]}
    back = moved.changing().outcome({**there, look.into: free})
    target = {"port_id": "id-1", "fixed_ip_address": "10.1.0.9"}
    assert (back.request.path, back.request.body) == ("/floatingips/f1", {"floatingip": target})
    done = moved.changing().outcome({**there, look.into: free, back.into: {"floatingip": {}}})
    moved = moved.knowing(done.remember)
    assert moved.changing().outcome(there) == Ready()


def test_a_floating_ip_waits_a_while_for_a_router_and_then_is_left(port):
    moved = port({"fixed_ips": [{"subnet": "s2"}]}).changing().knowing({"floating_ips": "f1"})
    there = {**PORT, "fixed_ips": [{"subnet_id": "s2", "ip_address": "10.1.0.9"}]}
    observed = {**there, "floating_ips": {"floatingips": [{"id": "f1", "port_id": None}]}}
    paused = 0.0
    for _ in range(100):
        outcome = moved.outcome(observed)
        if outcome == Ready():
            break
        if isinstance(outcome, Pause):
            paused += outcome.seconds
            moved = moved.knowing(outcome.remember)
        else:
            refusal = {"NeutronError": {"message": "External network is not reachable from subnet"}}
            observed = {**observed, outcome.into: refusal}
    assert outcome == Ready()
    assert 30 <= paused <= 60


def test_a_floating_ip_that_somebody_took_meanwhile_stays_with_them(port):
    moved = port({"fixed_ips": [{"subnet": "s2"}]}).changing().knowing({"floating_ips": "f1"})
    outcome = moved.outcome({**PORT, "floating_ips": {"floatingips": [{"id": "f1", "port_id": "theirs"}]}})
    assert isinstance(outcome, Pause)
    assert outcome.remember["floating_ips"] == ""


# Port security.


def test_port_security_goes_off_together_with_what_needs_it(port):
    secured = {**PORT, "allowed_address_pairs": [{"ip_address": "1.1.1.1", "mac_address": MAC}]}
    off = port({"port_security_enabled": False})
    for changed in ({"port_security_enabled"}, {"port_security_enabled", "security_groups"}):
        assert off.changing(*changed).sent(secured)[2] == {
            "port": {"port_security_enabled": False, "security_groups": [], "allowed_address_pairs": []}
        }


def test_port_security_that_comes_back_brings_the_default_group(port):
    bare = {**PORT, "port_security_enabled": False, "security_groups": []}
    on = port({"port_security_enabled": True}).changing("port_security_enabled")
    look = on.outcome(bare)
    found = {**bare, look.into: {"security_groups": [{"id": "default-id"}]}}
    assert on.sent(found)[2] == {"port": {"port_security_enabled": True, "security_groups": ["default-id"]}}


# Ports that the template gives to a device.


def test_a_port_given_to_compute_is_taken_back_when_the_template_says_no_more_of_it(port):
    given = port({"device_owner": "compute:mine", "device_id": "dev"})
    held = {**PORT, "device_owner": "compute:mine", "device_id": "dev"}
    back = port().changing("device_owner", "device_id").knowing(given.recorded.data)
    assert back.sent(held)[2] == {"port": {"device_owner": "", "device_id": ""}}
    plugged = {**held, "device_owner": "compute:nova", "device_id": "a server"}
    assert isinstance(back.outcome(plugged), Ready)


def test_a_port_given_to_compute_later_is_noted(port):
    put = port({"device_owner": "compute:mine"}).changing("device_owner").outcome(PORT)
    assert put.remember == {"given_to": "compute:mine "}


def test_a_port_given_to_compute_is_taken_back_before_it_is_deleted(port):
    given = port({"device_owner": "compute:mine"})
    look = given.removal({"id": "id-1"})
    assert (look.request.method, look.request.path) == ("GET", "/ports/id-1")
    now = {look.into: {"port": {"device_owner": "compute:mine", "device_id": ""}}}
    back = given.removal({"id": "id-1", **now})
    assert back.request.body == {"port": {"device_owner": "", "device_id": ""}}
    assert given.removal({"id": "id-1", **now, back.into: {}}).request.method == "DELETE"
    plugged = {look.into: {"port": {"device_owner": "compute:nova", "device_id": "a server"}}}
    assert given.removal({"id": "id-1", **plugged}).request.method == "DELETE"
    assert port().removal({"id": "id-1"}).request.method == "DELETE"
