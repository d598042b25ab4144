"""A camera's picture becomes what the policy was trained on: the resize rule, the filter and the scale are its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_runtime.contracts.golden import picture_key
from edge_runtime.contracts.manifest import CameraInput, Crop, Pad, RawPixels, ScaledPixels, Stretch
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.engine.golden import check
from edge_runtime.policies.golden import plan_of
from edge_runtime.policies.transforms import ImageTransform
from tests.other_families import CAMERA_PX, CAMERAS, regression_contract, regression_graph, two_armed, write

Pixels = NDArray[np.uint8]


def image(width_px: int, height_px: int, **changes: Any) -> ImageTransform:
    fields: dict[str, Any] = {
        "camera": "scene",
        "tensor": "scene",
        "width_px": width_px,
        "height_px": height_px,
        "resize": Stretch(),
        "interpolation": "bilinear",
        "antialias": "triangle",
        "colours": "rgb",
        "layout": "hwc",
        "scale": RawPixels(),
        **changes,
    }
    return ImageTransform(CameraInput(**fields))


def picture(width_px: int, height_px: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


@pytest.mark.parametrize("size_px", [(64, 48, 32, 24), (50, 37, 20, 13), (640, 480, 224, 224), (16, 12, 40, 30)])
def test_the_triangle_filter_is_that_of_training(size_px: tuple[int, int, int, int]) -> None:
    width, height, wide, high = size_px
    pixels = picture(width, height)
    resized = image(wide, high)
    resized.fill(pixels)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    trained = torch.nn.functional.interpolate(planes, (high, wide), mode="bilinear", antialias=True)
    expected = trained[0].permute(1, 2, 0).numpy()
    assert np.abs(resized.picture - expected).max() <= 0.51


def test_the_filters_differ_so_much_that_the_contract_has_to_say_which() -> None:
    pixels = picture(640, 480)
    made = {}
    for antialias in ("none", "area", "triangle"):
        resized = image(128, 128, antialias=antialias)
        resized.fill(pixels)
        made[antialias] = resized.picture.astype(float)
    assert np.abs(made["none"] - made["triangle"]).mean() > 8.0
    assert np.abs(made["area"] - made["triangle"]).mean() > 2.0


@pytest.mark.parametrize(
    ("anchor", "rows"), [("centre", slice(8, 24)), ("top_left", slice(0, 16)), ("bottom_right", slice(16, 32))]
)
def test_a_padded_picture_keeps_its_aspect(anchor: str, rows: slice) -> None:
    resized = image(32, 32, resize=Pad(value=7, anchor=anchor), interpolation="bilinear", antialias="area")  # type: ignore[arg-type]
    for brightness in (200, 100):
        resized.fill(np.full((32, 64, 3), brightness, dtype=np.uint8))
        assert (resized.picture[rows] == brightness).all()
        rest = np.delete(resized.picture, rows, axis=0)
        assert rest.shape == (16, 32, 3)
        assert (rest == 7).all()


def test_a_cropped_picture_is_its_middle() -> None:
    pixels = picture(64, 32)
    resized = image(16, 16, resize=Crop(fraction=0.5))
    resized.fill(pixels)
    np.testing.assert_array_equal(resized.picture, pixels[8:24, 24:40])


def test_nearest_takes_pixels_and_mixes_none() -> None:
    pixels = np.where(picture(64, 48) > 127, 255, 0).astype(np.uint8)
    resized = image(20, 15, interpolation="nearest", antialias="none")
    resized.fill(pixels)
    assert set(np.unique(resized.picture)) == {0, 255}
    with pytest.raises(ValueError, match="nearest"):
        image(20, 15, interpolation="nearest", antialias="area")


def test_colours_layout_and_scale_are_the_policy_s() -> None:
    pixels = picture(6, 4)
    scale = ScaledPixels(mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))
    made = image(6, 4, colours="bgr", layout="chw", scale=scale)
    made.fill(pixels)
    blue_first = pixels[:, :, ::-1].astype(np.float64) / 255.0
    expected = ((blue_first - np.array(scale.mean)) / np.array(scale.std)).transpose(2, 0, 1)
    assert made.tensor.shape == (1, 3, 4, 6)
    np.testing.assert_allclose(made.tensor[0], expected, atol=1e-6)
    np.testing.assert_array_equal(made.picture, pixels)


def test_golden_pairs_see_another_resize_than_that_of_training(tmp_path: Path) -> None:
    """They hold the camera's own picture, not the resized one."""
    robot = two_armed()
    contract = regression_contract(robot)
    rows = np.linspace(0, 255, CAMERA_PX[1]).astype(np.uint8)
    light = np.abs(np.arange(CAMERA_PX[0]) - CAMERA_PX[0] / 2) < CAMERA_PX[0] / 4
    seen = cv2.merge([np.where(light, 255, rows[:, None] // 4).astype(np.uint8)] * 3)
    golden = {picture_key(camera): seen[None] for camera in CAMERAS}
    golden |= {"state": np.array([(*robot.home[:-1], 0.04)])}
    trained = write(tmp_path / "trained", contract, {"policy.onnx": regression_graph()})
    golden["plan"] = plan_of(BundlePolicy.load(trained, robot, threads=1), robot, golden, 0)[None]
    for resize, verdict in ((Stretch(), "matched"), (Crop(fraction=0.6), "differs")):
        cameras = tuple(msgspec.structs.replace(camera, resize=resize) for camera in contract.inputs.cameras)
        altered = msgspec.structs.replace(contract, inputs=msgspec.structs.replace(contract.inputs, cameras=cameras))
        folder = write(tmp_path / verdict, altered, {"policy.onnx": regression_graph()}, golden)
        assert check(folder, robot, threads=1).verdict == verdict
