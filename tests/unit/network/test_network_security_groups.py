import pytest

from reconcilers.model import Failed, Ready, Replace

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
