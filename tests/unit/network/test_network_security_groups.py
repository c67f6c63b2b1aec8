from dataclasses import replace

import pytest

from reconcilers.model import POSSIBLE_DUPLICATE, Failed, Gone, Ready, Replace

GROUP_ID = "66666666-2222-4333-8444-555555555555"
SSH = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}


def shown_rule(rule_id, **said):
    blank = dict.fromkeys(("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"))
    base = {"id": rule_id, "direction": "ingress", "ethertype": "IPv4", "description": "", **blank}
    return {**base, "security_group_id": "id-1", **said}


EGRESS = [
    shown_rule("e4", direction="egress", description=None),
    shown_rule("e6", direction="egress", ethertype="IPv6", description=None),
]


def group(*rules):
    return {
        "id": "id-1",
        "name": "stack-thing-abc",
        "description": "kiln:x",
        "stateful": True,
        "security_group_rules": list(rules),
    }


def after(observed, send, answer=None):
    return {**observed, send.into: answer}


def test_a_group_is_made_without_its_rules(case):
    outcome = case("SecurityGroup", {"rules": [SSH], "description": "web"}).outcome(None)
    assert outcome.request.body["security_group"] == {
        "name": "stack-thing-abc",
        "description": "web kiln:8a2f6f5e-0000-4000-8000-000000000001",
    }
    assert "rules" not in outcome.applies


def test_all_missing_rules_are_made_in_one_call_beside_neutrons_own(case):
    new = case("SecurityGroup", {"rules": [SSH, {"protocol": "icmp"}]}).changing("rules")
    send = new.outcome(group(*EGRESS))
    assert send.request.method == "POST"
    made = send.request.body["security_group_rules"]
    assert [rule["protocol"] for rule in made] == ["tcp", "icmp"]
    assert all(rule["security_group_id"] == "id-1" for rule in made)
    answer = {"security_group_rules": [shown_rule("r1", **SSH), shown_rule("r2", protocol="icmp")]}
    assert new.outcome(after(group(*EGRESS), send, answer)) == Ready(applies=frozenset({"rules"}))


def test_an_egress_rule_takes_the_place_of_neutrons_own(case):
    out = {"direction": "egress", "protocol": "tcp", "port_range_min": 443, "port_range_max": 443}
    given = case("SecurityGroup", {"rules": [out]}).changing("rules")
    observed = group(*EGRESS, shown_rule("r1", **out))
    first = given.outcome(observed)
    assert (first.request.method, first.request.path) == ("DELETE", "/security-group-rules/e4")
    second = given.outcome(after(observed, first))
    assert second.request.path == "/security-group-rules/e6"
    assert isinstance(given.outcome(after(after(observed, first), second)), Ready)
    assert given.drift(observed) == {"rules"}


def test_a_group_without_rules_leaves_all_alone_until_it_had_some(case):
    given = case("SecurityGroup", {}).changing("rules")
    observed = group(EGRESS[0], shown_rule("r1", **SSH))
    assert isinstance(given.outcome(observed), Ready)
    assert given.drift(observed) == frozenset()
    restored = given.applied("rules").outcome(observed)
    assert restored.request.body["security_group_rules"] == [
        {"direction": "egress", "ethertype": "IPv6", "security_group_id": "id-1"}
    ]


def test_rules_of_other_resources_stay_and_rules_of_strangers_do_not(case):
    ours = shown_rule("r1", **SSH)
    other = shown_rule("r2", protocol="udp", description="dns kiln:other-token")
    stranger = shown_rule("r3", protocol="tcp")
    given = case("SecurityGroup", {"rules": [SSH]})
    assert given.drift(group(*EGRESS, ours, other)) == frozenset()
    assert given.drift(group(*EGRESS, ours, stranger)) == {"rules"}
    assert given.changing("rules").sent(group(*EGRESS, ours, other, stranger))[1] == "/security-group-rules/r3"


def test_a_rule_removed_by_hand_is_drift_and_comes_back(case):
    given = case("SecurityGroup", {"rules": [SSH]})
    assert given.drift(group(*EGRESS)) == {"rules"}
    assert given.changing("rules").sent(group(*EGRESS))[0] == "POST"


def test_default_rules_missing_by_the_clouds_choice_are_no_drift(case):
    assert case("SecurityGroup", {"rules": [SSH]}).drift(group(shown_rule("r1", **SSH))) == frozenset()


def test_a_remote_group_that_is_not_named_is_the_group_itself(case):
    rules = [
        {"remote_mode": "remote_group_id"},
        {"remote_mode": "remote_group_id", "remote_group_id": GROUP_ID, "protocol": "udp"},
        {"remote_group_id": GROUP_ID, "remote_ip_prefix": "10.0.0.0/8"},
    ]
    sent = case("SecurityGroup", {"rules": rules}).changing("rules").sent(group(*EGRESS))[2]["security_group_rules"]
    assert [rule.get("remote_group_id") for rule in sent] == ["id-1", GROUP_ID, None]
    assert sent[2]["remote_ip_prefix"] == "10.0.0.0/8"


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ({"protocol": 6}, {"protocol": "tcp"}),
        ({"protocol": "tcp"}, {"protocol": "6"}),
        ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
        ({"protocol": "icmpv6", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
        ({"protocol": "udp", "remote_ip_prefix": "0.0.0.0/0"}, {"protocol": "udp"}),
        ({"protocol": "udp"}, {"protocol": "udp", "remote_ip_prefix": "0.0.0.0/0"}),
        (
            {"ethertype": "IPv6", "remote_ip_prefix": "2001:DB8:0::/32"},
            {"ethertype": "IPv6", "remote_ip_prefix": "2001:db8::/32"},
        ),
        ({"protocol": "tcp", "description": "new words"}, {"protocol": "tcp", "description": "old words"}),
    ],
)
def test_a_rule_in_other_words_is_the_same(case, rule, shown):
    assert case("SecurityGroup", {"rules": [rule]}).drift(group(*EGRESS, shown_rule("r1", **shown))) == frozenset()


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ({"protocol": 0}, {}),
        ({"protocol": "icmp", "port_range_min": 8}, {"protocol": "icmp"}),
        ({"protocol": "icmp"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
    ],
)
def test_a_rule_that_says_something_else_is_not(case, rule, shown):
    assert case("SecurityGroup", {"rules": [rule]}).drift(group(*EGRESS, shown_rule("r1", **shown))) == {"rules"}


def test_rules_given_twice_are_made_once(case):
    sent = case("SecurityGroup", {"rules": [SSH, SSH]}).changing("rules").sent(group(*EGRESS))[2]
    assert len(sent["security_group_rules"]) == 1


def test_fields_change_before_rules_and_keep_the_token(case):
    given = case("SecurityGroup", {"description": "new", "rules": [SSH]}).changing("description", "rules")
    outcome = given.outcome(group(*EGRESS))
    assert outcome.request.body["security_group"]["description"].startswith("new kiln:")
    assert outcome.applies == {"description"}


def test_the_name_default_belongs_to_neutron(case):
    assert isinstance(case("SecurityGroup", {"name": "default"}).outcome(None), Failed)


def test_a_rule_resource_uses_the_words_of_the_api_and_carries_the_token(case):
    rule = case("SecurityGroupRule", {"security_group": GROUP_ID, "remote_group": GROUP_ID, "description": "ssh"})
    body = rule.sent(None)[2]["security_group_rule"]
    assert body == {
        "security_group_id": GROUP_ID,
        "remote_group_id": GROUP_ID,
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": "tcp",
        "description": "ssh kiln:8a2f6f5e-0000-4000-8000-000000000001",
    }


def test_a_changed_rule_gets_its_successor_first_unless_they_are_the_same_to_neutron(case):
    shown = shown_rule("id-1", security_group_id=GROUP_ID, protocol="tcp")
    rule = case("SecurityGroupRule", {"security_group": GROUP_ID, "description": "new"})
    assert rule.changing("description").replacement(shown) == Replace("description changed", delete_first=True)
    other = case("SecurityGroupRule", {"security_group": GROUP_ID, "protocol": "udp"})
    assert other.changing("protocol").replacement(shown) == Replace("protocol changed")


@pytest.mark.parametrize(
    "wrong",
    [
        {"remote_group": GROUP_ID, "remote_ip_prefix": "10.0.0.0/8"},
        {"port_range_min": 9, "port_range_max": 8},
    ],
)
def test_rules_that_contradict_themselves_are_refused(case, wrong):
    assert isinstance(case("SecurityGroupRule", {"security_group": GROUP_ID, **wrong}).outcome(None), Failed)


def test_an_icmp_code_may_be_less_than_its_type(case):
    rule = {"security_group": GROUP_ID, "protocol": "icmp", "port_range_min": 8, "port_range_max": 0}
    assert case("SecurityGroupRule", rule).sent(None)[0] == "POST"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535}, {"protocol": "tcp"}),
        ({"protocol": "icmp", "port_range_min": 1, "port_range_max": 65535}, {"protocol": "icmp"}),
        ({"protocol": 17, "port_range_min": "1", "port_range_max": "65535"}, {"protocol": "17"}),
        ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
        ({"remote_ip_prefix": "0.0.0.0/0"}, {}),
        (
            {"remote_ip_prefix": "2001:DB8:0::1/64", "ethertype": "IPv6"},
            {"remote_ip_prefix": "2001:db8::/64", "ethertype": "IPv6"},
        ),
        ({"remote_ip_prefix": "10.0.0.5/32"}, {"remote_ip_prefix": "10.0.0.5/32"}),
    ],
)
def test_a_rule_in_neutrons_own_words_is_the_rule(case, said, shown):
    given = case("SecurityGroup", {"rules": [said, said]})
    observed = group(*EGRESS, shown_rule("r1", **shown))
    assert given.drift(observed) == frozenset()
    assert given.changing("rules").applied("rules").outcome(observed) == Ready(applies=frozenset({"rules"}))


def test_equal_rules_are_sent_once(case):
    wide = {"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535}
    send = case("SecurityGroup", {"rules": [SSH, SSH, wide, {"protocol": 6}]}).changing("rules").outcome(group(*EGRESS))
    assert len(send.request.body["security_group_rules"]) == 2


# Equal rules in resources of their own.


def refused_once(case, **properties):
    rule = case("SecurityGroupRule", {"security_group": GROUP_ID, **properties})
    return rule.knowing({POSSIBLE_DUPLICATE: "yes"})


def test_an_equal_rule_that_is_there_already_serves_and_is_not_deleted(case):
    rule = refused_once(case, protocol="tcp", port_range_min=1, port_range_max=65535)
    look = rule.outcome(None)
    assert (look.request.method, look.request.params) == ("GET", {"security_group_id": GROUP_ID})
    there = shown_rule("theirs", protocol="tcp", security_group_id=GROUP_ID)
    taken = rule.outcome({look.into: {"security_group_rules": [shown_rule("other"), there]}})
    assert taken.creates
    assert (taken.request.method, taken.request.path) == ("GET", "/security-group-rules/theirs")
    assert taken.applies == rule.desired.changed
    shared = rule.knowing(taken.remember)
    shared = replace(shared, recorded=replace(shared.recorded, physical_id="theirs"))
    assert shared.removal({"id": "theirs"}) == Gone()
    own = replace(shared, recorded=replace(shared.recorded, physical_id="own"))
    assert own.removal({"id": "own"}).request.method == "DELETE"


def test_without_an_equal_rule_it_is_asked_for_again(case):
    rule = refused_once(case, protocol="udp")
    look = rule.outcome(None)
    again = rule.outcome({look.into: {"security_group_rules": EGRESS}})
    assert (again.request.method, again.creates) == ("POST", True)


def test_a_rule_that_says_the_same_in_other_words_stays(case):
    shown = shown_rule("id-1", security_group_id=GROUP_ID, protocol="tcp", description="kiln:x")
    rule = case("SecurityGroupRule", {"security_group": GROUP_ID, "protocol": 6, "port_range_min": 1})
    assert isinstance(rule.changing("protocol").replacement(shown), Replace)
    rule = case("SecurityGroupRule", {"security_group": GROUP_ID, "protocol": 6, "remote_ip_prefix": "0.0.0.0/0"})
    changed = rule.changing("protocol", "remote_ip_prefix")
    assert changed.replacement(shown) is None
    assert changed.outcome(shown) == Ready(applies=frozenset({"protocol", "remote_ip_prefix"}))


# Descriptions that leave no room for the token.

LONG = "x" * 250


def test_a_description_without_room_for_the_token_follows_the_creation(case):
    new = case("SecurityGroup", {"description": LONG})
    created = new.outcome(None)
    assert created.request.body["security_group"]["description"] == f"kiln:{new.recorded.token}"
    assert "description" not in created.applies
    assert new.rtype.owned(created.request.body["security_group"], new.recorded)
    put = new.changing("description").sent({**group(), "description": f"kiln:{new.recorded.token}"})
    assert put[2] == {"security_group": {"description": LONG}}
    shown = {**group(), "description": LONG}
    assert new.drift(shown) == frozenset()
    assert new.changing("description").outcome(shown) == Ready(applies=frozenset({"description"}))


def test_a_description_in_value_specs_makes_room_too(case):
    net = case("Net", {"value_specs": {"description": LONG, "mtu": 1400}})
    created = net.outcome(None)
    assert created.request.body["network"]["description"] == f"kiln:{net.recorded.token}"
    assert "value_specs" not in created.applies
    shown = {"id": "id-1", "status": "ACTIVE", "mtu": 1400, "description": f"kiln:{net.recorded.token}"}
    assert net.changing("value_specs").sent(shown)[2] == {"network": {"description": LONG}}


def test_a_rule_has_its_long_description_at_once_and_is_known_by_what_it_says(case):
    rule = case("SecurityGroupRule", {"security_group": GROUP_ID, "description": LONG})
    assert rule.sent(None)[2]["security_group_rule"]["description"] == LONG
    again = rule.knowing({POSSIBLE_DUPLICATE: "yes"})
    made = shown_rule("r1", protocol="tcp", security_group_id=GROUP_ID, description=LONG)
    taken = again.outcome({again.outcome(None).into: {"security_group_rules": [made]}})
    assert taken.creates
    assert not taken.remember, "it is its own, and goes with it"
