"""The golden check: the real engine on the shipped bundle, and on copies of it that lie."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.golden import GOLDEN_NAME, GoldenReport, picture_key
from edge_runtime.contracts.manifest import PolicyContract, read_manifest, version_1
from edge_runtime.engine.golden import check
from edge_runtime.testing.golden_bundles import SHIPPED, Arrays, altered, copy_with, seal


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
        data["plan"][2, 5, -1] = 0.0 if opening_m > embodiment.grippers[0].open / 2 else 1.0

    report = checked(copy_with(tmp_path / "bundle", flip), embodiment)
    assert (report.verdict, report.gripper_flips) == ("differs", 1)


def test_a_gripper_that_opens_less_far_than_it_was_trained_to_differs(tmp_path: Path, embodiment: Embodiment) -> None:
    """On the right side of half-open, and yet not what was trained: as from statistics that somebody altered."""
    folder = copy_with(tmp_path / "bundle")
    policy = read_manifest(folder).policy
    usual = version_1.written(policy).action_normalization
    statistics = msgspec.structs.replace(usual, mean=(*usual.mean[:-1], 0.3 * embodiment.grippers[0].open))
    report = checked(seal(folder, policy=altered(policy, action_normalization=statistics)), embodiment)
    assert (report.verdict, report.gripper_flips) == ("differs", 0)
    assert report.gripper_error_p99_m > report.gripper_bound_p99_m
    assert "the gripper by 2" in report.worst
    assert " mm (p99)" in report.worst


def test_without_pairs_there_is_nothing_to_say(tmp_path: Path, embodiment: Embodiment) -> None:
    assert checked(copy_with(tmp_path / "bundle", Arrays.clear), embodiment).verdict == "no_data"


def _drop_picture(data: Arrays) -> None:
    del data["camera_wrist"]


def _other_horizon(data: Arrays) -> None:
    data["plan"] = data["plan"][:, :-1]


def _not_a_number(data: Arrays) -> None:
    data["plan"][0, 0, 0] = np.nan


def _no_cases(data: Arrays) -> None:
    data.update({name: array[:0] for name, array in data.items() if array.ndim})


def _numbers_for_words(data: Arrays) -> None:
    data["instruction"] = np.zeros(8)


def _grey_pictures(data: Arrays) -> None:
    data["camera_scene"] = data["camera_scene"].mean(axis=-1).astype(np.uint8)


def _a_third_camera(data: Arrays) -> None:
    data["camera_back"] = data["camera_scene"]


@pytest.mark.parametrize(
    "spoil",
    [
        _drop_picture,
        _other_horizon,
        _not_a_number,
        _no_cases,
        _numbers_for_words,
        _grey_pictures,
        _a_third_camera,
        lambda data: data.update(format=np.array(3)),
        lambda data: data.update(format=np.array([2])),
        lambda data: data.update(plan=np.array(1.0)),
    ],
)
def test_pairs_of_another_shape_are_refused(
    tmp_path: Path, embodiment: Embodiment, spoil: Callable[[Arrays], None]
) -> None:
    with pytest.raises(BundleError, match=r"golden\.npz"):
        checked(copy_with(tmp_path / "bundle", spoil), embodiment)


def test_pairs_that_would_fill_the_memory_are_refused_unread(tmp_path: Path, embodiment: Embodiment) -> None:
    def swell(data: Arrays) -> None:
        data["camera_scene"] = np.zeros((8, 5000, 5000, 3), np.uint8)

    with pytest.raises(BundleError, match=r"bytes, \d+ at most are read"):
        checked(copy_with(tmp_path / "bundle", swell), embodiment)


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


def _exchanged(policy: PolicyContract) -> PolicyContract:
    """Each of the two cameras feeds the other one's tensor."""
    first, second = policy.inputs.cameras
    replace = msgspec.structs.replace
    cameras = replace(first, tensor=second.tensor), replace(second, tensor=first.tensor)
    return replace(policy, inputs=replace(policy.inputs, cameras=cameras))


def test_cameras_that_feed_each_others_tensor_differ(tmp_path: Path, embodiment: Embodiment) -> None:
    folder = copy_with(tmp_path / "bundle")
    policy = _exchanged(read_manifest(folder).policy)
    report = checked(seal(folder, policy=policy), embodiment)
    assert report.verdict == "differs"
    assert max(report.error_p99_rad) > 0.05


def test_pairs_of_the_older_form_are_refused_with_what_to_do(tmp_path: Path, embodiment: Embodiment) -> None:
    def by_tensor(data: Arrays) -> None:
        del data["format"]
        for camera in ("scene", "wrist"):
            data[f"image_{camera}"] = data.pop(picture_key(camera))

    with pytest.raises(BundleError, match=r"go by tensor .* export the bundle again"):
        checked(copy_with(tmp_path / "bundle", by_tensor), embodiment)


def test_pictures_are_those_of_the_camera_whatever_the_policy_is_fed(tmp_path: Path, embodiment: Embodiment) -> None:
    def magnify(data: Arrays) -> None:
        for camera in ("scene", "wrist"):
            data[picture_key(camera)] = data[picture_key(camera)].repeat(2, axis=1).repeat(2, axis=2)

    assert checked(copy_with(tmp_path / "bundle", magnify), embodiment).verdict == "matched"


def test_a_report_names_the_joint_that_is_furthest_off(tmp_path: Path, embodiment: Embodiment) -> None:
    def shift(data: Arrays) -> None:
        data["plan"][:, :, 3] += 0.02

    assert re.match(
        r"joint4 is off by 0\.02\d\d rad \(p99\), 0\.01 is allowed, in 8 golden pairs",
        checked(copy_with(tmp_path / "bundle", shift), embodiment).worst,
    )
