"""Writes that were not fsynced are lost, torn and reordered, at every point of an update; see `lost_writes.py`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ota import power_cut
from tests.ota.lost_writes import Log, cuts
from tests.ota.store_exercise import PHASES, VERSIONS
from tests.ota.test_power_cut import ALLOWED


@pytest.fixture(scope="module")
def ends() -> Iterator[dict[str | None, Path]]:
    """The store at the end of each phase."""
    if not power_cut.have_strace():
        pytest.skip(power_cut.HOW_TO_GET_STRACE)
    with power_cut.scratch_folder() as folder:
        yield power_cut.prepare(folder)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that goes away."""
    with power_cut.scratch_folder() as folder:
        yield folder


@pytest.mark.parametrize("phase", sorted(ALLOWED))
def test_whatever_was_not_fsynced_is_lost(ends: dict[str | None, Path], scratch: Path, phase: str) -> None:
    before = ends[PHASES[phase][0]]
    log = Log(before, phase, scratch / "log")
    for number, disk in enumerate(cuts(log, seed=7, samples=1, every_single=False)):
        work = scratch / str(number)
        work.mkdir()
        for version in VERSIONS:
            (work / version).symlink_to((before / version).resolve())
        disk.write_to(work)
        power_cut.require_one_whole(work, before, *ALLOWED[phase])
        # A commit collects version 1; that it was half collected must not stand in the way of its coming back.
        power_cut.require_goes_on(work, *(("1", 5) if phase == "commit" else ()))
        shutil.rmtree(work)


def test_the_model_sees_that_the_folder_above_all_was_made_to_last(ends: dict[str | None, Path], scratch: Path) -> None:
    log = Log(ends[None], "first", scratch / "log")
    # Where an entry of it may be lost for ever, a robot that forgot its floor is not told from a disk that did.
    made = [name.name for name, _ in log.events if name is not None and name.kind == "folder" and name.node == 0]
    assert made == ["root", "floor"]
    assert log.events.count((None, 0)) == len(made)
