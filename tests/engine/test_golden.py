"""The golden check: the real engine on the shipped bundle, and on copies of it that lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from contracts.embodiment import Embodiment
from contracts.errors import BundleError
from contracts.golden import GOLDEN_NAME, GoldenReport
from edge_runtime.engine.golden import check
from tests.golden_bundles import SHIPPED, Arrays, copy_with, seal


def checked(folder: Path, embodiment: Embodiment) -> GoldenReport:
    return check(folder, embodiment, threads=1)


def test_the_shipped_bundle_does_here_what_it_was_trained_to(embodiment: Embodiment) -> None:
    report = checked(SHIPPED, embodiment)
    assert report.verdict == "matched"
    assert report.cases == 8
    assert 0.0 < max(report.error_p99_rad) <= report.bound_p99_rad == 0.01


def test_one_joint_that_is_off_in_every_plan_differs(tmp_path: Path, embodiment: Embodiment) -> None:
    def shift(data: Arrays) -> None:
        data["plan"][:, :, 3] += 0.02

    report = checked(copy_with(tmp_path / "bundle", shift), embodiment)
    assert report.verdict == "differs"
    assert report.error_p99_rad[3] > 0.01
    assert max(np.delete(report.error_p99_rad, 3)) <= 0.01


def test_a_gripper_on_the_other_side_differs(tmp_path: Path, embodiment: Embodiment) -> None:
    def flip(data: Arrays) -> None:
        opening_m = data["plan"][2, 5, -1]
        data["plan"][2, 5, -1] = 0.0 if opening_m > embodiment.gripper.opening_max_m / 2 else 1.0

    report = checked(copy_with(tmp_path / "bundle", flip), embodiment)
    assert (report.verdict, report.gripper_flips) == ("differs", 1)


def test_without_pairs_there_is_nothing_to_say(tmp_path: Path, embodiment: Embodiment) -> None:
    assert checked(copy_with(tmp_path / "bundle", Arrays.clear), embodiment).verdict == "no_data"


def _drop_picture(data: Arrays) -> None:
    del data["image_wrist"]


def _other_horizon(data: Arrays) -> None:
    data["plan"] = data["plan"][:, :-1]


def _not_a_number(data: Arrays) -> None:
    data["plan"][0, 0, 0] = np.nan


def _no_cases(data: Arrays) -> None:
    data.update({name: array[:0] for name, array in data.items()})


def _numbers_for_words(data: Arrays) -> None:
    data["instruction"] = np.zeros(8)


@pytest.mark.parametrize("spoil", [_drop_picture, _other_horizon, _not_a_number, _no_cases, _numbers_for_words])
def test_pairs_of_another_shape_are_refused(
    tmp_path: Path, embodiment: Embodiment, spoil: Callable[[Arrays], None]
) -> None:
    with pytest.raises(BundleError, match=r"golden\.npz"):
        checked(copy_with(tmp_path / "bundle", spoil), embodiment)


def test_what_is_no_archive_is_refused(tmp_path: Path, embodiment: Embodiment) -> None:
    folder = copy_with(tmp_path / "bundle")
    (folder / GOLDEN_NAME).write_bytes(b"PK\x03\x04 no")
    with pytest.raises(BundleError, match="no golden pairs"):
        checked(seal(folder), embodiment)


def test_pickled_objects_are_not_loaded(tmp_path: Path, embodiment: Embodiment) -> None:
    def pickle(data: Arrays) -> None:
        data["plan"] = np.array([{"a": 1}], dtype=object)

    with pytest.raises(BundleError, match="no golden pairs"):
        checked(copy_with(tmp_path / "bundle", pickle), embodiment)
