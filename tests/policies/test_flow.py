"""The Euler sampler against fields whose flow is known."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.contracts.manifest import FlowDecoder
from edge_runtime.policies.decoders.flow import integrate_flow
from edge_runtime.policies.decoders.noise import Float32, initial_noise


def _flow(noise_seed: int, fixed_noise: bool) -> FlowDecoder:
    return FlowDecoder(
        x="x",
        time="time",
        velocity="velocity",
        steps=1,
        time_from=0.0,
        time_to=1.0,
        noise_seed=noise_seed,
        fixed_noise=fixed_noise,
    )


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_a_constant_field_moves_by_exactly_itself(steps: int) -> None:
    noise = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    field = np.full_like(noise, 0.5)
    np.testing.assert_array_equal(integrate_flow(lambda _x, _t: field, noise, steps), noise + 0.5)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_a_straight_flow_arrives_at_its_target(steps: int) -> None:
    noise = np.random.default_rng(0).standard_normal((1, 16, 8), dtype=np.float32)
    target = np.ones_like(noise)
    arrived = integrate_flow(lambda x, t: (target - x) / np.float32(1 - t), noise, steps)
    np.testing.assert_allclose(arrived, target, atol=1e-6)


def test_times_run_from_noise_to_data_and_the_noise_is_left_alone() -> None:
    noise = np.zeros((1, 1, 1), dtype=np.float32)
    times: list[float] = []

    def velocity(x: Float32, time: float) -> Float32:
        times.append(time)
        return x + 1

    result = integrate_flow(velocity, noise, 4)
    assert times == [0.0, 0.25, 0.5, 0.75]
    assert result[0, 0, 0] == np.float32(1.25**4 - 1)
    assert (noise == 0).all()


def test_noise_repeats_for_the_same_chunk_and_differs_between_chunks() -> None:
    sampler = _flow(noise_seed=7, fixed_noise=False)
    first = initial_noise(sampler, 0, (1, 16, 8))
    np.testing.assert_array_equal(first, initial_noise(sampler, 0, (1, 16, 8)))
    assert (first != initial_noise(sampler, 1, (1, 16, 8))).any()
    np.testing.assert_array_equal(
        initial_noise(sampler, 1, (1, 16, 8)),
        initial_noise(_flow(noise_seed=8, fixed_noise=False), 0, (1, 16, 8)),
    )


def test_fixed_noise_is_the_same_for_every_chunk_and_is_standard_normal() -> None:
    sampler = _flow(noise_seed=7, fixed_noise=True)
    noise = initial_noise(sampler, 0, (1, 1000, 8))
    np.testing.assert_array_equal(noise, initial_noise(sampler, 99, (1, 1000, 8)))
    assert abs(float(noise.mean())) < 0.05
    assert abs(float(noise.std()) - 1.0) < 0.05
