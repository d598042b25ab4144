"""The power is cut, or the disk refuses, at system calls of an update; `power_cut.py` says what must hold after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.ota import power_cut
from tests.ota.power_cut import Point
from tests.ota.store_exercise import PHASES

ALLOWED = {
    "first": "01",
    "stage": "2",
    "prepare": "2",
    "switch": "23",
    "commit": "3",
    "roll_back": "23",
    "roll_back_asked": "23",
    "roll_back_ready": "12",
    "withdraw": "2",
    "supersede": "2",
}
"""Versions that may boot after a cut in each phase: the one before, and the one after where the phase changes it."""


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


def at_each(points: list[Point], body: Callable[[Point, Path], None], scratch: Path) -> None:
    """Run `body` for each point in a folder of its own, two at a time."""
    with ThreadPoolExecutor(power_cut.WORKERS) as pool:
        for _ in pool.map(lambda point: body(point, scratch / f"{point[0]}-{point[1]}"), points):
            pass


@pytest.mark.parametrize("phase", ["stage", "prepare", "switch", "commit", "roll_back"])
def test_killed_at_every_system_call(ends: dict[str | None, Path], scratch: Path, phase: str) -> None:
    before = ends[PHASES[phase][0]]

    def cut(point: Point, work: Path) -> None:
        power_cut.copy(before, work)
        assert power_cut.kill_at(work, phase, point), point
        power_cut.require_one_whole(work, before, *ALLOWED[phase])
        power_cut.require_goes_on(work)

    at_each(power_cut.points_of(before, phase, scratch / "clean"), cut, scratch)


@pytest.mark.parametrize("phase", ["first", "supersede", "roll_back_asked", "roll_back_ready", "withdraw"])
def test_killed_at_some_system_calls(ends: dict[str | None, Path], scratch: Path, phase: str) -> None:
    before = ends[PHASES[phase][0]]

    def cut(point: Point, work: Path) -> None:
        power_cut.copy(before, work)
        assert power_cut.kill_at(work, phase, point), point
        power_cut.require_one_whole(work, before, *ALLOWED[phase])
        power_cut.require_goes_on(work)

    at_each(power_cut.points_of(before, phase, scratch / "clean")[::7], cut, scratch)


@pytest.mark.parametrize(
    ("phase", "point"),
    [
        ("stage", ("fallocate", 2)),
        ("switch", ("pwrite64", 4)),
        ("commit", ("unlinkat", 4)),
        ("roll_back", ("fsync", 5)),
    ],
)
def test_killed_while_recovering_from_a_kill(
    ends: dict[str | None, Path], scratch: Path, phase: str, point: Point
) -> None:
    before = ends[PHASES[phase][0]]
    cut_once = power_cut.copy(before, scratch / "cut")
    assert power_cut.kill_at(cut_once, phase, point)

    def cut_again(second: Point, work: Path) -> None:
        power_cut.copy(cut_once, work)
        assert power_cut.kill_at(work, "recover", second), second
        power_cut.require_one_whole(work, before, *ALLOWED[phase])
        power_cut.require_goes_on(work)

    points = power_cut.points_of(cut_once, "recover", scratch / "clean")
    assert points, "recovery had nothing to do"
    at_each(points[::4], cut_again, scratch)


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("phase", ["stage", "switch", "commit", "roll_back"])
def test_the_disk_refuses_system_calls(ends: dict[str | None, Path], scratch: Path, phase: str, error: str) -> None:
    before = ends[PHASES[phase][0]]

    def refuse(point: Point, work: Path) -> None:
        power_cut.copy(before, work)
        power_cut.fail_at(work, phase, point, error)
        power_cut.require_one_whole(work, before, *ALLOWED[phase])
        power_cut.require_goes_on(work)

    points = power_cut.points_of(before, phase, scratch / "clean")
    at_each(points[:: 4 if error == "EIO" else 7], refuse, scratch)
