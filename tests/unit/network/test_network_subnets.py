import pytest

from reconcilers.model import Failed, Ready, Replace

NET_ID = "11111111-2222-4333-8444-555555555555"
BASE = {"network": NET_ID, "cidr": "10.0.0.0/24"}
SUBNET = {
    "id": "id-1",
    "name": "stack-thing-abc",
    "network_id": NET_ID,
    "ip_version": 4,
    "cidr": "10.0.0.0/24",
    "gateway_ip": "10.0.0.1",
    "enable_dhcp": True,
    "dns_nameservers": [],
    "host_routes": [],
    "allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.254"}],
    "segment_id": None,
    "ipv6_ra_mode": None,
    "ipv6_address_mode": None,
    "subnetpool_id": None,
    "description": "kiln:x",
    "tags": [],
}


def test_an_omitted_gateway_is_left_to_neutron(case):
    assert "gateway_ip" not in case("Subnet", BASE).sent(None)[2]["subnet"]
    assert "gateway_ip" not in case("Subnet", {**BASE, "gateway_ip": "auto"}).sent(None)[2]["subnet"]


@pytest.mark.parametrize("none", [None, "", "~"])
def test_no_gateway_is_null_in_the_request(case, none):
    body = case("Subnet", {**BASE, "gateway_ip": none}).sent(None)[2]["subnet"]
    assert body["gateway_ip"] is None


def test_a_gateway_that_is_given_no_longer_is_taken_away(case):
    assert case("Subnet", BASE).changing("gateway_ip").sent(SUBNET)[2] == {"subnet": {"gateway_ip": None}}


def test_a_missing_gateway_is_no_drift_where_none_is_wanted(case):
    subnet = case("Subnet", {**BASE, "gateway_ip": ""})
    assert subnet.drift({**SUBNET, "gateway_ip": None}) == frozenset()
    assert subnet.drift(SUBNET) == {"gateway_ip"}


def test_an_automatic_gateway_is_never_drift_and_cannot_be_asked_for_later(case):
    subnet = case("Subnet", {**BASE, "gateway_ip": "auto"})
    assert subnet.drift(SUBNET) == frozenset()
    assert isinstance(subnet.changing("gateway_ip").replacement(SUBNET), Failed)


def test_properties_have_the_names_of_the_api(case):
    properties = {"network": NET_ID, "subnetpool": NET_ID, "prefixlen": 26, "segment": NET_ID}
    body = case("Subnet", properties).sent(None)[2]["subnet"]
    assert {"network_id", "subnetpool_id", "segment_id"} <= body.keys()
    assert body["prefixlen"] == 26


def test_pools_and_routes_may_come_in_another_order_but_name_servers_may_not(case):
    pools = [{"start": "10.0.0.20", "end": "10.0.0.30"}, {"start": "10.0.0.5", "end": "10.0.0.9"}]
    subnet = case("Subnet", {**BASE, "allocation_pools": pools, "dns_nameservers": ["1.1.1.1", "8.8.8.8"]})
    shown = {**SUBNET, "allocation_pools": pools[::-1], "dns_nameservers": ["1.1.1.1", "8.8.8.8"]}
    assert subnet.drift(shown) == frozenset()
    assert subnet.drift({**shown, "dns_nameservers": ["8.8.8.8", "1.1.1.1"]}) == {"dns_nameservers"}


def test_addresses_in_other_words_are_the_same(case):
    properties = {
        "network": NET_ID,
        "cidr": "2001:DB8:0::/64",
        "ip_version": 6,
        "dns_nameservers": ["2001:4860:4860:0::8888"],
        "gateway_ip": "2001:db8:0::1",
    }
    shown = {
        **SUBNET,
        "ip_version": 6,
        "cidr": "2001:db8::/64",
        "dns_nameservers": ["2001:4860:4860::8888"],
        "gateway_ip": "2001:db8::1",
    }
    assert case("Subnet", properties).drift(shown) == frozenset()


@pytest.mark.parametrize(
    ("properties", "guilty"),
    [
        ({"network": NET_ID}, "cidr"),
        ({**BASE, "subnetpool": NET_ID}, "cidr"),
        ({**BASE, "prefixlen": 24}, "prefixlen"),
        ({**BASE, "ipv6_ra_mode": "slaac"}, "ip_version"),
        ({**BASE, "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"}, "ipv6_ra_mode"),
        ({**BASE, "gateway_ip": "gateway"}, "gateway_ip"),
    ],
)
def test_properties_that_heat_refuses_together_are_refused(case, properties, guilty):
    outcome = case("Subnet", properties).outcome(None)
    assert isinstance(outcome, Failed)
    assert outcome.property == guilty


@pytest.mark.parametrize(
    ("network", "cidr", "first"),
    [
        (NET_ID, "10.0.0.0/25", True),
        (NET_ID, "10.0.0.0/23", True),
        (NET_ID, "10.0.1.0/24", False),
        ("elsewhere", "10.0.0.0/25", False),
    ],
)
def test_a_subnet_goes_before_a_successor_that_takes_over_its_range(case, network, cidr, first):
    changed = case("Subnet", {**BASE, "network": NET_ID, "cidr": cidr}).changing("cidr")
    shown = {**SUBNET, "network_id": network}
    assert changed.replacement(shown) == Replace("cidr changed", delete_first=first)


def test_another_range_is_another_subnet(case):
    other = {**SUBNET, "cidr": "10.9.0.0/24"}
    assert case("Subnet", BASE).changing("cidr").replacement(other) == Replace("cidr changed")


def test_a_segment_is_joined_in_place_once(case):
    subnet = case("Subnet", {**BASE, "segment": NET_ID}).changing("segment")
    assert subnet.replacement(SUBNET) is None
    assert subnet.sent(SUBNET)[2] == {"subnet": {"segment_id": NET_ID}}
    assert isinstance(subnet.replacement({**SUBNET, "segment_id": "other"}), Failed)


def test_a_subnet_needs_no_status_to_be_ready(case):
    assert case("Subnet", BASE).changing().outcome(SUBNET) == Ready()
