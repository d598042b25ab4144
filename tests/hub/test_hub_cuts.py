"""The power is cut, or the disk refuses, at system calls of what `edge-hub` does to its folder.

A part of them; ``python -m tests.hub.hub_cut_campaign`` takes them all.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub.hub_cuts import COMMANDS, DONE, STORAGE_REFUSED, Field
from tests.ota import power_cut

EVERY = {"refresh": 4, "approve": 1, "publish": 4, "assign": 7, "install": 5, "init": 29}
"""Of the system calls of each command, every how-manieth is cut here."""


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    if not power_cut.have_strace():
        pytest.skip(power_cut.HOW_TO_GET_STRACE)
    with power_cut.scratch_folder() as folder:
        try:
            field = Field(folder)
        except PermissionError as error:
            pytest.skip(f"strace may not take hold of processes here: {error}")
        yield field
        field.close()


@pytest.mark.parametrize("phase", COMMANDS)
def test_killed_at_system_calls(field: Field, phase: str) -> None:
    for point in field.points_of(phase)[:: EVERY[phase]]:
        assert field.cut(phase, point, "signal=KILL") == -9, point


@pytest.mark.parametrize("phase", COMMANDS)
def test_the_disk_refuses(field: Field, phase: str) -> None:
    points = field.points_of(phase)[1 :: 2 * EVERY[phase]]
    ended = [
        field.cut(phase, point, f"error={error}")
        for point, error in zip(points, ("ENOSPC", "EIO") * len(points), strict=False)
    ]
    assert set(ended) <= {DONE, STORAGE_REFUSED}
    assert STORAGE_REFUSED in ended
