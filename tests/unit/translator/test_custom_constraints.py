from __future__ import annotations

import pytest

from hot_translator.constraints import _OFFLINE, CLOUD_CONSTRAINTS, check_custom, needs_cloud

GOOD = {
    "cron_expression": ["* * * * *", "0 0 * * * *", "*/5 * * * mon", ""],
    "dns_domain": ["a.b.", "", None],
    "dns_name": ["a.b", "a-1.b.", "", "x" * 63],
    "expiration": ["2099-01-01", "2099-01-01T00:00:00Z", " 2099-01-01 10:00:00+01:00 ", ""],
    "ip_addr": ["1.2.3.4", "::1", "fe80::1"],
    "ip_or_cidr": ["1.2.3.4", "1.2.3.0/24", "::1/64"],
    "iso_8601": ["2015", "2015-1", "2015-01-01", "20150101", "2015-01-01T00:00:00.5-0130"],
    "json_string": ["{}", "[1]", ""],
    "mac_addr": ["aa:bb:cc:dd:ee:ff", "aabb.ccdd.eeff", "aabbccddeeff", "a-b-c-d-e-f", "aabbcc-ddeeff"],
    "net_cidr": ["10.0.0.0/8", "10.0.0.1/8", "::/0", "0.0.0.0/0"],
    "rel_dns_name": ["a", "a.b", ""],
    "timezone": ["UTC", ""],
}
BAD = {
    "cron_expression": ["x", "60 * * * *", 5],
    "dns_domain": ["a.b", "-a."],
    "dns_name": ["a..b", "-a", "a-", "A", "x" * 64, "a.1.", 5, "a." * 200],
    "expiration": ["2000-01-01", "x"],
    "ip_addr": ["1.2.3", "010.1.1.1", 5, "fe80::1%eth0", ""],
    "ip_or_cidr": ["x", "1.2.3.4/33", 5],
    "iso_8601": ["PT1H", "2015-13-01", "201501", 5],
    "json_string": ["{", 5],
    "mac_addr": ["aa:bb", 5, "gg:bb:cc:dd:ee:ff"],
    "net_cidr": ["10.0.0.0", "10.0.0.0/255.0.0.0", "10.0.0.0/08", 5, "x/8"],
    "rel_dns_name": ["a.", "x" * 253],
    "timezone": ["Mars/Olympus", "../../etc/passwd", 5],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_good_values(name: str, value: object) -> None:
    assert check_custom(name, value) is None


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_bad_values_are_named_in_the_reason(name: str, value: object) -> None:
    reason = check_custom(name, value)
    assert reason is not None
    assert reason.startswith(f"Error validating value '{value}': ")


def test_every_offline_constraint_is_tried_here() -> None:
    assert GOOD.keys() == BAD.keys() == _OFFLINE.keys()


def test_those_of_the_cloud_are_not_answered_and_unknown_ones_refused() -> None:
    assert needs_cloud("nova.flavor")
    assert check_custom("nova.flavor", "whatever") is None
    assert check_custom("nova.flavour", "x") == '"x" does not validate nova.flavour (constraint not found)'
    assert not CLOUD_CONSTRAINTS & _OFFLINE.keys()
