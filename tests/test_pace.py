"""What follows from how fast a policy is: the usual ages, or longer ones, and never beyond the robot's own."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.config.robot_file import SIM_CONFIG, RobotConfig, load_config
from edge_runtime.pace import PaceProblem, pace_of

CONFIG = load_config(SIM_CONFIG)
FRAME_S = 0.05


def robot(
    *, ceiling_s: float = 5.0, progress_timeout_s: float | None = None, replan_interval_s: float = 0.1
) -> RobotConfig:
    replace = msgspec.structs.replace
    fallback = replace(CONFIG.safety.fallback, observation_age_max_s=ceiling_s)
    return replace(
        CONFIG,
        safety=replace(CONFIG.safety, fallback=fallback),
        control=replace(CONFIG.control, progress_timeout_s=progress_timeout_s),
        engine=replace(CONFIG.engine, replan_interval_s=replan_interval_s),
    )


def test_a_fast_policy_has_the_ages_that_it_always_had() -> None:
    pace = pace_of(0.03, 0.8, robot())
    assert (pace.observation_age_max_s, pace.chunk_age_max_s, pace.action_age_max_s) == (0.25, 1.0, 2.0)
    assert (pace.progress_timeout_s, pace.problem) == (1.0, None)


@pytest.mark.parametrize("latency_s", [0.45, 1.5])
def test_a_slow_policy_is_given_the_time_that_it_needs(latency_s: float) -> None:
    pace = pace_of(latency_s, 2.0 * latency_s + 0.3, robot())
    assert pace.problem is None
    assert pace.chunk_age_max_s >= 2.0 * latency_s
    assert pace.action_age_max_s >= pace.needed_s == pytest.approx(2.0 * latency_s + FRAME_S)
    assert pace.progress_timeout_s > 2.0 * pace.interval_s


@pytest.mark.parametrize(
    ("latency_s", "horizon_s", "config", "problem", "remedy"),
    [
        (0.45, 0.8, robot(), PaceProblem.HORIZON, "longer horizon"),
        (0.03, 0.8, robot(replan_interval_s=1.0), PaceProblem.HORIZON, "shorter [engine] replan_interval_s"),
        (1.5, 4.0, robot(ceiling_s=2.0), PaceProblem.CEILING, "observation_age_max_s above 3.05"),
        (3.0, 20.0, robot(), PaceProblem.CEILING, "observation_age_max_s above 6.05"),
        (1.5, 4.0, robot(progress_timeout_s=1.0), PaceProblem.PROGRESS, "progress_timeout_s above 1.55"),
    ],
)
def test_what_cannot_act_is_named_with_what_to_do(
    latency_s: float, horizon_s: float, config: RobotConfig, problem: PaceProblem, remedy: str
) -> None:
    pace = pace_of(latency_s, horizon_s, config)
    assert pace.problem is problem
    assert f"{latency_s:.2f} s" in pace.detail
    assert remedy in pace.remedy


@given(
    latency_s=st.floats(0.0, 100.0),
    horizon_s=st.floats(0.001, 640.0),
    ceiling_s=st.floats(0.1, 60.0),
    timeout_s=st.none() | st.floats(1e-3, 60.0),
)
def test_no_latency_moves_the_robot_s_own_ceilings(
    latency_s: float, horizon_s: float, ceiling_s: float, timeout_s: float | None
) -> None:
    pace = pace_of(latency_s, horizon_s, robot(ceiling_s=ceiling_s, progress_timeout_s=timeout_s))
    assert max(pace.observation_age_max_s, pace.chunk_age_max_s, pace.action_age_max_s) <= ceiling_s
    assert timeout_s is None or pace.progress_timeout_s == timeout_s
    if pace.problem is None:
        assert latency_s < pace.needed_s <= min(horizon_s, pace.action_age_max_s)
        assert pace.progress_timeout_s >= pace.interval_s
