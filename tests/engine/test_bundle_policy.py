"""A bundle from disk to actions in physical units, with the toy policy whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from edge_runtime.contracts.embodiment import Embodiment
from edge_runtime.contracts.errors import BundleError, FrameError, HandshakeError
from edge_runtime.contracts.manifest import (
    PictureFigures,
    PictureRange,
    SentenceContract,
    blob_of,
    read_manifest,
    write_manifest,
)
from edge_runtime.contracts.manifest.version_1 import FlowSampler, Graphs, ImageInput, Tokenizer, written
from edge_runtime.contracts.messages import FrameRef, Observation
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.ipc.frames import FrameRing, ring_name
from edge_runtime.policies import runner
from edge_runtime.policies.tokenizers.words import read_tokenizer, write_tokenizer
from edge_runtime.testing.golden_bundles import altered, copy_with, seal

BundleWriter = Callable[..., Path]
OFFSET_STD = 0.1
"""Deviation of the toy's joint actions."""


@pytest.fixture
def rings(tmp_path: Path) -> Iterator[dict[str, FrameRing]]:
    rings = {camera: FrameRing.create(ring_name(tmp_path, camera), camera, 128, 128) for camera in ("scene", "wrist")}
    yield rings
    for ring in rings.values():
        ring.close()


def _observe(embodiment: Embodiment, rings: dict[str, FrameRing], brightness: int = 51) -> Observation:
    frames: list[FrameRef] = []
    for ring in rings.values():
        ring.slot()[:] = brightness
        frames.append(ring.commit(1))
    return Observation(
        sequence=0,
        exposure_ns=1,
        published_ns=1,
        joint_digest=embodiment.joint_digest,
        position=(*(home + 0.05 for home in embodiment.home[:-1]), 0.05),
        velocity=(0.0,) * 8,
        frames=tuple(frames),
    )


def test_the_known_answer_comes_out_in_physical_units(
    write_bundle: BundleWriter, embodiment: Embodiment, rings: dict[str, FrameRing]
) -> None:
    policy = BundlePolicy.load(write_bundle(), embodiment, threads=1)
    actions = policy.infer(_observe(embodiment, rings), "touch the red thing", 3)
    offset = 0.1 * 51 / 255 + 0.01 * (2 + 3 + 4 + 1)
    joint_action = OFFSET_STD * (0.05 / 0.5 + offset)
    assert actions.position.shape == (4, 8)
    np.testing.assert_allclose(
        actions.position[:, :-1], np.tile(np.array(embodiment.home[:-1]) + 0.05 + joint_action, (4, 1)), atol=1e-6
    )
    np.testing.assert_allclose(actions.position[:, -1], 0.04 + 0.04 * (0.01 / 0.02 + offset), atol=1e-6)
    assert policy.counters == {"words_unknown": 1, "words_truncated": 0}
    assert actions.strangeness is None
    assert min(actions.preprocess_ns, actions.model_ns, actions.postprocess_ns) > 0


def test_pictures_unlike_those_of_the_training_are_told(
    write_bundle: BundleWriter, embodiment: Embodiment, rings: dict[str, FrameRing]
) -> None:
    grey = PictureFigures(red=51.0, green=51.0, blue=51.0, contrast=0.0, sharpness=0.0)
    images = tuple(
        ImageInput(
            camera=camera,
            tensor=camera,
            width_px=32,
            height_px=32,
            trained_on=PictureRange(pictures=2, low=grey, high=msgspec.structs.replace(grey, red=61.0, contrast=9.0)),
        )
        for camera in ("scene", "wrist")
    )
    policy = BundlePolicy.load(write_bundle(images=images), embodiment, threads=1)
    assert policy.infer(_observe(embodiment, rings, brightness=51), "", 0).strangeness == 0.0
    assert policy.infer(_observe(embodiment, rings, brightness=54), "", 1).strangeness == pytest.approx(3.0)


def test_absolute_actions_are_not_added_to_what_was_observed(
    write_bundle: BundleWriter, embodiment: Embodiment, rings: dict[str, FrameRing]
) -> None:
    policy = BundlePolicy.load(write_bundle(action_representation="absolute"), embodiment, threads=1)
    actions = policy.infer(_observe(embodiment, rings, brightness=0), "", 0)
    np.testing.assert_allclose(actions.position[:, :-1], OFFSET_STD * 0.05 / 0.5, atol=1e-6)


def test_the_gripper_stays_in_its_range(
    write_bundle: BundleWriter, embodiment: Embodiment, rings: dict[str, FrameRing]
) -> None:
    policy = BundlePolicy.load(write_bundle(), embodiment, threads=1)
    observation = _observe(embodiment, rings)
    for opening_m, expected_m in ((0.09, 0.08), (-0.01, 0.0)):
        moved = msgspec.structs.replace(observation, position=(*observation.position[:-1], opening_m))
        np.testing.assert_array_equal(policy.infer(moved, "touch", 0).position[:, -1], expected_m)


def test_the_same_chunk_of_the_same_observation_is_the_same(
    write_bundle: BundleWriter, embodiment: Embodiment, rings: dict[str, FrameRing]
) -> None:
    folder = write_bundle()
    observation = _observe(embodiment, rings)
    first, second = (
        BundlePolicy.load(folder, embodiment, threads=1).infer(observation, "touch", 9).position for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_a_frame_that_is_gone_is_a_frame_error(
    write_bundle: BundleWriter, embodiment: Embodiment, rings: dict[str, FrameRing]
) -> None:
    policy = BundlePolicy.load(write_bundle(), embodiment, threads=1)
    observation = _observe(embodiment, rings)
    for _ in range(8):
        _observe(embodiment, rings)
    with pytest.raises(FrameError):
        policy.infer(observation, "touch", 0)


def test_an_altered_graph_is_refused(write_bundle: BundleWriter, embodiment: Embodiment) -> None:
    folder = write_bundle()
    data = bytearray((folder / "denoise.onnx").read_bytes())
    data[-20] ^= 1
    (folder / "denoise.onnx").write_bytes(data)
    with pytest.raises(BundleError, match=r"denoise\.onnx"):
        BundlePolicy.load(folder, embodiment, threads=1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"embodiment": "other"}, "policy.embodiment"),
        ({"joint_digest": "0" * 64}, "policy.joint_digest"),
        (
            {"images": (ImageInput(camera="third", tensor="scene", width_px=32, height_px=32),)},
            "policy.images.camera",
        ),
    ],
)
def test_a_bundle_for_another_robot_names_the_field(
    write_bundle: BundleWriter, embodiment: Embodiment, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(HandshakeError) as caught:
        BundlePolicy.load(write_bundle(**changes), embodiment, threads=1)
    assert caught.value.field == field


GRAPHS = {
    "encode": "encode.onnx",
    "denoise": "denoise.onnx",
    "tokens": "tokens",
    "state": "state",
    "x": "x",
    "time": "time",
    "velocity": "velocity",
}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"horizon": 5}, "tensor x"),
        ({"tokenizer": Tokenizer(path="words.json", max_tokens=7)}, "tensor tokens"),
        ({"images": (ImageInput(camera="scene", tensor="scene", width_px=32, height_px=31),)}, "tensor scene"),
        ({"graphs": Graphs(**{**GRAPHS, "velocity": "speed"})}, "tensor speed"),
        ({"graphs": Graphs(**{**GRAPHS, "time": "t"})}, "tensor t"),
        ({"sampler": FlowSampler(steps=0, noise_seed=0, fixed_noise=True)}, "sampler"),
    ],
)
def test_graphs_that_are_not_what_the_manifest_says_name_the_tensor(
    write_bundle: BundleWriter, embodiment: Embodiment, changes: dict[str, object], match: str
) -> None:
    with pytest.raises(BundleError, match=match):
        BundlePolicy.load(write_bundle(**changes), embodiment, threads=1)


def test_a_policy_that_is_not_finite_at_home_never_starts(write_bundle: BundleWriter, embodiment: Embodiment) -> None:
    folder = write_bundle()
    model = onnx.load(str(folder / "encode.onnx"))
    for initializer in model.graph.initializer:
        if initializer.name == "white":
            initializer.raw_data = np.array(0.0, np.float32).tobytes()
    onnx.save(model, str(folder / "encode.onnx"))
    manifest = read_manifest(folder)
    blobs = tuple(blob_of(folder, blob.path) for blob in manifest.blobs)
    write_manifest(folder, msgspec.structs.replace(manifest, blobs=blobs))
    with pytest.raises(BundleError, match="not finite"):
        BundlePolicy.load(folder, embodiment, threads=1)


def test_a_word_beyond_the_table_that_words_are_looked_up_in_is_refused_by_name(
    tmp_path: Path, embodiment: Embodiment
) -> None:
    folder = copy_with(tmp_path / "bundle")
    words = read_tokenizer(folder / "tokenizer.json")
    beyond = msgspec.structs.replace(words, words={**words.words, "mug": words.size})
    write_tokenizer(folder / "tokenizer.json", beyond)
    with pytest.raises(BundleError, match=rf"tokenizer\.json: mug has the number {words.size}"):
        BundlePolicy.load(seal(folder), embodiment, threads=1)


def test_more_steps_than_a_chunk_has_time_for_are_refused_with_both_times(
    tmp_path: Path, embodiment: Embodiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_CHUNK_MAX_S", 0.0)
    folder = copy_with(tmp_path / "bundle")
    policy = read_manifest(folder).policy
    sampler = msgspec.structs.replace(written(policy).sampler, steps=256)
    seal(folder, policy=altered(policy, sampler=sampler, action_dt_ns=1_000_000))
    with pytest.raises(BundleError, match=r"256 steps of .* here, and a plan of 0\.016 s may take 0\.016 s"):
        BundlePolicy.load(folder, embodiment, threads=1)


def test_a_loaded_policy_knows_what_a_chunk_took(write_bundle: BundleWriter, embodiment: Embodiment) -> None:
    policy = BundlePolicy.load(write_bundle(), embodiment, threads=1)
    assert 0 < policy.trial_ns < 1_000_000_000
    assert policy.horizon == 4


def test_it_reads_with_its_own_vocabulary_and_its_own_contract(
    write_bundle: BundleWriter, embodiment: Embodiment
) -> None:
    contract = SentenceContract(unknown_words_max=1)
    policy = BundlePolicy.load(write_bundle(sentences=contract), embodiment, threads=1)
    assert policy.read("touch the red cube").is_readable
    assert policy.read("touch the red mug").is_readable
    assert policy.read("touch a red mug").unknown == ("a", "mug")
    assert not policy.read("touch a red mug").is_readable
