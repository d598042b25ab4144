"""The C kernel and its Python reference agree bit for bit, whatever they are fed."""

from __future__ import annotations

import math
import random
import struct

import pytest

from edge_runtime.safety import Kernel, KernelConfig, Measurement, Reason, Target, Verdict
from edge_runtime.safety.braking import braking_speed, landing_speed
from edge_runtime.safety.reference import ReferenceKernel
from tests.safety.robot import TICK_NS, make_config

WEIRD = [math.nan, math.inf, -math.inf, 5e-324, -5e-324, 1.7e308, -1.7e308, 2.2e-308, 0.0, -0.0]
STAMPS = [-(2**63), 2**63 - 1, 0, -1]


def all_bits(verdict: Verdict) -> bytes:
    floats = (*verdict.q_rad, *verdict.dq_rad_s, verdict.gripper_m, verdict.stop_margin_rad, verdict.time_to_rest_s)
    numbers = (verdict.state, verdict.reasons, verdict.faults, verdict.stop_margin_joint)
    return struct.pack(f"{len(floats)}d4Q", *floats, *numbers)


def random_config(generator: random.Random) -> KernelConfig:
    n = generator.randint(1, 4)
    half = [10 ** generator.uniform(-2, 0.6) for _ in range(n)]
    return make_config(
        n,
        q_min_rad=tuple(-h for h in half),
        q_max_rad=tuple(h * generator.uniform(0.5, 1.5) for h in half),
        dq_max_rad_s=tuple(10 ** generator.uniform(-1, 1) for _ in range(n)),
        ddq_max_rad_s2=tuple(10 ** generator.uniform(0, 2) for _ in range(n)),
        tracking_max_rad=(0.5,) * n,
        tick_ns=generator.choice([500_000, TICK_NS, 2_000_000]),
        hold_timeout_ns=generator.choice([30_000_000, 60_000_000_000]),
    )


class Stream:
    """Hostile, but now and then kind enough that the robot gets armed and moves."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.config = random_config(self.random)
        self.n = len(self.config.joint_names)
        self.now_ns = 10**9
        self.feedback_seq = 0
        self.setpoint_seq = 0
        self.hostility = self.random.choice([0.0, 0.002, 0.05])
        self.silence = 0

    def hostile(self) -> bool:
        return self.random.random() < self.hostility

    def number(self, usual: float) -> float:
        return self.random.choice(WEIRD) if self.hostile() else usual

    def whole(self, usual: int) -> int:
        return self.random.choice(STAMPS) if self.hostile() else usual

    def measurement(self, q_rad: tuple[float, ...]) -> Measurement:
        self.feedback_seq += 1
        return Measurement(
            stamp_ns=self.whole(self.now_ns),
            seq=0 if self.hostile() else self.feedback_seq,
            q_rad=tuple(self.number(q) for q in q_rad),
            dq_rad_s=tuple(self.number(0.0) for _ in range(self.n)),
            gripper_m=self.number(0.03),
            watchdog_ns=0 if self.hostile() else 100_000_000,
            n=self.random.randint(0, 2**32 - 1) if self.hostile() else self.n,
            present=not self.hostile(),
            torn=self.hostile(),
            stop_line=self.hostile(),
            driver_fault=self.hostile(),
        )

    def target(self, k: int) -> Target | None:
        if self.random.random() < 0.005:
            self.silence = self.random.randint(1, 100)
        if self.silence > 0:
            self.silence -= 1
            return None
        self.setpoint_seq += self.random.choice([0, 2]) if self.hostile() else 1
        swing = 0.3 * math.sin(k * 0.002) if self.hostility < 0.01 else self.random.uniform(-5.0, 5.0)
        return Target(
            stamp_ns=self.whole(self.now_ns),
            observation_ns=self.whole(self.now_ns - 200_000_000),
            seq=self.setpoint_seq,
            q_rad=tuple(self.number(swing) for _ in range(self.n)),
            gripper_m=self.number(self.random.uniform(-0.1, 0.2)),
            n=self.random.randint(0, 2**32 - 1) if self.hostile() else self.n,
            present=not self.hostile(),
        )

    def step_clock(self) -> None:
        self.now_ns += self.random.randint(-(10**8), 3 * 10**8) if self.hostile() else self.config.tick_ns


def drive(seed: int) -> Reason:
    """600 ticks of both kernels on one stream; everything that either gave as a reason or latched."""
    stream = Stream(seed)
    in_c, in_python = Kernel(stream.config), ReferenceKernel(stream.config)
    q_rad = (0.0,) * stream.n
    seen = Reason(0)
    for k in range(600):
        stream.step_clock()
        measurement = stream.measurement(q_rad)
        target = stream.target(k)
        one = in_c.step(measurement, target, stream.now_ns)
        other = in_python.step(measurement, target, stream.now_ns)
        assert all_bits(one) == all_bits(other), (seed, k, one, other)
        seen |= one.reasons | one.faults
        if one.state.is_armed:
            q_rad = one.q_rad
        if stream.random.random() < 0.1:
            request = stream.random.choice([1, 1, 1, 1, 2, 3, 3, 3, 4, 99])
            answer = in_c.request(request, measurement, stream.now_ns)
            assert answer == in_python.request(request, measurement, stream.now_ns), (seed, k)
            assert in_c.state is in_python.state, (seed, k)
    return seen


def test_c_equals_reference_tick_for_tick() -> None:
    seen = Reason(0)
    for seed in range(40):
        seen |= drive(seed)
    # Agreement is worth something only if they met everything there is.
    assert {reason for reason in Reason if reason & seen} == set(Reason) - {Reason.INTERNAL}


def test_braking_bounds_are_what_they_claim() -> None:
    """Brake from the bound in whole ticks: the distance covered never exceeds the distance given, and the exact form
    uses all of it (safety reference 2A)."""
    generator = random.Random(2)
    for _ in range(2000):
        accel, tick = 10 ** generator.uniform(-1, 2), 1e-3
        distance = 10 ** generator.uniform(-9, 0.5)
        exact = landing_speed(distance, accel, tick)
        assert braking_speed(distance, accel, tick) <= exact * (1 + 1e-12)
        speed, covered = exact, 0.0
        while speed > 0.0:
            covered += speed * tick
            speed -= accel * tick
        assert covered == pytest.approx(distance, rel=1e-9, abs=1e-12)
