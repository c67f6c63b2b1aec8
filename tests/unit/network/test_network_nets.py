from reconcilers.model import Failed, Fault, Gone, Pause, Ready, Send, Wait

NET = {
    "id": "id-1",
    "name": "stack-thing-abc",
    "status": "ACTIVE",
    "admin_state_up": True,
    "shared": False,
    "port_security_enabled": True,
    "qos_policy_id": None,
    "dns_domain": "",
    "mtu": 1450,
    "description": "kiln:8a2f6f5e-0000-4000-8000-000000000001",
    "tags": [],
}


def test_a_new_network_carries_its_name_and_the_token(case):
    outcome = case("Net", {}).outcome(None)
    assert outcome.creates
    assert outcome.request.body["network"] == {
        "name": "stack-thing-abc",
        "admin_state_up": True,
        "shared": False,
        "description": "kiln:8a2f6f5e-0000-4000-8000-000000000001",
    }


def test_tags_are_not_applied_by_the_creating_request_but_by_a_call_of_their_own(case):
    net = case("Net", {"tags": ["b", "a"]})
    outcome = net.outcome(None)
    assert "tags" not in outcome.request.body["network"]
    assert "tags" not in outcome.applies
    tagging = net.changing("tags").outcome(NET)
    assert (tagging.request.method, tagging.request.path) == ("PUT", "/networks/id-1/tags")
    assert tagging.request.body == {"tags": ["a", "b"]}
    known = net.changing("tags").knowing(tagging.remember)
    assert known.outcome({**NET, "tags": ["a", "b"]}) == Ready(applies=frozenset({"tags"}))


def test_tags_that_the_template_gives_no_longer_are_removed_and_those_of_others_stay(case):
    made = case("Net", {"tags": ["old", "kept"]}).changing("tags").outcome(NET)
    net = case("Net", {"tags": ["kept", "new"]}).changing("tags").knowing(made.remember)
    observed = {**NET, "tags": ["old", "kept", "theirs"]}
    added = net.outcome(observed)
    assert (added.request.method, added.request.path) == ("PUT", "/networks/id-1/tags/new")
    net = net.knowing(added.remember)
    ended = net.outcome({**observed, added.into: None})
    assert (ended.request.method, ended.request.path) == ("DELETE", "/networks/id-1/tags/old")
    assert not ended.into
    forgotten = net.outcome({**NET, "tags": ["kept", "new", "theirs"]})
    assert isinstance(forgotten, Pause)
    assert forgotten.seconds == 0
    net = net.knowing(forgotten.remember)
    assert net.outcome({**NET, "tags": ["kept", "new", "theirs", "old"]}) == Ready(applies=frozenset({"tags"}))
    assert net.drift({**NET, "tags": ["kept", "new", "theirs", "old"]}) == frozenset()
    assert net.drift({**NET, "tags": ["kept", "theirs"]}) == {"tags"}


def test_value_specs_go_over_the_properties_and_before_the_token(case):
    body = case("Net", {"value_specs": {"mtu": "1400", "description": "mine"}}).sent(None)[2]["network"]
    assert body["mtu"] == "1400"
    assert body["description"] == "mine kiln:8a2f6f5e-0000-4000-8000-000000000001"


def test_value_specs_may_not_name_properties(case):
    outcome = case("Net", {"value_specs": {"shared": True}}).outcome(None)
    assert outcome == Failed("shared not allowed in value_specs", Fault.INVALID, "value_specs")


def test_a_changed_value_spec_sends_only_what_differs(case):
    net = case("Net", {"value_specs": {"mtu": "1450", "provider:physical_network": "x"}}).changing("value_specs")
    assert net.sent({**NET, "provider:physical_network": "y"})[2] == {"network": {"provider:physical_network": "x"}}


def test_an_update_sends_the_changed_fields_that_do_not_hold_yet(case):
    net = case("Net", {"name": "new", "admin_state_up": True}).changing("name", "admin_state_up")
    outcome = net.outcome(NET)
    assert outcome.request.body == {"network": {"name": "new"}}
    assert outcome.applies == {"name", "admin_state_up"}


def test_a_name_that_is_given_no_longer_falls_back_to_the_physical_name(case):
    net = case("Net", {}).changing("name")
    assert net.sent({**NET, "name": "mine"})[2] == {"network": {"name": "stack-thing-abc"}}


def test_a_fresh_network_has_not_drifted(case):
    assert case("Net", {"tags": [], "port_security_enabled": True}).drift(NET) == frozenset()


def test_what_somebody_changed_is_drift_but_sharing_is_not(case):
    net = case("Net", {"name": "web", "value_specs": {"mtu": 1450}, "tags": ["a"]})
    assert net.drift({**NET, "name": "other", "mtu": 1300, "shared": True}) == {"name", "value_specs", "tags"}


def test_a_network_is_ready_when_built_and_failed_in_error(case):
    net = case("Net", {}).changing()
    assert net.outcome({**NET, "status": "DOWN"}) == Ready()
    assert net.outcome({**NET, "status": "BUILD"}) == Wait("is BUILD")
    assert isinstance(net.outcome({**NET, "status": "ERROR"}), Failed)


def test_dhcp_agents_are_read_then_added_then_removed(case):
    net = case("Net", {"dhcp_agent_ids": ["new"]}).changing("dhcp_agent_ids")
    reading = net.outcome(NET)
    assert (reading.request.path, reading.into) == ("/networks/id-1/dhcp-agents", "dhcp_agents")

    def hosted(*agents):
        return {**NET, "dhcp_agents": {"agents": [{"id": agent} for agent in agents]}}

    assert net.sent(hosted("old")) == ("POST", "/agents/new/dhcp-networks", {"network_id": "id-1"})
    assert net.sent(hosted("old", "new"))[:2] == ("DELETE", "/agents/old/dhcp-networks/id-1")
    assert net.outcome(hosted("new")) == Ready(applies=frozenset({"dhcp_agent_ids"}))


def test_no_dhcp_agents_cost_no_call_unless_some_were_given_before(case):
    net = case("Net", {"dhcp_agent_ids": []}).changing("dhcp_agent_ids")
    assert isinstance(net.outcome(NET), Ready)
    assert isinstance(net.applied("dhcp_agent_ids").outcome(NET), Send)


def test_a_network_is_deleted_by_its_id_and_gone_when_it_is_not_there(case):
    net = case("Net", {})
    assert net.removal(NET).request.path == "/networks/id-1"
    assert net.removal(None) == Gone()


def test_segments_are_read_and_the_nameless_come_first(case):
    net = case("Net", {})
    request = net.rtype.attribute_request("segments", net.desired, net.recorded, NET)
    assert (request.path, request.params) == ("/segments", {"network_id": "id-1"})
    body = {"segments": [{"name": "b"}, {"name": None}]}
    assert net.rtype.read_attribute("segments", body, net.recorded, NET) == [{"name": None}, {"name": "b"}]


def test_the_token_is_found_behind_the_users_own_text(case):
    net = case("Net", {})
    assert net.rtype.owned({**NET, "description": f"mine {NET['description']}"}, net.recorded)
    assert not net.rtype.owned({**NET, "description": "kiln:other"}, net.recorded)
    assert not net.rtype.owned({**NET, "description": None}, net.recorded)
