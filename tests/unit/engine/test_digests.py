"""Digests of property values: salted, and comparable with those that earlier versions recorded."""

import hashlib
import json

import pytest

from reconcilers.digests import WHOLE, Digester, PropertyDigests, canonical, is_large

KEY = b"k" * 32
PROPERTIES = {"password": "Hunter2", "secret": "Hunter2", "none": None, "size": 3}


def of(properties: object, resource: str = "a", key: bytes = KEY) -> PropertyDigests:
    return PropertyDigests(Digester(key).of(resource), properties)  # type: ignore[arg-type]


def test_equal_values_do_not_show_as_equal() -> None:
    made = [digest for name in "ab" for digest in of(PROPERTIES, name).each(PROPERTIES).values()]
    assert len(set(made)) == len(made) == 6
    assert of(PROPERTIES).whole != of(PROPERTIES, "b").whole


def test_names_do_not_run_into_each_other() -> None:
    digester = Digester(KEY)
    assert digester.of("ab").property("c", 1) != digester.of("a").property("bc", 1)
    assert digester.of("a").property("b", '"c"1') != digester.of("a").property('b"c"', 1)


def test_digests_of_earlier_versions_are_no_change() -> None:
    given = {name: value for name, value in PROPERTIES.items() if value is not None}
    old = Digester(KEY)
    recorded = {**{name: old.value(value) for name, value in given.items()}, WHOLE: old.value(given)}
    assert of(PROPERTIES).changed(recorded) == frozenset()
    assert of({**PROPERTIES, "size": 4, "secret": None}).changed(recorded) == {"size", "secret"}
    assert old.of("a").matches(WHOLE, given, recorded[WHOLE])


def test_what_changed_is_seen() -> None:
    recorded = of(PROPERTIES).each(PROPERTIES)
    assert of(PROPERTIES).changed(recorded) == frozenset()
    assert of({**PROPERTIES, "password": "Hunter3", "none": 1}).changed(recorded) == {"password", "none"}
    assert not Digester(KEY).of("a").matches("size", 3, None)


def test_a_digest_is_of_one_resource_s_value_under_one_key() -> None:
    recorded = of(PROPERTIES).each(PROPERTIES)
    assert of(PROPERTIES, "b").changed(recorded) == {"password", "secret", "size"}
    assert of(PROPERTIES, key=b"x" * 32).changed(recorded) == {"password", "secret", "size"}


LARGE = {
    "letters": 'ä漢😀\x01"\\\ud800' * 20_000,
    "keys": {"k" * 70_000: 1, "ü": {"b": [1, 2.5, None, True], "a": "x" * 70_000}},
    "numbers": list(range(20_000)),
    "maps": [{"b": 1, "a": [number]} for number in range(5_000)],
    "numbered": {1: "y" * 70_000, 2: "z"},
    "nested": [[[[["x" * 70_000], "y"]], {"z": ["w"] * 9_000}]],
    "a key": {"k" * 70_000: 1},
    "tuple": ("x", "y" * 70_000),
}


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE)
def test_a_large_value_is_written_in_pieces_to_the_same_digest(value: object) -> None:
    assert is_large(value)
    pieces = list(canonical(value))
    assert max(map(len, pieces)) < 1 << 20
    assert len(pieces) > 2
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert "".join(pieces) == text
    assert Digester(KEY).value(value) == hashlib.blake2b(text.encode(), key=KEY, digest_size=9).hexdigest()
