"""Random robots and what they are fed: hostile, but kind enough that they get armed, move, and meet every limit."""

from __future__ import annotations

import math
import random

import msgspec

from edge_runtime.safety import (
    AxisKind,
    BaseAxes,
    EndSpeed,
    KernelConfig,
    Measurement,
    Policy,
    Request,
    State,
    Target,
    Verdict,
)
from edge_runtime.safety.kinematics import GeometryModel
from tests.safety.geometry_robot import HOME_RAD, arm, random_model
from tests.safety.robot import TICK_NS

WEIRD = (math.nan, math.inf, -math.inf, 5e-324, -5e-324, 1.7e308, -1.7e308, 2.2e-308, 0.0, -0.0)
STAMPS = (-(2**63), 2**63 - 1, 0, -1)


def decade(generator: random.Random, low: float, high: float) -> float:
    """A number of any size between two powers of ten."""
    return float(10.0 ** generator.uniform(low, high))


BENT = ("joint2", "joint4", "joint6")
"""Of the arm: where they are at home, and how far they go, counts."""
JOINTS_KINDS = (AxisKind.BOUNDED, AxisKind.BOUNDED, AxisKind.CONTINUOUS)


def random_config(generator: random.Random, *, body: bool) -> KernelConfig:
    """Any robot the kernel takes; with a body, one whose parts are near enough to things to be held off them."""
    model = body_of(generator) if body else None
    names, kinds, base = random_axes(generator, model)
    n = len(names)
    tick_ns = generator.choice([500_000, TICK_NS, TICK_NS, 2_000_000])
    half = [min(2.4, decade(generator, 0.0 if body else -2.0, 0.5)) for _ in range(n)]
    center = [generator.uniform(-1.0, 1.0) for _ in range(n)]
    if model is not None and len(model.joints) == len(HOME_RAD) and model.joints[0].name == "joint1":
        center[: len(HOME_RAD)] = HOME_RAD
    speed = [decade(generator, 0.0 if body else -1.0, 0.7) for _ in range(n)]
    accel = [v * decade(generator, 0.0, 1.7) for v in speed]
    jerk = [a / (tick_ns * 1e-9) * decade(generator, -2.5, 0.3) for a in accel]
    q_min = [-1e5 if kind is AxisKind.CONTINUOUS else c - h for kind, c, h in zip(kinds, center, half, strict=True)]
    q_max = [1e5 if kind is AxisKind.CONTINUOUS else c + h for kind, c, h in zip(kinds, center, half, strict=True)]
    ends = [_random_ends(generator, *limits) for limits in zip(kinds, q_min, q_max, speed, accel, strict=True)]
    inside = [generator.uniform(max(-5.0, low), min(5.0, high)) for low, high in zip(q_min, q_max, strict=True)]
    return KernelConfig(
        axis_names=names,
        axis_kinds=kinds,
        q_min=tuple(q_min),
        q_max=tuple(q_max),
        dq_max=tuple(speed),
        ddq_max=tuple(accel),
        dddq_max=tuple(jerk),
        tracking_max=(0.5,) * n,
        step_max=(generator.choice([0.05, 1000.0, 1000.0]),) * n,
        tau_max=generator.choice([(), (20.0,) * n]),
        retract=generator.choice([(), tuple(inside)]),
        retract_speed_scale=generator.choice([0.1, 1.0]),
        frozen_travel=(generator.choice([1e-4, 1000.0]),) * n,
        start_tolerance=(generator.choice([0.0, 0.005]),) * n,
        end_speed_min=tuple(low for low, _ in ends),
        end_speed_max=tuple(high for _, high in ends),
        closes_up=tuple(generator.random() < 0.5 for _ in range(n)),
        base_axes=base,
        has_odometry=generator.random() < 0.8,
        force_max_n=(30.0, 25.0),
        moment_max_nm=(10.0,),
        tick_ns=tick_ns,
        hold_timeout_ns=generator.choice([30_000_000, 60_000_000_000]),
        retract_timeout_ns=generator.choice([30_000_000, 60_000_000_000]),
        play_max_ns=generator.choice([0, 20_000_000]),
        tool_speed_max_m_s=tuple(decade(generator, -1.5, 1.5) for _ in range(4)) if body else (),
        manipulability_slow_below=_singular_below(generator, model),
        clearance_min_m=generator.choice([0.0, 0.01, 0.06 if body else 0.01]),
        debounce_ticks=generator.choice([1, 3]),
        jam_ticks=generator.choice([1, 20]),
        digest=generator.randbytes(32),
        geometry=model,
    )


def _random_ends(
    generator: random.Random, kind: AxisKind, low: float, high: float, speed: float, accel: float
) -> tuple[EndSpeed | None, EndSpeed | None]:
    """Limits of speed that fall towards the ends, which leave room in the middle."""
    if kind is not AxisKind.BOUNDED or generator.random() < 0.6:
        return None, None
    slope = accel * generator.uniform(0.3, 1.9)
    offset = generator.choice([0.0, 0.1 * speed])
    beyond = generator.choice([0.0, offset * offset / slope, 0.01])
    lower, upper = EndSpeed(slope, offset, low - beyond), EndSpeed(slope, offset, high + beyond)
    return generator.choice([(lower, upper), (None, upper), (lower, None)])


def _singular_below(generator: random.Random, model: GeometryModel | None) -> float:
    return generator.choice([0.0, 0.1, 0.3]) if model is not None and model.tools else 0.0


def random_axes(
    generator: random.Random, model: GeometryModel | None
) -> tuple[tuple[str, ...], tuple[AxisKind, ...], BaseAxes]:
    """Names and kinds of the axes, and those of the base."""
    if model is None:
        n = generator.choice((1, 2, 3, 4, 6, 7, 7, 9, 14, 32))
        names = tuple(f"axis{i}" for i in range(n))
        moving = {name for name in names if generator.random() < 0.7}
        turning = moving
    else:
        names = model.axis_names
        moving = {joint.axis_name for joint in model.joints}
        turning = moving - {joint.axis_name for joint in model.joints if joint.slides}
    others = iter(generator.sample(("x", "y", "yaw", "g", "g", "g"), 6))
    kinds: list[AxisKind] = []
    base: dict[str, int] = {}
    for i, name in enumerate(names):
        role = "g" if name in moving else next(others, "g")
        if role != "g":
            base[role] = i
        kind = AxisKind.GRIPPER if role == "g" else AxisKind.VELOCITY
        if name in moving:
            kind = generator.choice(JOINTS_KINDS) if name in turning and name not in BENT else AxisKind.BOUNDED
        kinds.append(kind)
    return names, tuple(kinds), BaseAxes(**base)


def body_of(generator: random.Random) -> GeometryModel:
    """Mostly an arm in its box, alone or on a base that drives, now and then anything."""
    chance = generator.random()
    if chance < 0.4:
        return arm()
    model = arm() if chance < 0.7 else random_model(generator, of_any_kind=chance < 0.9)
    room = 32 - len(model.axis_names)
    more = ("base_a", "base_b", "base_c", "hand")[: min(room, generator.randint(0, 4))]
    return msgspec.structs.replace(model, axes=(*model.axis_names, *more), has_base=generator.random() < 0.7)


class Stream:
    """Feedback of a robot that follows, and setpoints of a policy that means well, means harm, or is not well."""

    def __init__(self, seed: int, *, body: bool = False) -> None:
        self.random = random.Random(seed)
        self.config = random_config(self.random, body=body)
        self.n = self.config.n_axes
        self.now_ns = 10**9
        self.hostility = self.random.choice([0.0, 0.0005, 0.002])
        self.kind = self.random.choice(["swing", "swing", "noise", "jumps", "on"])
        self._feedback_seq = 0
        self._setpoint_seq = 0
        self._silence = 0
        self._policy = (Policy.ALIVE, 0)
        kinds = self.config.axis_kinds
        self._velocities = [kind is AxisKind.VELOCITY for kind in kinds]
        ends = [(-3.0, 3.0) if kind is AxisKind.CONTINUOUS else None for kind in kinds]
        ends = [
            (-v, v) if is_velocity else end or (low, high)
            for end, is_velocity, v, low, high in zip(
                ends, self._velocities, self.config.dq_max, self.config.q_min, self.config.q_max, strict=True
            )
        ]
        self._middle = [(low + high) / 2 for low, high in ends]
        self._half = [(high - low) / 2 for low, high in ends]
        self._q = list(self._middle)
        self._dq = [0.0] * self.n
        self._jump = list(self._middle)
        self._loaded = 0
        self._frozen = 0
        self._noise = self.random.choice([0.0, 0.0, 0.004, 0.007])
        self._period = self.random.choice([1, 1, 1, 4, 15])
        self._sample: Measurement | None = None
        self._wraps = self.random.random() < 0.7
        self._place = [0.0, 0.0, 0.0]

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
        x, y, yaw = (0.0 if i is None else self._dq[i] for i in self.config.base_axes)
        tick_s = self.config.tick_ns * 1e-9
        cosine, sine = math.cos(self._place[2]), math.sin(self._place[2])
        for k, speed in enumerate((cosine * x - sine * y, sine * x + cosine * y, yaw)):
            self._place[k] += speed * tick_s

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
        wrenches = [
            [self.number(load * self.random.choice([0.0, 0.2, 1.0])) for _ in range(6)]
            if self.random.random() < 0.9
            else None
            for _ in range(3)
        ]
        place = tuple(self.number(value + self.random.uniform(-0.1, 0.1) * self._noise) for value in self._place)
        return Measurement(
            stamp_ns=self.whole(self.now_ns),
            seq=0 if self.hostile() else self._feedback_seq,
            q=tuple(self.number(self._measured(i)) for i in range(self.n)),
            dq=tuple(self.number(v) for v in self._dq),
            tau=tuple(self.number(load) for _ in range(self.n)) if self.random.random() < 0.9 else None,
            wrenches=wrenches,
            odometry=None if self.hostile() else place,
            watchdog_ns=0 if self.hostile() else 100_000_000,
            n=self.random.randint(0, 2**32 - 1) if self.hostile() else self.n,
            present=not self.hostile(),
            torn=self.hostile(),
            stop_line=self.hostile(),
            driver_fault=self.hostile(),
        )

    def _measured(self, i: int) -> float:
        """A gripper may hold something; what turns without end may be measured within one turn."""
        noise = self.random.uniform(-self._noise, self._noise)
        kind = self.config.axis_kinds[i]
        if kind is AxisKind.GRIPPER and self._loaded:
            return self.config.q_max[i] + noise
        turns = kind is AxisKind.CONTINUOUS and self._wraps
        return (math.remainder(self._q[i], math.tau) if turns else self._q[i]) + noise

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
            speed_scale=self.number(self.random.choice([1.0, 1.0, 1.0, 0.3])),
            policy=77 if self.hostile() else policy,
            policy_lost_ns=self.whole(lost_ns),
            bundle_digest=bytes([self._setpoint_seq % 256]) * 32,
            n=self.random.randint(0, 2**32 - 1) if self.hostile() else self.n,
            present=self._silence == 0 and not self.hostile(),
        )

    def _wanted(self, i: int) -> float:
        seconds = self.now_ns * 1e-9 - 1.0
        there, pace = (self._dq[i], 0.0) if self._velocities[i] else (self._q[i], self._dq[i])
        if self.kind == "swing":
            return self._middle[i] + 1.1 * self._half[i] * math.sin(
                (0.3 + 0.2 * i) * seconds * self.config.dq_max[i] / self._half[i]
            )
        if self.kind == "noise":
            return self._middle[i] + 3.0 * self._half[i] * self.random.uniform(-1.0, 1.0)
        if self.kind == "on":
            return there + pace * self.config.tick_ns * 1e-9 * self.random.choice([1.0, 1.001])
        if self.random.random() < 0.02:
            self._jump[i] = self._middle[i] + 1.3 * self._half[i] * self.random.uniform(-1.0, 1.0)
        return self._jump[i]

    def tightening(self) -> dict[str, float]:
        """Mostly possible."""
        return {
            "speed_scale": self.number(self.random.choice([1.0, 0.5, self.random.uniform(0.0, 1.1)])),
            "tool_speed_max_m_s": self.number(self.config.fastest_tool_m_s * self.random.uniform(0.2, 1.01)),
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
                speed_scale=base.speed_scale,
                n=base.n,
                present=base.present,
            )
            for k in range(1, 12)
        ]
