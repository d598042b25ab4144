"""What judges a motion for the fault injection finds what is wrong with one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.faults.recorder import ENTRY, Continuity
from benchmarks.faults.rounds import judge_stop
from edge_runtime.config.robot_file import SIM_CONFIG, load_config
from edge_runtime.ipc.port import CommandState

TICK_S = 1e-3
JOINTS = 7


def motion(dq: NDArray[np.float64], followed: int) -> NDArray[Any]:
    """Commands with these speeds of the last joint; so many of them follow a plan, the others hold."""
    entries = np.zeros(len(dq), ENTRY)
    entries["seq"] = np.arange(1, len(entries) + 1)
    entries["stamp_ns"] = entries["seq"] * 1_000_000
    entries["state"] = CommandState.HOLDING
    entries["state"][:followed] = CommandState.ACTIVE
    entries["plan_seq"][:followed] = 1
    entries["dq"][:, JOINTS - 1] = dq
    entries["q"][:, JOINTS - 1] = np.cumsum(dq) * TICK_S
    return entries


def braking(ticks: int) -> NDArray[Any]:
    """One that follows at 1 rad/s for 50 ticks, and is at rest `ticks` after the last of them."""
    speeds = np.concatenate([np.ones(50), np.linspace(1.0, 0.0, ticks + 1)[1:], np.zeros(20)])
    return motion(speeds, followed=50)


@pytest.fixture
def judge() -> Continuity:
    return Continuity(load_config(SIM_CONFIG))


def test_a_motion_in_pieces_is_one_motion(judge: Continuity) -> None:
    whole = braking(200)
    for first in range(0, len(whole), 7):
        judge.add(whole[first : first + 7])
    assert (judge.ticks, judge.missed, judge.jumps, judge.armings) == (len(whole), 0, 0, 0)
    assert judge.worst["velocity"] == pytest.approx(1.0 / judge.limits["velocity"][-1])
    assert judge.worst["acceleration"] == pytest.approx(1.0 / 0.2 / judge.limits["acceleration"][-1])
    assert judge.worst["jerk"] == pytest.approx(1.0 / 0.2 / 1e-3 / judge.limits["jerk"][-1])


@pytest.mark.parametrize("limit", ["velocity", "acceleration", "jerk"])
@pytest.mark.parametrize("piece", [1, 2, 1000])
def test_a_limit_that_is_exceeded_shows(judge: Continuity, limit: str, piece: int) -> None:
    a, j = judge.limits["acceleration"][-1], judge.limits["jerk"][-1]
    at_jerk = np.cumsum(np.minimum(np.arange(1, 200) * 0.9 * j * TICK_S, 0.9 * a)) * TICK_S
    speeds = {
        "velocity": np.append(at_jerk, np.full(5, 1.01 * judge.limits["velocity"][-1])),
        "acceleration": np.append(at_jerk[:10], at_jerk[9] + 1.01 * a * TICK_S),
        "jerk": np.array([0.0, 0.0, 0.0, 1.01 * j * TICK_S * TICK_S]),
    }[limit]
    entries = motion(speeds, followed=len(speeds))
    for first in range(0, len(entries), piece):
        judge.add(entries[first : first + piece])
    assert judge.worst[limit] > 1.0 + 1e-6


def test_a_jump_and_a_gap_show(judge: Continuity) -> None:
    entries = braking(200)
    entries["q"][30:, 2] += 1e-6
    judge.add(entries[:40])
    judge.add(entries[45:])
    assert (judge.jumps, judge.missed) == (1, 5)
    entries["q"][60:, 2] += 0.5
    entries["seq"] += 1000
    judge.add(entries[np.r_[50:55, 62:80]])
    assert judge.jumps == 2, "no robot comes so far while those that are missing passed"


def test_a_robot_that_arms_itself_shows(judge: Continuity) -> None:
    entries = braking(200)
    entries["state"][:20] = CommandState.READY
    entries["dq"][:20] = 0.0
    entries["state"][100:110] = CommandState.FAULT
    for first in range(0, len(entries), 10):
        judge.add(entries[first : first + 10])
    assert judge.armings == 2


def test_the_time_to_rest_is_held_against_its_bound(judge: Continuity) -> None:
    v, a, j = (judge.limits[name][-1] for name in ("velocity", "acceleration", "jerk"))
    bound_ticks = (v / a + a / j) / TICK_S + 2
    within = judge_stop(braking(int(bound_ticks)), judge)
    assert within is not None
    assert 0.98 < within.of_bound <= 1.0
    assert within.to_rest_s == pytest.approx(int(bound_ticks) * TICK_S)
    beyond = judge_stop(braking(int(bound_ticks) + 1), judge)
    assert beyond is not None
    assert beyond.of_bound > 1.0


def test_what_does_not_rest_has_not_stopped(judge: Continuity) -> None:
    assert judge_stop(braking(200)[:150], judge) is None
    assert judge_stop(motion(np.zeros(50), followed=0), judge) is None
