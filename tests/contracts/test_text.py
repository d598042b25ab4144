"""Words from elsewhere: one visible line, whatever is in them, and every script still readable."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.contracts.text import LIMIT_CHARACTERS, printable, printable_json, printable_lines

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=80)

HOSTILE = {
    "another line": ("fine\narm-2: runs", r"fine\narm-2: runs"),
    "back to the start": ("failed\rruns  ", r"failed\rruns  "),
    "colour": ("\x1b[32mruns\x1b[0m", r"\x1b[32mruns\x1b[0m"),
    "title and bell": ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
    "C1 sequence": ("\x9b2J", r"\x9b2J"),
    "next line of C1": ("a\x85b", r"a\x85b"),
    "separators": ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
    "right to left": ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
    "marks of direction": ("\u200e\u200f\u061c", r"\u200e\u200f\u061c"),
    "without width": ("a\u200bb\u200dc\ufeff\u2060", r"a\u200bb\u200dc\ufeff\u2060"),
    "soft hyphen": ("arm\u00ad-1", r"arm\xad-1"),
    "no-break space": ("a\u00a0b", r"a\xa0b"),
    "Hangul filler": ("\u3164", r"\u3164"),
    "tags": ("ok\U000e0041", r"ok\U000e0041"),
    "variation selector": ("a\ufe0f\U000e0100", r"a\ufe0f\U000e0100"),
    "lone surrogate": ("\ud800", r"\ud800"),
    "NUL and delete": ("a\0b\x7f", r"a\x00b\x7f"),
    "an accent on the text before it": ("\u0301a", r"\u0301a"),
    "private use": ("\ue000", r"\ue000"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_hides_or_commands_is_shown(name: str) -> None:
    text, shown = HOSTILE[name]
    assert printable(text) == shown


def test_letters_of_every_script_stay_as_they_are() -> None:
    for text in (
        "grüße, señor",
        "機械臂 一号",
        "रोबोट",
        "ניסיון",
        "שָׁלוֹם",
        "روبوت",
        "Việt Nam",
        "ทำที่",
        "🤖 → Ω µm",
        "a b",
    ):
        assert printable(text) == text
        assert printable(unicodedata.normalize("NFD", text)) == unicodedata.normalize("NFD", text)


def test_accents_that_pile_up_are_taken_apart() -> None:
    shown = printable("z" + "\u0301" * 60)
    assert sum(unicodedata.combining(char) > 0 for char in shown) <= 3


@given(ANY_TEXT)
def test_whatever_it_is_one_visible_line_comes_out(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len((shown + "x").splitlines()) == 1
    shown.encode()
    assert printable(shown) == shown
    assert printable_lines(shown) == shown


def test_what_is_long_is_cut_and_says_so() -> None:
    assert printable("x" * LIMIT_CHARACTERS) == "x" * LIMIT_CHARACTERS
    assert printable("x" * 10_000) == "x" * LIMIT_CHARACTERS + "… (10000 characters)"
    assert printable("abcdef", 3) == "abc… (6 characters)"
    assert printable("x" * 10_000, None) == "x" * 10_000
    assert printable(ValueError("a\nb")) == r"a\nb"


def test_lines_that_are_meant_stay_lines() -> None:
    assert printable_lines("one\ntwo\x1b[2J\r\n") == "one\ntwo\\x1b[2J\\r\n"


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=40), max_size=4))
def test_json_says_the_same_and_nothing_of_it_acts(value: dict[str, str]) -> None:
    data = json.dumps(value, ensure_ascii=False).encode()
    shown = printable_json(data)
    assert json.loads(shown) == value
    assert all(char.isprintable() for char in shown.decode())
