"""Transforms: those that have an inverse mirror it, those that lose something say how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.contracts.errors import BundleError
from edge_runtime.contracts.manifest import CameraInput, MeanStd, RawPixels, Stretch, TextInput, WordList
from edge_runtime.contracts.messages import Observation
from edge_runtime.policies.tokenizers.seam import Words
from edge_runtime.policies.tokenizers.words import WordTokenizer, read_tokenizer, write_tokenizer
from edge_runtime.policies.transforms import ImageTransform, InstructionTransform, Normalizer

AT_REST = Observation(
    sequence=0,
    exposure_ns=0,
    published_ns=0,
    joint_digest="0" * 64,
    position=(0.1, 0.2, 0.03),
    velocity=(0.0, 0.0, 0.0),
    frames=(),
)

_FINITE = st.floats(-100, 100)
_STD = st.floats(0.01, 10)


@given(values=st.lists(st.tuples(_FINITE, _FINITE, _STD), min_size=1, max_size=16))
def test_denormalize_undoes_normalize(values: list[tuple[float, float, float]]) -> None:
    physical, mean, std = (np.array(column) for column in zip(*values, strict=True))
    normalizer = Normalizer([(MeanStd(mean=tuple(mean), std=tuple(std)), len(mean))])
    normalized = normalizer.normalize(physical)
    assert normalized.dtype == np.float32
    tolerance = 1e-6 * (np.abs(physical) + np.abs(mean) + 1)
    assert (np.abs(normalizer.denormalize(normalized) - physical) <= tolerance).all()


def _image(width_px: int, height_px: int, **changes: Any) -> ImageTransform:
    plain = {
        "resize": Stretch(),
        "interpolation": "bilinear",
        "antialias": "area",
        "colours": "rgb",
        "layout": "hwc",
        "scale": RawPixels(),
    }
    return ImageTransform(
        CameraInput(camera="scene", tensor="scene", width_px=width_px, height_px=height_px, **{**plain, **changes})
    )


def test_a_frame_of_the_right_size_is_taken_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image = _image(32, 24)
    image.fill(pixels)
    np.testing.assert_array_equal(image.tensor, pixels[np.newaxis])


@pytest.mark.parametrize(
    ("source_px", "interpolation"), [((64, 48), cv2.INTER_AREA), ((16, 12), cv2.INTER_LINEAR)], ids=["down", "up"]
)
def test_a_resized_frame_lands_in_the_tensor_itself(source_px: tuple[int, int], interpolation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (source_px[1], source_px[0], 3), dtype=np.uint8)
    pixels.flags.writeable = False
    image = _image(32, 24)
    tensor = image.tensor
    image.fill(pixels)
    assert image.tensor is tensor
    np.testing.assert_array_equal(tensor[0], cv2.resize(pixels, (32, 24), interpolation=interpolation))


TOKENIZER = WordTokenizer(words={"touch": 2, "the": 3, "red": 4, "robot's": 5, "cube2": 6}, pad=0, unknown=1)


@pytest.mark.parametrize(
    ("text", "ids", "unknown", "truncated"),
    [
        ("touch the red", (2, 3, 4, 0), 0, 0),
        ("  TOUCH,the--Red!  ", (2, 3, 4, 0), 0, 0),
        ("the robot's cube2", (3, 5, 6, 0), 0, 0),
        ("lick the red", (1, 3, 4, 0), 1, 0),
        ("touch the red red red lick", (2, 3, 4, 4), 0, 2),
        ("", (0, 0, 0, 0), 0, 0),
        ("Ünïcode", (1, 1, 0, 0), 2, 0),
    ],
)
def test_words_become_ids(text: str, ids: tuple[int, ...], unknown: int, truncated: int) -> None:
    assert TOKENIZER.encode(text, 4) == (ids, unknown, truncated, tuple(number != TOKENIZER.pad for number in ids))


@given(text=st.text(max_size=600), max_tokens=st.integers(1, 32))
def test_any_text_gives_as_many_ids_as_asked_for(text: str, max_tokens: int) -> None:
    tokens = TOKENIZER.encode(text, max_tokens)
    assert len(tokens.ids) == max_tokens
    assert all(0 <= token < TOKENIZER.size for token in tokens.ids)


def test_a_vocabulary_survives_its_file(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "words.json", TOKENIZER)
    assert read_tokenizer(tmp_path / "words.json") == TOKENIZER


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"words": {"a": 2}, "pad": 0}',
        b'{"words": {"a": "2"}, "pad": 0, "unknown": 1}',
        b'{"words": {"a": -2}, "pad": 0, "unknown": 1}',
        b'{"words": {"a": 0}, "pad": 0, "unknown": 1}',
        b'{"words": {}, "pad": 0, "unknown": 0}',
    ],
)
def test_what_is_no_vocabulary_is_a_bundle_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "words.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"words\.json"):
        read_tokenizer(tmp_path / "words.json")


def test_lost_words_are_counted_once_for_each_new_instruction() -> None:
    text = TextInput(tensor="tokens", max_tokens=2, template="{instruction}", tokenizer=WordList(path="words.json"))
    transform = InstructionTransform(text, Words(TOKENIZER))
    for _ in range(3):
        np.testing.assert_array_equal(transform.prompt("lick the red", AT_REST).ids, [[1, 3]])
    assert (transform.unknown_words, transform.truncated_words) == (1, 1)
    transform.prompt("the red lick", AT_REST)
    assert (transform.unknown_words, transform.truncated_words) == (1, 2)
