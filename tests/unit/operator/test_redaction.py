"""Redaction costs time linear in the text, knows whose secrets it cuts out, and leaves no part of one at a cut."""

import itertools
import json
import random
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiln import redaction
from kiln.redaction import CUT, MARK, MAX_TEXT, PIECE, Redactor, Secrets

ALIKE = ["\n".join("aaaa" * 4 + f"{number:06}" for number in range(4990))]


class CountingAutomaton:
    """Counts the matches that are looked at: the work that a text causes."""

    def __init__(self, automaton):
        self._automaton = automaton
        self.matches = 0

    def iter(self, text):
        for match in self._automaton.iter(text):
            self.matches += 1
            yield match


@pytest.mark.parametrize("values", [
    ALIKE, ["a" * length for length in range(4, 2_000)], ["a" * 100_000], ["ab" * 5_000, "ba" * 5_000],
    ["a" * length + "b" for length in range(4, 500)],
])  # fmt: skip
def test_the_work_of_a_text_is_linear_whatever_the_secrets_are(values):
    redactor = Redactor()
    redactor.register("ns/evil", values)
    (secrets,) = redactor.of_owner("ns/evil")
    secrets.spans("")
    counting = secrets._automaton = CountingAutomaton(secrets._automaton)
    for text in ("a" * 32_768, "ab" * 16_384):
        counting.matches = 0
        secrets.spans(text)
        assert counting.matches <= PIECE * len(text)


def test_others_do_not_wait_for_somebody_s_redaction_nor_for_a_registration():
    redactor = Redactor()
    redactor.register("ns/evil", ALIKE)
    redactor("warm")
    with redactor._lock:  # as if somebody registered for ever
        done = threading.Thread(target=lambda: redactor("another's line"))
        done.start()
        done.join(30)
        assert not done.is_alive()


def test_an_owner_s_texts_are_redacted_with_this_owner_s_secrets_only():
    redactor = Redactor()
    redactor.register("red/web", ["red-secret"])
    redactor.register("blue/web", ["blue-secret"])
    red = redactor.for_owner("red/web")
    assert red("red-secret blue-secret") == f"{MARK} blue-secret"
    assert redactor("red-secret blue-secret") == f"{MARK} {MARK}"
    assert not red.holds("blue-secret")
    redactor.register("red/web", ["other-secret"])
    assert red("red-secret other-secret") == f"red-secret {MARK}"
    redactor.forget("red/web")
    assert red("other-secret") == "other-secret"


@pytest.mark.parametrize("secret", ["hunter2222", "s" * 31, "k3y-" * 40, "line one of it\nline two of it\n" * 20])
@pytest.mark.parametrize("shift", [0, 1, 3, 5, 9, 31, 32, 33, 100])
def test_no_beginning_of_a_secret_stays_where_a_text_is_cut(secret, shift):
    redactor = Redactor()
    redactor.register("ns/web", [secret])
    for limit in (200, MAX_TEXT):
        text = "." * (limit - shift) + secret + "." * 50
        shown = redactor(text, limit)
        assert set(shown) <= set("." + MARK), shown[-60:]
        assert len(shown) <= limit + len(MARK) + len(CUT)


@pytest.mark.parametrize("text", [
    'password="' + "x" * 50_000 + '"', "token gAAAA" + "b" * 50_000, "-----BEGIN PRIVATE KEY-----\n" + "x" * 50_000,
    "X-Auth-Token: " + "x" * 50_000,
])  # fmt: skip
def test_what_looks_like_a_secret_does_not_stay_where_a_text_is_cut(text):
    shown = Redactor()(text)
    assert "xx" not in shown
    assert "bb" not in shown


def test_a_long_secret_is_one_mark_and_its_pieces_too():
    secret = "".join(random.Random(1).choices("abcdefghijklmnop", k=1000))
    redactor = Redactor()
    redactor.register("ns/web", [secret])
    assert redactor(f"<{secret}>") == f"<{MARK}>"
    assert MARK in redactor(f"<{secret[: 2 * PIECE]}>")


def test_the_secrets_of_one_tenant_push_out_only_its_own():
    redactor = Redactor()
    redactor.register("modest/web", ["modest-secret"])
    for number in range(30):
        redactor.register(f"flood/{number}", [f"flood-{number:02}-{index:05}" for index in range(20_000)])
    assert redactor.holds("modest-secret")
    assert redactor._count <= redaction._MOST


def test_forgetting_all_leaves_nothing():
    redactor = Redactor()
    for number in range(100):
        redactor.register(f"ns/{number}", [f"secret-{number:04}"])
    assert all(redactor.holds(f"secret-{number:04}") for number in range(100))
    for number in range(100):
        redactor.forget(f"ns/{number}")
    redactor.forget("ns/never")
    assert not any(redactor.holds(f"secret-{number:04}") for number in range(100))
    assert (redactor._count, redactor._sizes, redactor._tenants) == (0, [0] * redaction._GROUPS, {})


def test_secrets_that_cannot_be_encoded_are_cut_out_all_the_same():
    redactor = Redactor()
    redactor.register("ns/web", ["se\ud800cret", "gr\u00fc\u00dfe-\U0001f511"])
    assert redactor("x se\ud800cret gr\u00fc\u00dfe-\U0001f511 \udfff") == f"x {MARK} {MARK} \udfff"


WORDS = st.text(alphabet="abc", min_size=4, max_size=12)


@given(secrets=st.sets(WORDS, min_size=1, max_size=6), text=st.text(alphabet="abcd", max_size=60))
def test_exactly_what_lies_in_a_secret_is_cut_out(secrets, text):
    covered = [False] * len(text)
    for secret, start in itertools.product(secrets, range(len(text))):
        if text.startswith(secret, start):
            covered[start : start + len(secret)] = [True] * len(secret)
    expected = "".join(
        MARK if hidden else "".join(letter for _, letter in run)
        for hidden, run in itertools.groupby(zip(covered, text, strict=True), key=lambda pair: pair[0])
    )
    found = Secrets(frozenset(secrets)).spans(text)
    position, shown = 0, []
    for start, end in found:
        shown += (text[position:start], MARK)
        position = end
    assert "".join([*shown, text[position:]]) == expected


def test_secrets_are_added_to_those_that_an_owner_has() -> None:
    redact = Redactor()
    redact.register("ns/other", ["other-secret"])
    assert not redact.extend("ns/web", ["unknown-owner"])
    redact.register("ns/web", ["first-secret"])
    assert redact("first-secret") == MARK
    values = [f"made-{number:03}-secret" for number in range(40)]
    for value in values:
        assert redact.extend("ns/web", [value])
        assert redact(f"{value} other-secret") == f"{MARK} {MARK}"
    text = " ".join(["first-secret", *values])
    assert redact(text) == " ".join([MARK] * 41)
    assert redact.for_owner("ns/web")(text) == redact(text)
    assert redact.for_owner("ns/other")(text) == text
    redact.register("ns/web", values[:1])
    assert redact(f"{values[0]} {values[1]}") == f"{MARK} {values[1]}"
    redact.forget("ns/web")
    assert redact(text) == text


def test_what_is_added_one_by_one_costs_about_as_much_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    build = redaction._automaton

    def counted(pieces: frozenset[str]) -> Any:
        built.append(len(pieces))
        return build(pieces)

    monkeypatch.setattr(redaction, "_automaton", counted)
    redact = Redactor()
    redact.register("ns/web", ["made-000-secret"])
    pieces = len(redact.of_owner("ns/web")[0].pieces)
    for number in range(1, 400):
        assert redact.extend("ns/web", [f"made-{number:03}-secret"])
        redact("a line of the log")
    # Rebuilt each time, it would be 400 / 2 times as much as all of them are.
    assert sum(built) < 30 * 400 * pieces
    assert len(redact.of_owner("ns/web")) < 12


def test_of_many_secrets_that_are_added_each_plain_one_is_cut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoded forms find no room any more: none of the earlier secrets is looked at again for that."""
    encoded = []
    original = redaction._encoded

    def counted(value: str) -> Any:
        encoded.append(value)
        return original(value)

    monkeypatch.setattr(redaction, "_encoded", counted)
    redact = Redactor()
    values = [f'{number:04}"&' * 10 for number in range(2000)]
    redact.register("ns/web", values[:1])
    for number, value in enumerate(values[1:], 2):
        assert redact.extend("ns/web", [value])
        if number % 100 == 0:
            assert redact(value) == MARK
    assert redact(" ".join(values[:500])) == " ".join([MARK] * 500)
    assert redact(values[-1]) == MARK
    assert redact(json.dumps(values[0])) == f'"{MARK}"'
    pieces = sum(len(one.pieces) for one in redact.of_owner("ns/web"))
    assert redaction._WITH_ENCODED < pieces <= redaction._MOST_OF_ONE
    assert len(encoded) < 1000
    assert all(encoded.count(value) == 1 for value in encoded[:100])


def test_what_is_registered_at_once_leaves_room_for_plain_secrets_that_are_added() -> None:
    redact = Redactor()
    redact.register("ns/web", (f'{number:04}"&' * 10 for number in range(1000)))
    assert 2000 < sum(len(one.pieces) for one in redact.of_owner("ns/web")) <= redaction._WITH_ENCODED
    assert redact.extend("ns/web", ["one-more-secret"])
    assert redact("one-more-secret") == MARK
