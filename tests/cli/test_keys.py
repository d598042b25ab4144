"""Keys of a terminal, and what a held one means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.cli.dead_man import RELEASE_S, DeadManKey
from edge_runtime.cli.keys import Key, KeyReader, Stroke

PRESS, REPEAT, RELEASE = Stroke.PRESS, Stroke.REPEAT, Stroke.RELEASE


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"a", [Key("a")]),
        (b" ", [Key("space")]),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D", [Key("up"), Key("down"), Key("right"), Key("left")]),
        (b"\x1bOC", [Key("right")]),
        (b"\x03", [Key("ctrl-c")]),
        (b"\x1b", [Key("escape")]),
        (b"\x1b[1;1:1C\x1b[1;1:2C\x1b[1;1:3C", [Key("right", stroke) for stroke in Stroke]),
        (b"\x1b[1;2C", [Key("right")]),
        (b"\x1b[32u\x1b[32;1:3u", [Key("space"), Key("space", RELEASE)]),
        (b"\x1b[99;5u\x1b[99;5:3u", [Key("ctrl-c"), Key("ctrl-c", RELEASE)]),
        (b"\x1b[27u", [Key("escape")]),
        (b"\x1b[97:65;2;65u", [Key("a")]),
        (b"\x1b[1;1:9C", []),
        (b"\x1b[57441u\x1b[15~\x1b[200~", []),
        (b"\x1bOP ", [Key("space")]),
        (b"\x1b[ ", [Key("space")]),
        (b"\x1b[1; ", [Key("space")]),
        (b"\x1bO ", [Key("space")]),
        (b"\x1b[\x03", [Key("ctrl-c")]),
        ("é\xff".encode("latin-1"), []),
    ],
)
def test_bytes_are_keys(data: bytes, keys: list[Key]) -> None:
    for cut in range(len(data)):
        reader = KeyReader()
        assert [*reader.feed(data[:cut]), *reader.feed(data[cut:]), *reader.give_up()] == keys, cut


def test_a_terminal_that_answers_is_one_that_tells_releases() -> None:
    silent, telling = KeyReader(), KeyReader()
    assert silent.feed(b"\x1b[?62;c") == []
    assert (silent.has_answered, silent.tells_release) == (True, False)
    assert telling.feed(b"\x1b[?0u\x1b[?6") == []
    assert telling.feed(b"2;c") == []
    assert (telling.has_answered, telling.tells_release) == (True, True)


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes_are_keys_or_nothing_and_none_are_kept_for_ever(parts: list[bytes]) -> None:
    reader = KeyReader()
    for part in parts:
        for key in reader.feed(part):
            assert key.name.isprintable()
    assert len(reader._pending) < 64
    reader.give_up()
    assert reader.give_up() == []
    assert reader.feed(b"q") == [Key("q")]


def test_a_press_is_a_step_and_a_held_key_a_motion_until_it_is_let_go() -> None:
    key = DeadManKey()
    assert key.stroke(1, PRESS, 10.0) == 1
    assert key.held(10.0) == 0
    # The terminal's pause before it repeats: a step again, and from the next repetition on a motion.
    assert key.stroke(1, PRESS, 10.5) == 1
    assert key.held(10.5) == 0
    for i in range(1, 20):
        now_s = 10.5 + 0.033 * i
        assert key.stroke(1, PRESS, now_s) == 0
        assert key.held(now_s) == 1
    assert key.held(now_s + RELEASE_S - 0.001) == 1
    assert key.held(now_s + RELEASE_S + 0.001) == 0
    assert key.held(now_s) == 0, "what was let go stays so"


def test_the_other_direction_is_another_key() -> None:
    key = DeadManKey()
    for i in range(5):
        key.stroke(1, PRESS, 0.03 * i)
    assert key.held(0.12) == 1
    assert key.stroke(-1, PRESS, 0.15) == -1
    assert key.held(0.15) == 0
    assert key.stroke(-1, PRESS, 0.18) == 0
    assert key.held(0.18) == -1


def test_where_releases_are_told_they_end_it_and_silence_does_as_well() -> None:
    key = DeadManKey()
    assert key.stroke(1, PRESS, 0.0) == 1
    assert key.stroke(1, REPEAT, 0.5) == 0
    assert key.held(0.5) == 1
    assert key.stroke(1, RELEASE, 0.52) == 0
    assert key.held(0.52) == 0
    assert key.stroke(1, REPEAT, 0.54) == 1, "a repetition of no key that is known is a press"
    assert key.held(0.54) == 0
    assert key.stroke(1, REPEAT, 0.57) == 0
    assert key.held(0.57 + RELEASE_S + 0.01) == 0, "the release never came"
