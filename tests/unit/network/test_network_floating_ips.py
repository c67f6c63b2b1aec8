from reconcilers.model import Failed, Gone, Ready, Replace

NET_ID = "11111111-2222-4333-8444-555555555555"
PORT_ID = "55555555-2222-4333-8444-555555555555"
FIP = {
    "id": "fip-1",
    "status": "DOWN",
    "floating_network_id": NET_ID,
    "floating_ip_address": "172.24.0.5",
    "port_id": None,
    "fixed_ip_address": None,
    "description": "kiln:x",
}
AIMED = {**FIP, "status": "ACTIVE", "port_id": PORT_ID, "fixed_ip_address": "10.0.0.5"}
BASE = {"floating_network": NET_ID}
LINK = {"floatingip_id": "fip-1", "port_id": PORT_ID}


def test_a_floating_ip_uses_the_words_of_the_api(case):
    body = case("FloatingIP", {"floating_network_id": NET_ID, "floating_subnet": PORT_ID}).sent(None)[2]["floatingip"]
    assert body["floating_network_id"] == NET_ID
    assert body["subnet_id"] == PORT_ID
    assert "name" not in body


def test_a_floating_ip_is_ready_whatever_its_status(case):
    floating = case("FloatingIP", BASE).changing()
    assert floating.outcome(FIP) == Ready()
    assert floating.outcome({**FIP, "status": "ERROR"}) == Ready()


def test_port_and_address_go_together(case):
    floating = case("FloatingIP", {**BASE, "port_id": PORT_ID}).changing("port_id")
    assert floating.sent(FIP)[2] == {"floatingip": {"port_id": PORT_ID, "fixed_ip_address": None}}
    assert isinstance(floating.outcome(AIMED), Ready)
    assert case("FloatingIP", BASE).changing("port_id").sent(AIMED)[2]["floatingip"]["port_id"] is None


def test_an_association_made_elsewhere_is_no_drift_but_a_lost_port_is(case):
    assert case("FloatingIP", BASE).drift(AIMED) == frozenset()
    assert case("FloatingIP", {**BASE, "port_id": PORT_ID}).drift(FIP) == {"port_id"}


def test_an_address_without_a_port_is_refused(case):
    assert case("FloatingIP", {**BASE, "fixed_ip_address": "10.0.0.5"}).outcome(None).property == "fixed_ip_address"


def test_the_dns_name_cannot_be_changed(case):
    outcome = case("FloatingIP", {**BASE, "dns_name": "web"}).changing("dns_name").replacement(FIP)
    assert isinstance(outcome, Failed)
    assert outcome.property == "dns_name"


def test_a_chosen_address_is_given_up_before_it_is_asked_for_again(case):
    moved = case("FloatingIP", BASE).changing("floating_network").replacement({**FIP, "floating_network_id": "other"})
    assert moved == Replace("floating_network changed")
    chosen = case("FloatingIP", {**BASE, "floating_ip_address": "172.24.0.5"}).changing("floating_network")
    assert chosen.replacement({**FIP, "floating_network_id": "other"}).delete_first


def test_an_association_points_the_floating_ip_at_the_port(case):
    link = case("FloatingIPAssociation", LINK)
    assert link.recorded.physical_id == f"fip-1:{PORT_ID}"
    assert link.sent(None) == ("PUT", "/floatingips/fip-1", {"floatingip": {"port_id": PORT_ID}})
    assert link.rtype.extract({"floatingip": AIMED}, link.recorded) == AIMED
    assert link.rtype.extract({"floatingip": FIP}, link.recorded) is None


def test_an_association_is_undone_only_while_it_is_ours(case):
    link = case("FloatingIPAssociation", LINK)
    look = link.removal(AIMED)
    assert (look.request.method, look.request.path) == ("GET", "/floatingips/fip-1")
    undo = link.removal({**AIMED, look.into: {"floatingip": AIMED}})
    assert undo.request.body == {"floatingip": {"port_id": None}}
    moved = {"floatingip": {**AIMED, "port_id": "another"}}
    assert link.removal({**AIMED, look.into: moved}) == Gone()
    assert link.removal({**AIMED, look.into: {"NeutronError": {}}}) == Gone()
    assert link.removal(None) == Gone()
    moved = {**AIMED, "port_id": "another"}
    assert link.rtype.extract({"floatingip": moved}, link.recorded) is None
    assert link.recorded.physical_id not in link.rtype.identify(moved)


def test_another_address_of_the_port_is_chosen_in_place(case):
    link = case("FloatingIPAssociation", {**LINK, "fixed_ip_address": "10.0.0.6"}).changing("fixed_ip_address")
    assert link.drift(AIMED) == {"fixed_ip_address"}
    assert link.sent(AIMED)[2] == {"floatingip": {"port_id": PORT_ID, "fixed_ip_address": "10.0.0.6"}}
    assert isinstance(link.outcome({**AIMED, "fixed_ip_address": "10.0.0.6"}), Ready)


def test_a_floating_ip_moves_to_another_port_in_one_call_but_another_one_waits_for_the_port(case):
    link = case("FloatingIPAssociation", LINK)
    assert link.changing("port_id").replacement(AIMED) == Replace("port_id changed")
    assert link.changing("floatingip_id").replacement(AIMED) == Replace("floatingip_id changed", delete_first=True)
    assert link.changing("fixed_ip_address").replacement(AIMED) is None


def test_floating_ips_and_associations_share_one_list(case):
    assert case("FloatingIP", BASE).rtype.list_key == case("FloatingIPAssociation", LINK).rtype.list_key
