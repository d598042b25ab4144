"""Drives a kernel as a policy that wants links to meet would: what it commands is judged in every tick."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.native import ffi, lib
from edge_runtime.safety import Request, Result, State
from edge_runtime.safety.limits import AxisKind, KernelConfig
from tests.safety.judge.judge import Findings, Judge
from tests.safety.judge.robots import Robot

Array = NDArray[np.float64]

TICK_NS = 1_000_000
_START_NS = 1_000_000_000
_SEARCH_STEPS = 60
_SLOPE_RAD = 1e-4
_IN_THE_WAY_M = 0.01


class Driven:
    """A kernel whose robot does exactly what its joints are told, and whose grippers stay where they are."""

    def __init__(self, config: KernelConfig, home_rad: tuple[float, ...]) -> None:
        n = len(config.axis_names)
        self._config, self._n = config.to_native(), n
        self._state, self._verdict = ffi.new("kernel_state *"), ffi.new("kernel_verdict *")
        self._feedback, self._setpoint = ffi.new("kernel_feedback *"), ffi.new("kernel_setpoint *")
        lib.kernel_init(self._state, self._config)
        self._measured, self._wanted = _view(self._feedback.q, n), _view(self._setpoint.q, n)
        self._verdict_q = _view(self._verdict.q, n)
        self._joints = joints_of(config)
        self._feedback.n, self._feedback.present, self._feedback.watchdog_ns = n, 1, 100 * TICK_NS
        self._setpoint.n, self._setpoint.present, self._setpoint.speed_scale = n, 1, 1.0
        self._measured[self._joints] = home_rad
        self._now_ns, self._seq = _START_NS, 0
        self._setpoint.present = 0
        self._tick()
        done = lib.kernel_request(self._state, self._config, self._feedback, int(Request.ARM), self._now_ns)
        assert Result(done) is Result.DONE, Result(done)
        self._setpoint.present = 1

    @property
    def state(self) -> State:
        """Of the kernel."""
        return State(self._state.state)

    @property
    def commanded(self) -> Array:
        """Of the joints."""
        return self._verdict_q[self._joints]

    def follow(self, wanted_rad: Array) -> None:
        """One tick; then `commanded` is where the robot is."""
        self._wanted[self._joints] = wanted_rad
        self._tick()
        self._measured[:] = self._verdict_q

    def _tick(self) -> None:
        self._now_ns += TICK_NS
        self._seq += 1
        self._feedback.stamp_ns, self._feedback.seq = self._now_ns, self._seq
        setpoint = self._setpoint
        setpoint.stamp_ns, setpoint.observation_ns, setpoint.seq = self._now_ns, self._now_ns, self._seq
        lib.kernel_step(self._state, self._config, self._feedback, setpoint, self._now_ns, self._verdict)


def joints_of(config: KernelConfig) -> list[int]:
    """Places of the joints among the axes."""
    return [i for i, kind in enumerate(config.axis_kinds) if kind is not AxisKind.GRIPPER]


def drive(robot: Robot, judge: Judge, config: KernelConfig, ticks: int, seed: int) -> Findings:
    """Drive for that many ticks, by turns at random and to where a search finds links that meet."""
    draw = np.random.default_rng(seed)
    ranges = np.array([config.q_min, config.q_max]).T[joints_of(config)]
    driven = Driven(config, robot.home_rad)
    found = Findings()
    while found.ticks < ticks:
        for wanted_rad in _stretch(robot, judge, ranges, driven, draw):
            driven.follow(wanted_rad)
            judge.move_held(draw)
            judge.move_to(driven.commanded)
            judge.look(found)
            if found.ticks == ticks:
                break
        # What is shown is worth something only while the robot follows.
        assert driven.state in (State.ACTIVE, State.HOLDING), driven.state
    return found


def _stretch(robot: Robot, judge: Judge, ranges: Array, driven: Driven, draw: np.random.Generator) -> Iterator[Array]:
    """Setpoints of a second or so."""
    kind, pair = draw.integers(8), int(draw.integers(len(judge.pairs)))
    from_rad = driven.commanded
    if kind == 0:
        yield from _sines(ranges, from_rad, draw)
    elif kind == 1:
        yield from _corners(ranges, draw)
    elif kind < 4:
        to_rad = _meeting(judge, ranges, pair, draw)
        speed_rad_s = robot.velocity_max_rad_s * draw.choice([0.3, 1.0, 1.0, 3.0])
        yield from _straight(from_rad, to_rad, speed_rad_s, draw)
    else:
        # Away from whatever holds it, or the same links would be met again and again.
        home_rad = np.array(robot.home_rad)
        for step in range(800):
            yield from_rad + (home_rad - from_rad) * (step + 1) / 800
        yield from _pressed(judge, ranges, pair, driven, draw)


def _sines(ranges: Array, from_rad: Array, draw: np.random.Generator) -> Iterator[Array]:
    middle, half = ranges.mean(axis=1), 0.5 * (ranges[:, 1] - ranges[:, 0])
    rate_hz, phase = draw.uniform(0.1, 2.0, len(half)), draw.uniform(0.0, 6.28, len(half))
    for tick in range(1500):
        share = min(1.0, tick / 300.0)
        yield (1.0 - share) * from_rad + share * (middle + half * np.sin(6.283 * rate_hz * tick * 1e-3 + phase))


def _corners(ranges: Array, draw: np.random.Generator) -> Iterator[Array]:
    """From end to end of every range at once, a few times a second."""
    for _ in range(int(draw.integers(3, 10))):
        corner = np.where(draw.random(len(ranges)) < 0.5, ranges[:, 0], ranges[:, 1])
        for _ in range(int(draw.integers(20, 400))):
            yield corner


def _straight(from_rad: Array, to_rad: Array, speed_rad_s: float, draw: np.random.Generator) -> Iterator[Array]:
    """There in a line at a speed, or at once, and then to and fro about it."""
    steps = 1 if draw.random() < 0.2 else max(1, int(np.abs(to_rad - from_rad).max() / speed_rad_s * 1e3))
    for step in range(steps):
        yield from_rad + (to_rad - from_rad) * (step + 1) / steps
    for _ in range(int(draw.integers(100, 500))):
        yield to_rad + draw.normal(0.0, 0.02, len(to_rad))


def _meeting(judge: Judge, ranges: Array, pair: int, draw: np.random.Generator) -> Array:
    """A posture in which a pair overlaps as deep as a descent from a random posture finds, other links regardless."""
    q, step_rad = draw.uniform(ranges[:, 0], ranges[:, 1]), 0.4
    judge.move_to(q)
    least_m = judge.distance_m(pair, 10.0)
    for _ in range(_SEARCH_STEPS):
        near = np.clip(q + draw.normal(0.0, step_rad, len(q)), ranges[:, 0], ranges[:, 1])
        judge.move_to(near)
        found_m = judge.distance_m(pair, 10.0)
        if found_m < least_m:
            q, least_m = near, found_m
        else:
            step_rad *= 0.95
    return q


def _pressed(judge: Judge, ranges: Array, pair: int, driven: Driven, draw: np.random.Generator) -> Iterator[Array]:
    """Always down the slope of a pair's distance, along whatever else is in the way, from wherever the robot is."""
    ahead_rad = draw.choice([0.02, 0.1, 0.5])
    for _ in range(120):
        q = driven.commanded
        downhill = -_slope(judge, pair, q)
        judge.move_to(q)
        for other in judge.near(_IN_THE_WAY_M):
            slope = _slope(judge, other, q)
            steep = float(slope @ slope)
            if other != pair and steep > 0.0 and downhill @ slope < 0.0:
                downhill -= (downhill @ slope) / steep * slope
        most = np.abs(downhill).max()
        downhill = downhill / most if most > 1e-6 else draw.normal(0.0, 1.0, len(q))
        wanted_rad = np.clip(q + ahead_rad * downhill, ranges[:, 0], ranges[:, 1])
        for _ in range(20):
            yield wanted_rad


def _slope(judge: Judge, pair: int, q: Array) -> Array:
    """Of the distance, over each joint's angle."""
    slope = np.empty_like(q)
    for joint in range(len(q)):
        ends_m = []
        for side in (-_SLOPE_RAD, _SLOPE_RAD):
            moved = q.copy()
            moved[joint] += side
            judge.move_to(moved)
            ends_m.append(judge.distance_m(pair, 10.0))
        slope[joint] = (ends_m[1] - ends_m[0]) / (2.0 * _SLOPE_RAD)
    return slope


def _view(field: Any, n: int) -> Array:
    return np.frombuffer(ffi.buffer(field), np.float64)[:n]
