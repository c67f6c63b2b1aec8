from dataclasses import replace

import pytest

from reconcilers.model import Failed, Gone, Ready, Replace

NET_ID = "11111111-2222-4333-8444-555555555555"
ROUTER_ID = "33333333-2222-4333-8444-555555555555"
SUBNET_ID = "44444444-2222-4333-8444-555555555555"
PORT_ID = "55555555-2222-4333-8444-555555555555"
GATEWAY = {
    "network_id": NET_ID,
    "enable_snat": True,
    "external_fixed_ips": [{"subnet_id": SUBNET_ID, "ip_address": "172.24.0.9"}],
}
ROUTER = {
    "id": ROUTER_ID,
    "name": "stack-thing-abc",
    "status": "ACTIVE",
    "admin_state_up": True,
    "external_gateway_info": None,
    "availability_zone_hints": [],
    "description": "kiln:x",
    "tags": [],
}
LEG = {
    "id": PORT_ID,
    "device_id": ROUTER_ID,
    "device_owner": "network:router_interface",
    "fixed_ips": [{"subnet_id": SUBNET_ID, "ip_address": "10.0.0.1"}],
}


def test_a_gateway_uses_the_words_of_the_api(case):
    info = {"network": NET_ID, "external_fixed_ips": [{"subnet": SUBNET_ID}]}
    body = case("Router", {"external_gateway_info": info}).sent(None)[2]["router"]
    assert body["external_gateway_info"] == {
        "network_id": NET_ID,
        "external_fixed_ips": [{"subnet_id": SUBNET_ID}],
    }
    assert "distributed" not in body
    assert "ha" not in body


def test_of_a_gateway_only_what_is_asked_for_is_compared(case):
    shown = {**ROUTER, "external_gateway_info": GATEWAY}
    assert case("Router", {"external_gateway_info": {"network": NET_ID}}).drift(shown) == frozenset()
    natless = case("Router", {"external_gateway_info": {"network": NET_ID, "enable_snat": False}})
    assert natless.drift(shown) == {"external_gateway_info"}
    elsewhere = {"network": NET_ID, "external_fixed_ips": [{"ip_address": "172.24.0.10"}]}
    assert case("Router", {"external_gateway_info": elsewhere}).drift(shown) == {"external_gateway_info"}
    assert case("Router", {"external_gateway_info": {"network": NET_ID}}).drift(ROUTER) == {"external_gateway_info"}


def test_a_gateway_made_by_another_resource_is_no_drift_of_the_router(case):
    assert case("Router", {}).drift({**ROUTER, "external_gateway_info": GATEWAY}) == frozenset()


def test_a_gateway_given_no_longer_is_cleared(case):
    router = case("Router", {}).changing("external_gateway_info")
    assert router.sent({**ROUTER, "external_gateway_info": GATEWAY})[2] == {"router": {"external_gateway_info": {}}}
    assert isinstance(router.outcome(ROUTER), Ready)


def test_an_l3_agent_is_removed_before_the_next_is_added(case):
    router = case("Router", {"l3_agent_ids": ["new"]}).changing("l3_agent_ids")
    assert router.outcome(ROUTER).into == "l3_agents"

    def hosted(*agents):
        return {**ROUTER, "l3_agents": {"agents": [{"id": agent} for agent in agents]}}

    assert router.sent(hosted("old"))[:2] == ("DELETE", "/agents/old/l3-routers/id-1")
    assert router.sent(hosted()) == ("POST", "/agents/new/l3-routers", {"router_id": "id-1"})
    assert isinstance(router.outcome(hosted("new")), Ready)


@pytest.mark.parametrize(
    "properties",
    [
        {"distributed": True, "ha": True},
        {"distributed": True, "l3_agent_ids": ["a"]},
        {"l3_agent_ids": ["a", "b"]},
    ],
)
def test_properties_that_exclude_each_other_are_refused(case, properties):
    assert isinstance(case("Router", properties).outcome(None), Failed)


def test_an_interface_has_heats_id(case):
    assert case("RouterInterface", {"router": ROUTER_ID, "subnet": SUBNET_ID}).recorded.physical_id == (
        f"{ROUTER_ID}:subnet_id={SUBNET_ID}"
    )
    assert case("RouterInterface", {"router_id": ROUTER_ID, "port_id": PORT_ID}).recorded.physical_id == (
        f"{ROUTER_ID}:port_id={PORT_ID}"
    )


def test_an_interface_is_recognised_among_all_ports(case):
    interface = case("RouterInterface", {"router": ROUTER_ID, "subnet": SUBNET_ID})
    identify = interface.rtype.identify
    assert interface.recorded.physical_id in identify(LEG)
    assert f"{ROUTER_ID}:port_id={PORT_ID}" in identify(LEG)
    assert interface.recorded.physical_id in identify({**LEG, "device_owner": "network:ha_router_replicated_interface"})
    assert list(identify({**LEG, "device_owner": "network:router_gateway"})) == []
    assert list(identify({**LEG, "device_owner": None})) == []


def test_interfaces_and_ports_share_one_list(case):
    interface = case("RouterInterface", {"router": ROUTER_ID, "subnet": SUBNET_ID})
    assert interface.rtype.list_key == case("Port", {"network": NET_ID}).rtype.list_key


def test_an_interface_is_added_and_taken_away_by_its_router(case):
    interface = case("RouterInterface", {"router": ROUTER_ID, "subnet": SUBNET_ID})
    added = interface.outcome(None)
    assert (added.request.path, added.request.body) == (
        f"/routers/{ROUTER_ID}/add_router_interface",
        {"subnet_id": SUBNET_ID},
    )
    assert added.applies == {"router", "subnet"}
    assert isinstance(interface.changing().outcome(LEG), Ready)
    undone = interface.removal(LEG)
    assert undone.request.path.endswith("/remove_router_interface")
    assert 404 in undone.request.done
    assert interface.removal({**LEG, undone.into: None}) == Gone()


def test_the_answer_to_adding_an_interface_shows_it_and_that_to_removing_does_not(case):
    interface = case("RouterInterface", {"router": ROUTER_ID, "subnet": SUBNET_ID})
    answer = {"id": ROUTER_ID, "port_id": PORT_ID, "subnet_id": SUBNET_ID, "subnet_ids": [SUBNET_ID]}
    assert interface.rtype.extract(answer, interface.recorded)["id"] == PORT_ID
    assert interface.rtype.extract(answer, replace(interface.recorded, confirmed=True)) is None
    assert interface.rtype.extract({"ports": [LEG]}, interface.recorded) == LEG
    assert interface.rtype.extract({"ports": []}, interface.recorded) is None


def test_an_interface_needs_either_a_subnet_or_a_port(case):
    assert isinstance(case("RouterInterface", {"router": ROUTER_ID}).outcome(None), Failed)
    both = {"router": ROUTER_ID, "subnet": SUBNET_ID, "port": PORT_ID}
    assert isinstance(case("RouterInterface", both).outcome(None), Failed)


def test_an_interface_goes_first_only_where_the_new_one_needs_its_address(case):
    interface = case("RouterInterface", {"router": ROUTER_ID, "subnet": SUBNET_ID})
    assert interface.changing("router").replacement(LEG) == Replace("router changed", delete_first=True)
    assert interface.changing("subnet").replacement(LEG) == Replace("subnet changed")


def test_a_gateway_resource_is_a_field_of_the_router(case):
    gateway = case("RouterGateway", {"router_id": ROUTER_ID, "network_id": NET_ID})
    assert gateway.recorded.physical_id == f"{ROUTER_ID}:{NET_ID}"
    assert gateway.sent(None) == (
        "PUT",
        f"/routers/{ROUTER_ID}",
        {"router": {"external_gateway_info": {"network_id": NET_ID}}},
    )
    routed = {**ROUTER, "external_gateway_info": GATEWAY}
    assert gateway.rtype.extract({"router": routed}, gateway.recorded) == routed
    assert gateway.rtype.extract({"router": ROUTER}, gateway.recorded) is None
    assert gateway.removal(routed).request.body == {"router": {"external_gateway_info": {}}}
    assert list(gateway.rtype.identify(ROUTER)) == []
