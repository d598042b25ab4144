"""The history: bounded, readable after anything, never in the way."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.contracts.states import UpdateState
from edge_runtime.ota.agent.history import MAX_DETAIL_CHARACTERS, MAX_ENTRIES, History, entry_of
from edge_runtime.ota.lifecycle.journal import Journal, Update

UPDATE = Update("bundles/toy/" + "1" * 64 + ".json", "2" * 64, 3)


def test_what_says_the_same_is_kept_once_with_its_last_time(tmp_path: Path) -> None:
    history = History(tmp_path / "new" / "folder")
    for at_s in (1.0, 2.0):
        history.write(entry_of(Journal(), at_s, "unreachable", f"try at {at_s}"))
    history.write(entry_of(Journal(UpdateState.STAGED, UPDATE), 3.0))
    history.write(entry_of(Journal(), 4.0, "unreachable"))
    entries = History(tmp_path / "new" / "folder").entries()
    assert [entry.at_s for entry in entries] == [2.0, 3.0, 4.0]
    assert entries[1].release_counter == 3
    assert entries[0].detail == "try at 2.0"


def test_it_is_bounded(tmp_path: Path) -> None:
    history = History(tmp_path)
    for number in range(MAX_ENTRIES + 20):
        history.write(entry_of(Journal(), float(number), f"refusal_{number}", "x" * 10_000))
    entries = history.entries()
    assert len(entries) == MAX_ENTRIES
    assert entries[-1].at_s == MAX_ENTRIES + 19
    assert all(len(entry.detail) == MAX_DETAIL_CHARACTERS for entry in entries)
    assert len(History(tmp_path).entries()) == MAX_ENTRIES


def test_a_torn_diary_is_begun_again(tmp_path: Path) -> None:
    History(tmp_path).write(entry_of(Journal(), 1.0))
    (tmp_path / "diary.json").write_bytes(b'[{"at_s": 1')
    history = History(tmp_path)
    assert history.entries() == []
    history.write(entry_of(Journal(), 2.0))
    assert [entry.at_s for entry in history.entries()] == [2.0]


def test_a_disk_that_takes_nothing_does_not_stop_the_agent(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    history = History(tmp_path / "file" / "below")
    history.write(entry_of(Journal(), 1.0))
    assert history.entries() == []
