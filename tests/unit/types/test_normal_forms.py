import pytest

from hot_translator.catalogue import Constraint, PropertySchema
from reconcilers.normal_forms import canonical, loosely_equal, mac

FREE_MAP = PropertySchema("map")
FREE_LIST = PropertySchema("list")


def custom(name):
    return PropertySchema("string", constraints=(Constraint("custom", name),))


@pytest.mark.parametrize(
    ("schema", "left", "right"),
    [
        (custom("ip_addr"), "2001:DB8:0:0::1", "2001:db8::1"),
        (custom("net_cidr"), "10.0.0.7/8", "10.0.0.0/8"),
        (custom("ip_or_cidr"), "2001:DB8::7/64", "2001:db8::7/64"),
        (custom("mac_addr"), "FA-16-3E-00-00-01", "fa:16:3e:00:00:01"),
        (custom("dns_domain"), "Example.org.", "example.org."),
        (PropertySchema("integer"), "7", 7),
        (PropertySchema("number"), 1, "1.0"),
        (PropertySchema("boolean"), "True", True),
        (PropertySchema("string"), 7, "7"),
        (PropertySchema("string"), "text\n", "text"),
        (PropertySchema("string"), "", None),
        (FREE_LIST, ["b", "a", "a"], ["a", "b"]),
        (FREE_LIST, [], None),
        (
            PropertySchema("map", properties={"a": custom("ip_addr")}),
            {"a": "::0001", "b": None},
            {"a": "::1", "b": None},
        ),
        (
            PropertySchema("map", properties={"a": custom("ip_addr"), "b": FREE_LIST}),
            {"a": "::1", "b": []},
            {"a": "::1"},
        ),
    ],
)
def test_these_mean_the_same(schema, left, right):
    assert canonical(left, schema) == canonical(right, schema)


@pytest.mark.parametrize(
    ("schema", "left", "right"),
    [
        (custom("ip_or_cidr"), "10.0.0.7/24", "10.0.0.0/24"),
        (custom("ip_addr"), "10.0.0.1", "10.0.0.2"),
        (PropertySchema("string"), "Text", "text"),
        (PropertySchema("string"), "010", "10"),
        (PropertySchema("string"), "2001:DB8::1", "2001:db8::1"),
        (PropertySchema("boolean"), True, False),
        (PropertySchema("integer"), 0, None),
        (FREE_LIST, [{"a": 1}, {"a": 1}], [{"a": 1}]),
        (FREE_MAP, {"a": ""}, {}),
        (FREE_MAP, {"a": "1"}, {"a": "2"}),
    ],
)
def test_these_do_not(schema, left, right):
    assert canonical(left, schema) != canonical(right, schema)


def test_the_order_counts_where_it_is_said():
    assert canonical(["b", "a"], FREE_LIST, ordered=True) != canonical(["a", "b"], FREE_LIST, ordered=True)


@pytest.mark.parametrize(
    "text", ["fa:16:3e:0:0:1", "fa163e000001", "FA16.3E00.0001", "fa163e-000001", "fa-16-3e-0-0-1"]
)
def test_a_mac_address_of_any_notation(text):
    assert mac(text) == "fa:16:3e:00:00:01"


@pytest.mark.parametrize("text", ["", "host", "1:2:3:4:5:6:7", "fa:16:3e:00:00:001", "::1", "zz:16:3e:00:00:01"])
def test_what_is_no_mac_address_stays(text):
    assert mac(text) == text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("1450", 1450),
        ("true", True),
        ("1", True),
        ("No", False),
        (None, ""),
        ("2001:DB8::1", "2001:db8::1"),
        ([{"opt_name": "mtu", "opt_value": "1400"}], [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}]),
        (["b", "a"], ["a", "b"]),
    ],
)
def test_words_without_a_schema_are_compared_loosely(said, shown):
    assert loosely_equal(said, shown)


@pytest.mark.parametrize(
    ("said", "shown"), [("1450", 1500), ("true", False), (["a"], ["a", "b"]), ({"a": 1}, {"b": 1}), ("x", None)]
)
def test_what_differs_differs(said, shown):
    assert not loosely_equal(said, shown)
