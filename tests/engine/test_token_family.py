"""A policy of action tokens with a Hugging Face tokenizer and quantiles runs, and is refused where it can't move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.contracts.errors import BundleError, HandshakeError
from edge_runtime.contracts.messages import Observation
from edge_runtime.engine.bundle_policy import BundlePolicy
from edge_runtime.policies.golden import observation_of
from edge_runtime.policies.sentences import SentenceProblem
from tests.other_families import (
    CAMERA_PX,
    OPENING_MAX_M,
    PROMPT,
    RIGHT,
    byte_tokenizer,
    token_bundle,
    token_contract,
    token_values,
    two_armed,
)

pytest.importorskip("tokenizers", reason="pip install -e '.[dev]' brings it")

GREY = 77


@pytest.fixture
def policy(tmp_path: Path) -> BundlePolicy:
    return BundlePolicy.load(token_bundle(tmp_path / "bundle"), two_armed(), threads=1)


def posture() -> Observation:
    robot = two_armed()
    return observation_of(robot, np.array((*robot.home[:-1], 0.04)))


def prompt_of(instruction: str) -> str:
    """As the trained policy's own code would have written it."""
    numbers = [int((angle / 3.0 + 1.0) / 2.0 * 256) for angle in posture().position[: len(RIGHT)]]
    return PROMPT.format(instruction=instruction, state=" ".join(map(str, numbers)))


def test_tokens_one_after_the_other_become_joint_motion(policy: BundlePolicy) -> None:
    picture = np.full((CAMERA_PX[1], CAMERA_PX[0], 3), GREY, dtype=np.uint8)
    asked = policy.answer_pictures(posture(), {"high": picture}, "Grasp the mug")
    values = token_values(prompt_of("Grasp the mug"), GREY)
    observed = np.array(posture().position)
    moved = np.clip(values[:, :6], -1.0, 1.0) * 0.05
    np.testing.assert_allclose(asked[:, :6], observed[:6] + np.cumsum(moved, axis=0), atol=1e-6)
    np.testing.assert_array_equal(asked[:, 6:-1], np.tile(observed[6:-1], (2, 1)))
    np.testing.assert_array_equal(asked[:, -1], np.where(values[:, 6] > 0.0, OPENING_MAX_M, 0.0))


def test_another_sentence_another_picture_or_another_posture_is_another_answer(policy: BundlePolicy) -> None:
    picture = np.full((CAMERA_PX[1], CAMERA_PX[0], 3), GREY, dtype=np.uint8)

    def answer(sentence: str, grey: int) -> bytes:
        return policy.answer_pictures(posture(), {"high": np.full_like(picture, grey)}, sentence).tobytes()

    assert len({answer("Grasp the mug", 77), answer("Grasp the cup", 77), answer("Grasp the mug", 80)}) == 3


def test_it_reads_any_word_but_not_a_negation_nor_more_than_fits(policy: BundlePolicy) -> None:
    assert policy.read("Wipe the table, then fold the towel").is_readable
    assert policy.read("触碰红色方块").is_readable
    assert policy.read("do not touch the mug").problems == (SentenceProblem.NEGATION,)
    assert policy.read("very " * 40 + "slowly").problems == (SentenceProblem.TOO_LONG,)
    assert policy.read("  ").problems == (SentenceProblem.NO_WORDS,)


def test_motion_of_the_end_effector_is_refused_where_nothing_solves_for_the_joints(tmp_path: Path) -> None:
    folder = token_bundle(tmp_path / "bundle", is_end_effector=True)
    with pytest.raises(HandshakeError, match="no inverse kinematics") as caught:
        BundlePolicy.load(folder, two_armed(), threads=1)
    assert (caught.value.field, caught.value.actual) == ("policy.outputs.groups", "end_effector")


def test_a_file_that_is_no_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    from edge_runtime.policies.tokenizers.seam import open_tokenizer

    text = token_contract(two_armed(), is_end_effector=False).inputs.text
    assert text is not None
    for data in (b"", b"{}", byte_tokenizer()[:-40], b"\xff"):
        (tmp_path / "tokenizer.json").write_bytes(data)
        with pytest.raises(BundleError, match=r"tokenizer\.json"):
            open_tokenizer(text, tmp_path)
