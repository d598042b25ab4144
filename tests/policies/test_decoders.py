"""Each decoder against answers that are known in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.contracts.manifest import DiffusionDecoder, RegressionDecoder, TokensDecoder
from edge_runtime.policies.decoders import decoding_of
from edge_runtime.policies.decoders.diffusion import signal_kept
from edge_runtime.policies.decoders.flow import integrate_flow
from edge_runtime.policies.decoders.seam import Tensors

SHAPE = (1, 3, 2)
ACTION = np.linspace(-0.8, 0.8, 6).reshape(SHAPE)


def test_a_flow_whose_time_runs_back_arrives_at_the_action() -> None:
    """Noise at 1 and the action at 0, as π0 and SmolVLA have it: velocity is (x - action) / t."""
    noise = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
    times: list[float] = []

    def velocity(x: NDArray[np.float32], time: float) -> NDArray[np.float32]:
        times.append(time)
        return ((x - ACTION) / time).astype(np.float32)

    arrived = integrate_flow(velocity, noise, 10, 1.0, 0.0)
    np.testing.assert_allclose(arrived, ACTION, atol=1e-6)
    assert times == pytest.approx(np.arange(1.0, 0.0, -0.1))


def diffusion(**changes: Any) -> DiffusionDecoder:
    fields: dict[str, Any] = {
        "x": "x",
        "time": "t",
        "output": "out",
        "predicts": "noise",
        "schedule": "squared_cosine",
        "training_steps": 100,
        "steps": 10,
        "clip": None,
        "noise_seed": 3,
        "fixed_noise": True,
        **changes,
    }
    return DiffusionDecoder(**fields)


@pytest.mark.parametrize("predicts", ["noise", "action", "velocity"])
@pytest.mark.parametrize("schedule", ["linear", "squared_cosine"])
def test_a_perfect_denoiser_ends_on_the_action(predicts: str, schedule: str) -> None:
    kept = signal_kept(schedule, 100)
    asked: list[int] = []

    def step(pool: Tensors) -> Tensors:
        time = int(pool["t"][0])
        asked.append(time)
        signal, rest = np.sqrt(kept[time]), np.sqrt(1.0 - kept[time])
        noise = (pool["x"] - signal * ACTION) / rest
        answers = {"noise": noise, "action": ACTION, "velocity": signal * noise - rest * ACTION}
        return {"out": answers[predicts].astype(np.float32)}

    decoding = decoding_of(diffusion(predicts=predicts, schedule=schedule), step, (), SHAPE)
    np.testing.assert_allclose(decoding.decode({}, 0, lambda _: None), ACTION, atol=1e-4)
    assert asked == list(range(90, -1, -10))


def test_schedules_are_those_of_the_papers() -> None:
    linear, cosine = signal_kept("linear", 1000), signal_kept("squared_cosine", 1000)
    # Ho et al.: 1 - 1e-4 at first, and about 4e-5 of the variance at the end.
    assert linear[0] == pytest.approx(1 - 1e-4)
    assert linear[-1] == pytest.approx(4.04e-5, rel=0.01)
    # Nichol and Dhariwal, equation 17, where beta is not capped.
    at = np.cos((501 / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert cosine[500] == pytest.approx(at)


def test_what_a_step_expects_is_kept_inside_the_clip() -> None:
    decoding = decoding_of(
        diffusion(predicts="action", clip=1.0), lambda pool: {"out": np.full_like(pool["x"], 5.0)}, (), SHAPE
    )
    np.testing.assert_allclose(decoding.decode({}, 0, lambda _: None), 1.0, atol=1e-6)


@pytest.mark.parametrize("highest_first", [False, True])
def test_tokens_all_at_once_are_the_likeliest_bins(highest_first: bool) -> None:
    bins, first = 4, 3
    places = np.array([0, 3, 1, 2, 2, 0])
    logits = np.full((1, 9, 10), -5.0, np.float32)
    logits[0, np.arange(3, 9), first + places] = 1.0
    # A likelier token that is no action, before and behind the bins, is none.
    logits[0, :, 0], logits[0, :, 9] = 9.0, 9.0
    decoder = TokensDecoder(logits="l", first_token=first, bins=bins, highest_first=highest_first)
    values = decoding_of(decoder, None, (), SHAPE).decode({"l": logits}, 0, lambda _: None)
    ascending = bins - 1 - places if highest_first else places
    np.testing.assert_allclose(values.ravel(), -0.75 + 0.5 * ascending)


def test_regression_is_what_the_graph_gives() -> None:
    decoding = decoding_of(RegressionDecoder(actions="a"), None, (), SHAPE)
    assert decoding.steps == 0
    np.testing.assert_array_equal(decoding.decode({"a": ACTION}, 5, lambda _: None), ACTION.astype(np.float32))
