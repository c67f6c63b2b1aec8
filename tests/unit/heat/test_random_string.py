import hmac
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcilers.heat.random_string import CLASSES, RandomString, generate
from reconcilers.model import Desired, Failed, Fault, Gone, Ready, Recorded

RECORDED = Recorded(key="k", name="secret", type="OS::Heat::RandomString", token="t", physical_name="stack-secret-x")
LETTERSDIGITS = [{"class": "lettersdigits", "min": 1}]

sequences = st.lists(
    st.fixed_dictionaries({"sequence": st.text("abc!@#ÄÖ", min_size=1, max_size=6), "min": st.integers(1, 6)}),
    max_size=3,
)
classes = st.lists(
    st.fixed_dictionaries({"class": st.sampled_from(sorted(CLASSES)), "min": st.integers(1, 6)}), min_size=1, max_size=3
)


def desired(seed: bytes = b"s" * 32, **properties: object) -> Desired:
    return Desired(
        "secret", "stack-secret-x", {"length": 32, "character_classes": LETTERSDIGITS, **properties}, key=lambda: seed
    )


def value(wanted: Desired) -> str:
    text = RandomString().attributes(wanted, RECORDED, None)["value"]
    assert isinstance(text, str)
    return text


@given(seed=st.binary(min_size=32, max_size=32), length=st.integers(36, 80), some=sequences, others=classes)
@settings(max_examples=60)
def test_a_value_has_its_length_only_its_characters_and_the_least_number_of_each(seed, length, some, others):
    text = value(desired(seed, length=length, character_sequences=some, character_classes=others))
    pools = [(one["sequence"], one["min"]) for one in some] + [(CLASSES[one["class"]], one["min"]) for one in others]
    assert len(text) == length
    assert set(text) <= {character for pool, _ in pools for character in pool}
    for pool, least in pools:
        assert sum(character in pool for character in text) >= least


@given(seed=st.binary(min_size=32, max_size=32))
def test_the_same_seed_gives_the_same_value_and_another_seed_another(seed):
    other = bytes([seed[0] ^ 1]) + seed[1:]
    assert value(desired(seed)) == value(desired(seed))
    assert value(desired(seed)) != value(desired(other))


def test_the_value_of_a_seed_never_changes_between_versions():
    # A value is stored nowhere: another algorithm would change the passwords of everybody.
    assert value(desired(bytes(range(32)))) == "9hO0ukWZPTVTRDsAfqwcWdjzrA8faKTK"


def test_the_least_numbers_may_fill_the_whole_length():
    text = value(desired(length=2, character_classes=[{"class": "digits", "min": 1}, {"class": "uppercase", "min": 1}]))
    assert sorted(map(str.isdigit, text)) == [False, True]


def test_every_character_and_every_place_is_equally_likely():
    seeds = [hmac.digest(b"k", bytes([number >> 8, number & 255]), "sha256") for number in range(4000)]
    texts = [generate(seed, 4, [("0123456789", 1), ("abc", 1)]) for seed in seeds]
    letters = Counter(place for text in texts for place, character in enumerate(text) if character.isalpha())
    digits = Counter(character for text in texts for character in text if character.isdigit())
    assert max(letters.values()) < 1.15 * min(letters.values())
    assert max(digits.values()) < 1.25 * min(digits.values())


def test_a_sequence_with_a_character_twice_does_not_make_it_likelier():
    once = [generate(bytes([number]) * 32, 50, [("ab", 1)]) for number in range(40)]
    twice = value(desired(character_sequences=[{"sequence": "abb", "min": 1}], character_classes=[]))
    assert set(twice) == {"a", "b"}
    assert value(desired(character_sequences=[{"sequence": "ab", "min": 1}], character_classes=[])) == twice
    assert 800 < sum(text.count("a") for text in once) < 1200


@pytest.mark.parametrize(
    ("properties", "guilty"),
    [
        ({"length": 3, "character_classes": [{"class": "digits", "min": 4}]}, "length"),
        ({"length": 3, "character_sequences": [{"sequence": "ab", "min": 3}]}, "length"),
        ({"character_classes": []}, "character_classes"),
        ({"character_sequences": [{"sequence": "", "min": 1}]}, "character_sequences"),
    ],
)
def test_what_cannot_be_is_refused_with_the_property(properties, guilty):
    outcome = RandomString().step(desired(**properties), RECORDED, None)
    assert isinstance(outcome, Failed)
    assert (outcome.fault, outcome.property) == (Fault.INVALID, guilty)


def test_it_is_ready_at_once_and_gone_at_once():
    wanted = replace(desired(), changed=frozenset({"length"}))
    assert RandomString().step(wanted, RECORDED, None) == Ready(applies=frozenset({"length"}))
    assert RandomString().step(None, RECORDED, None) == Gone()
    assert RandomString().attributes(None, RECORDED, None) == {}


def test_get_resource_gives_the_value_and_the_id_is_the_physical_name():
    attributes = RandomString().attributes(desired(), RECORDED, None)
    assert RandomString().reference(RECORDED, attributes) == attributes["value"]
    assert RandomString().identity(RECORDED) == "stack-secret-x"
