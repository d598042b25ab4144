"""Random robots and what they are fed: hostile, but kind enough that they get armed, move, and meet every limit."""

from __future__ import annotations

import math
import random

from edge_runtime.safety import KernelConfig, Measurement, Policy, Request, State, Target, Verdict
from edge_runtime.safety.kinematics import GeometryModel
from tests.safety.geometry_robot import HOME_RAD, arm, random_model
from tests.safety.robot import TICK_NS, make_config

WEIRD = (math.nan, math.inf, -math.inf, 5e-324, -5e-324, 1.7e308, -1.7e308, 2.2e-308, 0.0, -0.0)
STAMPS = (-(2**63), 2**63 - 1, 0, -1)


def decade(generator: random.Random, low: float, high: float) -> float:
    """A number of any size between two powers of ten."""
    return float(10.0 ** generator.uniform(low, high))


def random_config(generator: random.Random, *, body: bool) -> KernelConfig:
    """Any robot the kernel takes; with a body, one whose parts are near enough to things to be held off them."""
    model = body_of(generator) if body else None
    n = len(model.joints) if model is not None else generator.randint(1, 7)
    center = [generator.uniform(-1.0, 1.0) for _ in range(n)]
    if model is not None and n == len(HOME_RAD):
        center = list(HOME_RAD)
    half = [decade(generator, 0.0 if body else -2.0, 0.6) for _ in range(n)]
    speed = [decade(generator, 0.0 if body else -1.0, 0.7) for _ in range(n)]
    tick_ns = generator.choice([500_000, TICK_NS, TICK_NS, 2_000_000])
    accel = [v * decade(generator, 0.0, 1.7) for v in speed]
    jerk = [a / (tick_ns * 1e-9) * decade(generator, -2.5, 0.3) for a in accel]
    q_min, q_max = (
        [c - h for c, h in zip(center, half, strict=True)],
        [c + h for c, h in zip(center, half, strict=True)],
    )
    return make_config(
        n,
        q_min=tuple(q_min),
        q_max=tuple(q_max),
        dq_max=tuple(speed),
        ddq_max=tuple(accel),
        dddq_max=tuple(jerk),
        tracking_max=(0.5,) * n,
        step_max=(generator.choice([0.05, 1000.0, 1000.0]),) * n,
        tau_max=generator.choice([(), (20.0,) * n]),
        retract_rad=generator.choice([(), tuple(generator.uniform(a, b) for a, b in zip(q_min, q_max, strict=True))]),
        retract_speed_scale=generator.choice([0.1, 1.0]),
        frozen_travel_rad=generator.choice([1e-4, 1000.0]),
        start_tolerance_rad=generator.choice([0.0, 0.005]),
        start_tolerance_m=generator.choice([0.0, 0.003]),
        force_max_n=30.0,
        moment_max_nm=10.0,
        tick_ns=tick_ns,
        hold_timeout_ns=generator.choice([30_000_000, 60_000_000_000]),
        retract_timeout_ns=generator.choice([30_000_000, 60_000_000_000]),
        play_max_ns=generator.choice([0, 20_000_000]),
        tool_speed_max_m_s=decade(generator, -1.5, 0.5) if body else 1000.0,
        manipulability_slow_below=generator.choice([0.0, 0.1, 0.3]) if body else 0.0,
        clearance_min_m=generator.choice([0.0, 0.01]),
        debounce_ticks=generator.choice([1, 3]),
        digest=generator.randbytes(32),
        geometry=model,
    )


def body_of(generator: random.Random) -> GeometryModel:
    """Mostly an arm in its box, now and then anything."""
    return arm() if generator.random() < 0.6 else random_model(generator)


class Stream:
    """Feedback of a robot that follows, and setpoints of a policy that means well, means harm, or is not well."""

    def __init__(self, seed: int, *, body: bool = False) -> None:
        self.random = random.Random(seed)
        self.config = random_config(self.random, body=body)
        self.n = len(self.config.joint_names)
        self.now_ns = 10**9
        self.hostility = self.random.choice([0.0, 0.0005, 0.002])
        self.kind = self.random.choice(["swing", "swing", "noise", "jumps", "on"])
        self._feedback_seq = 0
        self._setpoint_seq = 0
        self._silence = 0
        self._policy = (Policy.ALIVE, 0)
        self._middle = [(low + high) / 2 for low, high in zip(self.config.q_min, self.config.q_max, strict=True)]
        self._half = [(high - low) / 2 for low, high in zip(self.config.q_min, self.config.q_max, strict=True)]
        self._q = list(self._middle)
        self._dq = [0.0] * self.n
        self._jump = list(self._middle)
        self._loaded = 0
        self._frozen = 0
        self._noise = self.random.choice([0.0, 0.0, 0.004, 0.007])
        self._period = self.random.choice([1, 1, 1, 4, 15])
        self._sample: Measurement | None = None

    def hostile(self) -> bool:
        """Whether the next value is to be a bad one."""
        return self.random.random() < self.hostility

    def number(self, usual: float) -> float:
        """The usual one, or one of the worst."""
        return self.random.choice(WEIRD) if self.hostile() else usual

    def whole(self, usual: int) -> int:
        """The usual time, or one that is not."""
        return self.random.choice(STAMPS) if self.hostile() else usual

    def step_clock(self) -> None:
        """One tick on, or any time but."""
        self.now_ns += self.random.randint(-(10**8), 3 * 10**8) if self.hostile() else self.config.tick_ns

    def follow(self, verdict: Verdict) -> None:
        """The robot goes where it is told, while it is."""
        self._frozen = max(0, self._frozen - 1) or (30 if self.random.random() < 0.0005 else 0)
        put_back = verdict.state is State.FAULT and self.random.random() < 0.05
        if put_back or (verdict.state.is_armed and not self._frozen):
            self._q = list(verdict.q)
        self._dq = list(verdict.dq) if verdict.state.is_armed else [0.0] * self.n

    def request(self, state: State) -> Request | int | None:
        """An operator who wants it to run, and now and then anything."""
        if state is State.READY and self.random.random() < 0.3:
            return Request.ARM
        if state is State.FAULT and self.random.random() < 0.2:
            return Request.RESET
        return self.random.choice([*Request, 99]) if self.random.random() < 0.004 else None

    def measurement(self) -> Measurement:
        """This tick's feedback: of a slow driver, for some ticks the same."""
        if self._sample is None or self.hostile() or self.random.random() < 1.0 / self._period:
            self._sample = self._measure()
        return self._sample

    def _measure(self) -> Measurement:
        self._feedback_seq += 1
        self._loaded = max(0, self._loaded - 1) or (5 if self.random.random() < 0.001 else 0)
        load = 50.0 if self._loaded else 5.0
        wrench = [self.number(load * self.random.choice([0.0, 0.2, 1.0])) for _ in range(6)]
        return Measurement(
            stamp_ns=self.whole(self.now_ns),
            seq=0 if self.hostile() else self._feedback_seq,
            q=tuple(self.number(q + self.random.uniform(-self._noise, self._noise)) for q in self._q),
            dq=tuple(self.number(v) for v in self._dq),
            tau=tuple(self.number(load) for _ in range(self.n)) if self.random.random() < 0.9 else None,
            wrench=wrench if self.random.random() < 0.9 else None,
            gripper_m=self.number(self.random.choice([0.03, 0.03, -self._noise, 0.08 + self._noise])),
            watchdog_ns=0 if self.hostile() else 100_000_000,
            n=self.random.randint(0, 2**32 - 1) if self.hostile() else self.n,
            present=not self.hostile(),
            torn=self.hostile(),
            stop_line=self.hostile(),
            driver_fault=self.hostile(),
        )

    def target(self) -> Target | None:
        """This tick's setpoint."""
        if self.random.random() < 0.005:
            self._silence = self.random.randint(1, 60)
        if self.random.random() < 0.01:
            policy = self.random.choice([*Policy, Policy.ALIVE, Policy.ALIVE])
            self._policy = (policy, self.now_ns)
        if self._silence > 0:
            self._silence -= 1
            if self._silence % 2:
                return None
        self._setpoint_seq += self.random.choice([0, 2]) if self.hostile() else 1
        policy, lost_ns = self._policy
        return Target(
            stamp_ns=self.whole(self.now_ns),
            observation_ns=self.whole(self.now_ns - 200_000_000),
            seq=self._setpoint_seq,
            q=tuple(self.number(self._wanted(i)) for i in range(self.n)),
            gripper_m=self.number(self.random.uniform(-0.01, 0.1)),
            speed_scale=self.number(self.random.choice([1.0, 1.0, 1.0, 0.3])),
            policy=77 if self.hostile() else policy,
            policy_lost_ns=self.whole(lost_ns),
            bundle_digest=bytes([self._setpoint_seq % 256]) * 32,
            n=self.random.randint(0, 2**32 - 1) if self.hostile() else self.n,
            present=self._silence == 0 and not self.hostile(),
        )

    def _wanted(self, i: int) -> float:
        seconds = self.now_ns * 1e-9 - 1.0
        if self.kind == "swing":
            return self._middle[i] + 1.1 * self._half[i] * math.sin(
                (0.3 + 0.2 * i) * seconds * self.config.dq_max[i] / self._half[i]
            )
        if self.kind == "noise":
            return self._middle[i] + 3.0 * self._half[i] * self.random.uniform(-1.0, 1.0)
        if self.kind == "on":
            return self._q[i] + self._dq[i] * self.config.tick_ns * 1e-9 * self.random.choice([1.0, 1.001])
        if self.random.random() < 0.02:
            self._jump[i] = self._middle[i] + 1.3 * self._half[i] * self.random.uniform(-1.0, 1.0)
        return self._jump[i]

    def tightening(self) -> dict[str, float]:
        """Mostly possible."""
        return {
            "speed_scale": self.number(self.random.choice([1.0, 0.5, self.random.uniform(0.0, 1.1)])),
            "tool_speed_max_m_s": self.number(self.config.tool_speed_max_m_s * self.random.uniform(0.2, 1.01)),
        }

    def rehearsal(self) -> list[Target]:
        """A short chunk from here, with something bad in it now and then."""
        base = self.target()
        while base is None:
            base = self.target()
        step = [self.random.uniform(-1.0, 1.0) * v * self.config.tick_ns * 1e-9 for v in self.config.dq_max]
        return [
            Target(
                stamp_ns=0,
                observation_ns=0,
                seq=0,
                q=tuple(self.number(q + k * s) for q, s in zip(self._q, step, strict=True)),
                gripper_m=self.number(0.03),
                speed_scale=base.speed_scale,
                n=base.n,
                present=base.present,
            )
            for k in range(1, 12)
        ]
