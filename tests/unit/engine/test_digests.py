"""Digests of property values: salted, and comparable with those that earlier versions recorded."""

from reconcilers.digests import WHOLE, Digester

KEY = b"k" * 32
PROPERTIES = {"password": "Hunter2", "secret": "Hunter2", "none": None, "size": 3}


def test_equal_values_do_not_show_as_equal() -> None:
    digester = Digester(KEY)
    made = [digest for name in "ab" for digest in digester.of(name).each(PROPERTIES, PROPERTIES).values()]
    assert len(set(made)) == len(made) == 6
    assert digester.of("a").whole(PROPERTIES) != digester.of("b").whole(PROPERTIES)


def test_names_do_not_run_into_each_other() -> None:
    digester = Digester(KEY)
    assert digester.of("ab").property("c", 1) != digester.of("a").property("bc", 1)
    assert digester.of("a").property("b", '"c"1') != digester.of("a").property('b"c"', 1)


def test_digests_of_earlier_versions_are_no_change() -> None:
    old, new = Digester(KEY), Digester(KEY).of("a")
    recorded = {**old.each(PROPERTIES, PROPERTIES), WHOLE: old.whole(PROPERTIES)}
    assert new.changed(PROPERTIES, recorded) == frozenset()
    assert new.changed({**PROPERTIES, "size": 4, "secret": None}, recorded) == {"size", "secret"}
    given = {name: value for name, value in PROPERTIES.items() if value is not None}
    assert new.matches(WHOLE, given, recorded[WHOLE])


def test_what_changed_is_seen() -> None:
    digester = Digester(KEY).of("a")
    recorded = digester.each(PROPERTIES, PROPERTIES)
    assert digester.changed(PROPERTIES, recorded) == frozenset()
    assert digester.changed({**PROPERTIES, "password": "Hunter3", "none": 1}, recorded) == {"password", "none"}
    assert not digester.matches("size", 3, None)


def test_a_digest_is_of_one_resource_s_value_under_one_key() -> None:
    recorded = Digester(KEY).of("a").each(PROPERTIES, PROPERTIES)
    assert Digester(KEY).of("b").changed(PROPERTIES, recorded) == {"password", "secret", "size"}
    assert Digester(b"x" * 32).of("a").changed(PROPERTIES, recorded) == {"password", "secret", "size"}
