"""Tests are dealt to workers so that none is lost, and the list of those that take long names what there is."""

from __future__ import annotations

from pathlib import Path

from tests.side_by_side import LONGEST_FIRST, TEST_BY_TEST, unit_of

ROOT = Path(__file__).parents[1]


def test_the_files_that_are_dealt_in_their_own_way_are_there_and_named_once() -> None:
    assert [file for file in (*LONGEST_FIRST, *TEST_BY_TEST) if not (ROOT / file).is_file()] == []
    assert len(set(LONGEST_FIRST)) == len(LONGEST_FIRST)


def test_a_file_stays_together_where_its_tests_share_what_they_set_up() -> None:
    alone = min(TEST_BY_TEST)
    assert unit_of(f"{alone}::test_that[x::y]") == f"{alone}::test_that[x::y]"
    assert unit_of(f"{alone}::TestThis::test_that[x::y]") == f"{alone}::TestThis"
    assert unit_of("tests/safety/test_fuzz.py::test_a_seed_decides_everything") == "tests/safety/test_fuzz.py"


def test_no_file_that_is_dealt_test_by_test_sets_up_anything_for_all_its_tests() -> None:
    shared = ('scope="module"', "@cache", "@lru_cache")
    for file in TEST_BY_TEST:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not [word for word in shared if word in text], file
