"""A robot with an axis of every kind before a judge who sees commanded positions alone, and of a base its velocities.

Nothing of the kernel's arithmetic is used: speeds, accelerations and jerks are differences of what was commanded, turns
are counted by the judge, and the base is where its commands have taken it.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from itertools import pairwise

from edge_runtime.safety import (
    AxisKind,
    BaseAxes,
    EndSpeed,
    Kernel,
    KernelConfig,
    Reason,
    Request,
    Result,
    State,
    Verdict,
)
from edge_runtime.safety.kinematics import BASE, Capsule, GeometryModel, Keepout, Plane
from tests.safety.robot import Robot

TICK_S = 1e-3
DISC_M = 0.3
CLEARANCE_M = 0.02
POSTS = ((1.2, 0.4, 0.15), (-0.9, -0.8, 0.25))
WALL_X_M = 2.0
SLACK = 1e-6
"""Of a limit: the third difference of positions has lost that many digits to rounding."""
_B, _C, _V, _G = AxisKind.BOUNDED, AxisKind.CONTINUOUS, AxisKind.VELOCITY, AxisKind.GRIPPER
KINDS = (_B, _B, _C, _C, _V, _V, _V, _G, _G)
LOW = (-2.7, 0.0, -1e5, -1e5, -1.0, -1.0, -1.0, 0.0, -0.2)
HIGH = (2.7, 0.4, 1e5, 1e5, 1.0, 1.0, 1.0, 0.08, 1.1)
SPEED = (2.6, 0.3, 3.0, 9.0, 0.8, 0.6, 1.2, 0.2, 2.0)
ACCEL = (10.0, 1.5, 12.0, 60.0, 1.2, 1.0, 3.0, 1.0, 1.0)
JERK = (800.0, 60.0, 900.0, 5000.0, 12.0, 20.0, 40.0, 1.0, 1.0)
FALLS = EndSpeed(12.0, 0.3, 2.7 + 0.3**2 / 12.0)


def config() -> KernelConfig:
    """A lift, joints with and without ends, a round base between posts and a wall, two hands."""
    ball = Capsule(name="disc", link=BASE, a_m=(0.0, 0.0, 0.0), b_m=(0.0, 0.0, 0.0), radius_m=DISC_M)
    names = tuple(f"axis{i}" for i in range(len(KINDS)))
    body = GeometryModel(
        joints=(),
        capsules=(ball,),
        pairs=(),
        tools=(),
        planes=(Plane(normal=(-1.0, 0.0, 0.0), offset_m=-WALL_X_M),),
        keepouts=tuple(Keepout(min_m=(x, y, 0.0), max_m=(x, y, 0.0), radius_m=r) for x, y, r in POSTS),
        axes=names,
        has_base=True,
    )
    n = len(KINDS)
    return KernelConfig(
        axis_names=names,
        axis_kinds=KINDS,
        q_min=LOW,
        q_max=HIGH,
        dq_max=SPEED,
        ddq_max=ACCEL,
        dddq_max=JERK,
        tracking_max=(0.5,) * n,
        step_max=(1000.0,) * n,
        end_speed_max=(FALLS, *(None,) * (n - 1)),
        base_axes=BaseAxes(x=4, y=5, yaw=6),
        has_odometry=True,
        clearance_min_m=CLEARANCE_M,
        geometry=body,
    )


@dataclass
class Seen:
    """How near to each limit it came, 1 being at it; and what was beyond one."""

    ticks: int = 0
    beyond: list[str] = field(default_factory=list)
    most: dict[str, float] = field(default_factory=dict)
    nearest_m: float = math.inf
    turns: float = 0.0
    reasons: Reason = field(default_factory=lambda: Reason(0))

    def hold(self, what: str, value: float, limit: float) -> None:
        """A magnitude against its limit."""
        share = abs(value) / limit
        self.most[what] = max(self.most.get(what, 0.0), share)
        if share > 1.0 + SLACK:
            self.beyond.append(f"tick {self.ticks}: {what} at {share:.9f}")


class Judge:
    """Remembers the last positions, which is all that it needs."""

    def __init__(self, q: list[float]) -> None:
        self.seen = Seen()
        self._rows = [list(q)] * 4
        self._place = [0.0, 0.0, 0.0]

    @property
    def place(self) -> tuple[float, ...]:
        """Where the base is."""
        return tuple(self._place)

    def look(self, verdict: Verdict) -> None:
        """One command."""
        row = [
            v if kind is _V else math.remainder(q, math.tau) if kind is _C else q
            for kind, q, v in zip(KINDS, verdict.q, verdict.dq, strict=True)
        ]
        before = self._rows[-1]
        for i, kind in enumerate(KINDS):
            if kind is _C:
                step = math.remainder(row[i] - before[i], math.tau)
                self.seen.turns = max(self.seen.turns, abs(before[i] + step) / math.tau)
                row[i] = before[i] + step
        self._rows = [*self._rows[1:], row]
        for i, kind in enumerate(KINDS):
            self._hold(i, kind, [one[i] for one in self._rows])
        self._drive(verdict)
        self.seen.reasons |= verdict.reasons
        self.seen.ticks += 1

    def _hold(self, i: int, kind: AxisKind, last: list[float]) -> None:
        seen, q = self.seen, last[3]
        if kind in (_B, _G) and not LOW[i] <= q <= HIGH[i]:
            seen.beyond.append(f"tick {seen.ticks}: axis {i} at {q!r}")
        rates = [last[3], *((b - a) / TICK_S for a, b in pairwise(last))]
        if kind is _V:
            accelerations = rates[1:]
            seen.hold(f"speed {i}", q, SPEED[i])
            seen.hold(f"acceleration {i}", accelerations[-1], ACCEL[i])
            seen.hold(f"jerk {i}", (accelerations[-1] - accelerations[-2]) / TICK_S, JERK[i])
            return
        v = rates[1:]
        seen.hold(f"speed {i}", v[-1], SPEED[i])
        if kind is _G:
            return
        a = [(y - x) / TICK_S for x, y in pairwise(v)]
        seen.hold(f"acceleration {i}", a[-1], ACCEL[i])
        # A stop that ends beyond the range by rounding is cut off there.
        if kind is _C or LOW[i] < q < HIGH[i]:
            seen.hold(f"jerk {i}", (a[1] - a[0]) / TICK_S, JERK[i])
        if i == 0 and v[-1] > 0.0:
            allowed = max(0.0, math.sqrt(max(0.0, FALLS.slope * (FALLS.zero - q))) - FALLS.offset)
            seen.hold("falling limit", v[-1], allowed + SLACK * SPEED[0])

    def _drive(self, verdict: Verdict) -> None:
        x, y, turn = verdict.dq[4:7]
        cosine, sine = math.cos(self._place[2]), math.sin(self._place[2])
        self._place[0] += TICK_S * (cosine * x - sine * y)
        self._place[1] += TICK_S * (sine * x + cosine * y)
        self._place[2] += TICK_S * turn
        gaps = [math.hypot(self._place[0] - px, self._place[1] - py) - r for px, py, r in POSTS]
        room_m = min(*gaps, WALL_X_M - self._place[0]) - DISC_M - CLEARANCE_M
        self.seen.nearest_m = min(self.seen.nearest_m, room_m)
        if room_m < -1e-6:
            self.seen.beyond.append(f"tick {self.seen.ticks}: base {room_m * 1e3:.4f} mm beyond")


def drive(ticks: int, seed: int) -> Seen:
    """A policy that wants too much of everything, for that many ticks."""
    draw = random.Random(seed)
    robot = Robot(Kernel(config()), [0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.04, 0.5])
    judge = Judge(robot.q)
    robot.step(odometry=judge.place)
    assert robot.request(Request.ARM, odometry=judge.place) is Result.DONE
    wanted = list(robot.q)
    while judge.seen.ticks < ticks:
        style = draw.choice(("far", "noise", "sweep", "press"))
        goal = [
            draw.uniform(-1.3, 1.3) * (9.0 if kind is _C else max(1.0, high))
            for kind, high in zip(KINDS, HIGH, strict=True)
        ]
        for k in range(draw.randint(50, 900)):
            for i, kind in enumerate(KINDS):
                most = (ACCEL[i] if kind is _V else SPEED[i]) * TICK_S
                if style == "noise":
                    wanted[i] = goal[i] * draw.uniform(-1.0, 1.0)
                elif style == "sweep":
                    wanted[i] = goal[i] * math.sin(0.01 * k)
                elif style == "press":
                    wanted[i] += max(-most, min(most, goal[i] - wanted[i]))
                else:
                    wanted[i] = goal[i]
            shown, measured = (
                tuple(math.remainder(q, math.tau) if kind is _C else q for kind, q in zip(KINDS, values, strict=True))
                for values in (wanted, robot.q)
            )
            verdict = robot.step(shown, q=measured, odometry=judge.place)
            # What is shown is worth something only while the robot follows.
            assert verdict.state in (State.ACTIVE, State.HOLDING), (verdict.state, verdict.faults)
            judge.look(verdict)
    return judge.seen
