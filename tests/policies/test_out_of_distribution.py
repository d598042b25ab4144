"""Familiarity of pictures: what is strange, what is not, and that exporter and engine measure the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.contracts.golden import picture_key
from edge_runtime.contracts.manifest import PictureFigures, PictureRange, read_manifest
from edge_runtime.policies.out_of_distribution import figures_of, strangeness
from export_tools.pictures import range_of

Pixels = NDArray[np.uint8]
BUNDLE: Path = load_config(SIM_CONFIG).bundle_dir


@pytest.fixture(scope="module")
def pictures() -> Pixels:
    """Held-out observations of the shipped bundle's scene camera."""
    with np.load(BUNDLE / "golden.npz") as golden:
        return np.array(golden[picture_key("scene")])


@pytest.fixture(scope="module")
def trained_on() -> PictureRange:
    image = next(image for image in read_manifest(BUNDLE).policy.inputs.cameras if image.camera == "scene")
    assert image.trained_on is not None
    return image.trained_on


def test_exporter_and_engine_measure_the_same(pictures: Pixels) -> None:
    for picture in pictures:
        ours, theirs = figures_of(picture), range_of(picture[np.newaxis])
        for name in ours.__struct_fields__:
            low, value, high = (getattr(figures, name) for figures in (theirs.low, ours, theirs.high))
            assert low - 1e-9 <= value <= high + 1e-9
            assert high - low <= 0.0101


def test_figures_of_a_known_picture() -> None:
    picture = np.zeros((2, 4, 3), np.uint8)
    picture[:, 1::2, 0] = 200
    figures = figures_of(picture)
    assert (figures.red, figures.green, figures.blue) == (100.0, 0.0, 0.0)
    assert figures.contrast == pytest.approx(100.0 / 3.0)
    assert figures.sharpness == pytest.approx(200.0 / 3.0)


def test_pictures_that_were_held_out_are_familiar(pictures: Pixels, trained_on: PictureRange) -> None:
    assert max(strangeness(figures_of(picture), trained_on) for picture in pictures) < 0.1


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda p: np.zeros_like(p), id="covered"),
        pytest.param(lambda p: np.full_like(p, 255), id="blinded"),
        pytest.param(lambda p: p // 4, id="dark"),
        pytest.param(lambda p: np.random.default_rng(0).integers(0, 256, p.shape, dtype=np.uint8), id="noise"),
        pytest.param(lambda p: np.full_like(p, p.mean(axis=(0, 1)).astype(np.uint8)), id="lens cap of its colour"),
    ],
)
def test_spoilt_pictures_are_strange(spoil: object, pictures: Pixels, trained_on: PictureRange) -> None:
    assert callable(spoil)
    for picture in pictures:
        assert strangeness(figures_of(spoil(picture)), trained_on) > 0.5


def test_a_mirrored_picture_is_not_told_apart(pictures: Pixels, trained_on: PictureRange) -> None:
    mirrored = np.ascontiguousarray(pictures[0][:, ::-1])
    assert strangeness(figures_of(mirrored), trained_on) == strangeness(figures_of(pictures[0]), trained_on)


def test_strangeness_is_counted_in_widths_of_the_range() -> None:
    def figures(**changes: float) -> PictureFigures:
        fields = dict.fromkeys(PictureFigures.__struct_fields__, 100.0)
        return PictureFigures(**{**fields, **changes})

    trained_on = PictureRange(pictures=2, low=figures(red=80.0), high=figures(red=120.0))
    assert strangeness(figures(), trained_on) == 0.0
    assert strangeness(figures(red=130.0), trained_on) == pytest.approx(0.25)
    assert strangeness(figures(red=40.0), trained_on) == pytest.approx(1.0)
    assert strangeness(figures(green=102.0), trained_on) == pytest.approx(2.0)
