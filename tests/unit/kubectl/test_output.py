import io

import pytest
import yaml

from kiln.kubectl import output
from kiln.kubectl.output import Cell, Style


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    shown = output.table(["NAME", "STATE"], [["a", "Ready"], ["longer-name", Cell("Failed", Style.BAD)]])
    assert shown == ["NAME         STATE", "a            Ready", "longer-name  Failed"]


def test_colours_do_not_shift_columns() -> None:
    rows = [[Cell("a", Style.GOOD), "x"], ["bbb", "y"]]
    painted = output.table(["N", "V"], rows, output.coloured)
    assert painted[1] == "\x1b[32ma\x1b[0m    x"
    assert output.table(["N", "V"], rows) == ["N    V", "a    x", "bbb  y"]


def test_wide_characters_take_two_columns() -> None:
    shown = output.table(["N", "V"], [["网络", "x"], ["abcd", "y"]])
    assert shown[1:] == ["网络  x", "abcd  y"]


def test_a_message_cannot_move_the_cursor_or_add_a_line() -> None:
    shown = output.table(["MESSAGE"], [["a\x1b[2Jb\nc"]])
    assert len(shown) == 2
    assert "\x1b" not in shown[1]
    assert "\n" not in shown[1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0, "0s"), (59, "59s"), (61, "1m1s"), (600, "10m"), (3700, "1h1m"), (90000, "1d1h"), (950400, "11d")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


def test_an_age_that_cannot_be_read_is_a_dash() -> None:
    assert output.age("yesterday", output.utc_now()) == "-"
    assert output.age(None, output.utc_now()) == "-"


def test_a_cut_text_fits() -> None:
    assert output.cut("abcdef", 6) == "abcdef"
    assert output.cut("abcdefg", 6) == "abcde…"
    assert output.width(output.cut("网络网络网络", 5)) <= 5


def test_yaml_keeps_texts_of_several_lines_readable_and_their_content() -> None:
    value = {"text": "a: b\nc\n", "list": [1, None], "word": "ü"}
    shown = output.as_yaml(value)
    assert "text: |" in shown
    assert yaml.safe_load(shown) == value


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_there_are_colours_at_terminals_only_and_not_against_the_users_will(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.is_colourful(Terminal())
    assert not output.is_colourful(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.is_colourful(Terminal())
